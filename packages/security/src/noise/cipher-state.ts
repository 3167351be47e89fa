import { joinBytes, type CipherSuite } from '@aiv/transport-api'
import { NONCE_BYTES, type Aead, type Crypto } from '../crypto.js'
import { NoiseError } from './noise-error.js'

/** Reserved by the specification: a message may not use it, `rekey` does. */
const LAST_NONCE = 2n ** 64n - 1n
const ZEROS = new Uint8Array(32)
const NOTHING = new Uint8Array(0)

/** CipherState of the Noise specification revision 34 section 5.1: a key that may be absent, and a counter. */
export class CipherState {
  readonly #crypto: Crypto
  readonly #suite: CipherSuite
  readonly #nonce = new Uint8Array(NONCE_BYTES)
  readonly #view = new DataView(this.#nonce.buffer)
  #aead: Aead | undefined
  #n = 0n

  /** @param key - 32 bytes, copied; without one, everything passes in the clear. */
  constructor(crypto: Crypto, suite: CipherSuite, key?: Uint8Array) {
    this.#crypto = crypto
    this.#suite = suite
    if (key !== undefined) this.initializeKey(key)
  }

  /** True once there is a key. */
  get hasKey(): boolean {
    return this.#aead !== undefined
  }

  /** Sets the key and the counter to 0. */
  initializeKey(key: Uint8Array): void {
    this.#aead?.wipe()
    this.#aead = this.#crypto.aead(this.#suite, key)
    this.#n = 0n
  }

  /** The counter of the next message; for messages that arrive out of order. */
  setNonce(n: bigint): void {
    this.#n = n
  }

  /** Ciphertext ‖ tag in a new buffer; `plain` itself while there is no key. */
  encryptWithAd(ad: Uint8Array, plain: Uint8Array): Uint8Array {
    if (this.#aead === undefined) return plain
    const sealed = joinBytes(this.#aead.seal(this.#nextNonce(), ad, plain))
    this.#n++
    return sealed
  }

  /** `undefined` when the tag is wrong: the counter stays. `sealed` itself while there is no key. */
  decryptWithAd(ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (this.#aead === undefined) return sealed
    const plain = this.#aead.open(this.#nextNonce(), ad, sealed)
    if (plain !== undefined) this.#n++
    return plain
  }

  /** REKEY of section 4.2: the first 32 bytes of 32 zeros sealed under the reserved nonce. The counter stays. */
  rekey(): void {
    if (this.#aead === undefined) return
    this.#writeNonce(LAST_NONCE)
    const key = joinBytes(this.#aead.seal(this.#nonce, NOTHING, ZEROS)).subarray(0, 32)
    this.#aead.wipe()
    this.#aead = this.#crypto.aead(this.#suite, key)
    key.fill(0)
  }

  /** Forgets the key. */
  wipe(): void {
    this.#aead?.wipe()
    this.#aead = undefined
  }

  #nextNonce(): Uint8Array {
    if (this.#n >= LAST_NONCE) throw new NoiseError('NOISE_NONCE_EXHAUSTED', 'every nonce of this key was used')
    this.#writeNonce(this.#n)
    return this.#nonce
  }

  /** Section 12: 4 zero bytes, then the counter, big-endian for AESGCM and little-endian for ChaChaPoly. */
  #writeNonce(n: bigint): void {
    this.#view.setBigUint64(4, n, this.#suite === 'chacha20-poly1305')
  }
}
