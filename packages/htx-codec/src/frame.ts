import { ArgumentError } from '@aiv/transport-api'
import { type Crc32, portableCrc32 } from './crc32.js'
import type { FrameErrorCode } from './errors.js'

/*
 * HTX 1.1 frame (docs/wire/htx-frame.md). All integers big-endian.
 *
 * offset bytes field
 *      0     2 magic      0x4858 "HX"
 *      2     1 version    0x11 = 1.1
 *      3     1 flags      0x01 COMPRESSED, 0x02 ENCRYPTED, the rest reserved: must be 0
 *      4     3 length     of the payload as transmitted: after compression and encryption, tag included
 *      7     1 type       FrameType
 *      8     4 sequence   per direction and key generation, from 1, one more per sealed frame; 0 on unsealed ones
 *     12     8 timestamp  ms on the sender's monotonic clock since its first frame; nothing is decided by it
 *     20     n payload
 *   20+n     4 crc32      IEEE 802.3, over header and payload as transmitted
 */
const MAGIC_0 = 0x48
const MAGIC_1 = 0x58
const VERSION = 0x11
const RESERVED_FLAGS = 0xfc

/** Bytes before the payload. */
export const HEADER_BYTES = 20
/** Bytes after the payload: the CRC-32. */
export const TRAILER_BYTES = 4
/** What a frame costs beside its payload. */
export const FRAME_OVERHEAD = HEADER_BYTES + TRAILER_BYTES
/** Bytes that sealing adds to a payload. */
export const AEAD_TAG_BYTES = 16
/** Largest payload that the 24-bit length can say. Sessions agree on far less. */
export const MAX_PAYLOAD_BYTES = 0xffffff
/** Size of a whole frame that everybody takes unless told otherwise. */
export const DEFAULT_MAX_FRAME_BYTES = 65_536

/**
 * What a frame is for. 0x04 to 0x07 are reserved: never sent, ignored. 0x40 to 0x7F are experimental and 0x80 to 0xFF
 * private: ignored when unknown. Any other unknown type closes the session.
 */
