/** Sizes that packets are brought to, so that their length says less. */
const TARGETS = [256, 512, 1024, 2048]
/** The deployed encoder leaves this much room for an AEAD tag. */
const ROOM = 16

/**
 * PKCS#7 padding to the smallest of 256, 512, 1,024 and 2,048 bytes that leaves 16 bytes of room. Returned as it is when
 * that would take more than 255 bytes (the count is one byte) or it is too long for all of them.
 */
export function pad(bytes: Uint8Array): Uint8Array {
  const target = TARGETS.find((size) => bytes.length + ROOM <= size)
  if (target === undefined || target - bytes.length > 255) return bytes
  const out = new Uint8Array(target).fill(target - bytes.length)
  out.set(bytes)
  return out
}

/** Length of the padding at the start of `bytes`: n bytes of value n. 0: there is none; `undefined`: it is cut off. */
export function paddingLength(bytes: Uint8Array): number | undefined {
  const count = bytes[0]
  if (count === undefined) return undefined
  // fewer than 16 are never added, and 1 and 2 would be the first byte of a packet
  if (count < ROOM) return 0
  for (let i = 1; i < Math.min(count, bytes.length); i++) if (bytes[i] !== count) return 0
  return count <= bytes.length ? count : undefined
}
