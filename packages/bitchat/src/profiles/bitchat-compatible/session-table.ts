import type { Millis } from '@aiv/transport-api'
import type { CompatibleCrypto, CompatibleIdentity, XxHandshake } from './crypto.js'
import { NoiseSession } from './noise-session.js'
import { peerIdOf, type PeerId } from './peer-id.js'
import { TokenBucket } from '../../token-bucket.js'

export interface SessionLimits {
  /** Peers with a session or a handshake; beyond, the one that was used least recently goes. */
  readonly maxSessions: number
  /** How long ours may take as initiator, in ms. */
  readonly handshakeTimeoutMs: number
  /** As responder, in ms. */
  readonly responderTimeoutMs: number
  /** After this long, in ms, a session is not used for sending. */
  readonly sessionLifetimeMs: number
  /** After this many messages sent. */
  readonly sessionMessages: number
  /** Handshakes with one peer per minute, whoever begins. */
  readonly handshakesPerMinute: number
  /** With all of them, those that others begin. */
  readonly totalHandshakesPerMinute: number
}

/** What became of a handshake message. */
export type HandshakeResult =
  | { readonly type: 'reply'; readonly message: Uint8Array }
  | { readonly type: 'established'; readonly message: Uint8Array | undefined }
  | { readonly type: 'ignored' }
  | { readonly type: 'failed'; readonly reason: 'limit' | 'malformed' | 'identity' }

interface Entry {
  session: NoiseSession | undefined
  /** The other side's static key, proven by the session. */
  noiseKey: Uint8Array | undefined
  /** Replaced: opens what is still on its way. */
  previous: { readonly session: NoiseSession; readonly until: Millis } | undefined
  handshake:
    { readonly state: XxHandshake; readonly role: 'initiator' | 'responder'; readonly until: Millis } | undefined
  /** When something last came through the session. */
  openedAt: Millis
  readonly rate: TokenBucket
}

/** XX message 1: one ephemeral key, nothing else. */
const FIRST_MESSAGE_BYTES = 32
const MAX_HANDSHAKE_BYTES = 2_048
const PREVIOUS_MS = 60_000
const NOTHING = new Uint8Array(0)
const IGNORED: HandshakeResult = { type: 'ignored' }

/**
 * Noise XX sessions by peer. A session is replaced only by one whose handshake is verified to its end, and only when the
 * other side's static key gives the id that it goes by.
 */
export class SessionTable {
  readonly #identity: CompatibleIdentity
  readonly #crypto: CompatibleCrypto
  readonly #own: PeerId
  readonly #limits: SessionLimits
  readonly #rate: TokenBucket
  /** The least recently used first. */
  readonly #entries = new Map<PeerId, Entry>()

  constructor(now: Millis, identity: CompatibleIdentity, crypto: CompatibleCrypto, limits: SessionLimits) {
    this.#identity = identity
    this.#crypto = crypto
    this.#own = peerIdOf(crypto, identity.noiseKey)
    this.#limits = limits
    this.#rate = perMinute(now, limits.totalHandshakesPerMinute)
  }

  get size(): number {
    return this.#entries.size
  }

  /** True when there is a session that may be used for sending. */
  isEstablished(now: Millis, peer: PeerId): boolean {
    const session = this.#entries.get(peer)?.session
    const { sessionLifetimeMs, sessionMessages } = this.#limits
    return session !== undefined && now < session.establishedAt + sessionLifetimeMs && session.sealed < sessionMessages
  }

  /** The static key that a peer proved in its session. */
  noiseKeyOf(peer: PeerId): Uint8Array | undefined {
    return this.#entries.get(peer)?.noiseKey
  }

