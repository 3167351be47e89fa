import { toHex } from '@aiv/transport-api'
import { readChunks } from './chunk.js'
import { crc32Range } from './crc32.js'
import { ChunkError, type FrameErrorCode } from './errors.js'
import {
  DEFAULT_MAX_FRAME_BYTES,
  FRAME_OVERHEAD,
  FrameFlag,
  FrameType,
  HEADER_BYTES,
  TRAILER_BYTES,
  checkFrameHeader,
  readFrameHeader,
  readFrameTrailer,
} from './frame.js'

/** One field of a frame, as found. */
export interface InspectedField {
  /** Where in the bytes it begins. */
  readonly offset: number
  /** Bytes that there are of it; fewer than its width where the bytes end. */
  readonly length: number
  readonly name: string
  /** For people: a number, a hexadecimal string, a name, or text in quotes. */
  readonly value: string
  /** What it means, or what is wrong with it. Empty where nothing is to be said. */
  readonly note: string
}

/** What a byte string is, taken as a frame. */
export interface InspectedFrame {
  readonly fields: readonly InspectedField[]
  /** Bytes that this frame took; what follows may be another one. */
  readonly bytes: number
  /** Absent when the frame is valid. */
  readonly error?: FrameErrorCode
}

const typeNames = new Map<number, string>([
  [FrameType.Data, 'DATA'],
  [FrameType.WindowUpdate, 'WINDOW_UPDATE'],
  [FrameType.KeyUpdate, 'KEY_UPDATE'],
  [FrameType.Ping, 'PING'],
  [FrameType.Ack, 'ACK'],
  [FrameType.Close, 'CLOSE'],
  [FrameType.Handshake, 'HANDSHAKE'],
  [FrameType.Pong, 'PONG'],
])

/** Widest field values and longest payloads are cut to so many bytes. */
const SHOWN_BYTES = 64

/**
 * Says field by field what the first frame in `bytes` is, valid or not, and why not. Never throws; goes as far as there
 * are bytes, also behind the first fault, and reports that one.
 */
export function inspectFrame(bytes: Uint8Array, options: { readonly maxFrameBytes?: number } = {}): InspectedFrame {
  const { maxFrameBytes = DEFAULT_MAX_FRAME_BYTES } = options
  const fields: InspectedField[] = []
  const available = Math.min(bytes.length, HEADER_BYTES)
  let error: FrameErrorCode | undefined = checkFrameHeader(bytes, 0, available, maxFrameBytes)
  const add = (offset: number, width: number, name: string, value: () => string, note = ''): void => {
    const length = Math.max(0, Math.min(width, bytes.length - offset))
    if (length < width) {
      if (length > 0) fields.push({ offset, length, name, value: hex(bytes, offset, length), note: 'cut off' })
      return
    }
    fields.push({ offset, length, name, value: value(), note })
  }
  // readable even where bytes are missing: those fields are not shown
  const padded = new Uint8Array(HEADER_BYTES)
  padded.set(bytes.subarray(0, available))
  const { flags, length, type, sequence } = readFrameHeader(padded)
  const timestamp = new DataView(padded.buffer).getBigUint64(12)
  const isMagic = padded[0] === 0x48 && padded[1] === 0x58
  add(0, 2, 'magic', () => hex(bytes, 0, 2), isMagic ? '"HX"' : 'not "HX" (4858): no HTX frame')
  add(2, 1, 'version', () => hex(bytes, 2, 1), padded[2] === 0x11 ? 'HTX 1.1' : 'not 1.1 (11)')
  add(3, 1, 'flags', () => hex(bytes, 3, 1), describeFlags(flags))
  const total = length + FRAME_OVERHEAD
  add(
    4,
    3,
    'length',
    () => String(length),
    total > maxFrameBytes ? `a frame of ${total} bytes, limit ${maxFrameBytes}` : '',
  )
  add(7, 1, 'type', () => hex(bytes, 7, 1), describeType(type))
  add(8, 4, 'sequence', () => String(sequence), sequence === 0 ? 'not sealed' : '')
  add(12, 8, 'timestamp', () => String(timestamp), 'ms')
  if (bytes.length < HEADER_BYTES) return result(fields, bytes.length, error ?? 'HTX_TRUNCATED')
  const trailerAt = HEADER_BYTES + length
  const payload = bytes.subarray(HEADER_BYTES, trailerAt)
  add(HEADER_BYTES, length, 'payload', () => describeBytes(payload), describePayload(type, flags, payload))
  if (bytes.length < trailerAt + TRAILER_BYTES) {
    add(trailerAt, TRAILER_BYTES, 'crc32', () => '')
    return result(fields, bytes.length, error ?? 'HTX_TRUNCATED')
  }
  const crc = crc32Range(bytes, 0, trailerAt)
  const isRight = crc === readFrameTrailer(bytes, trailerAt)
  if (!isRight) error ??= 'HTX_BAD_CRC'
  const note = isRight ? 'right' : `wrong: the bytes before it give ${crc.toString(16).padStart(8, '0')}`
  add(trailerAt, TRAILER_BYTES, 'crc32', () => hex(bytes, trailerAt, TRAILER_BYTES), note)
  return result(fields, trailerAt + TRAILER_BYTES, error)
}

