import { ArgumentError } from '@aiv/transport-api'

/** Bytes of a courier's tag. */
export const COURIER_TAG_BYTES = 16

/** Day 0 is 1 January 1970; whoever looks for its own envelopes tries yesterday, today and tomorrow. */
export function courierDay(unixMs: number): number {
  return Math.floor(unixMs / 86_400_000)
}

/**
 * The tag on an envelope that a courier carries, by which its recipient knows it: the first 16 bytes of
 * HMAC-SHA256(recipient's Noise static key, "bitchat-courier-tag-v1" ‖ u32 big-endian day). Whoever saw that public key
 * can compute it, so it hides nothing from them. docs/wire/bitchat-compatible.md
 *
 * @param noiseKey - 32 bytes.
 * @param day - as {@link courierDay} gives it, a u32.
 * @throws ArgumentError for a key or a day of another size.
 */
export function courierTag(
  crypto: { hmacSha256(key: Uint8Array, ...pieces: readonly Uint8Array[]): Uint8Array },
  noiseKey: Uint8Array,
  day: number,
): Uint8Array {
  if (noiseKey.length !== 32) throw new ArgumentError(`a Noise key has 32 bytes, not ${noiseKey.length}`)
  if (day >>> 0 !== day) throw new ArgumentError(`${day} is no day`)
  const label = new TextEncoder().encode('bitchat-courier-tag-v1')
  const number = Uint8Array.of(day >>> 24, day >>> 16, day >>> 8, day)
  return new Uint8Array(crypto.hmacSha256(noiseKey, label, number).subarray(0, COURIER_TAG_BYTES))
}
