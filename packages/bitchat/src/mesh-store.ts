import type { Millis, NodeId } from '@aiv/transport-api'
import type { MeshStoreOptions } from './mesh-options.js'

/** A packet that is kept for a node that is not there. */
export interface StoredPacket {
  readonly fingerprint: number
  /** Of the packet id, by which a proof of delivery names it. */
  readonly id: number
  readonly source: NodeId
  readonly destination: NodeId
  readonly bytes: Uint8Array
  /** How often it was handed on already. */
  readonly custody: number
  readonly at: Millis
}

/**
 * Store-and-forward: packets for absent nodes, bounded by count, bytes, age and per source. When it is full the source
 * with the most packets loses its oldest; packets of trusted sources go only when there are no others.
 */
export class MeshStore {
  readonly #options: Readonly<Required<MeshStoreOptions>>
  readonly #isTrusted: (node: NodeId) => boolean
  /** By fingerprint, the oldest first. */
  readonly #packets = new Map<number, StoredPacket>()
  readonly #perSource = new Map<NodeId, number>()
  #bytes = 0

  constructor(options: Readonly<Required<MeshStoreOptions>>, isTrusted: (node: NodeId) => boolean) {
    this.#options = options
    this.#isTrusted = isTrusted
  }

  get size(): number {
    return this.#packets.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** True when it is kept now, or was before. */
  keep(packet: StoredPacket): boolean {
    this.#expire(packet.at)
    if (this.#packets.has(packet.fingerprint)) return true
    const { maxPackets, maxBytes, maxPacketsPerSource } = this.#options
    const { source } = packet
    const isTrusted = this.#isTrusted(source)
    if (!isTrusted && (this.#perSource.get(source) ?? 0) >= maxPacketsPerSource) this.#removeOldestOf(source)
    while (this.#packets.size >= maxPackets || this.#bytes + packet.bytes.length > maxBytes) {
      const victim = this.#victim(isTrusted)
      if (victim === undefined) return false
      this.remove(victim.fingerprint)
    }
    if (maxPacketsPerSource === 0 && !isTrusted) return false
    this.#packets.set(packet.fingerprint, packet)
    this.#perSource.set(source, (this.#perSource.get(source) ?? 0) + 1)
    this.#bytes += packet.bytes.length
    return true
  }

  /** What is kept for a node, the oldest first. */
  for(now: Millis, destination: NodeId): StoredPacket[] {
    this.#expire(now)
    return [...this.#packets.values()].filter((packet) => packet.destination === destination)
  }

  remove(fingerprint: number): void {
    const packet = this.#packets.get(fingerprint)
    if (packet === undefined) return
    this.#packets.delete(fingerprint)
    this.#bytes -= packet.bytes.length
    const left = (this.#perSource.get(packet.source) ?? 1) - 1
    if (left === 0) this.#perSource.delete(packet.source)
    else this.#perSource.set(packet.source, left)
  }

  /** The packet with that id has been delivered. */
  delivered(id: number): void {
    for (const packet of this.#packets.values()) {
      if (packet.id === id) return this.remove(packet.fingerprint)
    }
  }

  /** The oldest of the untrusted source with the most packets; of a trusted one only for another trusted one. */
  #victim(mayBeTrusted: boolean): StoredPacket | undefined {
    let [worst, most]: [NodeId | undefined, number] = [undefined, 0]
    for (const [source, count] of this.#perSource) {
      if (count > most && !this.#isTrusted(source)) [worst, most] = [source, count]
    }
    for (const packet of this.#packets.values()) {
      if (worst === undefined ? mayBeTrusted : packet.source === worst) return packet
    }
    return undefined
  }

  #removeOldestOf(source: NodeId): void {
    for (const packet of this.#packets.values()) {
      if (packet.source === source) return this.remove(packet.fingerprint)
    }
  }

  #expire(now: Millis): void {
    for (const packet of this.#packets.values()) {
      if (packet.at + this.#options.maxAgeMs > now) return
      this.remove(packet.fingerprint)
    }
  }
}
