/*
 * Small output buffers are cut from slabs of 64 KiB, because making one typed array for each header and tag costs more
 * than filling it. A slab is shared by all sessions and no byte of it is handed out twice, so that nothing can be seen
 * of another session; the garbage collector takes a slab once all that was cut from it is written.
 */
const SLAB_BYTES = 65_536

let slab = new Uint8Array(0)
let taken = 0

/** A buffer of zeros of `length` bytes, to be filled by its only owner. */
export function takeOutput(length: number): Uint8Array {
  if (length > SLAB_BYTES / 4) return new Uint8Array(length)
  if (taken + length > slab.length) {
    slab = new Uint8Array(SLAB_BYTES)
    taken = 0
  }
  const start = taken
  taken += length
  return slab.subarray(start, taken)
}

/**
 * A buffer at the end of `out`. Where the last one there was cut from the slab just before, the two become one piece,
 * since each piece costs a write of its own.
 */
export function appendOutput(out: Uint8Array[], length: number): Uint8Array {
  const buffer = takeOutput(length)
  const last = out[out.length - 1]
  if (last !== undefined && last.buffer === buffer.buffer && last.byteOffset + last.length === buffer.byteOffset)
    out[out.length - 1] = new Uint8Array(buffer.buffer, last.byteOffset, last.length + length)
  else out.push(buffer)
  return buffer
}
