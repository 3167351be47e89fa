import { type Priority, readVarint, varintLengthFrom, writeVarint } from '@aiv/transport-api'

/** Packets gathered in one stream at most, heads included; a larger packet has a stream of its own. docs/wire/quic.md */
export const GATHERED_BYTES = 65_536

/** A stream of packets opens with u8 priority ‖ varint place in the order of that priority. */
export interface StreamHead {
  readonly priority: Priority
  readonly order: number
}

/** Longest head: priority, an 8-byte varint. */
export const MAX_HEAD_BYTES = 9

/** Writes the head and returns the offset after it. */
export function writeHead(target: Uint8Array, offset: number, head: StreamHead): number {
  target[offset] = head.priority
  return writeVarint(target, offset + 1, head.order)
}

/** The head and the offset after it; `undefined` while bytes are missing; `false` for what is none. */
export function readHead(
  bytes: Uint8Array,
  offset: number,
): { readonly head: StreamHead; readonly end: number } | undefined | false {
  const priority = bytes[offset]
  if (priority === undefined) return undefined
  if (priority > 3) return false
  const first = bytes[offset + 1]
  if (first === undefined) return undefined
  const end = offset + 1 + varintLengthFrom(first)
  if (end > bytes.length) return undefined
  const order = readVarint(bytes, offset + 1)
  return order < 0 ? false : { head: { priority: priority as Priority, order }, end }
}

/** First byte of a datagram that is a packet. */
export const DATAGRAM_PACKET = 0x00
/** First byte, and all, of one that says that the dialler's address has changed; others are ignored. */
export const DATAGRAM_REBOUND = 0x01