function result(fields: InspectedField[], bytes: number, error: FrameErrorCode | undefined): InspectedFrame {
  return error === undefined ? { fields, bytes } : { fields, bytes, error }
}

function describeFlags(flags: number): string {
  const names: string[] = []
  if ((flags & FrameFlag.Compressed) !== 0) names.push('COMPRESSED')
  if ((flags & FrameFlag.Encrypted) !== 0) names.push('ENCRYPTED')
  if ((flags & ~(FrameFlag.Compressed | FrameFlag.Encrypted)) !== 0) names.push('reserved bits set')
  return names.join(', ')
}

function describeType(type: number): string {
  const name = typeNames.get(type)
  if (name !== undefined) return name
  if (type >= 0x80) return 'private, ignored when unknown'
  if (type >= 0x40) return 'experimental, ignored when unknown'
  return type >= 0x04 && type <= 0x07 ? 'reserved, ignored' : 'unknown: closes a session'
}

/** What the payload holds, where it is not sealed and reads as what its type says. */
function describePayload(type: number, flags: number, payload: Uint8Array): string {
  if ((flags & FrameFlag.Encrypted) !== 0) return 'sealed: unreadable without the key'
  if ((flags & FrameFlag.Compressed) !== 0) return 'compressed'
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (type === FrameType.Data && payload.length > 0) return describeChunks(payload)
  if (type === FrameType.WindowUpdate && payload.length === 8) return `window up to byte ${view.getBigUint64(0)}`
  if (type === FrameType.Ack && payload.length === 8) return `${view.getBigUint64(0)} bytes received`
  if (type === FrameType.Close && payload.length >= 2) {
    return `code ${view.getUint16(0)}, reason ${describeBytes(payload.subarray(2))}`
  }
  return ''
}

function describeChunks(payload: Uint8Array): string {
  const chunks: string[] = []
  let count = 0
  const found = (text: string): void => {
    count += 1
    if (chunks.length < 8) chunks.push(text)
  }
  const open = new Set<number>()
  try {
    readChunks(payload, {
      isOpen: (number) => open.has(number),
      onMessage: (number, _bytes, start, end) => found(`message ${number}, ${end - start} bytes`),
      onChunkStart: (number, final, length, total) => {
        if (!final) open.add(number)
        found(`${length} bytes of message ${number}${total === undefined ? '' : `, ${total} in all`}`)
      },
      onChunkBytes: () => undefined,
      onChunkEnd: () => undefined,
      onPadding: (length) => found(`${length} bytes of padding`),
    })
  } catch (error) {
    // a message that was opened in an earlier frame reads the same way: without that frame there is no telling
    if (error instanceof ChunkError) return 'not readable as chunks by itself'
    throw error
  }
  return `chunks: ${chunks.join('; ')}${count > chunks.length ? `; ${count - chunks.length} more` : ''}`
}

/** Text in quotes where it is printable, else hexadecimal, cut after 64 bytes. */
function describeBytes(bytes: Uint8Array): string {
  const shown = bytes.subarray(0, SHOWN_BYTES)
  const rest = bytes.length > shown.length ? ` … ${bytes.length} bytes` : ''
  if (bytes.length === 0) return 'empty'
  const text = new TextDecoder().decode(shown)
  return (/^[^\p{C}\ufffd]+$/u.test(text) ? JSON.stringify(text) : toHex(shown)) + rest
}

function hex(bytes: Uint8Array, offset: number, length: number): string {
  return toHex(bytes.subarray(offset, offset + Math.min(length, SHOWN_BYTES)))
}
