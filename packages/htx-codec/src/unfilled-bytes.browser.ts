/** A new buffer of `length` bytes; zeros, since browsers give no other. */
export function unfilledBytes(length: number): Uint8Array {
  return new Uint8Array(length)
}
