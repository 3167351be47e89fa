import { ArgumentError } from '@aiv/transport-api'
import type { SeededRandom } from '../seeded-random.js'
import { type Position, distanceMeters } from './radio-air.js'

/** Nodes at places, and which of those in range of each other have a link. */
export interface Topology {
  readonly positions: ReadonlyMap<string, Position>
  /** Each node's neighbours; both ends name each other. */
  readonly links: ReadonlyMap<string, readonly string[]>
  /** Hops between the two that are furthest apart. */
  readonly diameter: number
}

export interface TopologyOptions {
  readonly nodes: number
  readonly rangeMeters: number
  /** No two nodes are further apart than this. */
  readonly maxHops: number
  /** Links of one node at most, as of a controller; nearer ones are not preferred. */
  readonly maxLinks: number
}

/** The square shrinks by this much after so many draws that were not connected, or too wide. */
const SHRINK = 0.94
const DRAWS = 4
const MAX_DRAWS = 60 * DRAWS

/**
 * A random topology: nodes evenly over a square that is as large as it can be with everybody connected within
 * `maxHops`. Named `n0`, `n1` and so on.
 * @throws ArgumentError when no square is small enough.
 */
export function randomTopology(random: SeededRandom, options: TopologyOptions): Topology {
  const { nodes, rangeMeters, maxHops } = options
  let side = rangeMeters * maxHops
  for (let draw = 1; draw <= MAX_DRAWS; draw++) {
    const positions = new Map<string, Position>()
    for (let i = 0; i < nodes; i++) {
      positions.set(`n${i}`, { xMeters: random.uniform() * side, yMeters: random.uniform() * side })
    }
    const links = linkUp(random, positions, options)
    const diameter = diameterOf(links, maxHops)
    if (diameter <= maxHops) return { positions, links, diameter }
    if (draw % DRAWS === 0) side *= SHRINK
  }
  throw new ArgumentError(`no topology of ${nodes} nodes within ${maxHops} hops was found`)
}

/** Hops from `from` to every node that it can reach. */
export function hopsFrom(links: Topology['links'], from: string): Map<string, number> {
  const hops = new Map([[from, 0]])
  // a map gives out what is added while it is walked
  for (const [node, count] of hops) {
    for (const next of links.get(node) ?? []) if (!hops.has(next)) hops.set(next, count + 1)
  }
  return hops
}

function linkUp(
  random: SeededRandom,
  positions: ReadonlyMap<string, Position>,
  { rangeMeters, maxLinks }: TopologyOptions,
): Map<string, string[]> {
  const links = new Map([...positions.keys()].map((name): [string, string[]] => [name, []]))
  const names = [...positions.keys()]
  const pairs: { readonly a: string; readonly b: string; readonly order: number }[] = []
  names.forEach((a, i) => {
    for (const b of names.slice(i + 1)) {
      const [from, to] = [positions.get(a) as Position, positions.get(b) as Position]
      if (distanceMeters(from, to) <= rangeMeters) pairs.push({ a, b, order: random.uniform() })
    }
  })
  for (const { a, b } of pairs.sort((x, y) => x.order - y.order)) {
    const [ofA, ofB] = [links.get(a) as string[], links.get(b) as string[]]
    if (ofA.length >= maxLinks || ofB.length >= maxLinks) continue
    ofA.push(b)
    ofB.push(a)
  }
  return links
}

/** Infinite where somebody cannot be reached, or only over more than `maxHops`. */
function diameterOf(links: Topology['links'], maxHops: number): number {
  let diameter = 0
  for (const node of links.keys()) {
    const hops = hopsFrom(links, node)
    diameter = Math.max(diameter, ...hops.values())
    if (hops.size < links.size || diameter > maxHops) return Number.POSITIVE_INFINITY
  }
  return diameter
}
