import { ArgumentError, byteLength, joinBytes, type AeadOpener, type Bytes } from '@aiv/transport-api'
import { TAG_BYTES, type Aead, type Crypto, type Ed25519KeyPair, type X25519KeyPair } from './crypto.js'
import { hkdfExpand } from './hkdf.js'
import { isAllZero, isStrictEd25519Signature, isStrongEd25519Point } from './key-checks.js'
import { loadSodium, type Sodium } from './sodium.js'

class PortableX25519KeyPair implements X25519KeyPair {
  constructor(
    readonly privateKey: Uint8Array,
    readonly publicKey: Uint8Array,
  ) {}
}

class PortableEd25519KeyPair implements Ed25519KeyPair {
  constructor(
    readonly privateKey: Uint8Array,
    readonly publicKey: Uint8Array,
  ) {}
}

/**
 * {@link Crypto} on libsodium compiled to WebAssembly: runs in a browser as in Node. ChaCha20-Poly1305 only, as
 * libsodium has no portable AES-GCM. Loads libsodium when called, and once.
 */
export async function portableCrypto(): Promise<Crypto> {
  return createPortableCrypto(await loadSodium())
}

function createPortableCrypto(sodium: Sodium): Crypto {
  const randomBytes = (length: number): Uint8Array => sodium.randombytes_buf(length)
  const hmacSha256 = (key: Uint8Array, ...pieces: readonly Uint8Array[]): Uint8Array => {
    const state = sodium.crypto_auth_hmacsha256_init(key)
    for (const piece of pieces) sodium.crypto_auth_hmacsha256_update(state, piece)
    return sodium.crypto_auth_hmacsha256_final(state) // frees the state too
  }
  return {
    suites: Object.freeze(['chacha20-poly1305'] as const),
    randomBytes,
    sha256: (...pieces) => sodium.crypto_hash_sha256(joinBytes(pieces)),
    hmacSha256,
    hkdfExtract: (salt, keyMaterial) => hmacSha256(salt, keyMaterial),
    hkdfExpand: (key, info, length) => hkdfExpand(hmacSha256, key, info, length),
    x25519KeyPair(seed) {
      const privateKey = seed === undefined ? randomBytes(32) : new Uint8Array(seed)
      if (privateKey.length !== 32) {
        throw new ArgumentError(`an X25519 private key has 32 bytes, not ${privateKey.length}`)
      }
      return new PortableX25519KeyPair(privateKey, sodium.crypto_scalarmult_base(privateKey))
    },
    x25519(own, publicKey) {
      if (!(own instanceof PortableX25519KeyPair)) throw new ArgumentError('an X25519 key pair of another Crypto')
      if (publicKey.length !== 32) throw new ArgumentError(`an X25519 key has 32 bytes, not ${publicKey.length}`)
      let shared: Uint8Array
      try {
        shared = sodium.crypto_scalarmult(own.privateKey, publicKey)
      } catch {
        return undefined // libsodium itself gives no all-zero secret out
      }
      return isAllZero(shared) ? undefined : shared
    },
    ed25519FromSeed(seed) {
      if (seed.length !== 32) throw new ArgumentError(`an Ed25519 private key has 32 bytes, not ${seed.length}`)
      const { privateKey, publicKey } = sodium.crypto_sign_seed_keypair(seed)
      return new PortableEd25519KeyPair(privateKey, publicKey)
    },
    sign(key, message) {
      if (!(key instanceof PortableEd25519KeyPair)) throw new ArgumentError('an Ed25519 key pair of another Crypto')
      return sodium.crypto_sign_detached(message, key.privateKey)
    },
    verify(publicKey, message, signature) {
      if (!isStrongEd25519Point(publicKey) || !isStrictEd25519Signature(signature)) return false
      return sodium.crypto_sign_verify_detached(signature, message, publicKey)
    },
    aead(suite, key) {
      if (suite !== 'chacha20-poly1305') throw new ArgumentError(`no ${suite} here`)
      if (key.length !== 32) throw new ArgumentError(`an AEAD key has 32 bytes, not ${key.length}`)
      return new PortableChaChaPoly(sodium, new Uint8Array(key))
    },
  }
}

class PortableChaChaPoly implements Aead {
  readonly #sodium: Sodium
  readonly #key: Uint8Array
  #wiped = false

  constructor(sodium: Sodium, key: Uint8Array) {
    this.#sodium = sodium
    this.#key = key
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plain: Bytes): Uint8Array[] {
    const { ciphertext, mac } = this.#sodium.crypto_aead_chacha20poly1305_ietf_encrypt_detached(
      joinBytes(plain),
      aad,
      null,
      nonce,
      this.#usable(),
    )
    return [ciphertext, mac]
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const length = sealed.length - TAG_BYTES
    const key = this.#usable()
    if (length < 0) return undefined
    return decrypt(this.#sodium, sealed.subarray(0, length), sealed.subarray(length), aad, nonce, key)
  }

  opener(nonce: Uint8Array, aad: Uint8Array): AeadOpener {
    return new CollectingOpener(this.#sodium, this.#usable(), new Uint8Array(nonce), new Uint8Array(aad))
  }

  wipe(): void {
    this.#wiped = true
    this.#key.fill(0)
  }

  #usable(): Uint8Array {
    if (this.#wiped) throw new ArgumentError('this key was wiped')
    return this.#key
  }
}

/** libsodium decrypts this AEAD in one call only: the pieces are copied together until the tag comes. */
class CollectingOpener implements AeadOpener {
  readonly #sodium: Sodium
  readonly #key: Uint8Array
  readonly #nonce: Uint8Array
  readonly #aad: Uint8Array
  #pieces: Uint8Array[] = []

  constructor(sodium: Sodium, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array) {
    this.#sodium = sodium
    this.#key = new Uint8Array(key) // one that outlives a rekey, as node:crypto's does
    this.#nonce = nonce
    this.#aad = aad
  }

  update(piece: Uint8Array): void {
    this.#pieces.push(new Uint8Array(piece))
  }

  finish(tag: Uint8Array): readonly Uint8Array[] | undefined {
    const sealed = joinBytes(this.#pieces)
    this.#pieces = []
    const plain =
      tag.length === TAG_BYTES ? decrypt(this.#sodium, sealed, tag, this.#aad, this.#nonce, this.#key) : undefined
    this.#key.fill(0)
    if (plain === undefined) return undefined
    return byteLength(plain) === 0 ? [] : [plain]
  }
}

function decrypt(
  sodium: Sodium,
  ciphertext: Uint8Array,
  tag: Uint8Array,
  aad: Uint8Array,
  nonce: Uint8Array,
  key: Uint8Array,
): Uint8Array | undefined {
  try {
    return sodium.crypto_aead_chacha20poly1305_ietf_decrypt_detached(null, ciphertext, tag, aad, nonce, key)
  } catch {
    return undefined
  }
}
