import type { Millis, NodeId } from '@aiv/transport-api'
import type { Announcement } from './announcement.js'
import type { MeshRoute } from './mesh-types.js'

interface NextHop {
  readonly link: number
  /** The fewest of late, and when they were counted: an announcement may come a longer way by chance. */
  hops: number
  countedAt: Millis
  /** Of the newest announcement that came over it. */
  issuedAt: number
  heardAt: Millis
  /** The last tries, the newest in the lowest bit: 1 is a proof that came back. */
  history: number
  tries: number
  penalizedUntil: Millis
}

export interface KnownPeer {
  announcement: Announcement
  /** As it came, to be shown to new neighbours. A buffer of its own. */
  bytes: Uint8Array
  fingerprint: number
  /** Links between us and it: the fewest that its last announcement came over. */
  hops: number
  heardAt: Millis
  readonly nextHops: NextHop[]
}

export interface RouteTableOptions {
  readonly maxPeers: number
  readonly maxNextHops: number
  readonly routeLifetimeMs: number
  readonly penaltyMs: number
}

/** Tries that are remembered, and how many of them must have succeeded: docs/wire/bitchat-native.md. */
const HISTORY = 8
const MIN_TRIES = 4
const MIN_SUCCESS = 3 / 8
const PENALTY_FACTOR = 4
/** A way over which the newest announcement did not come is worth this many hops less. */
const STALE_HOPS = 0.5
/** So is one that is longer than the packet may go: more than anything else adds up to. */
const TOO_LONG_HOPS = 1_000

/**
 * Who has announced himself, and over which neighbours he is reached. Ways come from verified announcements; proofs of
 * delivery that come back, or stay away, only say which of them is good.
 */
export class RouteTable {
  readonly #peers = new Map<NodeId, KnownPeer>()
  readonly #options: RouteTableOptions
  /** Cost of a link in hops, by its signal and its losses. */
  readonly #linkCost: (link: number) => number

  constructor(options: RouteTableOptions, linkCost: (link: number) => number) {
    this.#options = options
    this.#linkCost = linkCost
  }

  get size(): number {
    return this.#peers.size
  }

  peer(node: NodeId): KnownPeer | undefined {
    return this.#peers.get(node)
  }

  /** Those heard of last come last. */
  peers(): IterableIterator<KnownPeer> {
    return this.#peers.values()
  }

