import type { Clock, Millis, Timer } from '@aiv/transport-api'

/**
 * One timer for a deadline that moves all the time. Moving it later costs nothing: the running timer fires early, its
 * owner finds nothing due and arms it again.
 */
export class LazyTimer {
  readonly #clock: Clock
  readonly #run: () => void
  #timer: Timer | undefined
  #at = Infinity

  constructor(clock: Clock, run: () => void) {
    this.#clock = clock
    this.#run = run
  }

  /** Fires at `at` or earlier; `undefined` and Infinity: not needed now. */
  arm(at: Millis | undefined): void {
    if (at === undefined || at === Infinity || at >= this.#at) return
    this.#timer?.clear()
    this.#at = at
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#at = Infinity
        this.#timer = undefined
        this.#run()
      },
      Math.max(0, at - this.#clock.now()),
    )
  }

  clear(): void {
    this.#timer?.clear()
    this.#timer = undefined
    this.#at = Infinity
  }
}
