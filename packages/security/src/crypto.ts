import type { AeadOpener, Bytes, CipherSuite } from '@aiv/transport-api'

/**
 * The seam to a platform's cryptography. Two implementations come with this package, `nodeCrypto` and
 * `portableCrypto()`; both give the same verdict on every input, and both are plain objects of functions, so that
 * `{ ...nodeCrypto, aead }` wraps one: to record what is sealed, or to hand in another AEAD.
 *
 * Keys are handles of the implementation that made them: importing a raw key costs more than using it.
 */
export interface Crypto {
  /** AEADs that this platform has, the preferred one first. */
  readonly suites: readonly CipherSuite[]
  /** A new buffer, unpredictable. */
  randomBytes(length: number): Uint8Array
  /** SHA-256 (FIPS 180-4) of all pieces one after another; 32 bytes. */
  sha256(...pieces: readonly Uint8Array[]): Uint8Array
  /** HMAC-SHA256 (RFC 2104) with a key of any length; 32 bytes. */
  hmacSha256(key: Uint8Array, ...pieces: readonly Uint8Array[]): Uint8Array
  /** HKDF-Extract (RFC 5869 section 2.2) with SHA-256; 32 bytes. */
  hkdfExtract(salt: Uint8Array, keyMaterial: Uint8Array): Uint8Array
  /**
   * HKDF-Expand (RFC 5869 section 2.3) with SHA-256.
   * @throws ArgumentError for more than 8,160 bytes.
   */
  hkdfExpand(key: Uint8Array, info: string | Uint8Array, length: number): Uint8Array
  /** A fresh key pair; with `seed` (32 bytes, the private key itself, RFC 7748 section 5) always the same one. */
  x25519KeyPair(seed?: Uint8Array): X25519KeyPair
  /**
   * X25519 (RFC 7748). `undefined` when the result is all zeros: `publicKey` is of low order, and nothing is secret. Its
   * bytes must not be changed afterwards, as their import may be kept.
   */
  x25519(own: X25519KeyPair, publicKey: Uint8Array): Uint8Array | undefined
  /** @param seed - the private key of RFC 8032 section 5.1.5, 32 bytes. */
  ed25519FromSeed(seed: Uint8Array): Ed25519KeyPair
  /** Ed25519 (RFC 8032), 64 bytes. */
  sign(key: Ed25519KeyPair, message: Uint8Array): Uint8Array
  /** Strict and without cofactor, after the checks of `key-checks.ts`; false for anything of the wrong size. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /**
   * Takes a copy of `key` (32 bytes).
   * @throws ArgumentError for a suite that is not in {@link suites}.
   */
  aead(suite: CipherSuite, key: Uint8Array): Aead
}

/** An X25519 private key and what goes with it. Usable only with the `Crypto` that made it. */
export interface X25519KeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

/** An Ed25519 private key and what goes with it. Usable only with the `Crypto` that made it. */
export interface Ed25519KeyPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

/**
 * One AEAD key: AES-256-GCM (NIST SP 800-38D) or ChaCha20-Poly1305 (RFC 8439), nonce 12 bytes, tag 16 bytes. Whoever
 * holds it sees to it that no nonce is used twice. A nonce is copied in the call: its buffer may be used again.
 */
export interface Aead {
  /** Ciphertext pieces, together as long as `plain`, then the tag as the last piece. New buffers. */
  seal(nonce: Uint8Array, aad: Uint8Array, plain: Bytes): Uint8Array[]
  /** Opens ciphertext ‖ tag into a new buffer; `undefined`: forged, or shorter than a tag. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
  /** Opens a long one while it arrives. */
  opener(nonce: Uint8Array, aad: Uint8Array): AeadOpener
  /** Forgets the key; it must not be used again. */
  wipe(): void
}

/** Bytes of an AEAD nonce, in both suites. */
export const NONCE_BYTES = 12
/** Bytes of an AEAD tag, in both suites; a shorter one is never taken. */
export const TAG_BYTES = 16
