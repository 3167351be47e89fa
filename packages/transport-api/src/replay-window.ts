/**
 * Which counters were seen, in a window that slides up: the bitmap of RFC 6479 (a ring of words, so that sliding
 * clears words and shifts nothing).
 *
 * Departures: words of 32 bits, as that is what a bitwise operator takes; counters begin at any value and are plain
 * numbers (at most 2^53 − 1), since nothing here counts further.
 */
export class ReplayWindow {
  readonly #words: Uint32Array
  readonly #size: number
  #highest = -1

  /** @param size - how far below the highest counter one is still told apart; a multiple of 32, at least 32. @defaultValue 1024 */
  constructor(size = 1024) {
    if (size < 32 || size % 32 !== 0) throw new RangeError(`window of ${size}: a multiple of 32`)
    this.#size = size
    // one word more than the window, because the word of the highest counter is only partly in use
    this.#words = new Uint32Array(size / 32 + 1)
  }

  /** The highest counter recorded; −1 when there is none. */
  get highest(): number {
    return this.#highest
  }

  /** How a counter stands; changes nothing, so that it can be asked before a tag is verified. */
  check(counter: number): 'new' | 'seen' | 'too-old' {
    if (counter > this.#highest) return 'new'
    if (counter < 0 || this.#highest - counter >= this.#size) return 'too-old'
    const word = Math.floor(counter / 32)
    return ((this.#words[word % this.#words.length] as number) >>> (counter % 32)) & 1 ? 'seen' : 'new'
  }

  /** Marks a counter as seen. True when it was new; false, and nothing changes, when it was seen or is too old. */
  record(counter: number): boolean {
    if (this.check(counter) !== 'new') return false
    const length = this.#words.length
    const word = Math.floor(counter / 32)
    if (counter > this.#highest) {
      const from = this.#highest < 0 ? word - length : Math.floor(this.#highest / 32)
      const fresh = Math.min(word - from, length)
      for (let i = 0; i < fresh; i++) this.#words[(word - i) % length] = 0
      this.#highest = counter
    }
    this.#words[word % length] = (this.#words[word % length] as number) | (1 << (counter % 32))
    return true
  }
}
