import {
  equalBytes,
  formatAddress,
  parseAddress,
  type DeviceType,
  type Millis,
  type NodeId,
  type PeerIdentity,
  type PeerRecord,
} from '@aiv/transport-api'

/** What is known of a node. */
export interface PeerEntry {
  readonly nodeId: NodeId
  /** Pinned: the first full key seen under this id. */
  publicKey: Uint8Array | undefined
  /** Verified, the newest one. */
  record: PeerRecord | undefined
  deviceType: DeviceType | undefined
  /** Where it can be dialled, the most recently learned last. */
  readonly addresses: Map<string, { readonly source: 'given' | 'record'; lastWorkedAt: Millis | undefined }>
  lastUsedAt: Millis
}

export interface PeerBookOptions {
  /** Peers remembered; the one not used for longest is forgotten first. @defaultValue 10_000 */
  readonly maxPeers?: number
  /** Addresses for one peer; the oldest from records go first. @defaultValue 16 */
  readonly maxAddressesPerPeer?: number
}

const LOOPBACK = /^(127\.|::1$|localhost$)/

/** True when an address with this host can only be meant for the machine that wrote it. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(host)
}

/** Addresses, keys and records of peers, in memory and bounded. */
export class PeerBook {
  readonly #peers = new Map<NodeId, PeerEntry>()
  readonly #maxPeers: number
  readonly #maxAddresses: number
  /** Asked before a peer is forgotten. */
  readonly #inUse: (id: NodeId) => boolean

  constructor(inUse: (id: NodeId) => boolean, options: PeerBookOptions = {}) {
    this.#inUse = inUse
    this.#maxPeers = options.maxPeers ?? 10_000
    this.#maxAddresses = options.maxAddressesPerPeer ?? 16
  }

  get size(): number {
    return this.#peers.size
  }

  get(id: NodeId): PeerEntry | undefined {
    return this.#peers.get(id)
  }

  /** Remembers an address that names its node; the caller knows it from outside, so it is kept longest. */
  addAddress(now: Millis, id: NodeId, address: string): void {
    this.#learn(this.#entry(now, id), address, 'given')
  }

  /**
   * Pins the key of a node that has proven it.
   * @returns false when another key is pinned under the same id: refuse the node (`ID_COLLISION`).
   */
  pin(now: Millis, peer: PeerIdentity): boolean {
    const entry = this.#entry(now, peer.nodeId)
    entry.publicKey ??= peer.publicKey
    return equalBytes(entry.publicKey, peer.publicKey)
  }

  /**
   * Takes a verified record when it is newer than the one that is known.
   * @param fromLoopback - it came over a loopback connection: only then its loopback addresses mean us.
   */
  addRecord(now: Millis, id: NodeId, record: PeerRecord, fromLoopback: boolean): void {
    const entry = this.#entry(now, id)
    if (entry.record !== undefined && entry.record.sequence >= record.sequence) return
    entry.record = record
    entry.deviceType = record.deviceType
    for (const [address, { source }] of entry.addresses) if (source === 'record') entry.addresses.delete(address)
    for (const text of record.addresses) {
      try {
        const address = parseAddress(text)
        if (address.nodeId !== undefined && address.nodeId !== id) continue
        if (isLoopbackHost(address.host) && !fromLoopback) continue
        this.#learn(entry, formatAddress({ ...address, nodeId: id }), 'record')
      } catch {
        // a record may hold addresses of transports that are not invented yet
      }
    }
  }

  worked(now: Millis, id: NodeId, address: string): void {
    const known = this.#peers.get(id)?.addresses.get(address)
    if (known !== undefined) known.lastWorkedAt = now
  }

  *[Symbol.iterator](): IterableIterator<PeerEntry> {
    yield* this.#peers.values()
  }

  #entry(now: Millis, id: NodeId): PeerEntry {
    let entry = this.#peers.get(id)
    if (entry === undefined) {
      if (this.#peers.size >= this.#maxPeers) this.#forgetOne()
      entry = {
        nodeId: id,
        publicKey: undefined,
        record: undefined,
        deviceType: undefined,
        addresses: new Map(),
        lastUsedAt: now,
      }
    } else {
      // a Map keeps the order of insertion: the first one is always the one not used for longest
      this.#peers.delete(id)
      entry.lastUsedAt = now
    }
    this.#peers.set(id, entry)
    return entry
  }

  #forgetOne(): void {
    for (const id of this.#peers.keys()) {
      if (this.#inUse(id)) continue
      this.#peers.delete(id)
      return
    }
  }

  #learn(entry: PeerEntry, address: string, source: 'given' | 'record'): void {
    if (entry.addresses.has(address)) {
      if (source === 'given') {
        const { lastWorkedAt } = entry.addresses.get(address) ?? { lastWorkedAt: undefined }
        entry.addresses.set(address, { source, lastWorkedAt })
      }
      return
    }
    if (entry.addresses.size >= this.#maxAddresses) {
      let victim: string | undefined
      for (const [text, known] of entry.addresses) {
        victim ??= text
        if (known.source === 'record') {
          victim = text
          break
        }
      }
      if (victim !== undefined) entry.addresses.delete(victim)
    }
    entry.addresses.set(address, { source, lastWorkedAt: undefined })
  }
}
