import { type LocalIdentity, type Millis, type NodeId, Priority, type Random } from '@aiv/transport-api'
import { identityFromSeed, nodeCrypto } from '@aiv/security'
import { SeededRandom, World } from '@aiv/testkit'
import {
  MeshCore,
  type MeshComponents,
  type MeshDatagram,
  type MeshEvent,
  type MeshOptions,
  type MeshPacket,
  MeshPacketType,
  PROOF_BYTES,
} from '../src/index.js'

/** A packet that a test lets through (as it is or changed), or not. */
export type Tap = (from: string, to: string, bytes: Uint8Array) => Uint8Array | undefined

interface Cable {
  readonly a: { readonly node: MeshNode; readonly link: number }
  readonly b: { readonly node: MeshNode; readonly link: number }
  readonly loss: number
  readonly delayMs: number
  isUp: boolean
}

/** One mesh core in a world, with what it said. */
export class MeshNode {
  readonly core: MeshCore
  readonly identity: LocalIdentity
  readonly events: MeshEvent[] = []
  readonly cables = new Map<number, Cable>()
  onEvent: ((event: MeshEvent, now: Millis) => void) | undefined
  /** False: it is switched off, or an attacker that uses the links itself. */
  isRunning = true
  onInput: ((datagram: MeshDatagram) => void) | undefined
  #timer: { clear(): void } | undefined
  #nextLink = 1

  constructor(
    readonly net: MeshNet,
    readonly name: string,
    readonly random: Random,
    options: MeshOptions,
    components: Partial<MeshComponents> = {},
  ) {
    this.identity = identityOf(name)
    this.core = new MeshCore(
      net.world.now(),
      { identity: this.identity, crypto: nodeCrypto, random, staticKey: () => staticKeyOf(name), ...components },
      options,
    )
    this.core.handleUnixTime(UNIX_START)
    this.drive()
  }

  get id(): NodeId {
    return this.identity.nodeId
  }

  takeLink(): number {
    return this.#nextLink++
  }

  /** As the law of shells asks. */
  drive(): void {
    if (!this.isRunning) return
    const now = this.net.world.now()
    for (let out; (out = this.core.pollOutput(now)) !== undefined;) this.transmit(out)
    for (let event; (event = this.core.pollEvent()) !== undefined;) {
      this.events.push(event)
      this.onEvent?.(event, now)
    }
    this.#timer?.clear()
    const at = this.core.nextTimeout()
    if (at === undefined) return
    this.#timer = this.net.world.schedule(at, () => {
      if (!this.isRunning) return
      this.core.handleTimeout(this.net.world.now())
      this.drive()
    })
  }

  transmit({ link, bytes }: MeshDatagram): void {
    const cable = this.cables.get(link)
    if (cable !== undefined) this.net.carry(cable, this, bytes)
  }

  receive(datagram: MeshDatagram): void {
    if (this.onInput !== undefined) return this.onInput(datagram)
    if (!this.isRunning) return
    this.core.handleInput(this.net.world.now(), datagram)
    this.drive()
  }

  /** A directed packet with a proof in its first bytes, as sessions make them without showing it. */
  send(to: MeshNode | NodeId, text: string, more: Partial<MeshPacket> = {}): Uint8Array {
    const proof = this.random.bytes(PROOF_BYTES)
    const packet = dataPacket(this.id, typeof to === 'string' ? to : to.id, proof, text, more)
    this.core.send(this.net.world.now(), packet)
    this.drive()
    return packet.id
  }

  /** Texts of the data packets that came. */
  get texts(): string[] {
    return this.events.flatMap((event) =>
      event.type === 'packet' && event.packet.type === MeshPacketType.Data ? [textOf(event.packet)] : [],
    )
  }

  /** Proofs of delivery that came back. */
  get proofs(): number {
    return this.events.filter(isProof).length
  }
}

function isProof(event: MeshEvent): boolean {
  return event.type === 'packet' && event.packet.type === MeshPacketType.Acknowledgement
}

export const UNIX_START = 1_750_000_000_000
const utf8 = new TextEncoder()

