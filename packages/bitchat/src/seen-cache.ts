import type { Millis } from '@aiv/transport-api'
import { AgingMap } from './aging-map.js'

interface Seen {
  readonly at: Millis
  readonly custody: number
  /** From whom it came, and after how many hops. */
  readonly links: Map<number, number>
}

/** Links that are remembered for one packet. */
const MAX_LINKS = 16

/**
 * Which packets were seen, by fingerprint, and over which links. Bounded by count and age; the oldest goes first, since
 * a copy of it is the least likely to come.
 */
export class SeenCache {
  readonly #entries: AgingMap<number, Seen>

  constructor(options: { readonly maxEntries: number; readonly lifetimeMs: number }) {
    this.#entries = new AgingMap(options)
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * Notes a copy, our own or one that came over a link. True when it is new: never seen, or handed on anew by somebody who kept it,
   * which `custody` counts.
   */
  record(now: Millis, fingerprint: number, custody: number, from?: { link: number; hopCount: number }): boolean {
    this.#entries.expire(now)
    const known = this.#entries.get(fingerprint)
    const isNew = known === undefined || custody > known.custody
    if (isNew) this.#entries.set(fingerprint, { at: now, custody, links: new Map() })
    if (from !== undefined) this.#note(fingerprint, from)
    return isNew
  }

  /** After how many hops a copy came over that link; `undefined`: none did. */
  hopsFrom(fingerprint: number, link: number): number | undefined {
    return this.#entries.get(fingerprint)?.links.get(link)
  }

  /** Over how many links copies came. */
  copies(fingerprint: number): number {
    return this.#entries.get(fingerprint)?.links.size ?? 0
  }

  #note(fingerprint: number, { link, hopCount }: { link: number; hopCount: number }): void {
    const links = this.#entries.get(fingerprint)?.links
    if (links === undefined) return
    const known = links.get(link)
    if (known === undefined ? links.size < MAX_LINKS : hopCount < known) links.set(link, hopCount)
  }
}
