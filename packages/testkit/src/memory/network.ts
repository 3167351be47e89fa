import {
  ArgumentError,
  type Clock,
  type NodeId,
  type TransportFactory,
  TransportError,
  isNodeId,
} from '@aiv/transport-api'
import { ClockScheduler } from '../clock-scheduler.js'
import type { Scheduler } from '../event-queue.js'
import { ImpairedLink, type Impairment } from '../impaired-link.js'
import { SeededRandom } from '../seeded-random.js'
import { VirtualClock } from '../virtual-clock.js'
import { World } from '../world.js'
import type { Frame, Wire } from './frames.js'
import { type MemoryOptions, completeMemoryOptions } from './options.js'
import { MemoryTransport } from './transport.js'

export interface MemoryNetworkOptions {
  /** Scheme of its addresses. Two networks in one world need two: they are two ways between the same nodes. @defaultValue 'mem' */
  readonly scheme?: string
  /** What every link between two nodes does from the start; see {@link MemoryNetwork.link}. @defaultValue nothing */
  readonly impairment?: Impairment
  /** Where time is real: the seed of what links leave to chance. @defaultValue 'memory' */
  readonly seed?: string
}

/**
 * Everything between nodes that use memory transports: who listens, and a link for each pair of nodes.
 *
 * Over an unimpaired link a memory transport keeps every promise of `Transport` and `Connection`. What a link does to
 * packets is deliberately not repaired: they are lost, doubled and reordered, so that what is above learns to live with it.
 */
export class MemoryNetwork {
  readonly scheme: string
  readonly #scheduler: Scheduler
  readonly #world: World | undefined
  readonly #impairment: Impairment
  readonly #seed: string
  readonly #links = new Map<string, ImpairedLink>()
  readonly #listeners = new Map<string, MemoryTransport>()
  /** Everybody who was made, so that frames find dialling nodes too. */
  readonly #members = new Map<NodeId, MemoryTransport>()
  #lastId = 0

  constructor(source: World | Clock, options: MemoryNetworkOptions = {}) {
    const { scheme = 'mem', impairment = {}, seed = 'memory' } = options
    if (!/^[a-z][a-z0-9+.-]*$/.test(scheme)) throw new ArgumentError(`"${scheme}" is no scheme`)
    this.scheme = scheme
    this.#world = source instanceof World ? source : undefined
    this.#scheduler = source instanceof World ? source : new ClockScheduler(source)
    this.#impairment = impairment
    this.#seed = seed
  }