export function dataPacket(
  source: NodeId,
  destination: NodeId,
  proof: Uint8Array,
  text: string,
  more: Partial<MeshPacket> = {},
): MeshPacket {
  const words = utf8.encode(text)
  const payload = new Uint8Array(PROOF_BYTES + words.length)
  payload.set(proof)
  payload.set(words, PROOF_BYTES)
  return {
    type: MeshPacketType.Data,
    priority: Priority.Normal,
    flood: false,
    proofWanted: true,
    source,
    destination,
    id: nodeCrypto.sha256(proof).slice(0, 8),
    payload,
    ...more,
  }
}

export function textOf({ payload }: MeshPacket): string {
  return new TextDecoder().decode(payload.subarray(PROOF_BYTES))
}

const identities = new Map<string, LocalIdentity>()

export function identityOf(name: string): LocalIdentity {
  let identity = identities.get(name)
  if (identity === undefined) {
    identity = identityFromSeed(nodeCrypto, new SeededRandom(`identity ${name}`).bytes(32))
    identities.set(name, identity)
  }
  return identity
}

export function staticKeyOf(name: string): { publicKey: Uint8Array; notAfter: number } {
  return { publicKey: new SeededRandom(`static ${name}`).bytes(32), notAfter: 1_750_500_000 }
}

/** Mesh cores in a world, joined by lossy cables. Every node answers data packets with their proof. */
export class MeshNet {
  readonly world: World
  readonly nodes = new Map<string, MeshNode>()
  readonly #chance: SeededRandom
  tap: Tap | undefined
  /** Packets that were put on a cable. */
  carried = 0

  constructor(
    seed: string,
    readonly options: MeshOptions = {},
  ) {
    this.world = new World({ seed, unixStartMs: UNIX_START })
    this.#chance = this.world.random('cables')
  }

  add(name: string, options: MeshOptions = {}, components: Partial<MeshComponents> = {}): MeshNode {
    const node = new MeshNode(this, name, this.world.random(name), { ...this.options, ...options }, components)
    this.nodes.set(name, node)
    node.onEvent = (event, now) => answer(node, event, now)
    return node
  }

  line(names: readonly string[], cable: { loss?: number; delayMs?: number } = {}): MeshNode[] {
    const nodes = names.map((name) => this.add(name))
    nodes.forEach((node, i) => {
      const next = nodes[i + 1]
      if (next !== undefined) this.connect(node, next, cable)
    })
    return nodes
  }

  connect(a: MeshNode, b: MeshNode, options: { loss?: number; delayMs?: number; rssi?: number } = {}): Cable {
    const { loss = 0, delayMs = 5, rssi } = options
    const ends = { a: { node: a, link: a.takeLink() }, b: { node: b, link: b.takeLink() } }
    const cable: Cable = { ...ends, loss, delayMs, isUp: true }
    for (const { node, link } of [cable.a, cable.b]) node.cables.set(link, cable)
    for (const { node, link } of [cable.a, cable.b]) {
      node.core.linkUp(this.world.now(), link, { rssi })
      node.drive()
    }
    return cable
  }

  cut(cable: Cable): void {
    cable.isUp = false
    const now = this.world.now()
    for (const { node, link } of [cable.a, cable.b]) {
      node.cables.delete(link)
      node.core.linkDown(now, link)
      node.drive()
    }
  }

  carry(cable: Cable, from: MeshNode, bytes: Uint8Array): void {
    this.carried++
    const to = cable.a.node === from ? cable.b : cable.a
    const arriving = this.tap === undefined ? bytes : this.tap(from.name, to.node.name, bytes)
    if (arriving === undefined || this.#chance.chance(cable.loss)) return
    const copy = arriving.slice()
    this.world.schedule(this.world.now() + cable.delayMs, () => {
      if (cable.isUp) to.node.receive({ link: to.link, bytes: copy })
    })
  }

  advance(ms: number): void {
    this.world.runSync(this.world.now() + ms)
  }
}

function answer(node: MeshNode, event: MeshEvent, now: Millis): void {
  if (event.type !== 'packet' || event.packet.type !== MeshPacketType.Data) return
  const { id, source, payload, priority } = event.packet
  node.core.send(now, {
    type: MeshPacketType.Acknowledgement,
    priority,
    flood: false,
    proofWanted: false,
    source: node.id,
    destination: source,
    id,
    payload: payload.slice(0, PROOF_BYTES),
  })
  // the caller drives after the events are drained; what the answer put out goes with the next turn
  node.net.world.schedule(now, () => node.drive())
}
