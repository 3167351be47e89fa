/*
 * LZ4 block format (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md). A block is sequences:
 *
 *   token            high four bits: literal length, low four bits: match length − 4; 15 means "more follows"
 *   literal length   bytes added up, as long as they are 255
 *   literals
 *   offset           u16, little-endian: how far back the match begins, 1 to 65,535
 *   match length     bytes added up, as long as they are 255
 *
 * The last sequence ends after its literals. The last five bytes are literals, and no match begins in the last twelve.
 */

const MIN_MATCH = 4
const LAST_LITERALS = 5
const MATCH_FIND_LIMIT = 12
const MAX_OFFSET = 65_535
const HASH_BITS = 13
/** One more byte is skipped per step after every 2^6 places without a match, so that noise is passed over quickly. */
const SKIP_TRIGGER = 6
/** Below these lengths a loop is faster than a call into the engine's copy. */
const COPY_FROM = 32

/**
 * Writes LZ4 blocks. Keeps its hash table between blocks, but what a block looks like depends on its input alone:
 * places remembered from earlier inputs are below {@link Lz4BlockEncoder.#base} and never looked at.
 */
export class Lz4BlockEncoder {
  readonly #table = new Int32Array(1 << HASH_BITS)
  /** What position 0 of the input in hand is stored as; everything below it belongs to earlier inputs. */
  #base = 1

  /**
   * Writes the block of `source` into `target` from `offset` on. Returns the offset after it, or −1 when the block does
   * not fit; then what is in `target` is of no use.
   */
  encode(source: Uint8Array, target: Uint8Array, offset: number): number {
    const length = source.length
    if (this.#base + length > 0x7fffffff) {
      this.#table.fill(0)
      this.#base = 1
    }
    const base = this.#base
    this.#base = base + length
    const table = this.#table
    const view = new DataView(source.buffer, source.byteOffset, length)
    const lastStart = length - MATCH_FIND_LIMIT
    const matchLimit = length - LAST_LITERALS
    let out = offset
    let anchor = 0
    let at = 0
    let misses = 1 << SKIP_TRIGGER
    while (at <= lastStart) {
      const word = view.getInt32(at, true)
      const slot = hash(word)
      const seen = (table[slot] as number) - base
      table[slot] = base + at
      if (seen < 0 || at - seen > MAX_OFFSET || view.getInt32(seen, true) !== word) {
        at += misses++ >> SKIP_TRIGGER
        continue
      }
      misses = 1 << SKIP_TRIGGER
      let start = at
      let from = seen
      while (start > anchor && from > 0 && source[start - 1] === source[from - 1]) {
        start--
        from--
      }
      let end = at + MIN_MATCH
      let against = seen + MIN_MATCH
      while (end < matchLimit && source[end] === source[against]) {
        end++
        against++
      }
      out = writeSequence(source, anchor, start, target, out, end - start - MIN_MATCH)
      if (out < 0 || out + 2 > target.length) return -1
      const distance = start - from
      target[out++] = distance
      target[out++] = distance >>> 8
      if (end - start - MIN_MATCH >= 15) out = writeLength(target, out, end - start - MIN_MATCH - 15)
      if (out < 0) return -1
      anchor = at = end
      // one place inside the match, so that a repetition which begins there is found
      if (at <= lastStart) table[hash(view.getInt32(at - 2, true))] = base + at - 2
    }
    return writeSequence(source, anchor, length, target, out, 0)
  }
}

function hash(word: number): number {
  return Math.imul(word, -1640531535) >>> (32 - HASH_BITS)
}

/** Writes token, literal length and literals; the match length, less 4, only goes into the token. −1: does not fit. */
function writeSequence(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
  matchLength: number,
): number {
  const literals = end - start
  if (offset + 1 + literals > target.length) return -1
  let out = offset + 1
  target[offset] = ((literals < 15 ? literals : 15) << 4) | (matchLength < 15 ? matchLength : 15)
  if (literals >= 15) {
    out = writeLength(target, out, literals - 15)
    if (out < 0 || out + literals > target.length) return -1
  }
  if (literals > COPY_FROM) target.set(source.subarray(start, end), out)
  else for (let i = 0; i < literals; i++) target[out + i] = source[start + i] as number
  return out + literals
}

function writeLength(target: Uint8Array, offset: number, length: number): number {
  let out = offset
  let rest = length
  if (out + Math.floor(rest / 255) + 1 > target.length) return -1
  for (; rest >= 255; rest -= 255) target[out++] = 255
  target[out++] = rest
  return out
}

/**
 * Decodes the block `source[offset..]` into `target`, which it must fill exactly. Never writes outside `target`, and
 * takes time in proportion to both lengths at most. Holds blocks to the end rules above.
 *
 * @returns false for a block that is corrupt or of another length; then what is in `target` is of no use.
 */
export function decodeLz4Block(source: Uint8Array, offset: number, target: Uint8Array): boolean {
  const end = source.length
  const size = target.length
  let at = offset
  let out = 0
  while (at < end) {
    const token = source[at++] as number
    let literals = token >>> 4
    if (literals === 15) {
      for (let more = 255; more === 255; literals += more) {
        if (at >= end) return false
        more = source[at++] as number
      }
    }
    if (literals > end - at || literals > size - out) return false
    if (literals > COPY_FROM) target.set(source.subarray(at, at + literals), out)
    else for (let i = 0; i < literals; i++) target[out + i] = source[at + i] as number
    at += literals
    out += literals
    if (at === end) return out === size
    if (at + 2 > end || out > size - MATCH_FIND_LIMIT) return false
    const distance = (source[at] as number) | ((source[at + 1] as number) << 8)
    at += 2
    if (distance === 0 || distance > out) return false
    let length = token & 15
    if (length === 15) {
      for (let more = 255; more === 255; length += more) {
        if (at >= end) return false
        more = source[at++] as number
      }
    }
    length += MIN_MATCH
    if (length > size - LAST_LITERALS - out) return false
    if (length > COPY_FROM) repeat(target, out, distance, length)
    else for (let i = 0, from = out - distance; i < length; i++) target[out + i] = target[from + i] as number
    out += length
  }
  return false
}

/** Copies `length` bytes from `distance` before `at`, where what is copied may be what was just written. */
function repeat(target: Uint8Array, at: number, distance: number, length: number): void {
  const from = at - distance
  let done = 0
  // each round doubles what there is of the period, so even a run of one byte takes few copies
  for (let step = distance; done < length; step = distance + done) {
    const part = Math.min(step, length - done)
    target.copyWithin(at + done, from, from + part)
    done += part
  }
}
