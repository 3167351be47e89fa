import type { Millis } from '@aiv/transport-api'
import type { Packet } from './packet.js'

/** A packet that waits for its turn to be relayed. */
export interface ScheduledRelay {
  readonly packet: Packet
  /** With its new TTL. */
  readonly encoded: Uint8Array
  /** Links that it came over: it does not go back there. */
  readonly heard: Set<number>
  readonly at: Millis
}

/** Relays that wait, by {@link seenKey}. When it is full, a further packet is not relayed. */
export class RelayQueue {
  readonly #maxEntries: number
  readonly #entries = new Map<string, ScheduledRelay>()

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries
  }

  get size(): number {
    return this.#entries.size
  }

  /** False: full. */
  add(key: string, relay: ScheduledRelay): boolean {
    if (this.#entries.size >= this.#maxEntries) return false
    this.#entries.set(key, relay)
    return true
  }

  /**
   * A copy came over a link: whoever is there needs none of ours.
   *
   * Departure: the deployed apps drop the whole relay then, where they have more than two neighbours, and with it those
   * whose only way leads through them (docs/decisions/0270-copies-spare-their-link.md).
   */
  noteCopy(key: string, link: number): void {
    this.#entries.get(key)?.heard.add(link)
  }

  due(now: Millis): { readonly key: string; readonly relay: ScheduledRelay }[] {
    const due: { readonly key: string; readonly relay: ScheduledRelay }[] = []
    for (const [key, relay] of this.#entries) {
      if (now < relay.at) continue
      this.#entries.delete(key)
      due.push({ key, relay })
    }
    return due
  }

  nextTimeout(): Millis | undefined {
    let next: Millis | undefined
    for (const { at } of this.#entries.values()) if (next === undefined || at < next) next = at
    return next
  }
}
