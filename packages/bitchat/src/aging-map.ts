import type { Millis } from '@aiv/transport-api'

const none: readonly never[] = []

/** A map bounded by count and by age, in the order in which entries were set. When it is full the oldest goes. */
export class AgingMap<Key, Value extends { readonly at: Millis }> {
  readonly #entries = new Map<Key, Value>()
  readonly #maxEntries: number
  readonly #lifetimeMs: number

  constructor(options: { readonly maxEntries: number; readonly lifetimeMs: number }) {
    this.#maxEntries = options.maxEntries
    this.#lifetimeMs = options.lifetimeMs
  }

  get size(): number {
    return this.#entries.size
  }

  /** Also one whose time is over, until {@link expire}. */
  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  /** As the youngest; `value.at` is now. */
  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    if (this.#entries.size >= this.#maxEntries) {
      const [oldest] = this.#entries.keys()
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    this.#entries.set(key, value)
  }

  /** Takes out and gives those whose time is over, the oldest first. */
  expire(now: Millis): readonly Value[] {
    let gone: Value[] | undefined
    for (const [key, value] of this.#entries) {
      if (value.at + this.#lifetimeMs > now) break
      this.#entries.delete(key)
      ;(gone ??= []).push(value)
    }
    return gone ?? none
  }

  /** When the oldest one's time is over. */
  nextTimeout(): Millis | undefined {
    const [oldest] = this.#entries.values()
    return oldest === undefined ? undefined : oldest.at + this.#lifetimeMs
  }
}