  /** Connections, half-open ones and dials under way, counted at both ends. */
  get openCount(): number {
    let count = 0
    for (const member of this.#members.values()) count += member.openCount
    return count
  }

  /** A transport factory, for one node each time it is called. */
  memory(options: MemoryOptions = {}): TransportFactory {
    const complete = completeMemoryOptions(options)
    return (components) => new MemoryTransport(this, complete, components)
  }

  /** The link between two nodes, to impair, cut and restore; it is made when first asked for. Ends are named by node id. */
  link(a: NodeId, b: NodeId): ImpairedLink {
    const key = a < b ? `${a} ${b}` : `${b} ${a}`
    let link = this.#links.get(key)
    if (link === undefined) {
      const random = this.#world?.random(`${this.scheme} link ${key}`) ?? new SeededRandom(`${this.#seed} ${key}`)
      link = new ImpairedLink(this.#scheduler, random, a, b, this.#impairment)
      this.#links.set(key, link)
    }
    return link
  }

  /** Loses everything between the two nodes without a word, also what is on the way. */
  cut(a: NodeId, b: NodeId): void {
    this.link(a, b).cut()
  }

  restore(a: NodeId, b: NodeId): void {
    this.link(a, b).restore()
  }

  /** Cuts every link between a node of `left` and a node of `right`. */
  partition(left: Iterable<NodeId>, right: Iterable<NodeId>): void {
    const others = [...right]
    for (const a of left) for (const b of others) if (a !== b) this.cut(a, b)
  }

  /** Restores every link. */
  heal(): void {
    for (const link of this.#links.values()) link.restore()
  }

  /** Resets every connection between the two nodes at once, at both ends. Gives the number of ends. */
  sever(a: NodeId, b: NodeId): number {
    return (this.#members.get(a)?.sever(b) ?? 0) + (this.#members.get(b)?.sever(a) ?? 0)
  }

  /** @internal */
  nextId(): number {
    return ++this.#lastId
  }

  /** @internal */
  find(hostOrId: string): MemoryTransport | undefined {
    return this.#listeners.get(hostOrId)
  }

  /** @internal The address of a node as others see it. */
  addressOf(node: NodeId): string {
    return this.#members.get(node)?.ownAddress ?? `${this.scheme}://${node}`
  }

  /** @internal @throws TransportError TRANSPORT_PORT_TAKEN when a name is taken. */
  join(transport: MemoryTransport): void {
    const names = transport.options.listen ? namesOf(transport) : []
    const taken = names.find((name) => this.#listeners.has(name))
    if (taken !== undefined || this.#members.has(transport.nodeId)) {
      throw new TransportError('TRANSPORT_PORT_TAKEN', `${taken ?? transport.nodeId} is in use on ${this.scheme}:`)
    }
    this.#members.set(transport.nodeId, transport)
    for (const name of names) this.#listeners.set(name, transport)
  }

  /** @internal Nobody finds it any more; frames of connections that go down still arrive. */
  unlisten(transport: MemoryTransport): void {
    for (const name of namesOf(transport)) {
      if (this.#listeners.get(name) === transport) this.#listeners.delete(name)
    }
  }

  /** @internal */
  leave(transport: MemoryTransport): void {
    this.unlisten(transport)
    if (this.#members.get(transport.nodeId) === transport) this.#members.delete(transport.nodeId)
  }

  /** @internal */
  wire(from: MemoryTransport, remote: NodeId): Wire {
    const direction = this.link(from.nodeId, remote).from(from.nodeId)
    return {
      remote,
      send: (frame, bytes, gone) => this.carry(from, remote, frame, bytes, gone),
      busyForMs: () => direction.idleAt - this.#scheduler.now(),
    }
  }

  /** @internal Puts a frame on the link. `gone`: the network lost it. */
  carry(from: MemoryTransport, to: NodeId, frame: Frame, bytes: number, gone?: () => void): void {
    const deliver = (): void => {
      const receiver = this.#members.get(to)
      if (receiver === undefined) return gone?.()
      whenAwake(receiver.clock, () => receiver.handleFrame(from.nodeId, frame))
    }
    this.link(from.nodeId, to).from(from.nodeId).send(bytes, deliver, gone)
  }
}

/**
 * A network for memory transports, in a world or over a clock. With a {@link World} its queue carries every packet; with
 * any other clock (the system's, in an example) that clock's `setTimeout` does.
 *
 * ```ts
 * const world = new World({ seed: 1 })
 * const network = memoryNetwork(world, { impairment: { delayMs: 20, lossRatio: 0.2 } })
 * const transport = network.memory()({ identity, secure, clock: world.clock('a'), random: world.random('a'), … })
 * ```
 */
export function memoryNetwork(source: World | Clock, options?: MemoryNetworkOptions): MemoryNetwork {
  return new MemoryNetwork(source, options)
}

function namesOf(transport: MemoryTransport): string[] {
  const { host } = transport.options
  if (host !== undefined && (isNodeId(host) || host.length === 0)) throw new ArgumentError(`"${host}" is no host`)
  return host === undefined ? [transport.nodeId] : [transport.nodeId, host]
}

/** A machine that sleeps receives when it wakes. */
function whenAwake(clock: Clock, run: () => void): void {
  if (clock instanceof VirtualClock) clock.whenAwake(run)
  else run()
}
