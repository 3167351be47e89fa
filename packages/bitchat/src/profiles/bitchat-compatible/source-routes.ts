import type { Millis } from '@aiv/transport-api'
import type { PeerId } from './peer-id.js'

/** Hops between sender and recipient at most. */
const MAX_INTERMEDIATES = 4
/** What a peer said about its neighbours holds for this long, in ms. */
const EDGE_LIFETIME_MS = 60_000
/** After a route that brought no answer, in ms, everything is flooded. */
const FLOOD_MS = 60_000

interface Claim {
  readonly neighbours: ReadonlySet<PeerId>
  readonly until: Millis
}

/**
 * Source routes out of what peers announce of their neighbours. An edge counts only when both ends announce it, so that
 * a liar can put himself beside liars only. Bounded by whoever owns the table of peers: {@link forget}.
 */
export class SourceRoutes {
  readonly #claims = new Map<PeerId, Claim>()
  readonly #speakers = new Set<PeerId>()
  readonly #floodUntil = new Map<PeerId, Millis>()

  /** From a verified announcement. */
  learn(now: Millis, peer: PeerId, neighbours: readonly PeerId[]): void {
    this.#claims.set(peer, { neighbours: new Set(neighbours), until: now + EDGE_LIFETIME_MS })
  }

  /** A packet of version 2 that this peer made was seen: others may not read one. */
  noteVersion2(peer: PeerId): void {
    this.#speakers.add(peer)
  }

  /** No answer came by a route. */
  noteFailure(now: Millis, peer: PeerId): void {
    this.#floodUntil.set(peer, now + FLOOD_MS)
  }

  forget(peer: PeerId): void {
    this.#claims.delete(peer)
    this.#speakers.delete(peer)
    this.#floodUntil.delete(peer)
  }

  /** Shortest route, without its ends; `undefined`: none, or flooding is due. Never empty. */
  find(now: Millis, own: PeerId, ownNeighbours: readonly PeerId[], destination: PeerId): PeerId[] | undefined {
    if (ownNeighbours.includes(destination) || !this.#speakers.has(destination)) return undefined
    if (now < (this.#floodUntil.get(destination) ?? now)) return undefined
    const before = new Map<PeerId, PeerId | undefined>([[own, undefined]])
    let edge: PeerId[] = [own]
    // each round goes one hop further: the destination is at most one beyond the last intermediate
    for (let hops = 0; hops <= MAX_INTERMEDIATES && edge.length > 0; hops++) {
      const next: PeerId[] = []
      for (const at of edge) {
        const neighbours = at === own ? ownNeighbours : (this.#claim(now, at)?.neighbours ?? [])
        for (const neighbour of neighbours) {
          if (before.has(neighbour) || !this.#speakers.has(neighbour)) continue
          const back = this.#claim(now, neighbour)
          if (back === undefined || !back.neighbours.has(at)) continue
          before.set(neighbour, at)
          if (neighbour === destination) return trace(before, destination)
          next.push(neighbour)
        }
      }
      edge = next
    }
    return undefined
  }

  #claim(now: Millis, peer: PeerId): Claim | undefined {
    const claim = this.#claims.get(peer)
    return claim !== undefined && now < claim.until ? claim : undefined
  }
}

function trace(before: ReadonlyMap<PeerId, PeerId | undefined>, destination: PeerId): PeerId[] {
  const route: PeerId[] = []
  for (let at = before.get(destination); at !== undefined; at = before.get(at)) route.unshift(at)
  return route.slice(1)
}
