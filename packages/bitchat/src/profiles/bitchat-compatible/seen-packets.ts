import { toHex, type Millis } from '@aiv/transport-api'
import type { CompatibleCrypto } from './crypto.js'
import { AgingMap } from '../../aging-map.js'
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
  readonly #lifetimeMs: number
  readonly #seen: AgingMap<string, { readonly at: Millis }>

  constructor(limits: { readonly maxEntries: number; readonly lifetimeMs: number }) {
    this.#lifetimeMs = limits.lifetimeMs
    this.#seen = new AgingMap(limits)
  }

  get size(): number {
    return this.#seen.size
  }

  has(now: Millis, key: string): boolean {
    const seen = this.#seen.get(key)
    return seen !== undefined && now - seen.at < this.#lifetimeMs
  }

  record(now: Millis, key: string): void {
    this.#seen.expire(now)
    this.#seen.set(key, { at: now })
  }
}
