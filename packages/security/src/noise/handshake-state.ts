import { ArgumentError, equalBytes, joinBytes, type CipherSuite } from '@aiv/transport-api'
import { TAG_BYTES, type Crypto, type X25519KeyPair } from '../crypto.js'
import { isLowOrderX25519Key } from '../key-checks.js'
import { NoiseError, type NoiseFault } from './noise-error.js'
import { noisePattern, type NoisePattern, type NoiseToken } from './patterns.js'
import { SymmetricState } from './symmetric-state.js'

const KEY_BYTES = 32
/** Section 3: no Noise message is longer. */
export const MAX_NOISE_MESSAGE_BYTES = 65_535

/** What a {@link HandshakeState} starts from; keys as the pattern needs them. */
export interface HandshakeStateOptions {
  readonly crypto: Crypto
  /** Name of the pattern: `XX`. */
  readonly pattern: string
  readonly suite: CipherSuite
  readonly role: 'initiator' | 'responder'
  readonly prologue: Uint8Array
  /** Our static key. */
  readonly s?: X25519KeyPair | undefined
  /** Our ephemeral key, where it was made already; else it is generated. Never one of an earlier handshake. */
  readonly e?: X25519KeyPair | undefined
  /** Pre-shared keys of 32 bytes, as many as the pattern has. They stay the caller's. */
  readonly psks?: readonly Uint8Array[] | undefined
  /** The other side's static key, where the pattern has it known beforehand. */
  readonly rs?: Uint8Array | undefined
  /** The array that holds this static key already, if one does: what the platform made of that serves again. */
  readonly kept?: ((rs: Uint8Array) => Uint8Array | undefined) | undefined
}

/**
 * HandshakeState of the Noise specification revision 34 section 5.3, for any pattern, over X25519 and SHA-256.
 *
 * Beyond the specification a public key of low order is a fault as soon as it is read (section 12.1 leaves that open).
 */
export class HandshakeState {
  readonly #crypto: Crypto
  readonly #pattern: NoisePattern
  readonly #initiator: boolean
  readonly #symmetric: SymmetricState
  readonly #s: X25519KeyPair | undefined
  #e: X25519KeyPair | undefined
  #rs: Uint8Array | undefined
  #re: Uint8Array | undefined
  readonly #kept: ((rs: Uint8Array) => Uint8Array | undefined) | undefined
  #foreseen: { readonly rs: Uint8Array; readonly shared: Uint8Array } | undefined
  readonly #psks: readonly Uint8Array[]
  #mixedPsks = 0
  #index = 0
  /** Our next message but for its payload. */
  #begun: Uint8Array[] | NoiseFault | undefined

