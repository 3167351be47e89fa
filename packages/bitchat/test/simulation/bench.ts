import { RadioAir, type RadioFrame, type SeededRandom, type Topology, World, randomTopology } from '@aiv/testkit'

/** What was transmitted, by purpose. */
export type Purpose = 'data' | 'hop-ack' | 'proof' | 'announcement'

/** One node under some set of relay rules. */
export interface Station {
  /** The link to that neighbour is up, at both ends. */
  linkUp?(neighbour: string): void
  receive(frame: RadioFrame): void
  /** Message number `message` to another node. */
  send(to: string, message: number): void
}

export type Rules = (bench: Bench, name: string) => Station

export interface BenchOptions {
  readonly seed: string
  readonly nodes: number
  readonly lossRatio: number
  /** Links of one node at most. */
  readonly maxLinks: number
  /** @defaultValue a random one, at most seven hops wide */
  readonly topology?: Topology
}

/** Both ends of a BLE connection meet this often; what is written between leaves then. */
const CONNECTION_INTERVAL_MS = 30
/** Within this time all links are up. */
const LINKS_UP_MS = 60_000

/**
 * Nodes at random places with the same links and the same chance for every set of rules, and the count of what each set
 * puts on the air.
 */
export class Bench {
  readonly world: World
  readonly air: RadioAir
  readonly topology: Topology
  readonly stations = new Map<string, Station>()
  readonly transmissions: Record<Purpose, number> = { data: 0, 'hop-ack': 0, proof: 0, announcement: 0 }
  readonly #phases = new Map<string, number>()
  /** Arrival at the destination by message: when. */
  readonly arrivals = new Map<number, number>()
  readonly sentAt = new Map<number, number>()
  /** Messages whose sender knows that they arrived. */
  readonly confirmed = new Set<number>()

  constructor({ seed, nodes, lossRatio, maxLinks, topology }: BenchOptions, rules: Rules) {
    this.world = new World({ seed })
    const shape = { nodes, rangeMeters: 30, maxHops: 7, maxLinks }
    this.topology = topology ?? randomTopology(this.world.random('topology'), shape)
    this.air = new RadioAir(this.world, { rangeMeters: 30, lossRatio })
    for (const [name, position] of this.topology.positions) {
      this.air.place(name, position, (frame) => this.stations.get(name)?.receive(frame))
    }
    for (const name of this.topology.positions.keys()) this.stations.set(name, rules(this, name))
    // phones find each other one by one
    for (const [a, neighbours] of this.topology.links) {
      for (const b of neighbours) {
        if (a > b) continue
        this.world.schedule(this.random('links').uniform() * LINKS_UP_MS, () => {
          this.stations.get(a)?.linkUp?.(b)
          this.stations.get(b)?.linkUp?.(a)
        })
      }
    }
  }

  get names(): string[] {
    return [...this.topology.positions.keys()]
  }

  linksOf(name: string): readonly string[] {
    return this.topology.links.get(name) ?? []
  }

  random(name: string): SeededRandom {
    return this.world.random(name)
  }

  /** Over a link: at its next connection event. */
  overLink(from: string, to: string, bytes: Uint8Array, purpose: Purpose): void {
    const key = from < to ? `${from} ${to}` : `${to} ${from}`
    let phase = this.#phases.get(key)
    if (phase === undefined) {
      phase = this.random('phases').uniform() * CONNECTION_INTERVAL_MS
      this.#phases.set(key, phase)
    }
    const now = this.world.now()
    const at = phase + Math.ceil((now - phase) / CONNECTION_INTERVAL_MS) * CONNECTION_INTERVAL_MS
    this.transmissions[purpose]++
    this.world.schedule(at, () => this.air.transmit(from, bytes, to))
  }

  /** To all in range, on the one common channel. */
  broadcast(from: string, bytes: Uint8Array, purpose: Purpose): void {
    this.transmissions[purpose]++
    this.air.transmit(from, bytes)
  }

  send(from: string, to: string, message: number): void {
    this.sentAt.set(message, this.world.now())
    this.stations.get(from)?.send(to, message)
  }

  arrived(message: number): void {
    if (!this.arrivals.has(message)) this.arrivals.set(message, this.world.now())
  }

  /** Milliseconds on the air, of all radios together. */
  get transmitMs(): number {
    return this.names.reduce((sum, name) => sum + this.air.use(name).transmitMs, 0)
  }
}
