import {
  ArgumentError,
  fromHex,
  joinBytes,
  nodeIdFromBytes,
  NODE_ID_BYTES,
  type LocalIdentity,
  type NodeId,
  type SignatureTag,
} from '@aiv/transport-api'
import { certificateBody, encodeCertificate, MAX_CERTIFICATE_LIFE_S } from './certificate.js'
import type { Crypto, Ed25519KeyPair, X25519KeyPair } from './crypto.js'
import { isStrongEd25519Point } from './key-checks.js'
import { signedBytes } from './signed-bytes.js'

/** After this long, in ms, a Noise static key is replaced: 90 days. */
export const NOISE_KEY_LIFE_MS = 90 * 86_400_000

/**
 * Our certificates run 6 days although 7 are allowed: so they are in force for nodes whose clocks are up to a day
 * behind ours, too.
 */
const CERTIFICATE_LIFE_S = MAX_CERTIFICATE_LIFE_S - 86_400

const pkcs8Prefix = fromHex('302e020100300506032b657004220420')

/** All that has to be kept for a node to stay itself. Wipe it after use. */
export interface IdentitySecrets {
  /** Ed25519 private key (RFC 8032 seed), 32 bytes. */
  readonly seed: Uint8Array
  /** X25519 private key of the Noise static key, 32 bytes. */
  readonly noisePrivateKey: Uint8Array
  /** When the Noise static key came into use, Unix ms; `undefined`: not yet. */
  readonly noiseSince: number | undefined
}

/** The node id that follows from an Ed25519 public key: the first 16 bytes of its SHA-256. */
export function nodeIdOf(crypto: Crypto, publicKey: Uint8Array): NodeId {
  return nodeIdFromBytes(crypto.sha256(publicKey).subarray(0, NODE_ID_BYTES))
}

/** A fresh identity from the randomness of `crypto`. */
export function generateIdentity(crypto: Crypto): Identity {
  const seed = crypto.randomBytes(32)
  const noisePrivateKey = crypto.randomBytes(32)
  return new Identity(crypto, { seed, noisePrivateKey, noiseSince: undefined })
}

/**
 * The same identity for the same 32 bytes: the Ed25519 seed is `seed` itself, the Noise static key follows from it.
 * For tests and simulations; an identity that lasts has two independent keys.
 */
export function identityFromSeed(crypto: Crypto, seed: Uint8Array): Identity {
  const noisePrivateKey = crypto.hkdfExpand(seed, 'aiv-identity-from-seed/1', 32)
  return new Identity(crypto, { seed, noisePrivateKey, noiseSince: undefined })
}

/** Our own node: its Ed25519 key, which signs under fixed tags only, and its Noise static key with a certificate. */
export class Identity implements LocalIdentity {
  readonly nodeId: NodeId
  readonly publicKey: Uint8Array
  /** What the keys were made by, and what is to be used with them. */
  readonly crypto: Crypto
  readonly #seed: Uint8Array
  readonly #signing: Ed25519KeyPair
  #noisePrivateKey: Uint8Array
  #noise: X25519KeyPair
  #noiseSince: number | undefined
  #certificate: { readonly bytes: Uint8Array; readonly notAfter: number } | undefined

  /** Copies the secrets. @throws ArgumentError when one has not 32 bytes. */
  constructor(crypto: Crypto, secrets: IdentitySecrets) {
    this.crypto = crypto
    this.#seed = new Uint8Array(secrets.seed)
    this.#signing = crypto.ed25519FromSeed(this.#seed)
    this.#noisePrivateKey = new Uint8Array(secrets.noisePrivateKey)
    this.#noise = crypto.x25519KeyPair(this.#noisePrivateKey)
    this.#noiseSince = secrets.noiseSince
    this.publicKey = this.#signing.publicKey
    if (!isStrongEd25519Point(this.publicKey)) throw new ArgumentError('this seed gives no usable key')
    this.nodeId = nodeIdOf(crypto, this.publicKey)
  }

  /** The X25519 key pair of Noise handshakes; replaced by {@link rotateNoiseKey}. */
  get noiseStatic(): X25519KeyPair {
    return this.#noise
  }

  sign(tag: SignatureTag, body: Uint8Array): Uint8Array {
    return this.crypto.sign(this.#signing, signedBytes(tag, body))
  }

  privateKeyPkcs8(): Uint8Array {
    return joinBytes([pkcs8Prefix, this.#seed])
  }

  /**
   * The certificate of {@link noiseStatic}, 100 bytes: cached, and made anew when less than half of its life remains
   * or the clock went back. Do not change it.
   */
  certificate(unixNow: number): Uint8Array {
    this.#startNoiseLife(unixNow)
    const now = Math.floor(unixNow / 1000)
    const remaining = (this.#certificate?.notAfter ?? 0) - now
    if (this.#certificate === undefined || remaining < CERTIFICATE_LIFE_S / 2 || remaining > CERTIFICATE_LIFE_S) {
      const notAfter = now + CERTIFICATE_LIFE_S
      const body = certificateBody(this.publicKey, this.#noise.publicKey, notAfter)
      const signature = this.sign('aiv-noise-static/1', body)
      this.#certificate = { bytes: encodeCertificate({ publicKey: this.publicKey, notAfter }, signature), notAfter }
    }
    return this.#certificate.bytes
  }

  /**
   * Replaces a Noise static key that is 90 days old. True when it did: then save the identity and publish a new record.
   * Handshakes in progress end with the old key; whoever dials with it is refused and falls back to XX.
   */
  rotateNoiseKey(unixNow: number): boolean {
    this.#startNoiseLife(unixNow)
    if (unixNow - (this.#noiseSince ?? unixNow) < NOISE_KEY_LIFE_MS) return false
    this.#noisePrivateKey = this.crypto.randomBytes(32)
    this.#noise = this.crypto.x25519KeyPair(this.#noisePrivateKey)
    this.#noiseSince = unixNow
    this.#certificate = undefined
    return true
  }

  /** Copies of the private keys, for whoever keeps them. */
  exportSecrets(): IdentitySecrets {
    return {
      seed: new Uint8Array(this.#seed),
      noisePrivateKey: new Uint8Array(this.#noisePrivateKey),
      noiseSince: this.#noiseSince,
    }
  }

  /** The life of the Noise key begins with its first use; one from the future (a clock that was wrong) begins now. */
  #startNoiseLife(unixNow: number): void {
    if (this.#noiseSince === undefined || this.#noiseSince > unixNow) this.#noiseSince = unixNow
  }
}
