import {
  type AivError,
  joinBytes,
  type Clock,
  type Handshake,
  type HandshakeErrorCode,
  type HandshakeOptions,
  type SecureSession,
} from '@aiv/transport-api'
import { CERTIFICATE_BYTES } from './certificate.js'
import type { X25519KeyPair } from './crypto.js'
import { faultCodes, handshakeError } from './handshake-error.js'
import { establish, type Proven } from './established.js'
import type { Identity } from './identity.js'
import { isLowOrderX25519Key } from './key-checks.js'
import type { KnownCertificates } from './known-certificates.js'
import { HandshakeState } from './noise/handshake-state.js'
import { TICKET_LIFETIME_MS, type ResumptionTickets } from './resumption-tickets.js'

/** Largest payload that a handshake carries beside the certificate. */
export const MAX_HANDSHAKE_PAYLOAD_BYTES = 512
/** XX message 2, the longest: two keys, two tags, certificate, payload. */
export const MAX_MESSAGE_BYTES = 32 + 48 + CERTIFICATE_BYTES + MAX_HANDSHAKE_PAYLOAD_BYTES + 16
const NOTHING = new Uint8Array(0)

/** What all handshakes of a node share. */
export interface HandshakeParts {
  readonly identity: Identity
  readonly clock: Pick<Clock, 'unixNow'>
  readonly known: KnownCertificates
  readonly tickets: ResumptionTickets
}

/** Noise XX or XK, with certificates. */
export class FullHandshake implements Handshake {
  readonly #parts: HandshakeParts
  readonly #options: HandshakeOptions
  readonly #state: HandshakeState
  /** Ours, for the one message that can carry it. Both are taken now: the static key may be replaced meanwhile. */
  readonly #certified: Uint8Array
  readonly #ownStatic: Uint8Array
  #index = 0
  #proven: Proven | undefined
  #outcome: SecureSession | AivError<HandshakeErrorCode> | undefined

  /** @param e - our ephemeral key, where a message with it has gone out already. */
  constructor(parts: HandshakeParts, options: HandshakeOptions, e?: X25519KeyPair) {
    const { identity, clock, known } = parts
    const { role, pattern, suite, prologue, payload } = options
    const rs = role === 'initiator' && pattern === 'XK' ? options.remoteStatic : undefined
    this.#parts = parts
    this.#options = options
    this.#ownStatic = identity.noiseStatic.publicKey
    this.#certified = joinBytes([identity.certificate(clock.unixNow()), payload])
    this.#state = new HandshakeState({
      crypto: identity.crypto,
      pattern,
      suite,
      role,
      prologue,
      s: identity.noiseStatic,
      e,
      rs,
      kept: (key) => known.keptNoiseKey(key),
    })
    // it comes from the other side's record, so it is not our caller's mistake
    if (rs !== undefined && isLowOrderX25519Key(rs)) this.#fail('KEY_INVALID')
  }

  /** Keys are derived when this is first asked for: whoever waits for our last message need not wait for them. */
  get outcome(): SecureSession | AivError<HandshakeErrorCode> | undefined {
    if (this.#outcome === undefined && this.#proven !== undefined && this.#state.isComplete) {
      this.#outcome = establish(this.#parts, this.#options, this.#state, this.#proven)
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
    const rs = this.#parts.known.noiseKeyOf(expected)
    if (rs !== undefined) this.#state.foresee(rs)
  }

  /** Certificate ‖ payload of the other side: who it is, and whether that is who it should be. */
  #proveRemote(payload: Uint8Array): HandshakeErrorCode | undefined {
    const remoteStatic = this.#state.remoteStatic
    if (remoteStatic === undefined || payload.length < CERTIFICATE_BYTES) return 'HANDSHAKE_MALFORMED'
    if (payload.length > CERTIFICATE_BYTES + MAX_HANDSHAKE_PAYLOAD_BYTES) return 'HANDSHAKE_MALFORMED'
    const bytes = payload.subarray(0, CERTIFICATE_BYTES)
    const { identity, clock, known } = this.#parts
    const now = clock.unixNow()
    const remote = known.prove(bytes, remoteStatic, now)
    if (typeof remote === 'string') return remote
    const { expected } = this.#options
    if (remote.nodeId === identity.nodeId) return 'IDENTITY_OWN'
    if (expected !== undefined && remote.nodeId !== expected) return 'IDENTITY_MISMATCH'
    this.#proven = {
      remote,
      remoteStatic: new Uint8Array(remoteStatic),
      remotePayload: new Uint8Array(payload.subarray(CERTIFICATE_BYTES)),
      notAfter: Math.min(known.expiryOf(remote.nodeId), now + TICKET_LIFETIME_MS),
      ownStatic: this.#ownStatic,
      resumed: false,
    }
    return undefined
  }

  #fail(code: HandshakeErrorCode): void {
    this.#state.wipe()
    this.#proven = undefined
    this.#outcome = handshakeError(code)
  }
}

/** Message 1 carries nothing: what it carried would be open to anybody. */
function checkEmpty(payload: Uint8Array): HandshakeErrorCode | undefined {
  return payload.length === 0 ? undefined : 'HANDSHAKE_MALFORMED'
}
