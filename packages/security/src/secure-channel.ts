import {
  AivError,
  ArgumentError,
  joinBytes,
  type Clock,
  type Handshake,
  type HandshakeErrorCode,
  type HandshakeOptions,
  type SecureChannels,
  type SecureSession,
} from '@aiv/transport-api'
import { SessionKey } from './aead-key.js'
import { CERTIFICATE_BYTES } from './certificate.js'
import type { Identity } from './identity.js'
import { isLowOrderX25519Key } from './key-checks.js'
import { KnownCertificates } from './known-certificates.js'
import { HandshakeState } from './noise/handshake-state.js'
import type { NoiseFault } from './noise/noise-error.js'

/** Largest payload that a handshake carries beside the certificate. */
export const MAX_HANDSHAKE_PAYLOAD_BYTES = 512
/** XX message 2, the longest: two keys, two tags, certificate, payload. */
const MAX_MESSAGE_BYTES = 32 + 48 + CERTIFICATE_BYTES + MAX_HANDSHAKE_PAYLOAD_BYTES + 16
const NOTHING = new Uint8Array(0)

/** What {@link secureChannels} takes from outside. */
export interface SecureChannelComponents {
  readonly identity: Identity
  /** Only `unixNow` is asked, for certificates. */
  readonly clock: Pick<Clock, 'unixNow'>
}

/** A handshake failed; nothing was established. */
export class HandshakeError extends AivError<HandshakeErrorCode> {}

/**
 * Noise XX and XK with static-key certificates, over the identity's own crypto.
 *
 * | message | XX | XK | payload |
 * |--:|---|---|---|
 * | 1 → | e | e, es | none |
 * | 2 ← | e, ee, s, es | e, ee | the responder's certificate ‖ payload |
 * | 3 → | s, se | s, se | the initiator's certificate ‖ payload |
 *
 * The initiator verifies message 2 before it makes message 3, so that whoever is not the node that was dialled learns
 * nothing about us; the responder has a session only after message 3 is verified. docs/wire/identity.md
 */
export function secureChannels(components: SecureChannelComponents): SecureChannels {
  const { suites } = components.identity.crypto
  const known = new KnownCertificates(components.identity.crypto)
  return {
    suites,
    start(options) {
      if (!suites.includes(options.suite)) throw new ArgumentError(`no ${options.suite} on this platform`)
      if (options.payload.length > MAX_HANDSHAKE_PAYLOAD_BYTES) {
        throw new ArgumentError(`a handshake payload has at most ${MAX_HANDSHAKE_PAYLOAD_BYTES} bytes`)
      }
      if (options.pattern === 'XK' && options.role === 'initiator' && options.remoteStatic === undefined) {
        throw new ArgumentError('XK needs the static key of the responder')
      }
      return new NoiseHandshake(components, known, options)
    },
  }
}

class NoiseHandshake implements Handshake {
  readonly #identity: Identity
  readonly #clock: Pick<Clock, 'unixNow'>
  readonly #known: KnownCertificates
  readonly #options: HandshakeOptions
  readonly #state: HandshakeState
  /** Ours, for the one message that can carry it. Both are taken now: the static key may be replaced meanwhile. */
  readonly #certified: Uint8Array
  #index = 0
  #proven: Pick<SecureSession, 'remote' | 'remoteStatic' | 'remotePayload'> | undefined
  #outcome: SecureSession | AivError<HandshakeErrorCode> | undefined

