import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  randomBytes,
  sign,
  verify,
  type CipherGCM,
  type CipherGCMTypes,
  type DecipherGCM,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'
import { ArgumentError, fromHex, type AeadOpener, type Bytes, type CipherSuite } from '@aiv/transport-api'
import { TAG_BYTES, type Aead, type Crypto, type Ed25519KeyPair, type X25519KeyPair } from './crypto.js'
import { hkdfExpand } from './hkdf.js'
import { isAllZero, isStrictEd25519Signature, isStrongEd25519Point } from './key-checks.js'

/** Makes an AEAD of one suite from its 32-byte key. */
export type AeadFactory = (key: Uint8Array) => Aead

/** What may stand in for node:crypto where something faster is at hand. */
export interface NodeCryptoOptions {
  /** Suites whose AEAD comes from elsewhere, such as a native ChaCha20-Poly1305. */
  readonly aeads?: Partial<Record<CipherSuite, AeadFactory>>
  /** The suites in order of preference. @defaultValue AES-256-GCM, then ChaCha20-Poly1305 */
  readonly suites?: readonly CipherSuite[]
}

const tagLength = { authTagLength: TAG_BYTES }
const pkcs8 = {
  X25519: fromHex('302e020100300506032b656e04220420'),
  Ed25519: fromHex('302e020100300506032b657004220420'),
}

class NodeX25519KeyPair implements X25519KeyPair {
  constructor(
    readonly privateKey: KeyObject,
    readonly publicKey: Uint8Array,
  ) {}
}

class NodeEd25519KeyPair implements Ed25519KeyPair {
  constructor(
    readonly privateKey: KeyObject,
    readonly publicKey: Uint8Array,
  ) {}
}

/*
 * Fresh X25519 keys are made ahead, a few at a time: a handshake is mostly waiting, making its key is a tenth of its work,
 * and while it goes on is the wrong time for making the next one. Each is handed out once; when none is left, one is made
 * at once. A program that never dials makes none. (Made by the thread pool they cost this thread more than when it makes
 * them itself.)
 */
const SPARE_EPHEMERALS = 8
/** Longer than most handshakes take; so many keys are 0.3 ms of work. */
const MAKE_SPARES_AFTER_MS = 10
const spares: NodeX25519KeyPair[] = []
let making = false

function takeEphemeral(): NodeX25519KeyPair {
  if (!making) {
    making = true
    setTimeout(makeSpares, MAKE_SPARES_AFTER_MS).unref()
  }
  return spares.pop() ?? freshPair()
}

function makeSpares(): void {
  making = false
  while (spares.length < SPARE_EPHEMERALS) spares.push(freshPair())
}

const jwkPublic = { publicKeyEncoding: { format: 'jwk' } } as const

/** By way of JWK, as below: with the public key in DER it takes three times as long. */
function freshPair(): NodeX25519KeyPair {
  // the published types know no pair of which only the public key is encoded
  const made = generateKeyPairSync('x25519', jwkPublic as never) as unknown as {
    privateKey: KeyObject
    publicKey: JsonWebKey
  }
  return new NodeX25519KeyPair(made.privateKey, rawBytes(made.publicKey))
}

/**
 * Late releases of Node 24 find out with an exception that a key of bytes is no KeyObject, which takes 10 µs; importing
 * it takes 1 (docs/performance.md).
 */
const importAtOnce = process.versions.node.startsWith('24.')

/*
 * A handshake hashes a hundred times, and what it hashes is short: joining it and one call cost half of what a hash
 * object with its three calls does, and an HMAC (RFC 2104) is two such calls. Nothing stays in the buffers.
 */
const HASHED_AT_ONCE_BYTES = 1_024
const BLOCK_BYTES = 64
const inner = new Uint8Array(BLOCK_BYTES + HASHED_AT_ONCE_BYTES)
const outer = new Uint8Array(BLOCK_BYTES + 32)

/** Joins the pieces in {@link inner} from `at` on and returns where they end; −1 when there is no room for them. */
function join(pieces: readonly Uint8Array[], at: number): number {
  let end = at
  for (const piece of pieces) {
    if (end + piece.length > inner.length) {
      inner.fill(0)
      return -1
    }
    inner.set(piece, end)
    end += piece.length
  }
  return end
}

