import { equalBytes, type HandshakeErrorCode, type NodeId, type PeerIdentity } from '@aiv/transport-api'
import { certificateTimeFault, verifyCertificate } from './certificate.js'
import type { Crypto } from './crypto.js'
import { nodeIdOf } from './identity.js'

interface Known {
  readonly certificate: Uint8Array
  readonly noiseKey: Uint8Array
  readonly notAfter: number
  readonly remote: PeerIdentity
}

/**
 * Certificates whose signature was verified, so that a peer that comes again costs no second verification. One for each
 * node, the newest; at most {@link MAX_KNOWN_CERTIFICATES}, the one unused for longest goes first. Byte for byte the same
 * certificate and the same Noise key, or it is not known.
 */
export class KnownCertificates {
  readonly #crypto: Crypto
  /** Least recently used first. */
  readonly #byNode = new Map<NodeId, Known>()
  /** By the first bytes of the Noise key; of two that begin alike the later one is known. */
  readonly #byNoiseKey = new Map<number, Known>()

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  get size(): number {
    return this.#byNode.size
  }

  /** Whose certificate it is, or what is wrong with it. The clock is looked at each time. */
  prove(certificate: Uint8Array, noiseKey: Uint8Array, unixNow: number): PeerIdentity | HandshakeErrorCode {
    const known = this.#find(noiseKey)
    if (known !== undefined && equalBytes(known.certificate, certificate)) {
      this.#use(known)
      return certificateTimeFault(known.notAfter, unixNow) ?? known.remote
    }
    const verified = verifyCertificate(this.#crypto, certificate, noiseKey, unixNow)
    if (typeof verified === 'string') return verified
    const { publicKey, notAfter } = verified
    const remote = Object.freeze({ nodeId: nodeIdOf(this.#crypto, publicKey), publicKey })
    this.#add({ certificate: new Uint8Array(certificate), noiseKey: new Uint8Array(noiseKey), notAfter, remote })
    return remote
  }

  /** The end of a node's certificate, Unix time in ms; 0 when none is known. */
  expiryOf(node: NodeId): number {
    return (this.#byNode.get(node)?.notAfter ?? 0) * 1_000
  }

  /** The Noise key that a node had when it was last seen; it may have another by now. Do not change it. */
  noiseKeyOf(node: NodeId): Uint8Array | undefined {
    return this.#byNode.get(node)?.noiseKey
  }

  /** The copy of a Noise key that is kept here, whose import a platform remembers. Do not change it. */
  keptNoiseKey(noiseKey: Uint8Array): Uint8Array | undefined {
    return this.#find(noiseKey)?.noiseKey
  }

  #find(noiseKey: Uint8Array): Known | undefined {
    const known = this.#byNoiseKey.get(prefixOf(noiseKey))
    return known !== undefined && equalBytes(known.noiseKey, noiseKey) ? known : undefined
  }

  #add(entry: Known): void {
    const { nodeId } = entry.remote
    this.#forget(this.#byNode.get(nodeId))
    this.#forget(this.#byNoiseKey.get(prefixOf(entry.noiseKey)))
    this.#byNode.set(nodeId, entry)
    this.#byNoiseKey.set(prefixOf(entry.noiseKey), entry)
    if (this.#byNode.size <= MAX_KNOWN_CERTIFICATES) return
    for (const oldest of this.#byNode.values()) {
      this.#forget(oldest)
      break
    }
  }

  #use(entry: Known): void {
    this.#byNode.delete(entry.remote.nodeId)
    this.#byNode.set(entry.remote.nodeId, entry)
  }

  #forget(entry: Known | undefined): void {
    if (entry === undefined) return
    this.#byNode.delete(entry.remote.nodeId)
    this.#byNoiseKey.delete(prefixOf(entry.noiseKey))
  }
}

/** About 400 KiB. */
export const MAX_KNOWN_CERTIFICATES = 1_024

function prefixOf(noiseKey: Uint8Array): number {
  let prefix = 0
  for (let i = 0; i < 4; i++) prefix = (prefix << 8) | (noiseKey[i] ?? 0)
  return prefix
}
