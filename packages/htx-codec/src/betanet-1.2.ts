import { AivError, ArgumentError } from '@aiv/transport-api'

/*
 * Frame of the Betanet 1.2 proposal, section 8.4 (docs/wire/betanet-1.2.md). All integers big-endian.
 *
 * offset bytes field
 *      0     3 length     from type through tag; does not count itself
 *      3     1 type       BetanetType
 *      4     4 stream id  0 for the connection; odd ones are the client's, even ones the server's
 *      8     2 aad        0 here; the proposal leaves its use open
 *     10     n ciphertext
 *   10+n    16 tag        ChaCha20-Poly1305 over the ciphertext, the first ten bytes being the additional data
 */
const LENGTH_BYTES = 3
const HEADER_BYTES = 10
const TAG_BYTES = 16
/** Length field of an empty frame. */
const MIN_LENGTH = HEADER_BYTES - LENGTH_BYTES + TAG_BYTES

/** Largest whole frame, length field included. */
export const BETANET_MAX_FRAME_BYTES = 65_535
/** What a frame costs beside its payload. */
export const BETANET_FRAME_OVERHEAD = HEADER_BYTES + TAG_BYTES
/** Largest payload of a frame before sealing. */
export const BETANET_MAX_PAYLOAD_BYTES = BETANET_MAX_FRAME_BYTES - BETANET_FRAME_OVERHEAD

/** What a Betanet 1.2 frame is for. */
export const BetanetType = {
  Stream: 0x00,
  WindowUpdate: 0x01,
  Ping: 0x02,
  KeyUpdate: 0x03,
  Close: 0x04,
  PathControl: 0x20,
} as const
export type BetanetType = (typeof BetanetType)[keyof typeof BetanetType]

/** Codes of a Betanet 1.2 CLOSE; from 0x8000 on they are private. */
export const BetanetCloseCode = {
  Ok: 0,
  VersionNegotiationFailed: 1,
  AuthFailed: 2,
  PathInvalid: 3,
  Replay: 4,
  FlowControlViolation: 5,
  OldKeyFrame: 6,
  MalformedFrame: 7,
  InternalError: 8,
  PolicyRejected: 9,
  UnsupportedFeature: 10,
} as const
export type BetanetCloseCode = (typeof BetanetCloseCode)[keyof typeof BetanetCloseCode]

/** Why bytes are no Betanet 1.2 frame. */
export type BetanetErrorCode =
  | 'BETANET_FRAME_TOO_LARGE' // above 65,535 bytes in all
  | 'BETANET_MALFORMED_FRAME' // too short for its parts, or a payload that does not add up
  | 'BETANET_AUTH_FAILED' // forged, or another key or counter

/** The bytes are no Betanet 1.2 frame. */
export class BetanetError extends AivError<BetanetErrorCode> {}

