import type { Millis } from '@aiv/transport-api'

/** So many per second on average, and a burst after silence. */
export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  #tokens: number
  #at: Millis

  constructor(now: Millis, options: { readonly perSecond: number; readonly burst: number }) {
    this.#perMs = options.perSecond / 1000
    this.#burst = options.burst
    this.#tokens = options.burst
    this.#at = now
  }

  /** Takes `count`, or nothing and gives false. */
  take(now: Millis, count = 1): boolean {
    this.#fill(now)
    // what is missing after a wait until `readyAt` is an error of rounding
    if (this.#tokens < count - 1e-6) return false
    this.#tokens -= count
    return true
  }

  /** Takes `count` although there may be fewer: what follows waits for it. */
  charge(now: Millis, count: number): void {
    this.#fill(now)
    this.#tokens -= count
  }

  /** When one can be taken; that may be past. */
  get readyAt(): Millis {
    return this.#at + Math.max(0, 1 - this.#tokens) / this.#perMs
  }

  #fill(now: Millis): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs)
    this.#at = now
  }
}