function sha256(...pieces: readonly Uint8Array[]): Uint8Array {
  const end = join(pieces, 0)
  if (end >= 0) {
    const digest = hash('sha256', inner.subarray(0, end), 'buffer')
    inner.fill(0, 0, end)
    return digest
  }
  const object = createHash('sha256')
  for (const piece of pieces) object.update(piece)
  return object.digest()
}

function hmacSha256(key: Uint8Array, ...pieces: readonly Uint8Array[]): Uint8Array {
  const end = key.length > BLOCK_BYTES ? -1 : join(pieces, BLOCK_BYTES)
  if (end < 0) {
    const hmac = createHmac('sha256', importAtOnce ? createSecretKey(key) : key)
    for (const piece of pieces) hmac.update(piece)
    return hmac.digest()
  }
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = i < key.length ? (key[i] as number) : 0
    inner[i] = byte ^ 0x36
    outer[i] = byte ^ 0x5c
  }
  outer.set(hash('sha256', inner.subarray(0, end), 'buffer'), BLOCK_BYTES)
  const mac = hash('sha256', outer, 'buffer')
  inner.fill(0, 0, end)
  outer.fill(0)
  return mac
}

/** {@link Crypto} on node:crypto. */
export function createNodeCrypto(options: NodeCryptoOptions = {}): Crypto {
  const suites = Object.freeze([...(options.suites ?? (['aes-256-gcm', 'chacha20-poly1305'] as const))])
  const { aeads = {} } = options
  return {
    suites,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    sha256,
    hmacSha256,
    hkdfExtract: (salt, keyMaterial) => hmacSha256(salt, keyMaterial),
    hkdfExpand: (key, info, length) => hkdfExpand(hmacSha256, key, info, length),
    x25519KeyPair(seed) {
      if (seed === undefined) return takeEphemeral()
      const privateKey = importPrivate('X25519', seed)
      return new NodeX25519KeyPair(privateKey, publicBytes(privateKey))
    },
    x25519(own, publicKey) {
      if (!(own instanceof NodeX25519KeyPair)) throw new ArgumentError('an X25519 key pair of another Crypto')
      if (publicKey.length !== 32) throw new ArgumentError(`an X25519 key has 32 bytes, not ${publicKey.length}`)
      let shared: Uint8Array
      try {
        shared = diffieHellman({ privateKey: own.privateKey, publicKey: importedX25519(publicKey) })
      } catch {
        return undefined // OpenSSL itself gives no all-zero secret out
      }
      return isAllZero(shared) ? undefined : shared
    },
    ed25519FromSeed(seed) {
      const privateKey = importPrivate('Ed25519', seed)
      return new NodeEd25519KeyPair(privateKey, publicBytes(privateKey))
    },
    sign(key, message) {
      if (!(key instanceof NodeEd25519KeyPair)) throw new ArgumentError('an Ed25519 key pair of another Crypto')
      return new Uint8Array(sign(null, message, key.privateKey))
    },
    verify(publicKey, message, signature) {
      if (!isStrongEd25519Point(publicKey) || !isStrictEd25519Signature(signature)) return false
      try {
        return verify(null, message, importPublic('Ed25519', publicKey), signature)
      } catch {
        return false // a key that is no point of the curve
      }
    },
    aead(suite, key) {
      if (!suites.includes(suite)) throw new ArgumentError(`no ${suite} here`)
      if (key.length !== 32) throw new ArgumentError(`an AEAD key has 32 bytes, not ${key.length}`)
      return aeads[suite]?.(key) ?? new NodeAead(suite, key)
    },
  }
}

/** {@link Crypto} on node:crypto: both suites, AES-256-GCM preferred. */
export const nodeCrypto: Crypto = createNodeCrypto()

/** From this use on a key is worth importing. */
const IMPORT_AT_USE = importAtOnce ? 1 : 4

class NodeAead implements Aead {
  // node:crypto takes both suites through the same calls; its types know them as two
  readonly #algorithm: CipherGCMTypes
  /** As bytes at first: importing costs half of what a use costs, and those of a handshake are used once or twice. */
  #key: KeyObject | Uint8Array | undefined
  #uses = 0

