/**
 * The same memory as a plain array: a `Buffer` of a radio or a cipher is one whose `slice` copies nothing, and what we
 * take for a copy would change with the original.
 */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}
