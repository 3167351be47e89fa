import { ReplayWindow, type Millis } from '@aiv/transport-api'
import { CounterRanges } from './counter-ranges.js'

/** A message that came before its turn. */
export interface Held<T> {
  readonly message: T
  readonly counter: number
  readonly bytes: number
  readonly since: Millis
  /** Its turn has come, it waits to be taken. */
  released: boolean
  nextReleased: Held<T> | undefined
}

/**
 * The counters of one priority. Everything below `next` is settled: delivered, released to be taken, or given up.
 * From `next` on a counter is missing, held, or (sent unordered) delivered already.
 */
export class InboundLane<T> {
  next = 0
  /** Counters delivered; what is below `next` and not in here was given up or is released. */
  readonly delivered: ReplayWindow
  readonly acknowledged: CounterRanges
  readonly refused: CounterRanges
  /** When the gap at `next` was noticed; `undefined` while nothing above it has been seen. */
  gapSince: Millis | undefined
  /** Held and released messages, in the order in which they came. */
  readonly #held = new Map<number, Held<T>>()
  #waiting = 0
  #firstReleased: Held<T> | undefined
  #lastReleased: Held<T> | undefined
  /** Lowest counter that was seen and not taken, for want of room or of window. */
  #passed = Infinity
  #passedSince: Millis = 0

  constructor(windowCounters: number, maxPendingRanges: number) {
    this.delivered = new ReplayWindow(windowCounters)
    this.acknowledged = new CounterRanges(maxPendingRanges)
    this.refused = new CounterRanges(maxPendingRanges)
  }

  /** True while a released message waits to be taken. */
  get hasReleased(): boolean {
    return this.#firstReleased !== undefined
  }

  /** True when the next counter is all that matters: nothing is held, nothing above it was seen. */
  get isPlain(): boolean {
    return this.gapSince === undefined && this.#firstReleased === undefined
  }

  isHeld(counter: number): boolean {
    return this.#held.size > 0 && this.#held.has(counter)
  }

  hold(held: Held<T>): void {
    this.#held.set(held.counter, held)
    this.#waiting++
    this.gapSince ??= held.since
  }

  /** Notes that a counter above the gap exists, though it was not taken. */
  pass(now: Millis, counter: number): void {
    if (counter < this.#passed) {
      if (this.#passed === Infinity) this.#passedSince = now
      this.#passed = counter
    }
    this.gapSince ??= now
  }

  /** Moves `next` over all that is there, releasing what was held, and looks whether another gap comes after. */
  advance(now: Millis): void {
    for (;;) {
      if (this.#waiting > 0) {
        const held = this.#held.get(this.next)
        if (held !== undefined && !held.released) {
          this.#release(held)
          this.next++
          continue
        }
      }
      if (this.delivered.check(this.next) !== 'seen') break
      this.next++
    }
    if (this.#passed <= this.next || this.delivered.check(this.#passed) === 'seen') this.#passed = Infinity
    this.gapSince = this.#noticedAt(now)
  }

  /** Gives up the gap at `next`, but nothing from `end` on. */
  giveUp(now: Millis, end: number): void {
    this.next = Math.min(this.#lowestAbove(), end)
    this.advance(now)
  }

  /** The released message whose turn is first; it is no longer held. */
  takeReleased(): Held<T> | undefined {
    const held = this.#firstReleased
    if (held === undefined) return undefined
    this.#firstReleased = held.nextReleased
    if (this.#firstReleased === undefined) this.#lastReleased = undefined
    this.#held.delete(held.counter)
    return held
  }

  #release(held: Held<T>): void {
    held.released = true
    this.#waiting--
    if (this.#lastReleased === undefined) this.#firstReleased = held
    else this.#lastReleased.nextReleased = held
    this.#lastReleased = held
  }

  #noticedAt(now: Millis): Millis | undefined {
    let since: Millis | undefined
    if (this.#waiting > 0) {
      for (const held of this.#held.values()) {
        if (held.released) continue
        since = held.since
        break
      }
    }
    if (this.#passed !== Infinity && (since === undefined || this.#passedSince < since)) since = this.#passedSince
    // above only what was sent unordered: it waits for nobody, so its own time of arrival was not kept
    if (since === undefined && this.delivered.highest >= this.next) since = now
    return since
  }

  /** The lowest counter above `next` that was seen. */
  #lowestAbove(): number {
    let lowest = this.#passed
    if (this.#waiting > 0) {
      for (const held of this.#held.values()) if (!held.released && held.counter < lowest) lowest = held.counter
    }
    const end = Math.min(lowest, this.delivered.highest + 1)
    for (let counter = this.next + 1; counter < end; counter++) {
      if (this.delivered.check(counter) === 'seen') return counter
    }
    return lowest
  }
}
