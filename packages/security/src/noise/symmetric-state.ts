import type { CipherSuite } from '@aiv/transport-api'
import type { Crypto } from '../crypto.js'
import { CipherState } from './cipher-state.js'

const NOTHING = new Uint8Array(0)
const utf8 = new TextEncoder()

/** SymmetricState of the Noise specification revision 34 section 5.2, over SHA-256. */
export class SymmetricState {
  readonly #crypto: Crypto
  readonly #cipher: CipherState
  #chainingKey: Uint8Array
  #hash: Uint8Array

  constructor(crypto: Crypto, suite: CipherSuite, protocolName: string) {
    this.#crypto = crypto
    const name = utf8.encode(protocolName)
    const hash = new Uint8Array(32)
    if (name.length <= 32) hash.set(name)
    else hash.set(crypto.sha256(name))
    this.#hash = hash
    this.#chainingKey = new Uint8Array(hash)
    this.#cipher = new CipherState(crypto, suite)
  }

  /** True once keys were mixed: from then on payloads and static keys are sealed. */
  get hasKey(): boolean {
    return this.#cipher.hasKey
  }

  /** h; after the last message the channel binding of section 11.2. A copy. */
  get handshakeHash(): Uint8Array {
    return new Uint8Array(this.#hash)
  }

  mixHash(data: Uint8Array): void {
    this.#hash = this.#crypto.sha256(this.#hash, data)
  }

  /** Takes `keyMaterial` over and wipes it. */
  mixKey(keyMaterial: Uint8Array): void {
    const mixed = this.#hkdf(keyMaterial)
    this.#chainingKey = mixed.subarray(0, 32)
    this.#cipher.initializeKey(mixed.subarray(32))
    mixed.fill(0, 32)
    keyMaterial.fill(0)
  }

  /** For pre-shared keys. `keyMaterial` stays as it is: the caller may need it again. */
  mixKeyAndHash(keyMaterial: Uint8Array): void {
    const mixed = this.#hkdf(keyMaterial, 96)
    this.#chainingKey = mixed.slice(0, 32)
    this.mixHash(mixed.subarray(32, 64))
    this.#cipher.initializeKey(mixed.subarray(64))
    mixed.fill(0)
  }

  encryptAndHash(plain: Uint8Array): Uint8Array {
    const sealed = this.#cipher.encryptWithAd(this.#hash, plain)
    this.mixHash(sealed)
    return sealed
  }

  /** `undefined` when the tag is wrong. */
  decryptAndHash(sealed: Uint8Array): Uint8Array | undefined {
    const plain = this.#cipher.decryptWithAd(this.#hash, sealed)
    if (plain !== undefined) this.mixHash(sealed)
    return plain
  }

  /** The two keys of Split(), the initiator's sending key first, and the end of this state. 32 bytes each. */
  split(): readonly [Uint8Array, Uint8Array] {
    const keys = this.#hkdf(NOTHING)
    this.wipe()
    return [keys.subarray(0, 32), keys.subarray(32)]
  }

  /** Forgets all keys; the hash stays. */
  wipe(): void {
    this.#chainingKey.fill(0)
    this.#cipher.wipe()
  }

  /** HKDF of section 4.3 with two outputs or, in 96 bytes, three; which is that of RFC 5869 with an empty info. */
  #hkdf(keyMaterial: Uint8Array, length = 64): Uint8Array {
    const extracted = this.#crypto.hkdfExtract(this.#chainingKey, keyMaterial)
    const mixed = this.#crypto.hkdfExpand(extracted, NOTHING, length)
    extracted.fill(0)
    return mixed
  }
}
