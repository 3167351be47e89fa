import type { PeerIdentity } from '@aiv/transport-api'

/** At most 2 MiB, usually about 300 KiB. */
export const MAX_KNOWN_PEERS = 1_024

/**
 * Whose certificate it is, for peers that come again: byte for byte the same certificate, or it is looked at. At most
 * {@link MAX_KNOWN_PEERS}, the one unused for longest goes first. Only what was found to be a node's is kept.
 */
export class KnownPeers {
  readonly #identify: (chain: readonly Uint8Array[]) => PeerIdentity | undefined
  /** By the certificate's bytes as Latin-1; least recently used first. */
  readonly #known = new Map<string, PeerIdentity>()

  /** @param identify - refuses certificates above a size of its own. */
  constructor(identify: (chain: readonly Uint8Array[]) => PeerIdentity | undefined) {
    this.#identify = identify
  }

  get size(): number {
    return this.#known.size
  }

  identify(chain: readonly Uint8Array[]): PeerIdentity | undefined {
    const [der] = chain
    if (der === undefined || chain.length !== 1) return undefined
    const key = Buffer.from(der.buffer, der.byteOffset, der.length).toString('latin1')
    const known = this.#known.get(key)
    if (known !== undefined) {
      this.#known.delete(key)
      this.#known.set(key, known)
      return known
    }
    const peer = this.#identify(chain)
    if (peer === undefined) return undefined
    this.#known.set(key, peer)
    if (this.#known.size > MAX_KNOWN_PEERS) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest)
        break
      }
    }
    return peer
  }
}
