import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import {
  type AeadKey,
  AivError,
  ArgumentError,
  type CipherSuite,
  type Handshake,
  type HandshakeErrorCode,
  type HandshakeOptions,
  type NodeId,
  type SecureChannels,
  type SecureSession,
  joinBytes,
  nodeIdFromBytes,
} from '@aiv/transport-api'

/*
 * A handshake of three messages that keeps the rules of the interface, made for the tests of its suite and for nothing
 * else: it proves possession of X25519 keys only, and a node id is simply the hash of the static key.
 */

const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')
const NOTHING = new Uint8Array(0)

interface Pair {
  readonly secret: KeyObject
  readonly public: Uint8Array
}

function pairFrom(secret: Uint8Array): Pair {
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, secret]), format: 'der', type: 'pkcs8' })
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return { secret: key, public: new Uint8Array(der.subarray(-32)) }
}

class Fault extends AivError<HandshakeErrorCode> {}

function agree(secret: KeyObject, theirs: Uint8Array): Uint8Array {
  try {
    return new Uint8Array(
      diffieHellman({
        privateKey: secret,
        publicKey: createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, theirs]), format: 'der', type: 'spki' }),
      }),
    )
  } catch (cause) {
    throw new Fault('KEY_INVALID', 'no shared secret', { cause })
  }
}

function derive(key: Uint8Array, info: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, NOTHING, info, length))
}

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

const cipherName = (suite: CipherSuite): 'aes-256-gcm' => suite as 'aes-256-gcm'

export class PlainKey implements AeadKey {
  #derived: Uint8Array | undefined
  #salt: Uint8Array | undefined

  constructor(
    private readonly suite: CipherSuite,
    private readonly secret: Uint8Array,
    private readonly label: string,
    readonly generation = 0,
  ) {}

