import { toHex } from '@aiv/transport-api'
import { decodeGolombSet, encodeGolombSet, hashNumber, reduce } from './golomb-set.js'
import { PacketType, type Packet } from './packet.js'
import type { PeerId } from './peer-id.js'
import { packetId } from './seen-packets.js'
import { typeBits, type SyncRequest } from './sync-request.js'
import type { CompatibleCrypto } from './crypto.js'

/** A packet that is kept for those who missed it. */
interface Kept {
  readonly type: number
  readonly sender: PeerId
  readonly timestamp: bigint
  /** As received, without padding. */
  readonly encoded: Uint8Array
  readonly hash: bigint
  /** Of a fragment, the id of what it belongs to. */
  readonly fragmentId: string | undefined
}

interface Shelf {
  readonly maxCount: number
  readonly maxBytes: number
  /** Older ones are neither given out nor taken, in ms. */
  readonly windowMs: number
}

/** What is kept of each type. Counts and windows are those of iOS; bytes are ours, so that 200 files are not 200 MiB. */
const shelves: ReadonlyMap<number, Shelf> = new Map([
  [PacketType.Announce, { maxCount: 512, maxBytes: 524_288, windowMs: 900_000 }],
  [PacketType.Message, { maxCount: 1_000, maxBytes: 2_097_152, windowMs: 21_600_000 }],
  [PacketType.Fragment, { maxCount: 600, maxBytes: 524_288, windowMs: 900_000 }],
  [PacketType.FileTransfer, { maxCount: 200, maxBytes: 4_194_304, windowMs: 900_000 }],
])

const PARAMETER = 7
const MAX_FILTER_BYTES = 400
const DEFAULT_TYPES = 3n

/** How old a solicited packet of this type may be, in ms; `undefined`: it is not synchronised. */
export function syncWindowMs(type: number): number | undefined {
  return shelves.get(type)?.windowMs
}

/** Broadcast packets of the last while, for gossip by Golomb-coded sets. */
export class GossipStore {
  readonly #crypto: Pick<CompatibleCrypto, 'sha256'>
  /** By type, then by packet id; the oldest arrival first. */
  readonly #kept = new Map<number, Map<string, Kept>>()
  readonly #bytes = new Map<number, number>()
  /** Time of the newest packet of each type that had to go for others. */
  readonly #forgotten = new Map<number, bigint>()

  constructor(crypto: Pick<CompatibleCrypto, 'sha256'>) {
    this.#crypto = crypto
    for (const type of shelves.keys()) this.#kept.set(type, new Map())
  }

  /** Packets of one type. */
  count(type: number): number {
    return this.#kept.get(type)?.size ?? 0
  }

  /**
   * True when it was told before: it is here, or it answers a question and is not newer than what had to go, so that
   * nobody can say.
   */
  isKnown(packet: Packet, plain: Uint8Array): boolean {
    const { type, timestamp, solicited } = packet
    if (solicited && timestamp <= (this.#forgotten.get(type) ?? -1n)) return true
    return this.#kept.get(type)?.has(toHex(packetId(this.#crypto, packet, plain))) === true
  }

  /** Keeps a packet that was verified; of announcements only the last of each peer. */
  add(packet: Packet, plain: Uint8Array, encoded: Uint8Array): void {
    const shelf = shelves.get(packet.type)
    const kept = this.#kept.get(packet.type)
    if (shelf === undefined || kept === undefined || encoded.length > shelf.maxBytes) return
    const id = packetId(this.#crypto, packet, plain)
    const key = packet.type === PacketType.Announce ? packet.sender : toHex(id)
    this.#remove(packet.type, key)
    kept.set(key, {
      type: packet.type,
      sender: packet.sender,
      timestamp: packet.timestamp,
      encoded: new Uint8Array(encoded),
      hash: hashNumber(this.#crypto.sha256(id)),
      fragmentId: packet.type === PacketType.Fragment ? toHex(plain.subarray(0, 8)) : undefined,
    })
    this.#bytes.set(packet.type, (this.#bytes.get(packet.type) ?? 0) + encoded.length)
    for (const [oldest, { timestamp }] of kept) {
      if (kept.size <= shelf.maxCount && (this.#bytes.get(packet.type) ?? 0) <= shelf.maxBytes) break
      this.#remove(packet.type, oldest)
      if (timestamp > (this.#forgotten.get(packet.type) ?? -1n)) this.#forgotten.set(packet.type, timestamp)
    }
  }

  /** A peer that left is not announced any more. */
  forget(peer: PeerId): void {
    this.#remove(PacketType.Announce, peer)
  }

  /** Asks for everything of these types that is not here; `since` is given when not all of it fits. */
  request(unixNow: number, types: bigint, fragments: readonly string[] = []): SyncRequest {
    const wanted = new Set(fragments)
    const have = this.#select(unixNow, types)
      .filter(({ fragmentId }) => fragmentId === undefined || wanted.size === 0 || wanted.has(fragmentId))
      .sort((a, b) => Number(b.timestamp - a.timestamp))
    const { count, ...set } = encodeGolombSet(
      have.map(({ hash }) => hash),
      PARAMETER,
      MAX_FILTER_BYTES,
    )
    return { have: set, types, since: count < have.length ? have[count - 1]?.timestamp : undefined, fragments }
  }

  /** What the other one has not, announcements first, then the oldest; at most `most`, as received. */
  answer(unixNow: number, request: SyncRequest, most: number): Uint8Array[] {
    const { have, types = DEFAULT_TYPES, since = 0n } = request
    const numbers = decodeGolombSet(have)
    const wanted = new Set(request.fragments)
    const missing = this.#select(unixNow, types).filter(({ type, timestamp, hash, fragmentId }) => {
      if (wanted.size > 0 && (fragmentId === undefined || !wanted.has(fragmentId))) return false
      if (timestamp < since && type !== PacketType.Announce) return false
      return !numbers.has(reduce(hash, have.modulus))
    })
    const order = (kept: Kept): number => (kept.type === PacketType.Announce ? 0 : 1)
    missing.sort((a, b) => order(a) - order(b) || Number(a.timestamp - b.timestamp))
    return missing.slice(0, most).map(({ encoded }) => encoded)
  }

  #select(unixNow: number, types: bigint): Kept[] {
    const found: Kept[] = []
    for (const [type, { windowMs }] of shelves) {
      if ((types & (typeBits.get(type) ?? 0n)) === 0n) continue
      const oldest = BigInt(Math.max(0, Math.floor(unixNow - windowMs)))
      for (const kept of this.#kept.get(type)?.values() ?? []) if (kept.timestamp >= oldest) found.push(kept)
    }
    return found
  }

  #remove(type: number, key: string): void {
    const kept = this.#kept.get(type)
    const entry = kept?.get(key)
    if (kept === undefined || entry === undefined) return
    kept.delete(key)
    this.#bytes.set(type, (this.#bytes.get(type) ?? 0) - entry.encoded.length)
  }
}
