import type { Millis } from './clock.js'

export interface SourceRatesOptions {
  /** On average. `Infinity`: not limited. */
  readonly perSecond: number
  /** How often at once, after silence. */
  readonly burst: number
  /**
   * Sources whose rate is remembered; when full, the one unseen for longest is forgotten. That gives it its burst again;
   * who owns so many prefixes has as many bursts anyway.
   */
  readonly remembered: number
}

/** How often each source may do something: a token bucket for each of those that were seen last. */
export class SourceRates {
  readonly #options: SourceRatesOptions
  /** Tokens of each bucket, and when they were counted; least recently used first. */
  readonly #buckets = new Map<string, { tokens: number; at: Millis }>()

  constructor(options: SourceRatesOptions) {
    this.#options = options
  }

  /** Sources whose rate is remembered now. */
  get size(): number {
    return this.#buckets.size
  }

  /** False: too often. A refusal counts for nothing. */
  take(now: Millis, source: string): boolean {
    const { perSecond, burst, remembered } = this.#options
    if (perSecond === Infinity) return true
    const bucket = this.#buckets.get(source) ?? { tokens: burst, at: now }
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond)
    bucket.at = now
    this.#buckets.delete(source)
    if (this.#buckets.size >= remembered) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    this.#buckets.set(source, bucket)
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }
}
