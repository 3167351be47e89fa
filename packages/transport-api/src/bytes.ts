/**
 * One run of bytes, or several that belong together. Pieces are written one after another and never joined on the
 * way out, so that a large payload is not copied to put a header before it.
 */
export type Bytes = Uint8Array | readonly Uint8Array[]

/** Number of bytes in all pieces together. */
export function byteLength(bytes: Bytes): number {
  if (bytes instanceof Uint8Array) return bytes.length
  let total = 0
  for (const piece of bytes) total += piece.length
  return total
}

/** The bytes as one run: the same array when there is only one piece, else a new buffer. */
export function joinBytes(bytes: Bytes): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  const [first] = bytes
  if (bytes.length === 1 && first !== undefined) return first
  const out = new Uint8Array(byteLength(bytes))
  let offset = 0
  for (const piece of bytes) {
    out.set(piece, offset)
    offset += piece.length
  }
  return out
}

/** Compares by content. Not constant time: never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