export const FrameType = {
  Data: 0x00,
  WindowUpdate: 0x01,
  KeyUpdate: 0x02,
  Ping: 0x03,
  Ack: 0x08,
  Close: 0x09,
  Handshake: 0x0a,
  Pong: 0x0b,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** What was done to the payload, in this order: compressed, encrypted. */
export const FrameFlag = { Compressed: 0x01, Encrypted: 0x02 } as const

/** The fields of a header as the wire has them; nothing in it is believed before the tag is right. */
export interface FrameHeader {
  /** Bits of {@link FrameFlag}. */
  flags: number
  /** Bytes of payload as transmitted, 0 to {@link MAX_PAYLOAD_BYTES}. */
  length: number
  /** 0 to 255; a {@link FrameType} when it is one that we know. */
  type: number
  /** u32. */
  sequence: number
  /** Milliseconds, u64. Above 2^53 − 1 only an approximation, which does no harm: nothing is decided by it. */
  timestamp: number
}

/** A frame as a value: for tests and tools. The data path writes headers in place. */
export interface Frame {
  /** Bits of {@link FrameFlag}. */
  readonly flags: number
  readonly type: number
  readonly sequence: number
  readonly timestamp: number
  readonly payload: Uint8Array
}

/**
 * Writes the 20 bytes of a header at `offset`; bytes after it are untouched.
 *
 * Checks nothing, since it runs once per frame: every field must be an integer within its width, `timestamp` at most
 * 2^53 − 1, and `target` must have the room. {@link encodeFrame} checks.
 */
export function writeFrameHeader(
  target: Uint8Array,
  offset: number,
  flags: number,
  length: number,
  type: number,
  sequence: number,
  timestamp: number,
): void {
  target[offset] = MAGIC_0
  target[offset + 1] = MAGIC_1
  target[offset + 2] = VERSION
  target[offset + 3] = flags
  target[offset + 4] = length >>> 16
  target[offset + 5] = length >>> 8
  target[offset + 6] = length
  target[offset + 7] = type
  writeUint32(target, offset + 8, sequence)
  writeUint32(target, offset + 12, Math.floor(timestamp / 0x100000000))
  writeUint32(target, offset + 16, timestamp >>> 0)
}

/** Writes the CRC-32 that closes a frame. */
export function writeFrameTrailer(target: Uint8Array, offset: number, crc: number): void {
  writeUint32(target, offset, crc)
}

/**
 * Reads the header at `offset`, which must hold 20 bytes, into `into` or a new object. Does not judge it:
 * {@link checkFrameHeader} does.
 */
export function readFrameHeader(source: Uint8Array, offset = 0, into?: FrameHeader): FrameHeader {
  const flags = source[offset + 3] as number
  const length = readUint24(source, offset + 4)
  const type = source[offset + 7] as number
  const sequence = readUint32(source, offset + 8)
  const timestamp = readUint32(source, offset + 12) * 0x100000000 + readUint32(source, offset + 16)
  if (into === undefined) return { flags, length, type, sequence, timestamp }
  into.flags = flags
  into.length = length
  into.type = type
  into.sequence = sequence
  into.timestamp = timestamp
  return into
}

/**
 * What is wrong with a header, as far as its first `available` bytes (0 to 20) show it: a stranger who speaks another
 * protocol is told by the first byte, not after twenty. The first fault in byte order decides, so that a split of the
 * stream changes no code.
 */
export function checkFrameHeader(
  source: Uint8Array,
  offset: number,
  available: number,
  maxFrameBytes: number,
): Exclude<FrameErrorCode, 'HTX_BAD_CRC' | 'HTX_TRUNCATED'> | undefined {
  if (available > 0 && source[offset] !== MAGIC_0) return 'HTX_BAD_MAGIC'
  if (available > 1 && source[offset + 1] !== MAGIC_1) return 'HTX_BAD_MAGIC'
  if (available > 2 && source[offset + 2] !== VERSION) return 'HTX_BAD_VERSION'
  if (available > 3 && ((source[offset + 3] as number) & RESERVED_FLAGS) !== 0) return 'HTX_RESERVED_FLAGS'
  if (available > 6 && readUint24(source, offset + 4) + FRAME_OVERHEAD > maxFrameBytes) return 'HTX_FRAME_TOO_LARGE'
  return undefined
}

/** Size of the frame that begins at `offset`, as its header has it; `Infinity` while its length is not all there. */
export function frameBytesAt(source: Uint8Array, offset: number): number {
  return offset + 7 <= source.length ? readUint24(source, offset + 4) + FRAME_OVERHEAD : Infinity
}

/**
 * A whole frame in a new buffer.
 * @throws ArgumentError when a field does not fit its width or a reserved flag is set.
 */
export function encodeFrame(frame: Frame, crc32: Crc32 = portableCrc32): Uint8Array {
  const { flags, type, sequence, timestamp, payload } = frame
  if (!isUint(flags, 0xff) || (flags & RESERVED_FLAGS) !== 0) throw new ArgumentError(`flags ${flags}`)
  if (!isUint(type, 0xff)) throw new ArgumentError(`type ${type}: not a byte`)
  if (!isUint(sequence, 0xffffffff)) throw new ArgumentError(`sequence ${sequence}: not a u32`)
  if (!isUint(timestamp, Number.MAX_SAFE_INTEGER)) throw new ArgumentError(`timestamp ${timestamp}`)
  if (payload.length > MAX_PAYLOAD_BYTES) throw new ArgumentError(`payload of ${payload.length} bytes`)
  const out = new Uint8Array(FRAME_OVERHEAD + payload.length)
  writeFrameHeader(out, 0, flags, payload.length, type, sequence, timestamp)
  out.set(payload, HEADER_BYTES)
  const end = HEADER_BYTES + payload.length
  writeFrameTrailer(out, end, crc32(out.subarray(0, end)))
  return out
}

/** The CRC-32 that stands at `offset`. */
export function readFrameTrailer(source: Uint8Array, offset: number): number {
  return readUint32(source, offset)
}

function isUint(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

function readUint24(source: Uint8Array, offset: number): number {
  return ((source[offset] as number) << 16) | ((source[offset + 1] as number) << 8) | (source[offset + 2] as number)
}

function readUint32(source: Uint8Array, offset: number): number {
  return (((source[offset] as number) << 24) | readUint24(source, offset + 1)) >>> 0
}

function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24
  target[offset + 1] = value >>> 16
  target[offset + 2] = value >>> 8
  target[offset + 3] = value
}