  constructor(suite: CipherSuite, key: Uint8Array) {
    this.#algorithm = suite as CipherGCMTypes
    this.#key = new Uint8Array(key)
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plain: Bytes): Uint8Array[] {
    const cipher: CipherGCM = createCipheriv(this.#algorithm, this.#usable(), nonce, tagLength)
    cipher.setAAD(aad)
    const out: Uint8Array[] = []
    if (plain instanceof Uint8Array) out.push(cipher.update(plain))
    else for (const piece of plain) out.push(cipher.update(piece))
    cipher.final()
    out.push(cipher.getAuthTag())
    return out
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const length = sealed.length - TAG_BYTES
    if (length < 0) return undefined
    const decipher: DecipherGCM = createDecipheriv(this.#algorithm, this.#usable(), nonce, tagLength)
    decipher.setAAD(aad)
    decipher.setAuthTag(sealed.subarray(length))
    const plain = decipher.update(sealed.subarray(0, length))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    return plain
  }

  opener(nonce: Uint8Array, aad: Uint8Array): AeadOpener {
    const decipher: DecipherGCM = createDecipheriv(this.#algorithm, this.#usable(), nonce, tagLength)
    decipher.setAAD(aad)
    return new NodeAeadOpener(decipher)
  }

  wipe(): void {
    if (this.#key instanceof Uint8Array) this.#key.fill(0)
    this.#key = undefined // OpenSSL clears the bytes of an imported one when it frees them
  }

  #usable(): KeyObject | Uint8Array {
    const key = this.#key
    if (key === undefined) throw new ArgumentError('this key was wiped')
    if (!(key instanceof Uint8Array) || ++this.#uses < IMPORT_AT_USE) return key
    const imported = createSecretKey(key)
    key.fill(0)
    this.#key = imported
    return imported
  }
}

/** A key of zeros, with which nothing is ever sealed. */
const EXAMPLE = ['aes-256-gcm', new Uint8Array(32), new Uint8Array(12)] as const

class NodeAeadOpener implements AeadOpener {
  /** Never used: see docs/decisions/0146-one-of-them-stays-alive.md. */
  static readonly alwaysAlive = [NodeAeadOpener.#example(), createCipheriv(...EXAMPLE, tagLength)]

  readonly #decipher: DecipherGCM
  #pieces: Uint8Array[] = []

  constructor(decipher: DecipherGCM) {
    this.#decipher = decipher
  }

  update(piece: Uint8Array): void {
    this.#pieces.push(this.#decipher.update(piece))
  }

  finish(tag: Uint8Array): readonly Uint8Array[] | undefined {
    const pieces = this.#pieces
    this.#pieces = []
    if (tag.length !== TAG_BYTES) return undefined
    try {
      this.#decipher.setAuthTag(tag)
      this.#decipher.final()
    } catch {
      return undefined
    }
    return pieces
  }

  static #example(): NodeAeadOpener {
    const opener = new NodeAeadOpener(createDecipheriv(...EXAMPLE, tagLength))
    opener.update(new Uint8Array(1))
    return opener
  }
}

function importPrivate(curve: 'X25519' | 'Ed25519', seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new ArgumentError(`an ${curve} private key has 32 bytes, not ${seed.length}`)
  const key = Buffer.concat([pkcs8[curve], seed])
  try {
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } finally {
    key.fill(0)
  }
}

/** A handshake uses the other side's ephemeral key twice; the import costs as much as the use. */
const imported = new WeakMap<Uint8Array, KeyObject>()

function importedX25519(publicKey: Uint8Array): KeyObject {
  const known = imported.get(publicKey)
  if (known !== undefined) return known
  const key = importPublic('X25519', publicKey)
  imported.set(publicKey, key)
  return key
}

/** By way of JWK: a tenth of the time that the DER form takes. */
function importPublic(crv: 'X25519' | 'Ed25519', publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString('base64url')
  return createPublicKey({ key: { kty: 'OKP', crv, x }, format: 'jwk' })
}

function publicBytes(privateKey: KeyObject): Uint8Array {
  return rawBytes(createPublicKey(privateKey).export({ format: 'jwk' }))
}

function rawBytes({ x = '' }: JsonWebKey): Uint8Array {
  return new Uint8Array(Buffer.from(x, 'base64url'))
}