  #nonce(sequence: number): Uint8Array {
    const nonce = new Uint8Array(12)
    nonce.set((this.#salt ??= derive(this.secret, `${this.label} salt`, 4)))
    new DataView(nonce.buffer).setUint32(4, this.generation)
    new DataView(nonce.buffer).setUint32(8, sequence)
    return nonce
  }

  #key(): Uint8Array {
    return (this.#derived ??= derive(this.secret, `${this.label} key`, 32))
  }

  seal(sequence: number, aad: Uint8Array, plain: Uint8Array | readonly Uint8Array[]): Uint8Array[] {
    const cipher = createCipheriv(cipherName(this.suite), this.#key(), this.#nonce(sequence), { authTagLength: 16 })
    cipher.setAAD(aad)
    const body = cipher.update(joinBytes(plain))
    cipher.final()
    return [new Uint8Array(body), new Uint8Array(cipher.getAuthTag())]
  }

  open(sequence: number, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < 16) return undefined
    const opener = this.opener(sequence, aad)
    opener.update(sealed.subarray(0, -16))
    const pieces = opener.finish(sealed.subarray(-16))
    return pieces === undefined ? undefined : joinBytes(pieces)
  }

  opener(sequence: number, aad: Uint8Array) {
    const cipher = createDecipheriv(cipherName(this.suite), this.#key(), this.#nonce(sequence), { authTagLength: 16 })
    cipher.setAAD(aad)
    const pieces: Uint8Array[] = [NOTHING]
    return {
      update: (piece: Uint8Array): void => void pieces.push(new Uint8Array(cipher.update(piece))),
      finish(tag: Uint8Array): readonly Uint8Array[] | undefined {
        if (tag.length !== 16) return undefined
        try {
          cipher.setAuthTag(tag)
          cipher.final()
          return pieces
        } catch {
          return undefined
        }
      },
    }
  }

  next(): AeadKey {
    return new PlainKey(this.suite, derive(this.secret, `${this.label} next`, 32), this.label, this.generation + 1)
  }
}

/** What a test may spoil. */
export interface PlainFaults {
  readonly trustsAnybody?: boolean
  readonly meetsItself?: boolean
  readonly oneKey?: boolean
  readonly noLabel?: boolean
}

export interface PlainParty {
  readonly channels: SecureChannels
  readonly nodeId: NodeId
}

const suites: readonly CipherSuite[] = ['aes-256-gcm', 'chacha20-poly1305']
const idOf = (key: Uint8Array): NodeId => nodeIdFromBytes(sha256(key).subarray(0, 16))

export function plainParty(name: string, faults: PlainFaults = {}): PlainParty {
  const identity = pairFrom(sha256(Buffer.from(name)))
  return {
    nodeId: idOf(identity.public),
    channels: {
      suites,
      start(options) {
        if (!suites.includes(options.suite)) throw new ArgumentError('suite')
        if (options.payload.length > 512) throw new ArgumentError('payload')
        if (options.role === 'initiator' && options.pattern === 'XK' && options.remoteStatic?.length !== 32) {
          throw new ArgumentError('remoteStatic')
        }
        return new PlainHandshake(identity, options, faults)
      },
    },
  }
}

class PlainHandshake implements Handshake {
  outcome: SecureSession | Fault | undefined
  readonly #ephemeral = pairFrom(randomBytes(32))
  #hash: Uint8Array
  #chain: Uint8Array
  /** Of the next message, from 1. */
  #number = 1
  #theirEphemeral: Uint8Array = NOTHING
  #theirStatic: Uint8Array = NOTHING
  #theirPayload: Uint8Array = NOTHING

  constructor(
    private readonly identity: Pair,
    private readonly options: HandshakeOptions,
    private readonly faults: PlainFaults,
  ) {
    this.#hash = sha256(options.prologue, Buffer.from(options.pattern + options.suite))
    this.#chain = this.#hash
    if (options.pattern === 'XK') {
      this.#theirStatic = options.remoteStatic ?? NOTHING
      this.#hash = sha256(this.#hash, options.role === 'initiator' ? this.#theirStatic : identity.public)
    }
  }

  get #isOurTurn(): boolean {
    return (this.#number % 2 === 1) === (this.options.role === 'initiator') && this.#number <= 3
  }

  #mix(shared: Uint8Array): void {
    this.#chain = sha256(this.#chain, shared)
  }

  #sealed(part: number, plain: Uint8Array): Uint8Array {
    const key = new PlainKey(this.options.suite, this.#chain, 'handshake')
    const sealed = joinBytes(key.seal(this.#number * 2 + part, this.#hash, plain))
    this.#hash = sha256(this.#hash, sealed)
    return sealed
  }

  #opened(part: number, sealed: Uint8Array): Uint8Array {
    const key = new PlainKey(this.options.suite, this.#chain, 'handshake')
    const plain = key.open(this.#number * 2 + part, this.#hash, sealed)
    if (plain === undefined) throw new Fault('HANDSHAKE_DECRYPT', 'a wrong tag')
    this.#hash = sha256(this.#hash, sealed)
    return plain
  }

  pollMessage(): Uint8Array | undefined {
    if (this.outcome !== undefined || !this.#isOurTurn) return undefined
    try {
      return this.#write()
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  handleMessage(message: Uint8Array): void {
    if (this.outcome !== undefined) return
    try {
      if (this.#isOurTurn || this.#number > 3 || message.length > 2048)
        throw new Fault('HANDSHAKE_MALFORMED', 'out of turn')
      this.#read(message)
      this.#number++
      if (this.#number === 4) this.#establish()
    } catch (error) {
      this.#fail(error)
    }
  }

  #write(): Uint8Array {
    const pieces: Uint8Array[] = []
    if (this.#number < 3) {
      pieces.push(this.#ephemeral.public)
      this.#hash = sha256(this.#hash, this.#ephemeral.public)
    }
    if (this.#number === 1) {
      if (this.options.pattern === 'XK') this.#mix(agree(this.#ephemeral.secret, this.#theirStatic))
      pieces.push(this.#sealed(0, NOTHING))
    } else {
      this.#mix(agree(this.#ephemeral.secret, this.#theirEphemeral))
      pieces.push(this.#sealed(0, this.identity.public))
      this.#mix(agree(this.identity.secret, this.#theirEphemeral))
      pieces.push(this.#sealed(1, this.options.payload))
    }
    this.#number++
    if (this.#number === 4) this.#establish()
    return joinBytes(pieces)
  }

  #read(message: Uint8Array): void {
    const shortest = [0, 48, 96, 64][this.#number] ?? 0
    if (message.length < shortest) throw new Fault('HANDSHAKE_MALFORMED', 'too short')
    let rest = message
    if (this.#number < 3) {
      this.#theirEphemeral = message.slice(0, 32)
      this.#hash = sha256(this.#hash, this.#theirEphemeral)
      rest = message.subarray(32)
    }
    const shared = agree(this.#ephemeral.secret, this.#theirEphemeral)
    if (this.#number === 1) {
      if (this.options.pattern === 'XK') this.#mix(agree(this.identity.secret, this.#theirEphemeral))
      if (this.#opened(0, rest).length !== 0) throw new Fault('HANDSHAKE_MALFORMED', 'a payload in message 1')
      return
    }
    this.#mix(shared)
    this.#theirStatic = this.#opened(0, rest.subarray(0, 48))
    this.#mix(agree(this.#ephemeral.secret, this.#theirStatic))
    this.#theirPayload = this.#opened(1, rest.subarray(48))
    if (this.options.role === 'initiator') this.#judge(idOf(this.#theirStatic))
  }

  #judge(id: NodeId): void {
    const { expected } = this.options
    if (this.faults.meetsItself !== true && id === idOf(this.identity.public)) throw new Fault('IDENTITY_OWN', 'us')
    if (this.faults.trustsAnybody !== true && expected !== undefined && id !== expected) {
      throw new Fault('IDENTITY_MISMATCH', 'another')
    }
  }

  #establish(): void {
    const { suite, role } = this.options
    const label = this.faults.noLabel === true ? 'one' : this.options.label
    const keys = ['to responder', 'to initiator'].map((way) => {
      return new PlainKey(suite, derive(this.#chain, this.faults.oneKey === true ? '' : way, 32), label)
    })
    const [toResponder, toInitiator] = keys as [PlainKey, PlainKey]
    this.outcome = {
      remote: { nodeId: idOf(this.#theirStatic), publicKey: this.#theirStatic },
      remoteStatic: this.#theirStatic,
      remotePayload: this.#theirPayload,
      handshakeHash: this.#hash,
      sending: role === 'initiator' ? toResponder : toInitiator,
      receiving: role === 'initiator' ? toInitiator : toResponder,
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof Fault)) throw error
    this.outcome = error
  }
}
