import { type NodeId, Priority, toHex } from '@aiv/transport-api'
import { identityFromSeed, nodeCrypto } from '@aiv/security'
import { type RadioFrame, SeededRandom } from '@aiv/testkit'
import { MeshCore, type MeshCrypto, type MeshEvent, type MeshOptions, MeshPacketType, PROOF_BYTES } from '@aiv/bitchat'
import type { Bench, Purpose, Rules, Station } from './bench.js'

const CONTENT_BYTES = 100
const UNIX_START = 1_750_000_000_000

const identities = new Map<string, ReturnType<typeof identityFromSeed>>()

function identityOf(name: string): ReturnType<typeof identityFromSeed> {
  let identity = identities.get(name)
  if (identity === undefined) {
    identity = identityFromSeed(nodeCrypto, new SeededRandom(`identity ${name}`).bytes(32))
    identities.set(name, identity)
  }
  return identity
}

/** A hundred nodes verify the same hundred signatures: each is looked at once in this process. */
const verified = new Map<string, boolean>()
const crypto: MeshCrypto = {
  sha256: (...pieces) => nodeCrypto.sha256(...pieces),
  verify(publicKey, message, signature) {
    const key = `${toHex(signature)} ${toHex(nodeCrypto.sha256(publicKey, message))}`
    let isRight = verified.get(key)
    if (isRight === undefined) {
      isRight = nodeCrypto.verify(publicKey, message, signature)
      verified.set(key, isRight)
    }
    return isRight
  },
}

/** Our mesh: each link of the topology is one of the core. */
export const ourRules =
  (options: MeshOptions = {}): Rules =>
  (bench, name) =>
    new MeshStation(bench, name, options)

const purposes: Partial<Record<number, Purpose>> = { 1: 'announcement', 5: 'proof', 6: 'hop-ack' }

export class MeshStation implements Station {
  readonly core: MeshCore
  onPacket: ((event: MeshEvent & { type: 'packet' }) => void) | undefined
  readonly #bench: Bench
  readonly name: string
  readonly #random: SeededRandom
  readonly #neighbours: readonly string[]
  #timer: { clear(): void } | undefined

  constructor(bench: Bench, name: string, options: MeshOptions) {
    this.#bench = bench
    this.name = name
    this.#random = bench.random(`mesh ${name}`)
    const staticKey = { publicKey: new SeededRandom(`static ${name}`).bytes(32), notAfter: UNIX_START / 1000 + 500_000 }
    const components = { identity: identityOf(name), crypto, random: this.#random, staticKey: () => staticKey }
    const now = bench.world.now()
    this.core = new MeshCore(now, components, options)
    this.core.handleUnixTime(UNIX_START)
    this.#neighbours = bench.linksOf(name)
    this.drive()
  }

  /** The link to that neighbour is up at this end. */
  linkUp(neighbour: string): void {
    const rssi = this.#bench.air.signal(neighbour, this.name)
    this.core.linkUp(this.#bench.world.now(), this.#neighbours.indexOf(neighbour), { rssi })
    this.drive()
  }

  get id(): NodeId {
    return this.core.nodeId
  }

  receive({ from, bytes }: RadioFrame): void {
    this.core.handleInput(this.#bench.world.now(), { link: this.#neighbours.indexOf(from), bytes: bytes.slice() })
    this.drive()
  }

  send(to: string, message: number): void {
    const content = new Uint8Array(CONTENT_BYTES)
    new DataView(content.buffer).setUint32(0, message)
    this.sendContent(to, content)
  }

  /** A directed packet, with a proof in its first bytes as sessions make them. */
  sendContent(to: string, content: Uint8Array): void {
    const proof = this.#random.bytes(PROOF_BYTES)
    const payload = new Uint8Array(PROOF_BYTES + content.length)
    payload.set(proof)
    payload.set(content, PROOF_BYTES)
    this.core.send(this.#bench.world.now(), {
      type: MeshPacketType.Data,
      priority: Priority.Normal,
      flood: false,
      proofWanted: true,
      source: this.id,
      destination: identityOf(to).nodeId,
      id: crypto.sha256(proof).slice(0, 8),
      payload,
    })
    this.drive()
  }

  drive(): void {
    const { world } = this.#bench
    for (;;) {
      const out = this.core.pollOutput(world.now())
      if (out !== undefined) {
        const purpose = purposes[out.bytes[1] as number] ?? 'data'
        this.#bench.overLink(this.name, this.#neighbours[out.link] as string, out.bytes, purpose)
      }
      const event = this.core.pollEvent()
      if (event !== undefined) this.#onEvent(event)
      if (out === undefined && event === undefined) break
    }
    this.#timer?.clear()
    const at = this.core.nextTimeout()
    if (at === undefined) return
    this.#timer = world.schedule(at, () => {
      this.core.handleTimeout(world.now())
      this.drive()
    })
  }

  #onEvent(event: MeshEvent): void {
    if (event.type !== 'packet') return
    const { type, source, id, payload, priority } = event.packet
    if (type !== MeshPacketType.Data) return
    const packet = { priority, flood: false, proofWanted: false, source: this.id, destination: source, id }
    const proof = payload.slice(0, PROOF_BYTES)
    this.core.send(this.#bench.world.now(), { type: MeshPacketType.Acknowledgement, ...packet, payload: proof })
    if (this.onPacket !== undefined) return this.onPacket(event)
    const content = payload.subarray(PROOF_BYTES)
    this.#bench.arrived(new DataView(content.buffer, content.byteOffset).getUint32(0))
  }
}
