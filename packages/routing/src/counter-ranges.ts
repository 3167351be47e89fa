/** Counters from `first` to `last`, both included. */
export interface CounterRange {
  readonly first: number
  readonly last: number
}

/**
 * A set of counters kept as ranges that never touch, in ascending order. Adding the successor of the highest one, as
 * nearly always happens, costs nothing; a counter that would need one range more than the bound is not taken.
 */
export class CounterRanges {
  // firsts and lasts side by side: no object per range while they grow
  readonly #firsts: number[] = []
  readonly #lasts: number[] = []
  readonly #maxRanges: number

  constructor(maxRanges: number) {
    this.#maxRanges = maxRanges
  }

  /** Number of ranges. */
  get size(): number {
    return this.#firsts.length
  }

  /** False when it was not taken, because the ranges are too many. */
  add(counter: number): boolean {
    const firsts = this.#firsts
    const lasts = this.#lasts
    const end = firsts.length - 1
    if (end >= 0 && counter === (lasts[end] as number) + 1) {
      lasts[end] = counter
      return true
    }
    // the first range that ends at or after the counter's predecessor
    let low = 0
    let high = firsts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((lasts[middle] as number) + 1 < counter) low = middle + 1
      else high = middle
    }
    const first = firsts[low]
    const last = lasts[low]
    if (first !== undefined && last !== undefined && counter >= first - 1) {
      if (counter === first - 1) {
        firsts[low] = counter
      } else if (counter === last + 1) {
        if (firsts[low + 1] === counter + 1) {
          firsts.splice(low + 1, 1)
          lasts.splice(low, 1)
        } else {
          lasts[low] = counter
        }
      }
      return true
    }
    if (firsts.length >= this.#maxRanges) return false
    firsts.splice(low, 0, counter)
    lasts.splice(low, 0, counter)
    return true
  }

  /** Removes the lowest ranges, at most `limit` of them, and returns them. */
  take(limit: number): CounterRange[] {
    const count = Math.min(limit, this.#firsts.length)
    const out: CounterRange[] = []
    for (let i = 0; i < count; i++) out.push({ first: this.#firsts[i] as number, last: this.#lasts[i] as number })
    if (count === this.#firsts.length) {
      this.#firsts.length = 0
      this.#lasts.length = 0
    } else {
      this.#firsts.splice(0, count)
      this.#lasts.splice(0, count)
    }
    return out
  }
}