/** ChaCha20-Poly1305 under one direction's key; handed in. */
export interface BetanetAead {
  /** Ciphertext ‖ 16-byte tag, in a new buffer. */
  seal(nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array
  /** A new buffer; `undefined`: forged. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
}

/** A frame, opened. */
export interface BetanetFrame {
  /** 0 to 255; a {@link BetanetType} when it is one that we know. */
  readonly type: number
  /** u32. */
  readonly streamId: number
  /** u16, authenticated, otherwise without effect. @defaultValue 0 */
  readonly aad?: number
  readonly payload: Uint8Array
}

/**
 * A sealed frame in a new buffer. The caller sees to it that no nonce is used twice under a key.
 * @throws ArgumentError when a field does not fit its width or the frame would be too large.
 */
export function sealBetanetFrame(frame: BetanetFrame, aead: BetanetAead, nonce: Uint8Array): Uint8Array {
  const { type, streamId, aad = 0, payload } = frame
  if (payload.length > BETANET_MAX_PAYLOAD_BYTES) throw new ArgumentError(`payload of ${payload.length} bytes`)
  if (!isUint(type, 0xff) || !isUint(streamId, 0xffffffff) || !isUint(aad, 0xffff)) {
    throw new ArgumentError(`type ${type}, stream ${streamId} or aad ${aad} does not fit its width`)
  }
  const out = new Uint8Array(BETANET_FRAME_OVERHEAD + payload.length)
  const view = new DataView(out.buffer)
  view.setUint8(0, 0)
  view.setUint16(1, out.length - LENGTH_BYTES)
  view.setUint8(3, type)
  view.setUint32(4, streamId)
  view.setUint16(8, aad)
  out.set(aead.seal(nonce, out.subarray(0, HEADER_BYTES), payload), HEADER_BYTES)
  return out
}

/**
 * Opens exactly one frame. The payload is a new buffer.
 * @throws BetanetError BETANET_FRAME_TOO_LARGE, BETANET_MALFORMED_FRAME when `bytes` is not one whole frame, or
 * BETANET_AUTH_FAILED.
 */
export function openBetanetFrame(bytes: Uint8Array, aead: BetanetAead, nonce: Uint8Array): Required<BetanetFrame> {
  const length = betanetFrameLength(bytes)
  if (length !== bytes.length) throw malformed('not exactly one frame')
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  const payload = aead.open(nonce, bytes.subarray(0, HEADER_BYTES), bytes.subarray(HEADER_BYTES))
  if (payload === undefined) throw new BetanetError('BETANET_AUTH_FAILED', 'the tag is wrong')
  return { type: view.getUint8(3), streamId: view.getUint32(4), aad: view.getUint16(8), payload }
}

/**
 * Bytes of the frame that `bytes` begins with, length field included; `undefined` while fewer than three bytes are
 * there. With it a stream is cut into frames.
 * @throws BetanetError BETANET_FRAME_TOO_LARGE or BETANET_MALFORMED_FRAME.
 */
export function betanetFrameLength(bytes: Uint8Array): number | undefined {
  const [high, middle, low] = bytes
  if (high === undefined || middle === undefined || low === undefined) return undefined
  const length = (high << 16) | (middle << 8) | low
  if (length + LENGTH_BYTES > BETANET_MAX_FRAME_BYTES) {
    throw new BetanetError('BETANET_FRAME_TOO_LARGE', `${length + LENGTH_BYTES} bytes`)
  }
  if (length < MIN_LENGTH) throw malformed(`a length of ${length}, at least ${MIN_LENGTH}`)
  return length + LENGTH_BYTES
}

/** Payload of a STREAM frame: `u8 flags (bit 0 FIN) · u64 offset · u16 length · data`. */
export interface BetanetStream {
  readonly fin: boolean
  /** Where in the stream the data begins, 0 to 2^53 − 1. */
  readonly offset: number
  /** At most 65,498 bytes, so that the frame fits. */
  readonly data: Uint8Array
}

const STREAM_HEAD_BYTES = 11

/** @throws ArgumentError when a field does not fit. */
export function encodeBetanetStream({ fin, offset, data }: BetanetStream): Uint8Array {
  if (!isUint(offset, Number.MAX_SAFE_INTEGER)) throw new ArgumentError(`offset ${offset}`)
  const out = new Uint8Array(STREAM_HEAD_BYTES + data.length)
  if (out.length > BETANET_MAX_PAYLOAD_BYTES) throw new ArgumentError(`data of ${data.length} bytes`)
  const view = new DataView(out.buffer)
  view.setUint8(0, fin ? 1 : 0)
  view.setBigUint64(1, BigInt(offset))
  view.setUint16(9, data.length)
  out.set(data, STREAM_HEAD_BYTES)
  return out
}

/**
 * The data is a view. Departure: flags that the proposal does not define are refused, as are offsets above 2^53 − 1.
 * @throws BetanetError BETANET_MALFORMED_FRAME.
 */
export function decodeBetanetStream(payload: Uint8Array): BetanetStream {
  if (payload.length < STREAM_HEAD_BYTES) throw malformed('a STREAM payload is cut off')
  const view = viewOf(payload)
  const flags = view.getUint8(0)
  const offset = Number(view.getBigUint64(1))
  if (flags > 1 || offset > Number.MAX_SAFE_INTEGER) throw malformed(`STREAM flags ${flags}, offset ${offset}`)
  const data = payload.subarray(STREAM_HEAD_BYTES)
  if (view.getUint16(9) !== data.length) throw malformed('STREAM data of another length')
  return { fin: flags === 1, offset, data }
}

/** Payload of a WINDOW_UPDATE frame: `u8 scope · u32 credit`. The credit is added to the window. */
export interface BetanetWindowUpdate {
  readonly scope: 'connection' | 'stream'
  /** Bytes, u32. */
  readonly credit: number
}

/** @throws ArgumentError when the credit is no u32. */
export function encodeBetanetWindowUpdate({ scope, credit }: BetanetWindowUpdate): Uint8Array {
  if (!isUint(credit, 0xffffffff)) throw new ArgumentError(`credit ${credit}`)
  const out = new Uint8Array(5)
  out[0] = scope === 'stream' ? 1 : 0
  new DataView(out.buffer).setUint32(1, credit)
  return out
}

/** @throws BetanetError BETANET_MALFORMED_FRAME. */
export function decodeBetanetWindowUpdate(payload: Uint8Array): BetanetWindowUpdate {
  const scope = payload[0]
  if (payload.length !== 5 || scope === undefined || scope > 1) throw malformed('no WINDOW_UPDATE')
  return { scope: scope === 1 ? 'stream' : 'connection', credit: viewOf(payload).getUint32(1) }
}

/** Bytes of a PING payload: opaque, and sent back as they came within five seconds. */
export const BETANET_PING_BYTES = 8

/**
 * The payload itself, as a view.
 * @throws BetanetError BETANET_MALFORMED_FRAME unless it has eight bytes.
 */
export function decodeBetanetPing(payload: Uint8Array): Uint8Array {
  if (payload.length !== BETANET_PING_BYTES) throw malformed(`a PING of ${payload.length} bytes`)
  return payload
}

/** Payload of a CLOSE frame: `u16 code · u16 length · reason`. */
export interface BetanetClose {
  /** u16, a {@link BetanetCloseCode} when it is one that we know. */
  readonly code: number
  /** UTF-8 on the wire. What is no UTF-8 there reads as U+FFFD: it is for people, and nothing is decided by it. */
  readonly reason: string
}

/** @throws ArgumentError when the code is no u16 or the reason does not fit into a frame. */
export function encodeBetanetClose({ code, reason }: BetanetClose): Uint8Array {
  const text = new TextEncoder().encode(reason)
  if (!isUint(code, 0xffff) || text.length + 4 > BETANET_MAX_PAYLOAD_BYTES) {
    throw new ArgumentError(`code ${code} or a reason of ${text.length} bytes`)
  }
  const out = new Uint8Array(4 + text.length)
  const view = new DataView(out.buffer)
  view.setUint16(0, code)
  view.setUint16(2, text.length)
  out.set(text, 4)
  return out
}

/** @throws BetanetError BETANET_MALFORMED_FRAME. */
export function decodeBetanetClose(payload: Uint8Array): BetanetClose {
  if (payload.length < 4) throw malformed('a CLOSE payload is cut off')
  const view = viewOf(payload)
  const text = payload.subarray(4)
  if (view.getUint16(2) !== text.length) throw malformed('a CLOSE reason of another length')
  return { code: view.getUint16(0), reason: new TextDecoder().decode(text) }
}

function isUint(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function malformed(message: string): BetanetError {
  return new BetanetError('BETANET_MALFORMED_FRAME', message)
}
