import type { Millis } from '@aiv/transport-api'
import { defaultEmergencyLimitOptions, verifyEmergencyLimitOptions, type EmergencyLimitOptions } from './options.js'
import { TokenBucket } from './token-bucket.js'

interface Buckets {
  readonly messages: TokenBucket
  readonly bytes: TokenBucket
}

/**
 * Which emergency messages of a neighbour are taken as such: one a second and 16 KiB a second by default; beyond it they
 * are treated as normal, so that nobody can claim the way ahead of all others for good.
 */
export class EmergencyLimit {
  readonly #options: EmergencyLimitOptions
  /** Least recently heard first. A neighbour whose buckets are full again is as good as a new one. */
  readonly #neighbours = new Map<string, Buckets>()

  /** @throws ArgumentError for an option out of range. */
  constructor(options: Partial<EmergencyLimitOptions> = {}) {
    this.#options = verifyEmergencyLimitOptions({ ...defaultEmergencyLimitOptions, ...options })
  }

  /** Neighbours told apart. */
  get size(): number {
    return this.#neighbours.size
  }

  /** True: treat it as an emergency, it is counted. False: treat it as normal, nothing is counted. */
  admit(now: Millis, neighbour: string, bytes: number): boolean {
    const known = this.#neighbours.get(neighbour)
    if (known === undefined && !this.#makeRoom(now)) return false
    const buckets = known ?? this.#newBuckets()
    if (buckets.messages.available(now) < 1 || !buckets.bytes.take(now, bytes)) return false
    buckets.messages.take(now)
    this.#neighbours.delete(neighbour)
    this.#neighbours.set(neighbour, buckets)
    return true
  }

  #makeRoom(now: Millis): boolean {
    if (this.#neighbours.size < this.#options.maxNeighbours) return true
    for (const [neighbour, { messages, bytes }] of this.#neighbours) {
      if (messages.available(now) < messages.burst || bytes.available(now) < bytes.burst) return false
      this.#neighbours.delete(neighbour)
      return true
    }
    return false
  }

  #newBuckets(): Buckets {
    const { messagesPerSecond, bytesPerSecond } = this.#options
    return {
      messages: new TokenBucket({ ratePerSecond: messagesPerSecond, burst: Math.max(1, messagesPerSecond) }),
      bytes: new TokenBucket({ ratePerSecond: bytesPerSecond, burst: bytesPerSecond }),
    }
  }
}
