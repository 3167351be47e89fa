import { HandshakeState, nodeCrypto, seededCrypto } from '@aiv/security'
import { SeededRandom, World } from '@aiv/testkit'
import {
  CompatibleMesh,
  type CompatibleEvent,
  type LinkBytes,
} from '../src/profiles/bitchat-compatible/compatible-mesh.js'
import type { CompatibleCrypto, CompatibleIdentity } from '../src/profiles/bitchat-compatible/crypto.js'
import type { CompatibleMeshOptions } from '../src/profiles/bitchat-compatible/options.js'
import { decodePacket, type Packet } from '../src/profiles/bitchat-compatible/packet.js'
import { rawDeflate } from '../src/profiles/bitchat-compatible/raw-deflate.node.js'

export const UNIX_START = 1_750_000_000_000

export const compatibleCrypto: CompatibleCrypto = {
  sha256: (...pieces) => nodeCrypto.sha256(...pieces),
  verify: (key, message, signature) => nodeCrypto.verify(key, message, signature),
  chaChaPoly: (key) => nodeCrypto.aead('chacha20-poly1305', key),
}

/** Keys of a name: always the same. */
export function compatibleIdentity(name: string): CompatibleIdentity {
  const random = new SeededRandom(`keys of ${name}`)
  const crypto = seededCrypto(nodeCrypto, random)
  const s = crypto.x25519KeyPair(random.bytes(32))
  const signing = crypto.ed25519FromSeed(random.bytes(32))
  return {
    noiseKey: s.publicKey,
    signingKey: signing.publicKey,
    sign: (message) => crypto.sign(signing, message),
    handshake: (role) =>
      new HandshakeState({ crypto, pattern: 'XX', suite: 'chacha20-poly1305', role, prologue: new Uint8Array(0), s }),
  }
}

/** What a test does with a write on a link: lets it through (as it is or changed), or not. */
export type Tap = (from: string, to: string, bytes: Uint8Array) => Uint8Array | undefined

export interface CableOptions {
  readonly delayMs?: number
  readonly maxPacketBytes?: number
}

interface Cable {
  readonly to: CompatibleNode
  readonly link: number
  readonly delayMs: number
}

/** One participant, with what it said. */
export class CompatibleNode {
  readonly mesh: CompatibleMesh
  readonly identity: CompatibleIdentity
  readonly events: CompatibleEvent[] = []
  readonly cables = new Map<number, Cable>()
  /** Bytes and writes put on the air. */
  sent = { writes: 0, bytes: 0 }
  /** An attacker's: it gets what comes in, and its mesh does not. */
  onInput: ((input: LinkBytes) => void) | undefined
  #timer: { clear(): void } | undefined
  #nextLink = 1

  constructor(
    readonly net: CompatibleNet,
    readonly name: string,
    options: CompatibleMeshOptions,
  ) {
    this.identity = compatibleIdentity(name)
    const random = net.world.random(name)
    const components = { identity: this.identity, crypto: compatibleCrypto, random, compressor: rawDeflate }
    this.mesh = new CompatibleMesh(net.world.now(), components, { nickname: name, ...options })
    this.mesh.handleUnixTime(UNIX_START)
  }

  get id() {
    return this.mesh.id
  }

  takeLink(): number {
    return this.#nextLink++
  }

  run<T>(command: (mesh: CompatibleMesh, now: number) => T): T {
    const result = command(this.mesh, this.net.world.now())
    this.drive()
    return result
  }

  input(link: number, bytes: Uint8Array): void {
    if (this.onInput !== undefined) return this.onInput({ link, bytes })
    this.run((mesh, now) => mesh.handleInput(now, { link, bytes }))
  }

  /** Puts bytes on a link past the mesh. */
  inject(link: number, bytes: Uint8Array): void {
    const cable = this.cables.get(link)
    if (cable === undefined) return
    this.sent = { writes: this.sent.writes + 1, bytes: this.sent.bytes + bytes.length }
    const tapped = this.net.tap === undefined ? bytes : this.net.tap(this.name, cable.to.name, bytes)
    if (tapped === undefined) return
    this.net.world.schedule(this.net.world.now() + cable.delayMs, () => {
      if (this.cables.get(link) === cable) cable.to.input(cable.link, new Uint8Array(tapped))
    })
  }

  of<T extends CompatibleEvent['type']>(type: T): Extract<CompatibleEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<CompatibleEvent, { type: T }> => event.type === type)
  }

  drive(): void {
    const now = this.net.world.now()
    for (let out; (out = this.mesh.pollOutput(now)) !== undefined;) this.inject(out.link, out.bytes)
    for (let event; (event = this.mesh.pollEvent()) !== undefined;) this.events.push(event)
    this.#timer?.clear()
    const at = this.mesh.nextTimeout()
    if (at === undefined) return
    this.#timer = this.net.world.schedule(at, () => this.run((mesh, later) => mesh.handleTimeout(later)))
  }
}

/** Participants and cables between them in virtual time. */
export class CompatibleNet {
  readonly world: World
  readonly nodes = new Map<string, CompatibleNode>()
  tap: Tap | undefined

  constructor(seed: string | number = 1) {
    this.world = new World({ seed, unixStartMs: UNIX_START })
  }

  node(name: string, options: CompatibleMeshOptions = {}): CompatibleNode {
    const node = new CompatibleNode(this, name, options)
    this.nodes.set(name, node)
    return node
  }

  /** A line of nodes, each linked to the next. */
  line(names: string, options: CompatibleMeshOptions = {}): CompatibleNode[] {
    const nodes = names.split(' ').map((name) => this.node(name, options))
    nodes.forEach((node, i) => {
      const next = nodes[i + 1]
      if (next !== undefined) this.connect(node, next)
    })
    return nodes
  }

  /** Gives the two link ids. */
  connect(a: CompatibleNode, b: CompatibleNode, options: CableOptions = {}): [number, number] {
    const { delayMs = 5, maxPacketBytes = 514 } = options
    const [atA, atB] = [a.takeLink(), b.takeLink()]
    a.cables.set(atA, { to: b, link: atB, delayMs })
    b.cables.set(atB, { to: a, link: atA, delayMs })
    a.run((mesh, now) => mesh.linkUp(now, { id: atA, maxPacketBytes }))
    b.run((mesh, now) => mesh.linkUp(now, { id: atB, maxPacketBytes }))
    return [atA, atB]
  }

  cut(a: CompatibleNode, b: CompatibleNode): void {
    for (const [node, other] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const [link, cable] of node.cables) {
        if (cable.to !== other) continue
        node.cables.delete(link)
        node.run((mesh, now) => mesh.linkDown(now, link))
      }
    }
  }

  run(ms: number): void {
    this.world.runSync(this.world.now() + ms)
  }
}

/** The packet in a write that holds exactly one. */
export function packetOf(bytes: Uint8Array): Packet {
  const packet = decodePacket(bytes)
  if (packet === undefined) throw new Error('no packet')
  return packet
}
