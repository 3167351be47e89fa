import type { Millis, NodeId } from '@aiv/transport-api'
import { AgingMap } from './aging-map.js'

/** Where a directed packet came from and went to, so that its acknowledgement finds the same way back. */
export interface Breadcrumb {
  readonly source: NodeId
  readonly destination: NodeId
  /** Links that it came in on, the first one first; empty at its source. */
  readonly from: number[]
  /** The link that it was routed to; `undefined`: flooded. */
  to: number | undefined
  readonly at: Millis
  readonly proofWanted: boolean
  isProven: boolean
}

/** Copies of one packet id that are remembered: a forger cannot push the true one out. */
const MAX_FROM = 3

/**
 * Breadcrumbs by packet id, bounded by count and by the time after which a proof is late. The oldest goes first.
 */
export class Breadcrumbs {
  readonly #crumbs: AgingMap<number, Breadcrumb>

  constructor(options: { readonly maxEntries: number; readonly lifetimeMs: number }) {
    this.#crumbs = new AgingMap(options)
  }

  get size(): number {
    return this.#crumbs.size
  }

  get(id: number): Breadcrumb | undefined {
    return this.#crumbs.get(id)
  }

  /** A copy that came in over `from` (`undefined`: our own). Gives the crumb of the packet, new or known. */
  drop(
    now: Millis,
    id: number,
    from: number | undefined,
    packet: Omit<Breadcrumb, 'from' | 'to' | 'at' | 'isProven'>,
  ): Breadcrumb {
    const known = this.#crumbs.get(id)
    if (known !== undefined && known.source === packet.source && known.destination === packet.destination) {
      if (from !== undefined && !known.from.includes(from) && known.from.length < MAX_FROM) known.from.push(from)
      return known
    }
    const { source, destination, proofWanted } = packet
    const crumb: Breadcrumb = {
      source,
      destination,
      from: from === undefined ? [] : [from],
      to: undefined,
      at: now,
      proofWanted,
      isProven: false,
    }
    // a second packet with this id is forged or not wanted back: the first one stays
    if (known !== undefined) return crumb
    this.#crumbs.set(id, crumb)
    return crumb
  }

  /** Takes out those whose time is over. */
  expire(now: Millis): readonly Breadcrumb[] {
    return this.#crumbs.expire(now)
  }

  /** When the oldest one's time is over. */
  nextTimeout(): Millis | undefined {
    return this.#crumbs.nextTimeout()
  }
}
