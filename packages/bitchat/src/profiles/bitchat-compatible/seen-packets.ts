import { toHex, type Millis } from '@aiv/transport-api'
import type { CompatibleCrypto } from './crypto.js'
import { peerIdToBytes } from './peer-id.js'
import type { Packet } from './packet.js'

/** Names a packet among those seen: sender, timestamp, type and 4 bytes of SHA-256 of the payload as received. */
export function seenKey(crypto: Pick<CompatibleCrypto, 'sha256'>, packet: Packet): string {
  const { sender, timestamp, type, payload } = packet
  return `${sender}-${timestamp}-${type}-${toHex(crypto.sha256(payload).subarray(0, 4))}`
}

/** Names a packet among those who synchronise: 16 bytes of SHA-256 over type, sender, timestamp and *plain* payload. */
export function packetId(
  crypto: Pick<CompatibleCrypto, 'sha256'>,
  packet: Pick<Packet, 'type' | 'sender' | 'timestamp'>,
  plain: Uint8Array,
): Uint8Array {
  const time = new Uint8Array(8)
  new DataView(time.buffer).setBigUint64(0, packet.timestamp)
  const hash = crypto.sha256(Uint8Array.of(packet.type), peerIdToBytes(packet.sender), time, plain)
  return hash.subarray(0, 16)
}

/** Keys of packets that were handled. When it is full the oldest is forgotten. */
export class SeenPackets {
  readonly #maxEntries: number
  readonly #lifetimeMs: number
  readonly #at = new Map<string, Millis>()

  constructor(limits: { readonly maxEntries: number; readonly lifetimeMs: number }) {
    this.#maxEntries = limits.maxEntries
    this.#lifetimeMs = limits.lifetimeMs
  }

  get size(): number {
    return this.#at.size
  }

  has(now: Millis, key: string): boolean {
    const at = this.#at.get(key)
    return at !== undefined && now - at < this.#lifetimeMs
  }

  record(now: Millis, key: string): void {
    this.#at.delete(key)
    this.#at.set(key, now)
    for (const [oldest, at] of this.#at) {
      if (this.#at.size <= this.#maxEntries && now - at < this.#lifetimeMs) break
      this.#at.delete(oldest)
    }
  }
}
