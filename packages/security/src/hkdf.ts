import { ArgumentError } from '@aiv/transport-api'

const HASH_BYTES = 32
const utf8 = new TextEncoder()

/** HMAC-SHA256 of the pieces one after another. */
export type Hmac = (key: Uint8Array, ...pieces: readonly Uint8Array[]) => Uint8Array

/** HKDF-Expand, RFC 5869 section 2.3, on any HMAC-SHA256. */
export function hkdfExpand(hmac: Hmac, key: Uint8Array, info: string | Uint8Array, length: number): Uint8Array {
  if (!Number.isInteger(length) || length < 0 || length > 255 * HASH_BYTES) {
    throw new ArgumentError(`HKDF gives 0 to ${255 * HASH_BYTES} bytes, not ${length}`)
  }
  const label = typeof info === 'string' ? utf8.encode(info) : info
  const out = new Uint8Array(length)
  let block: Uint8Array = new Uint8Array(0)
  for (let at = 0, counter = 1; at < length; at += HASH_BYTES, counter++) {
    block = hmac(key, block, label, Uint8Array.of(counter))
    out.set(at + HASH_BYTES <= length ? block : block.subarray(0, length - at), at)
  }
  return out
}
