import { ArgumentError, type AeadKey, type AeadOpener, type Bytes, type CipherSuite } from '@aiv/transport-api'
import { NONCE_BYTES, type Aead, type Crypto } from './crypto.js'

interface KeyInfos {
  readonly label: string
  readonly key: Uint8Array
  readonly salt: Uint8Array
  readonly next: Uint8Array
}

const utf8 = new TextEncoder()
/** Those of the label that was used last: a program has few, and each serves for thousands of sessions. */
let infos: KeyInfos | undefined

function infosOf(label: string): KeyInfos {
  if (infos?.label !== label) {
    const info = (what: string): Uint8Array => utf8.encode(`${label} ${what}`)
    infos = { label, key: info('key'), salt: info('salt'), next: info('next') }
  }
  return infos
}

/**
 * The keys of one direction, generation after generation. From the secret s_g of generation g:
 * key = HKDF-Expand(s_g, label ‖ " key", 32), salt = HKDF-Expand(s_g, label ‖ " salt", 4),
 * s_(g+1) = HKDF-Expand(s_g, label ‖ " next", 32); nonce = salt ‖ g u32 ‖ sequence u32, big-endian.
 *
 * This is the path of every byte that is sent: one nonce buffer per key, nothing copied.
 */
export class SessionKey implements AeadKey {
  readonly generation: number
  readonly #crypto: Crypto
  readonly #suite: CipherSuite
  readonly #label: string
  readonly #secret: Uint8Array
  readonly #aead: Aead
  readonly #nonce: Uint8Array
  #spent = false

  /** @param secret - s_g, 32 bytes; taken over, and wiped by {@link next}. */
  constructor(crypto: Crypto, suite: CipherSuite, label: string, secret: Uint8Array, generation = 0) {
    this.generation = generation
    this.#crypto = crypto
    this.#suite = suite
    this.#label = label
    this.#secret = secret
    const { key: keyInfo, salt: saltInfo } = infosOf(label)
    const key = crypto.hkdfExpand(secret, keyInfo, 32)
    this.#aead = crypto.aead(suite, key)
    key.fill(0)
    this.#nonce = new Uint8Array(NONCE_BYTES)
    this.#nonce.set(crypto.hkdfExpand(secret, saltInfo, 4))
    if (generation > 0) new DataView(this.#nonce.buffer).setUint32(4, generation)
  }

  seal(sequence: number, aad: Uint8Array, plain: Bytes): Uint8Array[] {
    return this.#aead.seal(this.#nonceOf(sequence), aad, plain)
  }

  open(sequence: number, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    return this.#aead.open(this.#nonceOf(sequence), aad, sealed)
  }

  opener(sequence: number, aad: Uint8Array): AeadOpener {
    return this.#aead.opener(this.#nonceOf(sequence), aad)
  }

  next(): AeadKey {
    if (this.#spent) throw new ArgumentError('this key was replaced already')
    if (this.generation >= 0xffff_ffff) throw new ArgumentError('no generation is left')
    this.#spent = true
    const secret = this.#crypto.hkdfExpand(this.#secret, infosOf(this.#label).next, 32)
    this.#secret.fill(0)
    this.#aead.wipe() // from here on it throws when it is used
    return new SessionKey(this.#crypto, this.#suite, this.#label, secret, this.generation + 1)
  }

  #nonceOf(sequence: number): Uint8Array {
    // a number that is no u32 would wrap around to a nonce that was used before
    if (sequence >>> 0 !== sequence) throw new ArgumentError(`${sequence} is no sequence number`)
    const nonce = this.#nonce
    nonce[8] = sequence >>> 24
    nonce[9] = sequence >>> 16
    nonce[10] = sequence >>> 8
    nonce[11] = sequence
    return nonce
  }
}
