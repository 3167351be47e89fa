import { takeOutput } from './output-pool.js'

/** Longest reason text of a CLOSE, in bytes of UTF-8. */
export const MAX_CLOSE_REASON_BYTES = 256
/** Bytes of a PING and a PONG. */
export const PING_BYTES = 8

const HIGH = 0x1_0000_0000

/** A u64 of at most 2^53 − 1, as WINDOW_UPDATE and ACK carry it. */
export function encodeUint64(value: number): Uint8Array {
  const out = takeOutput(8)
  const view = new DataView(out.buffer, out.byteOffset, 8)
  view.setUint32(0, Math.floor(value / HIGH))
  view.setUint32(4, value >>> 0)
  return out
}

/** `undefined` unless there are exactly 8 bytes; above 2^53 an approximation, which only has to be seen as large. */
export function decodeUint64(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  return view.getUint32(0) * HIGH + view.getUint32(4)
}

/** Payload of a CLOSE: code u16, reason. Longer reasons are cut between characters. */
export function encodeClose(code: number, reason: string): Uint8Array {
  const out = new Uint8Array(2 + MAX_CLOSE_REASON_BYTES)
  out[0] = code >>> 8
  out[1] = code
  const { written } = new TextEncoder().encodeInto(reason, out.subarray(2))
  return out.subarray(0, 2 + written)
}

/** `undefined` for fewer than 2 or more than 258 bytes. Invalid UTF-8 is shown as U+FFFD: it is for people. */
export function decodeClose(bytes: Uint8Array): { readonly code: number; readonly reason: string } | undefined {
  if (bytes.length < 2 || bytes.length > 2 + MAX_CLOSE_REASON_BYTES) return undefined
  const code = ((bytes[0] as number) << 8) | (bytes[1] as number)
  return { code, reason: new TextDecoder().decode(bytes.subarray(2)) }
}