  /** Our first message of a handshake; `undefined` when one is under way or there were too many. */
  begin(now: Millis, peer: PeerId): Uint8Array | undefined {
    const entry = this.#entry(now, peer)
    if (entry.handshake !== undefined || !entry.rate.take(now)) return undefined
    const state = this.#identity.handshake('initiator')
    const message = state.writeMessage(NOTHING)
    if (typeof message === 'string') return undefined
    entry.handshake = { state, role: 'initiator', until: now + this.#limits.handshakeTimeoutMs }
    return message
  }

  /** A handshake message that claims to be of `peer`. */
  handleHandshake(now: Millis, peer: PeerId, message: Uint8Array): HandshakeResult {
    if (message.length > MAX_HANDSHAKE_BYTES) return { type: 'failed', reason: 'malformed' }
    if (message.length === FIRST_MESSAGE_BYTES) return this.#respond(now, peer, message)
    const entry = this.#entries.get(peer)
    const handshake = entry?.handshake
    if (entry === undefined || handshake === undefined || handshake.state.isOurTurn) return IGNORED
    const { state, role } = handshake
    const fail = (reason: 'malformed' | 'identity'): HandshakeResult => {
      state.wipe()
      entry.handshake = undefined
      return { type: 'failed', reason }
    }
    if (typeof state.readMessage(message) === 'string') return fail('malformed')
    const noiseKey = state.remoteStatic
    // before message 3, so that an impostor does not learn our key
    if (noiseKey === undefined || peerIdOf(this.#crypto, noiseKey) !== peer) return fail('identity')
    const last = role === 'initiator' ? state.writeMessage(NOTHING) : undefined
    if (typeof last === 'string') return fail('malformed')
    const [first, second] = state.split()
    const [sending, receiving] = role === 'initiator' ? [first, second] : [second, first]
    if (entry.session !== undefined) {
      entry.previous?.session.wipe()
      entry.previous = { session: entry.session, until: now + PREVIOUS_MS }
    }
    entry.session = new NoiseSession(now, this.#crypto, new Uint8Array(sending), new Uint8Array(receiving))
    entry.noiseKey = new Uint8Array(noiseKey)
    entry.handshake = undefined
    return { type: 'established', message: last }
  }

  /** `undefined`: no session for sending. */
  seal(now: Millis, peer: PeerId, plain: Uint8Array): Uint8Array | undefined {
    return this.isEstablished(now, peer) ? this.#entry(now, peer).session?.seal(plain) : undefined
  }

  /** The plaintext, or why there is none. */
  open(now: Millis, peer: PeerId, sealed: Uint8Array): Uint8Array | 'no-session' | 'replayed' | 'forged' {
    const entry = this.#entries.get(peer)
    if (entry?.session === undefined) return 'no-session'
    const plain = entry.session.open(sealed)
    if (plain instanceof Uint8Array) entry.openedAt = now
    if (plain instanceof Uint8Array || entry.previous === undefined || now >= entry.previous.until) return plain
    const older = entry.previous.session.open(sealed)
    return older instanceof Uint8Array ? older : plain
  }

  /**
   * The other side may have lost the session, since it does not answer. It ends when it is `quietMs` old and nothing
   * came through it for that long.
   */
  doubt(now: Millis, peer: PeerId, quietMs: number): void {
    const entry = this.#entries.get(peer)
    if (entry?.session === undefined || now - Math.max(entry.session.establishedAt, entry.openedAt) < quietMs) return
    entry.session.wipe()
    entry.session = undefined
  }

  /** Ends the session and any handshake with a peer. */
  #forget(peer: PeerId): void {
    const entry = this.#entries.get(peer)
    entry?.session?.wipe()
    entry?.previous?.session.wipe()
    entry?.handshake?.state.wipe()
    this.#entries.delete(peer)
  }

  /** Gives up handshakes that take too long; the peers that we began one with. */
  handleTimeout(now: Millis): PeerId[] {
    const expired: PeerId[] = []
    for (const [peer, entry] of this.#entries) {
      if (entry.previous !== undefined && now >= entry.previous.until) {
        entry.previous.session.wipe()
        entry.previous = undefined
      }
      if (entry.handshake === undefined || now < entry.handshake.until) continue
      entry.handshake.state.wipe()
      if (entry.handshake.role === 'initiator') expired.push(peer)
      entry.handshake = undefined
    }
    return expired
  }

  nextTimeout(): Millis | undefined {
    let next: Millis | undefined
    for (const { handshake, previous } of this.#entries.values()) {
      for (const at of [handshake?.until, previous?.until]) {
        if (at !== undefined && (next === undefined || at < next)) next = at
      }
    }
    return next
  }

  #respond(now: Millis, peer: PeerId, message: Uint8Array): HandshakeResult {
    const entry = this.#entry(now, peer)
    const running = entry.handshake
    // both began at once: the smaller id goes on as initiator
    if (running?.role === 'initiator' && this.#own < peer) return IGNORED
    if (!entry.rate.take(now) || !this.#rate.take(now)) return { type: 'failed', reason: 'limit' }
    const state = this.#identity.handshake('responder')
    const reply = typeof state.readMessage(message) === 'string' ? 'malformed' : state.writeMessage(NOTHING)
    if (typeof reply === 'string') return { type: 'failed', reason: 'malformed' }
    running?.state.wipe()
    entry.handshake = { state, role: 'responder', until: now + this.#limits.responderTimeoutMs }
    return { type: 'reply', message: reply }
  }

  #entry(now: Millis, peer: PeerId): Entry {
    const known = this.#entries.get(peer)
    const entry = known ?? {
      session: undefined,
      noiseKey: undefined,
      previous: undefined,
      handshake: undefined,
      openedAt: -Infinity,
      rate: perMinute(now, this.#limits.handshakesPerMinute),
    }
    this.#entries.delete(peer)
    this.#entries.set(peer, entry)
    if (known === undefined && this.#entries.size > this.#limits.maxSessions) this.#evict(peer)
    return entry
  }

  /** Peers without a session go first: whoever begins handshakes under many names must not cost us those we have. */
  #evict(keep: PeerId): void {
    let victim: PeerId | undefined
    for (const [peer, { session }] of this.#entries) {
      if (peer === keep) continue
      victim ??= peer
      if (session !== undefined) continue
      victim = peer
      break
    }
    if (victim !== undefined) this.#forget(victim)
  }
}

function perMinute(now: Millis, count: number): TokenBucket {
  return new TokenBucket(now, { perSecond: count / 60, burst: count })
}
