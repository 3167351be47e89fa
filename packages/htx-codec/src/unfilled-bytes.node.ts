/** Below this it is not worth two objects. */
const WORTH_BYTES = 4_096

/**
 * A new buffer of `length` bytes that hold whatever was in that memory before, as clearing 64 KiB costs as much as
 * copying them. For whoever fills all of it before anybody else sees it.
 */
export function unfilledBytes(length: number): Uint8Array {
  return length < WORTH_BYTES ? new Uint8Array(length) : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
}
