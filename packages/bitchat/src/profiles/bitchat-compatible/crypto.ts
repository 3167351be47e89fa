/**
 * What this profile needs of cryptography, handed in. `nodeCrypto` or `portableCrypto()` of `@aiv/security` have all of
 * it; the README shows the twenty lines between the two.
 */
export interface CompatibleCrypto {
  /** SHA-256 of all pieces one after another; 32 bytes. */
  sha256(...pieces: readonly Uint8Array[]): Uint8Array
  /** Ed25519, strict; false for anything of the wrong size. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** ChaCha20-Poly1305 (RFC 8439) under a key of 32 bytes. */
  chaChaPoly(key: Uint8Array): ChaChaPoly
}

/** One key. The nonce has 12 bytes, the tag 16. */
export interface ChaChaPoly {
  /** Ciphertext, then the tag. New buffers. */
  seal(nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array[]
  /** `undefined`: forged. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
  /** Forgets the key. */
  wipe(): void
}

/**
 * Our keys in this profile. They are never those of the node: what is signed here is whole packets without a tag before
 * them, which a node key must not sign (docs/wire/identity.md).
 */
export interface CompatibleIdentity {
  /** X25519 public key, 32 bytes: our peer id follows from it. */
  readonly noiseKey: Uint8Array
  /** Ed25519 public key, 32 bytes. */
  readonly signingKey: Uint8Array
  /** Ed25519, 64 bytes. */
  sign(message: Uint8Array): Uint8Array
  /** A new handshake `Noise_XX_25519_ChaChaPoly_SHA256` with an empty prologue and the static key of {@link noiseKey}. */
  handshake(role: 'initiator' | 'responder'): XxHandshake
}

/** One Noise handshake in progress; `HandshakeState` of `@aiv/security` is one. */
export interface XxHandshake {
  readonly isOurTurn: boolean
  readonly isComplete: boolean
  /** The other side's static key, once known. */
  readonly remoteStatic: Uint8Array | undefined
  /** Our next message, or the word for what is wrong with the other side's key. */
  writeMessage(payload: Uint8Array): Uint8Array | string
  /** The payload of the other side's message, or the word for what is wrong with it; it is spent after that. */
  readMessage(message: Uint8Array): Uint8Array | string
  /** The two keys, the initiator's sending key first. */
  split(): readonly [Uint8Array, Uint8Array]
  /** Forgets all keys. */
  wipe(): void
}
