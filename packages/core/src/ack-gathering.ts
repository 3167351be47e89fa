import type { Millis } from '@aiv/transport-api'

/** Acknowledgements of a burst are gathered for this long, or for so many messages or bytes. */
const GATHER_MS = 10
const GATHER_MESSAGES = 512
const GATHER_BYTES = 1024 * 1024

/**
 * When acknowledgements go out: the first one after a quiet while at the end of its turn, those of a burst together.
 * docs/decisions/0193-gathered-acknowledgements.md
 */
export class AckGathering {
  /** When the ones that are gathered are to go; Infinity: nothing is gathered. */
  dueAt: Millis = Infinity
  #flushedAt: Millis = -Infinity
  #messages = 0
  #bytes = 0

  /** A message came in. True: acknowledge at the end of this turn; false: at {@link dueAt}. */
  onMessage(now: Millis, bytes: number): boolean {
    this.#messages++
    this.#bytes += bytes
    if (now - this.#flushedAt >= GATHER_MS || this.#messages >= GATHER_MESSAGES || this.#bytes >= GATHER_BYTES) {
      return true
    }
    if (this.dueAt === Infinity) this.dueAt = this.#flushedAt + GATHER_MS
    return false
  }

  flushed(now: Millis): void {
    this.dueAt = Infinity
    this.#flushedAt = now
    this.#messages = 0
    this.#bytes = 0
  }
}