  /** A verified announcement that is newer than the last. True when there was no way to the node before. */
  announced(
    now: Millis,
    announcement: Announcement,
    copy: { readonly bytes: Uint8Array; readonly fingerprint: number },
    via: { readonly link: number; readonly hops: number },
  ): boolean {
    const { node } = announcement
    const known = this.#peers.get(node)
    const isNew = known === undefined || this.best(now, node) === undefined
    const peer = { announcement, ...copy, hops: via.hops, heardAt: now, nextHops: known?.nextHops ?? [] }
    this.#peers.delete(node) // it becomes the youngest
    if (this.#peers.size >= this.#options.maxPeers) this.#dropOldest()
    this.#peers.set(node, peer)
    this.#learn(now, peer, via.link, via.hops)
    return isNew
  }

  /** The last announcement again, over another link or with fewer hops. True when we are nearer than we thought. */
  heardAgain(now: Millis, node: NodeId, fingerprint: number, via: { link: number; hops: number }): boolean {
    const peer = this.#peers.get(node)
    if (peer?.fingerprint !== fingerprint) return false
    this.#learn(now, peer, via.link, via.hops)
    if (via.hops >= peer.hops) return false
    peer.hops = via.hops
    return true
  }

  /** A proof of delivery by `node` came back over that link: a way that is known to work. */
  confirmed(now: Millis, node: NodeId, link: number, hops: number): void {
    const peer = this.#peers.get(node)
    if (peer === undefined) return
    const next = this.#learn(now, peer, link, hops)
    if (next === undefined) return
    next.history = ((next.history << 1) | 1) & 0xff
    next.tries = Math.min(HISTORY, next.tries + 1)
    next.penalizedUntil = now
  }

  /** Nothing came back for a packet that went over that link, or the neighbour did not even take it. */
  failed(now: Millis, node: NodeId, link: number, isCertain: boolean): void {
    const next = this.#peers.get(node)?.nextHops.find((hop) => hop.link === link)
    if (next === undefined) return
    next.history = (next.history << 1) & 0xff
    next.tries = Math.min(HISTORY, next.tries + 1)
    const successes = bitCount(next.history & ((1 << next.tries) - 1))
    if (isCertain || (next.tries >= MIN_TRIES && successes / next.tries < MIN_SUCCESS)) {
      next.penalizedUntil = now + this.#options.penaltyMs
    }
  }

  /**
   * The cheapest way that is not over one of `without`. One that is longer than the `maxHops` that a packet has left is
   * taken only where there is no other: a detour over better links is no use to a packet that ends on it.
   */
  best(
    now: Millis,
    node: NodeId,
    without: (link: number) => boolean = () => false,
    maxHops = Number.POSITIVE_INFINITY,
  ): MeshRoute | undefined {
    const peer = this.#peers.get(node)
    if (peer === undefined) return undefined
    let [best, bestCost]: [NextHop | undefined, number] = [undefined, Number.POSITIVE_INFINITY]
    for (const next of peer.nextHops) {
      if (next.heardAt + this.#options.routeLifetimeMs <= now || without(next.link)) continue
      const cost = this.#cost(now, peer, next) + (next.hops > maxHops ? TOO_LONG_HOPS : 0)
      if (cost < bestCost) [best, bestCost] = [next, cost]
    }
    return best && { link: best.link, hops: best.hops, issuedAt: best.issuedAt }
  }

  linkDown(link: number): void {
    for (const { nextHops } of this.#peers.values()) {
      const at = nextHops.findIndex((next) => next.link === link)
      if (at >= 0) nextHops.splice(at, 1)
    }
  }

  /** Nodes to which every way has run out since the last call; they are forgotten after another lifetime. */
  expire(now: Millis): NodeId[] {
    const lost: NodeId[] = []
    for (const [node, peer] of this.#peers) {
      const hadWays = peer.nextHops.length > 0
      const alive = peer.nextHops.filter((next) => next.heardAt + this.#options.routeLifetimeMs > now)
      peer.nextHops.splice(0, peer.nextHops.length, ...alive)
      if (hadWays && alive.length === 0) lost.push(node)
    }
    return lost
  }

  #cost(now: Millis, peer: KnownPeer, next: NextHop): number {
    const stale = next.issuedAt < peer.announcement.issuedAt ? STALE_HOPS : 0
    const cost = next.hops + stale + this.#linkCost(next.link)
    return next.penalizedUntil > now ? cost * PENALTY_FACTOR : cost
  }

  #learn(now: Millis, peer: KnownPeer, link: number, hops: number): NextHop | undefined {
    const { issuedAt } = peer.announcement
    const known = peer.nextHops.find((next) => next.link === link)
    if (known !== undefined) {
      if (hops <= known.hops || known.countedAt + this.#options.routeLifetimeMs / 4 <= now) {
        known.hops = hops
        known.countedAt = now
      }
      known.issuedAt = issuedAt
      known.heardAt = now
      return known
    }
    const fresh: NextHop = {
      link,
      hops,
      countedAt: now,
      issuedAt,
      heardAt: now,
      history: 0,
      tries: 0,
      penalizedUntil: now,
    }
    if (peer.nextHops.length >= this.#options.maxNextHops) {
      const costs = peer.nextHops.map((next) => this.#cost(now, peer, next))
      const worst = costs.indexOf(Math.max(...costs))
      if ((costs[worst] as number) <= this.#cost(now, peer, fresh)) return undefined
      peer.nextHops.splice(worst, 1)
    }
    peer.nextHops.push(fresh)
    return fresh
  }

  /** The oldest of those that came over the link that brought most: a liar with many names evicts his own. */
  #dropOldest(): void {
    const counts = new Map<number | undefined, number>()
    for (const { nextHops } of this.#peers.values()) {
      const link = nextHops[0]?.link
      counts.set(link, (counts.get(link) ?? 0) + 1)
    }
    let [crowded, most]: [number | undefined, number] = [undefined, -1]
    for (const [link, count] of counts) if (count > most) [crowded, most] = [link, count]
    for (const [node, { nextHops }] of this.#peers) {
      if (nextHops[0]?.link !== crowded) continue
      this.#peers.delete(node)
      return
    }
  }
}

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}
