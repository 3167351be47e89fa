import { ArgumentError, type Millis } from '@aiv/transport-api'

/**
 * A token bucket: fills at `ratePerSecond` up to `burst`, full at first; whoever takes tokens out of it is within the
 * rate. Time is an argument and must not go back.
 */
export class TokenBucket {
  readonly ratePerSecond: number
  readonly burst: number
  #tokens: number
  #at: Millis | undefined

  /** @throws ArgumentError unless both are above 0. */
  constructor(options: { readonly ratePerSecond: number; readonly burst: number }) {
    const { ratePerSecond, burst } = options
    if (!(ratePerSecond > 0 && burst > 0 && Number.isFinite(burst))) {
      throw new ArgumentError(`a token bucket of ${burst} at ${ratePerSecond} per second`)
    }
    this.ratePerSecond = ratePerSecond
    this.burst = burst
    this.#tokens = burst
  }

  /** Tokens in it at `now`. */
  available(now: Millis): number {
    // always counted from the last take: adding up many small refills would lose some to rounding
    if (this.#at === undefined || now <= this.#at) return this.#tokens
    return Math.min(this.burst, this.#tokens + ((now - this.#at) * this.ratePerSecond) / 1000)
  }

  /** Takes `count` tokens; false, and nothing is taken, when there are fewer. */
  take(now: Millis, count = 1): boolean {
    const available = this.available(now)
    if (available < count) return false
    this.#tokens = available - count
    if (this.#at === undefined || now > this.#at) this.#at = now
    return true
  }

  /** When `count` tokens will be there, if none are taken before; `undefined` when that is more than the bucket holds. */
  availableAt(now: Millis, count = 1): Millis | undefined {
    if (count > this.burst) return undefined
    const missing = count - this.available(now)
    return missing <= 0 ? now : now + (missing * 1000) / this.ratePerSecond
  }
}
