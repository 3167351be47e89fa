import { varintLength, writeVarint, readVarint } from '@aiv/transport-api'
import type { FileErrorCode } from '../errors.js'

/**
 * The messages of `aiv-file/1`: docs/wire/file.md. Every one of them is a request, and every request is answered, so
 * that the sender knows what is on the other side's disk and not only in its memory. Integers are big-endian.
 *
 * | kind | message | fields |
 * |--:|---|---|
 * | 01 | OFFER | transfer 8, id 16, size u64, SHA-256 32, name: varint length, UTF-8 |
 * | 02 | DATA | transfer 8, offset u64, the bytes |
 * | 03 | CANCEL | transfer 8 |
 * | 81 | ANSWER | status u8, have u64 |
 */
export const FILE_PROTOCOL = 'aiv-file/1'
/** Bytes of the file in one DATA message. */
export const PIECE_BYTES = 262_144
/** Most bytes of the file that a receiver takes in one DATA message. */
export const MAX_PIECE_BYTES = 1_048_576
/** Longest name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255
/** Bytes of a DATA message before the file's. */
export const DATA_HEADER_BYTES = 17

const Kind = { Offer: 1, Data: 2, Cancel: 3, Answer: 0x81 } as const

/** What a sender says of a file before it sends it. */
export interface FileOffer {
  /** 8 random bytes of this attempt to send. */
  readonly transfer: Uint8Array
  /** 16 bytes; the same for the same content, size and name: what a partial file is found by. */
  readonly id: Uint8Array
  readonly size: number
  /** SHA-256 of the whole file. */
  readonly sha256: Uint8Array
  /** As the sender calls it; anything may be in it. */
  readonly name: string
}

/** A decoded request. Byte fields are views into the message. */
export type FileRequest =
  | ({ readonly type: 'offer' } & FileOffer)
  | { readonly type: 'data'; readonly transfer: Uint8Array; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: 'cancel'; readonly transfer: Uint8Array }

/** `ok` taken · `done` the whole file is verified and in place · `wait` ask again · `gap` send from `have` on. */
export type FileStatus = 'ok' | 'done' | 'wait' | 'gap' | FileErrorCode

export interface FileAnswer {
  readonly status: FileStatus
  /** Bytes from the beginning that the receiver has. */
  readonly have: number
}

const statuses: ReadonlyMap<number, FileStatus> = new Map<number, FileStatus>([
  [0x00, 'ok'],
  [0x01, 'done'],
  [0x02, 'wait'],
  [0x03, 'gap'],
  [0x10, 'FILE_MALFORMED'],
  [0x11, 'FILE_REFUSED'],
  [0x12, 'FILE_TOO_LARGE'],
  [0x13, 'FILE_BUSY'],
  [0x14, 'FILE_NO_SPACE'],
  [0x15, 'FILE_DISK'],
  [0x16, 'FILE_HASH_MISMATCH'],
  [0x17, 'FILE_UNKNOWN'],
  [0x18, 'FILE_SUPERSEDED'],
])
const statusBytes: ReadonlyMap<FileStatus, number> = new Map([...statuses].map(([byte, status]) => [status, byte]))

/** A new buffer. */
export function encodeOffer(offer: FileOffer): Uint8Array {
  const name = new TextEncoder().encode(offer.name)
  const out = new Uint8Array(65 + varintLength(name.length) + name.length)
  out[0] = Kind.Offer
  out.set(offer.transfer, 1)
  out.set(offer.id, 9)
  new DataView(out.buffer).setBigUint64(25, BigInt(offer.size))
  out.set(offer.sha256, 33)
  out.set(name, writeVarint(out, 65, name.length))
  return out
}

/** Writes the header of a DATA message into the first 17 bytes of `message`, whose rest is the file's. */
export function writeDataHeader(message: Uint8Array, transfer: Uint8Array, offset: number): void {
  message[0] = Kind.Data
  message.set(transfer, 1)
  new DataView(message.buffer, message.byteOffset).setBigUint64(9, BigInt(offset))
}

/** A new buffer of 9 bytes. */
export function encodeCancel(transfer: Uint8Array): Uint8Array {
  const out = new Uint8Array(9)
  out[0] = Kind.Cancel
  out.set(transfer, 1)
  return out
}

/** A new buffer of 10 bytes. */
export function encodeAnswer(answer: FileAnswer): Uint8Array {
  const out = new Uint8Array(10)
  out[0] = Kind.Answer
  // codes that only a sender ends in are never answered; if one were, the other side should stop
  out[1] = statusBytes.get(answer.status) ?? 0x11
  new DataView(out.buffer).setBigUint64(2, BigInt(answer.have))
  return out
}

/** `undefined` for anything that is no request: unknown kind, cut off, bytes left over, a size beyond 2^53 − 1. */
export function decodeFileRequest(message: Uint8Array): FileRequest | undefined {
  if (message.length < 9) return undefined
  const transfer = message.subarray(1, 9)
  switch (message[0]) {
    case Kind.Cancel:
      return message.length === 9 ? { type: 'cancel', transfer } : undefined
    case Kind.Data: {
      const offset = readU64(message, 9)
      if (offset === undefined || message.length === DATA_HEADER_BYTES) return undefined
      return { type: 'data', transfer, offset, bytes: message.subarray(DATA_HEADER_BYTES) }
    }
    case Kind.Offer: {
      const size = readU64(message, 25)
      const nameLength = readVarint(message, 65)
      if (size === undefined || nameLength < 0 || nameLength > MAX_NAME_BYTES) return undefined
      const nameAt = 65 + (1 << ((message[65] as number) >>> 6))
      if (message.length !== nameAt + nameLength) return undefined
      const name = readText(message.subarray(nameAt))
      if (name === undefined) return undefined
      return { type: 'offer', transfer, id: message.subarray(9, 25), size, sha256: message.subarray(33, 65), name }
    }
    default:
      return undefined
  }
}

/** `undefined` for anything that is no answer. */
export function decodeFileAnswer(message: Uint8Array): FileAnswer | undefined {
  const have = readU64(message, 2)
  const status = statuses.get(message[1] as number)
  if (message.length !== 10 || message[0] !== Kind.Answer || have === undefined || status === undefined)
    return undefined
  return { status, have }
}

function readU64(bytes: Uint8Array, offset: number): number | undefined {
  if (bytes.length < offset + 8) return undefined
  const value = new DataView(bytes.buffer, bytes.byteOffset + offset, 8).getBigUint64(0)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined
}

function readText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
