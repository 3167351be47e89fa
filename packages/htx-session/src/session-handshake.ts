import {
  AivError,
  type CipherSuite,
  type Handshake,
  type HandshakePattern,
  type NodeId,
  type PeerIdentity,
  type SecureChannels,
  type SecureSession,
  equalBytes,
} from '@aiv/transport-api'
import {
  type Capabilities,
  HTX_VERSION,
  decodeCapabilities,
  encodeCapabilities,
  isDowngrade,
  patternByte,
  patternFromByte,
  suiteByte,
  suiteFromByte,
} from './capabilities.js'
import { HtxSessionError } from './errors.js'

/** Largest payload of a HANDSHAKE frame. */
export const MAX_HANDSHAKE_BYTES = 2_048
/** Names HTX in the prologue and in the key schedule. */
export const HTX_LABEL = 'aiv-htx/1.1'
/** Before Noise message 1: version of the handshake, pattern, suite, zero. */
export const HANDSHAKE_HEAD_BYTES = 4
const HANDSHAKE_VERSION = 1
const label = new TextEncoder().encode(HTX_LABEL)

export interface SessionHandshakeStart {
  readonly role: 'initiator' | 'responder'
  readonly secure: SecureChannels
  readonly expected: NodeId | undefined
  readonly remoteStatic: Uint8Array | undefined
  readonly capabilities: Capabilities
}

/** Both sides are proven. `fault`: and yet this session must not be. */
export interface EstablishedHandshake {
  readonly session: SecureSession
  readonly pattern: HandshakePattern
  readonly suite: CipherSuite
  readonly remoteCapabilities: Capabilities
  /** Responder: what came early with the first message. */
  readonly early: Uint8Array | undefined
  readonly fault: HtxSessionError | undefined
}

/**
 * A Noise handshake in HANDSHAKE payloads: which pattern and suite, and what both sides can do. The choice is in the
 * prologue, so that nobody in between can change it, and what each side can do comes sealed.
 */
export class SessionHandshake {
  readonly #start: SessionHandshakeStart
  #noise: Handshake | undefined
  #pattern: HandshakePattern = 'XX'
  #suite: CipherSuite = 'aes-256-gcm'
  /** Goes before the first message. */
  #head: Uint8Array | undefined
  #fault: AivError | undefined
  #established: EstablishedHandshake | undefined

  constructor(start: SessionHandshakeStart) {
    this.#start = start
    if (start.role === 'responder') return
    const [suite = 'aes-256-gcm'] = start.secure.suites
    const { secure, expected, remoteStatic } = start
    const resumes = expected !== undefined && secure.canResume?.(expected) === true
    this.#pattern = remoteStatic === undefined || resumes ? 'XX' : 'XK'
    this.#suite = suite
    this.#head = Uint8Array.of(HANDSHAKE_VERSION, patternByte[this.#pattern], suiteByte[suite], 0)
    this.#noise = this.#begin(this.#head)
  }

  /** `undefined` while it goes on. Asking for it is what derives the keys. */
  get outcome(): EstablishedHandshake | AivError | undefined {
    if (this.#fault === undefined && this.#established === undefined) this.#look()
    return this.#fault ?? this.#established
  }

  /**
   * Initiator that builds on the last handshake: whom with, and what that side could do then. Its first message can carry
   * something early.
   */
  get resumes(): { readonly remote: PeerIdentity; readonly remoteCapabilities: Capabilities } | undefined {
    const resumes = this.#noise?.resumes
    const remoteCapabilities = resumes === undefined ? undefined : decodeCapabilities(resumes.remotePayload)
    return resumes && remoteCapabilities && { remote: resumes.remote, remoteCapabilities }
  }

  /** Responder: what came early with the first message. */
  get early(): Uint8Array | undefined {
    return this.#noise?.early
  }

  /** The payload of a HANDSHAKE frame. What is wrong with it shows in {@link outcome}. */
  handleMessage(payload: Uint8Array): void {
    if (this.outcome !== undefined) return
    if (payload.length > MAX_HANDSHAKE_BYTES)
      return this.#fail(new HtxSessionError('MALFORMED', `${payload.length} bytes of handshake in one frame`))
    let message = payload
    if (this.#noise === undefined) {
      const noise = this.#accept(payload)
      if (noise === undefined) return
      this.#noise = noise
      message = payload.subarray(HANDSHAKE_HEAD_BYTES)
    }
    this.#noise.handleMessage(message)
  }

  /** The payload of the next HANDSHAKE frame, or `undefined`. `early` is for the first one where there is {@link resumes}. */
  pollMessage(early?: Uint8Array): Uint8Array | undefined {
    if (this.#fault !== undefined) return undefined
    const message = this.#noise?.pollMessage(early)
    if (message === undefined) return undefined
    const head = this.#head
    this.#head = undefined
    if (head === undefined) return message
    const out = new Uint8Array(head.length + message.length)
    out.set(head)
    out.set(message, head.length)
    return out
  }

  /** The responder reads the first frame. */
  #accept(payload: Uint8Array): Handshake | undefined {
    const pattern = patternFromByte(payload[1])
    const suite = suiteFromByte(payload[2])
    if (payload[0] !== HANDSHAKE_VERSION || payload[3] !== 0 || pattern === undefined || suite === undefined)
      return this.#fail(new HtxSessionError('HANDSHAKE_UNSUPPORTED', 'a handshake that nobody defined'))
    if (!this.#start.secure.suites.includes(suite))
      return this.#fail(new HtxSessionError('HANDSHAKE_UNSUPPORTED', `the suite ${suite} is not available here`))
    this.#pattern = pattern
    this.#suite = suite
    return this.#begin(payload.subarray(0, HANDSHAKE_HEAD_BYTES))
  }

  #begin(head: Uint8Array): Handshake {
    const prologue = new Uint8Array(label.length + 1 + head.length)
    prologue.set(label)
    prologue.set(head, label.length + 1)
    const { role, secure, expected, remoteStatic, capabilities } = this.#start
    return secure.start({
      role,
      pattern: this.#pattern,
      suite: this.#suite,
      label: HTX_LABEL,
      prologue,
      payload: encodeCapabilities(capabilities),
      expected,
      remoteStatic: this.#pattern === 'XK' ? remoteStatic : undefined,
      resume: true,
    })
  }

  #fail(error: AivError): undefined {
    this.#fault = error
    return undefined
  }

  #look(): void {
    const outcome = this.#noise?.outcome
    if (outcome === undefined) return
    if (outcome instanceof AivError) return this.#fail(outcome)
    const met = this.#noise?.resumes?.remote
    // a node id is half of a hash of the key
    if (met !== undefined && !equalBytes(met.publicKey, outcome.remote.publicKey))
      return this.#fail(new AivError('IDENTITY_MISMATCH', 'another key answers under the same id'))
    const ours = this.#start.capabilities
    const theirs = decodeCapabilities(outcome.remotePayload)
    const fault =
      theirs === undefined
        ? new HtxSessionError('MALFORMED', 'the capabilities of the other side cannot be read')
        : isDowngrade(HTX_VERSION, ours.versions, theirs.versions)
          ? new HtxSessionError('DOWNGRADE', 'both sides know a higher version than the one in use')
          : undefined
    this.#established = {
      session: outcome,
      pattern: this.#pattern,
      suite: this.#suite,
      remoteCapabilities: theirs ?? ours,
      early: this.early,
      fault,
    }
  }
}
