import { ArgumentError } from './errors.js'

/**
 * Variable-length integers of RFC 9000 section 16: the two highest bits of the first byte say how many bytes follow.
 *
 * | first two bits | bytes | largest value |
 * |---|--:|--:|
 * | 00 | 1 | 63 |
 * | 01 | 2 | 16,383 |
 * | 10 | 4 | 2^30 − 1 |
 * | 11 | 8 | 2^62 − 1 |
 *
 * Departure: values above `Number.MAX_SAFE_INTEGER` (2^53 − 1) are refused; nothing here counts that far.
 */
export const MAX_VARINT = Number.MAX_SAFE_INTEGER

/** Bytes that {@link writeVarint} will use for `value`: 1, 2, 4 or 8. */
export function varintLength(value: number): 1 | 2 | 4 | 8 {
  if (value < 0x40) return 1
  if (value < 0x4000) return 2
  if (value < 0x40000000) return 4
  return 8
}

/**
 * Writes `value` in its shortest form and returns the offset after it.
 * @throws ArgumentError unless `value` is an integer from 0 to {@link MAX_VARINT}.
 */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  if (value < 0 || !Number.isSafeInteger(value)) throw new ArgumentError(`${value} is no varint`)
  if (value < 0x40) {
    target[offset] = value
    return offset + 1
  }
  if (value < 0x4000) {
    target[offset] = 0x40 | (value >>> 8)
    target[offset + 1] = value & 0xff
    return offset + 2
  }
  if (value < 0x40000000) {
    target[offset] = 0x80 | (value >>> 24)
    target[offset + 1] = (value >>> 16) & 0xff
    target[offset + 2] = (value >>> 8) & 0xff
    target[offset + 3] = value & 0xff
    return offset + 4
  }
  const high = Math.floor(value / 0x100000000)
  target[offset] = 0xc0 | (high >>> 24)
  target[offset + 1] = (high >>> 16) & 0xff
  target[offset + 2] = (high >>> 8) & 0xff
  target[offset + 3] = high & 0xff
  target[offset + 4] = (value >>> 24) & 0xff
  target[offset + 5] = (value >>> 16) & 0xff
  target[offset + 6] = (value >>> 8) & 0xff
  target[offset + 7] = value & 0xff
  return offset + 8
}

/** Length in bytes of the varint that begins with `first`: 1, 2, 4 or 8. */
export function varintLengthFrom(first: number): number {
  return 1 << (first >>> 6)
}

/**
 * Reads the varint at `offset`; its length is {@link varintLengthFrom} of its first byte.
 * Returns −1 when it is cut off by the end of `source` or larger than {@link MAX_VARINT}.
 * Longer forms than needed are taken, as RFC 9000 does.
 */
export function readVarint(source: Uint8Array, offset: number): number {
  // not by what is found beyond the end: that throws away compiled code, whose reads were all within bounds before
  if (!(offset < source.length)) return -1
  const first = source[offset] as number
  const length = 1 << (first >>> 6)
  if (offset + length > source.length) return -1
  if (length === 1) return first
  if (length === 2) return ((first & 0x3f) << 8) | (source[offset + 1] as number)
  const head = readUint32(source, offset) & 0x3fffffff
  if (length === 4) return head
  const value = head * 0x100000000 + readUint32(source, offset + 4)
  return value > MAX_VARINT ? -1 : value
}

function readUint32(source: Uint8Array, at: number): number {
  const high = ((source[at] as number) << 24) | ((source[at + 1] as number) << 16)
  return (high | ((source[at + 2] as number) << 8) | (source[at + 3] as number)) >>> 0
}