  /** @throws ArgumentError for a pattern that is not known and a key that it needs and that is missing or of another size. */
  constructor(options: HandshakeStateOptions) {
    const { crypto, suite, prologue, psks = [] } = options
    const pattern = noisePattern(options.pattern)
    this.#crypto = crypto
    this.#pattern = pattern
    this.#initiator = options.role === 'initiator'
    this.#s = options.s
    this.#e = options.e
    this.#rs = options.rs
    this.#kept = options.kept
    this.#psks = psks
    if (psks.length !== pattern.psks || psks.some(({ length }) => length !== KEY_BYTES)) {
      throw new ArgumentError(`${pattern.name} takes ${pattern.psks} pre-shared keys of 32 bytes`)
    }
    if (options.rs !== undefined && options.rs.length !== KEY_BYTES) throw new ArgumentError('rs has not 32 bytes')
    this.#symmetric = new SymmetricState(crypto, suite, protocolName(pattern.name, suite))
    this.#symmetric.mixHash(prologue)
    const known = (own: boolean, side: string): Uint8Array => {
      const key = own ? this.#s?.publicKey : this.#rs
      if (key === undefined) throw new ArgumentError(`${pattern.name} needs the ${side}'s static key`)
      return key
    }
    if (pattern.initiatorKnown) this.#symmetric.mixHash(known(this.#initiator, 'initiator'))
    if (pattern.responderKnown) this.#symmetric.mixHash(known(!this.#initiator, 'responder'))
    if (this.#s === undefined && this.#sendsStatic()) throw new ArgumentError(`${pattern.name} needs a static key`)
  }

  /** True when ours is the next message. */
  get isOurTurn(): boolean {
    return !this.isComplete && (this.#index % 2 === 0) === this.#initiator
  }

  /** True after the last message. */
  get isComplete(): boolean {
    return this.#index >= this.#pattern.messages.length
  }

  /** The other side's static key, once known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#rs
  }

  /** The same on both sides once complete, and unique to this handshake. A copy. */
  get handshakeHash(): Uint8Array {
    return this.#symmetric.handshakeHash
  }

  /**
   * Does the work on our next message that its payload is not needed for: it may be done while nobody waits.
   * @throws NoiseError NOISE_OUT_OF_TURN
   */
  beginMessage(): void {
    if (!this.isOurTurn) throw new NoiseError('NOISE_OUT_OF_TURN', 'the next message is the other side’s')
    this.#begun ??= this.#writeTokens()
  }

  /**
   * Our next message with `payload` in it, or the fault of a key that the other side gave.
   * @throws NoiseError NOISE_OUT_OF_TURN, ArgumentError for a message over 65,535 bytes.
   */
  writeMessage(payload: Uint8Array): Uint8Array | NoiseFault {
    this.beginMessage()
    const out = this.#begun as Uint8Array[] | NoiseFault
    this.#begun = undefined
    if (typeof out === 'string') return out
    out.push(this.#symmetric.encryptAndHash(payload))
    const message = joinBytes(out)
    if (message.length > MAX_NOISE_MESSAGE_BYTES) throw new ArgumentError('a Noise message has at most 65,535 bytes')
    this.#index++
    return message
  }

  #writeTokens(): Uint8Array[] | NoiseFault {
    const out: Uint8Array[] = []
    for (const token of this.#tokens()) {
      if (token === 'e') {
        this.#e ??= this.#crypto.x25519KeyPair()
        out.push(this.#e.publicKey)
        this.#mixEphemeral(this.#e.publicKey)
      } else if (token === 'psk') {
        this.#mixPsk()
      } else if (token === 's') {
        out.push(this.#symmetric.encryptAndHash(this.#own('s').publicKey))
      } else if (!this.#mixDh(token)) {
        return this.#fail('key')
      }
    }
    return out
  }

  /**
   * The payload of the other side's next message, or what is wrong with it; after a fault the state is spent.
   * @throws NoiseError NOISE_OUT_OF_TURN
   */
  readMessage(message: Uint8Array): Uint8Array | NoiseFault {
    if (this.isOurTurn || this.isComplete) throw new NoiseError('NOISE_OUT_OF_TURN', 'no message is due')
    if (message.length > MAX_NOISE_MESSAGE_BYTES) return this.#fail('malformed')
    let rest = message
    for (const token of this.#tokens()) {
      if (token === 'e') {
        if (rest.length < KEY_BYTES) return this.#fail('malformed')
        const re = new Uint8Array(rest.subarray(0, KEY_BYTES))
        rest = rest.subarray(KEY_BYTES)
        if (isLowOrderX25519Key(re)) return this.#fail('key')
        this.#re = re
        this.#mixEphemeral(re)
      } else if (token === 'psk') {
        this.#mixPsk()
      } else if (token === 's') {
        const length = this.#symmetric.hasKey ? KEY_BYTES + TAG_BYTES : KEY_BYTES
        if (rest.length < length) return this.#fail('malformed')
        const rs = this.#symmetric.decryptAndHash(rest.subarray(0, length))
        rest = rest.subarray(length)
        if (rs === undefined) return this.#fail('decrypt')
        if (isLowOrderX25519Key(rs)) return this.#fail('key')
        this.#rs = this.#kept?.(rs) ?? new Uint8Array(rs)
      } else if (!this.#mixDh(token)) {
        return this.#fail('key')
      }
    }
    if (this.#symmetric.hasKey && rest.length < TAG_BYTES) return this.#fail('malformed')
    const payload = this.#symmetric.decryptAndHash(rest)
    if (payload === undefined) return this.#fail('decrypt')
    this.#index++
    return payload
  }

  /**
   * The keys of Split(), the initiator's sending key first; the state is spent after it. A one-way pattern uses only the first.
   * @throws NoiseError NOISE_OUT_OF_TURN before the handshake is complete.
   */
  split(): readonly [Uint8Array, Uint8Array] {
    if (!this.isComplete) throw new NoiseError('NOISE_OUT_OF_TURN', 'the handshake is not complete')
    this.#e = undefined
    this.#forgetForeseen()
    return this.#symmetric.split()
  }

  /**
   * Computes the DH of our ephemeral key and the static key `rs`, while the other side is waited for, in case it turns
   * out to have that one: what it has is what it says and proves in its message, and with another key nothing of this
   * is used. Does nothing before our ephemeral key is made.
   */
  foresee(rs: Uint8Array): void {
    const shared = this.#e === undefined ? undefined : this.#crypto.x25519(this.#e, rs)
    this.#forgetForeseen()
    if (shared !== undefined) this.#foreseen = { rs, shared }
  }

  /** Forgets all keys of an unfinished handshake. */
  wipe(): void {
    this.#e = undefined
    this.#begun = undefined
    this.#forgetForeseen()
    this.#index = this.#pattern.messages.length
    this.#symmetric.wipe()
  }

  #fail(fault: NoiseFault): NoiseFault {
    this.wipe()
    return fault
  }

  #tokens(): readonly NoiseToken[] {
    return this.#pattern.messages[this.#index] ?? []
  }

  #sendsStatic(): boolean {
    return this.#pattern.messages.some((tokens, i) => (i % 2 === 0) === this.#initiator && tokens.includes('s'))
  }

  /** Section 9.2: with pre-shared keys the ephemeral ones randomise what is sealed before any DH. */
  #mixEphemeral(key: Uint8Array): void {
    this.#symmetric.mixHash(key)
    if (this.#psks.length > 0) this.#symmetric.mixKey(new Uint8Array(key))
  }

  #mixPsk(): void {
    this.#symmetric.mixKeyAndHash(this.#psks[this.#mixedPsks++] as Uint8Array)
  }

  /** MixKey of a DH; false when the other side's key gives no secret. In a token the initiator's key comes first. */
  #mixDh(token: 'ee' | 'es' | 'se' | 'ss'): boolean {
    const [first, second] = token
    const own = this.#own(this.#initiator ? first : second)
    const remote = (this.#initiator ? second : first) === 'e' ? this.#re : this.#rs
    if (remote === undefined) throw new ArgumentError(`${this.#pattern.name} needs the other side's static key`)
    const shared = this.#takeForeseen(own, remote) ?? this.#crypto.x25519(own, remote)
    if (shared === undefined) return false
    this.#symmetric.mixKey(shared)
    return true
  }

  #takeForeseen(own: X25519KeyPair, remote: Uint8Array): Uint8Array | undefined {
    const foreseen = this.#foreseen
    if (foreseen === undefined || own !== this.#e || !equalBytes(remote, foreseen.rs)) return undefined
    this.#foreseen = undefined
    return foreseen.shared
  }

  #forgetForeseen(): void {
    this.#foreseen?.shared.fill(0)
    this.#foreseen = undefined
  }

  #own(letter: string | undefined): X25519KeyPair {
    const pair = letter === 'e' ? this.#e : this.#s
    if (pair === undefined) throw new ArgumentError(`${this.#pattern.name} needs a static key`)
    return pair
  }
}

/** `Noise_XX_25519_AESGCM_SHA256` */
function protocolName(pattern: string, suite: CipherSuite): string {
  return `Noise_${pattern}_25519_${suite === 'aes-256-gcm' ? 'AESGCM' : 'ChaChaPoly'}_SHA256`
}