  constructor({ identity, clock }: SecureChannelComponents, known: KnownCertificates, options: HandshakeOptions) {
    const { role, pattern, suite, prologue, payload } = options
    const rs = role === 'initiator' && pattern === 'XK' ? options.remoteStatic : undefined
    this.#identity = identity
    this.#clock = clock
    this.#known = known
    this.#options = options
    this.#certified = joinBytes([identity.certificate(clock.unixNow()), payload])
    this.#state = new HandshakeState({
      crypto: identity.crypto,
      pattern,
      suite,
      role,
      prologue,
      s: identity.noiseStatic,
      rs,
      kept: (key) => known.keptNoiseKey(key),
    })
    // it comes from the other side's record, so it is not our caller's mistake
    if (rs !== undefined && isLowOrderX25519Key(rs)) this.#fail('KEY_INVALID')
  }

  /** Keys are derived when this is first asked for: whoever waits for our last message need not wait for them. */
  get outcome(): SecureSession | AivError<HandshakeErrorCode> | undefined {
    if (this.#outcome === undefined && this.#proven !== undefined && this.#state.isComplete) {
      this.#outcome = this.#establish(this.#proven)
    }
    return this.#outcome
  }

  pollMessage(): Uint8Array | undefined {
    if (this.#outcome !== undefined || !this.#state.isOurTurn) return undefined
    const message = this.#state.writeMessage(this.#index === 0 ? NOTHING : this.#certified)
    if (typeof message === 'string') {
      this.#fail(faultCodes[message])
      return undefined
    }
    if (this.#index === 0) this.#foresee()
    this.#index++
    return message
  }

  handleMessage(message: Uint8Array): void {
    if (this.outcome !== undefined) return
    if (this.#state.isOurTurn || message.length > MAX_MESSAGE_BYTES) return this.#fail('HANDSHAKE_MALFORMED')
    const payload = this.#state.readMessage(message)
    if (typeof payload === 'string') return this.#fail(faultCodes[payload])
    const fault = this.#index === 0 ? checkEmpty(payload) : this.#proveRemote(payload)
    if (fault !== undefined) return this.#fail(fault)
    this.#index++
  }

  /**
   * While message 2 is on its way: a third of the work on it, for a node that was met before. The handshake stays XX, and
   * the key has to come in message 2 with its certificate as ever; XK would fail where the key is a new one.
   */
  #foresee(): void {
    const { expected, pattern } = this.#options
    if (expected === undefined || pattern !== 'XX') return
    const rs = this.#known.noiseKeyOf(expected)
    if (rs !== undefined) this.#state.foresee(rs)
  }

  /** Certificate ‖ payload of the other side: who it is, and whether that is who it should be. */
  #proveRemote(payload: Uint8Array): HandshakeErrorCode | undefined {
    const remoteStatic = this.#state.remoteStatic
    if (remoteStatic === undefined || payload.length < CERTIFICATE_BYTES) return 'HANDSHAKE_MALFORMED'
    if (payload.length > CERTIFICATE_BYTES + MAX_HANDSHAKE_PAYLOAD_BYTES) return 'HANDSHAKE_MALFORMED'
    const bytes = payload.subarray(0, CERTIFICATE_BYTES)
    const remote = this.#known.prove(bytes, remoteStatic, this.#clock.unixNow())
    if (typeof remote === 'string') return remote
    const { expected } = this.#options
    if (remote.nodeId === this.#identity.nodeId) return 'IDENTITY_OWN'
    if (expected !== undefined && remote.nodeId !== expected) return 'IDENTITY_MISMATCH'
    const remotePayload = new Uint8Array(payload.subarray(CERTIFICATE_BYTES))
    this.#proven = { remote, remoteStatic: new Uint8Array(remoteStatic), remotePayload }
    return undefined
  }

  #establish(proven: Pick<SecureSession, 'remote' | 'remoteStatic' | 'remotePayload'>): SecureSession {
    const { crypto } = this.#identity
    const { suite, label, role } = this.#options
    const handshakeHash = this.#state.handshakeHash
    const [first, second] = this.#state.split()
    const [ours, theirs] = role === 'initiator' ? [first, second] : [second, first]
    const sending = new SessionKey(crypto, suite, label, ours)
    const receiving = new SessionKey(crypto, suite, label, theirs)
    return Object.freeze({ ...proven, handshakeHash, sending, receiving })
  }

  #fail(code: HandshakeErrorCode): void {
    this.#state.wipe()
    this.#proven = undefined
    this.#outcome = new HandshakeError(code, descriptions[code])
  }
}

const faultCodes: Readonly<Record<NoiseFault, HandshakeErrorCode>> = {
  malformed: 'HANDSHAKE_MALFORMED',
  decrypt: 'HANDSHAKE_DECRYPT',
  key: 'KEY_INVALID',
}

const descriptions: Readonly<Record<HandshakeErrorCode, string>> = {
  HANDSHAKE_MALFORMED: 'a handshake message of the wrong size or out of turn',
  HANDSHAKE_DECRYPT: 'a handshake message does not open: other keys, another prologue, or tampering',
  KEY_INVALID: 'the other side uses a key that gives no security',
  CERTIFICATE_INVALID: 'the certificate is not signed by its node, is for another key, or runs too long',
  CERTIFICATE_EXPIRED: 'the certificate has expired, or a clock is wrong',
  IDENTITY_MISMATCH: 'another node answered than the one that was expected',
  IDENTITY_OWN: 'this is ourselves',
}

/** Message 1 carries nothing: what it carried would be open to anybody. */
function checkEmpty(payload: Uint8Array): HandshakeErrorCode | undefined {
  return payload.length === 0 ? undefined : 'HANDSHAKE_MALFORMED'
}
