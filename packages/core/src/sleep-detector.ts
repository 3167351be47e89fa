import type { Millis } from '@aiv/transport-api'

/** Unix time that moves this much more than monotonic time means that the machine slept. */
const SLEPT_MS = 2_000

/**
 * Counts how often the machine slept: on most platforms monotonic time stands still meanwhile and Unix time does not.
 * A clock that was set forward looks the same, and costs a probe. docs/wire/link-envelope.md
 */
export class SleepDetector {
  #offset: number
  #sleeps = 0

  constructor(now: Millis, unixNow: number) {
    this.#offset = unixNow - now
  }

  /** The count, after a look at both clocks. */
  observe(now: Millis, unixNow: number): number {
    const offset = unixNow - now
    if (offset - this.#offset > SLEPT_MS) this.#sleeps++
    this.#offset = offset
    return this.#sleeps
  }
}
