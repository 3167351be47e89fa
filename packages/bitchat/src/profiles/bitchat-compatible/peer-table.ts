import { equalBytes, nodeIdFromBytes, NODE_ID_BYTES, type Millis, type NodeId } from '@aiv/transport-api'
import type { Announcement } from './announcement.js'
import type { CompatibleCrypto } from './crypto.js'
import { peerIdOf, type PeerId } from './peer-id.js'

/** A bitchat peer as its announcements show it. */
export interface CompatiblePeer {
  readonly id: PeerId
  /** The node id that its Ed25519 key has in this network. */
  readonly nodeId: NodeId
  readonly nickname: string
  /** X25519, 32 bytes. */
  readonly noiseKey: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly signingKey: Uint8Array
  /** As announced, 0 when it was not. */
  readonly capabilities: bigint
  /** Hops that the last announcement came over; 0: a neighbour. Anybody on the way can make it look less. */
  readonly hops: number
  /**
   * The owner of the Noise key said inside a session that the signing key is its own. Before that the pair was only seen
   * first: anybody could have announced somebody's Noise key with another signing key.
   */
  readonly proven: boolean
}

/** What becomes of an announcement. */
export type Observation = 'new' | 'known' | 'outdated' | 'impostor' | 'key-changed'

interface Entry {
  peer: CompatiblePeer
  neighbours: readonly PeerId[]
  announcedAt: bigint
  heardAt: Millis
}

interface Pin {
  readonly noiseKey: Uint8Array
  readonly signingKey: Uint8Array
  readonly proven: boolean
}

/** A peer that has not been heard for this long is gone, in ms. */
export const RETENTION_MS = 60_000

/**
 * Who is there, by announcements whose signature the caller has verified. The first signing key that is seen with an id
 * is pinned; another one is refused until the owner of the Noise key itself says so inside a session.
 */
export class PeerTable {
  readonly #crypto: Pick<CompatibleCrypto, 'sha256'>
  readonly #maxPeers: number
  readonly #maxPins: number
  /** The one not heard for longest first. */
  readonly #peers = new Map<PeerId, Entry>()
  readonly #pins = new Map<PeerId, Pin>()

  constructor(
    crypto: Pick<CompatibleCrypto, 'sha256'>,
    limits: { readonly maxPeers: number; readonly maxPins: number },
  ) {
    this.#crypto = crypto
    this.#maxPeers = limits.maxPeers
    this.#maxPins = limits.maxPins
  }

  get size(): number {
    return this.#peers.size
  }

  get(id: PeerId): CompatiblePeer | undefined {
    return this.#peers.get(id)?.peer
  }

  values(): CompatiblePeer[] {
    return [...this.#peers.values()].map(({ peer }) => peer)
  }

  /** The key that verifies packets of that peer, also when it is away. */
  signingKeyOf(id: PeerId): Uint8Array | undefined {
    return this.#pins.get(id)?.signingKey
  }

  /** Whether an announcement may be believed, apart from its signature and its age. Changes nothing. */
  check(id: PeerId, { noiseKey, signingKey }: Announcement, timestamp: bigint): 'fine' | Observation {
    if (peerIdOf(this.#crypto, noiseKey) !== id) return 'impostor'
    const pin = this.#pins.get(id)
    if (pin !== undefined && !equalBytes(pin.noiseKey, noiseKey)) return 'impostor'
    if (pin !== undefined && !equalBytes(pin.signingKey, signingKey)) return 'key-changed'
    const known = this.#peers.get(id)
    return known !== undefined && timestamp <= known.announcedAt ? 'outdated' : 'fine'
  }

  /**
   * Takes an announcement that {@link check} found fine and whose signature is right.
   * @param present - false for an old one out of a neighbour's memory: its keys are learned, the peer is not said to be there.
   */
  observe(
    now: Millis,
    id: PeerId,
    announcement: Announcement,
    from: { readonly timestamp: bigint; readonly hops: number; readonly present: boolean },
  ): { readonly observation: 'new' | 'known' | 'outdated'; readonly evicted: PeerId | undefined } {
    const { noiseKey, signingKey, nickname, neighbours, capabilities } = announcement
    const pin = this.#pins.get(id) ?? { noiseKey, signingKey, proven: false }
    this.#pin(id, pin)
    const known = this.#peers.get(id)
    if (!from.present) return { observation: known === undefined ? 'outdated' : 'known', evicted: undefined }
    const peer: CompatiblePeer = Object.freeze({
      id,
      nodeId: nodeIdOfKey(this.#crypto, signingKey),
      nickname,
      noiseKey,
      signingKey,
      capabilities: capabilities ?? 0n,
      hops: from.hops,
      proven: pin.proven,
    })
    this.#peers.delete(id)
    this.#peers.set(id, { peer, neighbours, announcedAt: from.timestamp, heardAt: now })
    let evicted: PeerId | undefined
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= this.#maxPeers) break
      this.#peers.delete(oldest)
      evicted = oldest
    }
    return { observation: known === undefined ? 'new' : 'known', evicted }
  }

  /**
   * From inside a session: the owner of `noiseKey` names its signing key. The peer as it is now, if it is there and
   * something about it changed.
   */
  prove(id: PeerId, noiseKey: Uint8Array, signingKey: Uint8Array): CompatiblePeer | undefined {
    this.#pin(id, { noiseKey, signingKey: new Uint8Array(signingKey), proven: true })
    const entry = this.#peers.get(id)
    if (entry === undefined) return undefined
    const before = entry.peer
    if (before.proven && equalBytes(before.signingKey, signingKey)) return undefined
    const nodeId = nodeIdOfKey(this.#crypto, signingKey)
    entry.peer = Object.freeze({ ...before, signingKey: new Uint8Array(signingKey), nodeId, proven: true })
    return entry.peer
  }

  /** It said goodbye. True when it was there and has not announced itself since. Its keys stay pinned. */
  leave(id: PeerId, timestamp: bigint): boolean {
    const known = this.#peers.get(id)
    return known !== undefined && timestamp >= known.announcedAt && this.#peers.delete(id)
  }

  /** Those not heard for {@link RETENTION_MS}, which are gone now. */
  expire(now: Millis): PeerId[] {
    const gone: PeerId[] = []
    for (const [id, { heardAt }] of this.#peers) {
      if (now < heardAt + RETENTION_MS) break
      this.#peers.delete(id)
      gone.push(id)
    }
    return gone
  }

  nextTimeout(): Millis | undefined {
    for (const { heardAt } of this.#peers.values()) return heardAt + RETENTION_MS
    return undefined
  }

  #pin(id: PeerId, pin: Pin): void {
    this.#pins.delete(id)
    this.#pins.set(id, pin)
    for (const oldest of this.#pins.keys()) {
      if (this.#pins.size <= this.#maxPins) break
      this.#pins.delete(oldest)
    }
  }
}

/** The node id of an Ed25519 key, as everywhere in this network: the first 16 bytes of its SHA-256. */
function nodeIdOfKey(crypto: Pick<CompatibleCrypto, 'sha256'>, key: Uint8Array): NodeId {
  return nodeIdFromBytes(crypto.sha256(key).subarray(0, NODE_ID_BYTES))
}
