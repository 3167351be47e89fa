import {
  AivError,
  DialError,
  type DialErrorCode,
  type Millis,
  type NodeId,
  type Random,
  type SecureChannels,
  type SecureSession,
  equalBytes,
  toHex,
} from '@aiv/transport-api'
import { Reassembler } from '@aiv/fragments'
import { MAX_MESSAGE_HEADER_BYTES } from './message-order.js'
import { HANDSHAKE_ID_BYTES, MeshHandshake, readHandshakeId, sessionNumber } from './mesh-handshake.js'
import { type MeshPacket, MeshPacketType } from './mesh-packet.js'
import { CloseCode, MeshSession } from './mesh-session.js'
import type { MeshCrypto } from './mesh-types.js'
import { SessionCipher, readSessionTag } from './session-cipher.js'
import type { VerifiedSessionOptions } from './session-options.js'
import { TokenBucket } from './token-bucket.js'

/** What an endpoint is given. */
export interface EndpointComponents {
  readonly nodeId: NodeId
  readonly secure: SecureChannels
  readonly crypto: MeshCrypto
  readonly random: Random
  /** Whether somebody may connect: before the handshake (`undefined`), and after it. */
  readonly admit: (node: NodeId | undefined) => boolean
}

export type EndpointEvent =
  | { readonly type: 'dialled'; readonly dial: number; readonly session: MeshSession }
  | { readonly type: 'dial-failed'; readonly dial: number; readonly error: DialError }
  | { readonly type: 'accepted'; readonly session: MeshSession }

interface Dial {
  readonly number: number
  readonly node: NodeId
  readonly deadline: Millis
  handshake: MeshHandshake
  /** Established on our side, and not confirmed by the other. */
  session: MeshSession | undefined
  openedAt: Millis
  tries: number
}

interface HalfOpen {
  readonly handshake: MeshHandshake
  readonly link: number
}

/** A half-open handshake of another node is given up after this. */
const HALF_OPEN_MS = 20_000
/** A forged answer ends a handshake: another one is begun, so often. */
const MAX_TRIES = 4
/** When the other side does not confirm its keys for so long, somebody has spoilt its handshake: a fresh one. */
const CONFIRM_MS = 6_000
const MAX_LINK_BUCKETS = 256

/**
 * All sessions of a node across the mesh, as a state machine over mesh packets: dials, accepts within limits, keeps
 * sessions apart, and puts their fragments together within one bound for all.
 */
export class MeshEndpoint {
  readonly #components: EndpointComponents
  readonly #options: VerifiedSessionOptions
  readonly #dials = new Map<number, Dial>()
  /** By remote and handshake id. */
  readonly #halfOpen = new Map<string, HalfOpen>()
  /** By remote, role and number. */
  readonly #sessions = new Map<string, MeshSession>()
  readonly #reassembler: Reassembler<MeshSession>
  readonly #handshakeRates = new Map<number, TokenBucket>()
  readonly #events: EndpointEvent[] = []
  #nextDial = 0
  #maxConnections: number
  #keepAliveMs: number
  /** The session that was polled last, so that all take turns. */
  #polled: string | undefined

  constructor(components: EndpointComponents, options: VerifiedSessionOptions) {
    this.#components = components
    this.#options = options
    this.#maxConnections = options.maxConnections
    this.#keepAliveMs = options.keepAliveMs
    const { crypto } = components
    this.#reassembler = new Reassembler<MeshSession>(
      { sha256: (bytes) => crypto.sha256(bytes) },
      {
        maxMessageBytes: options.maxPacketBytes + MAX_MESSAGE_HEADER_BYTES,
        maxAssembliesPerPeer: 64,
      },
    )
  }

  /** Sessions that are open, and dials and handshakes under way. */
  get load(): number {
    const open = [...this.#sessions.values()].filter(({ isClosed }) => !isClosed).length
    return open + this.#dials.size + this.#halfOpen.size
  }

  get sessions(): Iterable<MeshSession> {
    return this.#sessions.values()
  }

  /** Ceilings of the policy. */
  apply(policy: { readonly maxConnections: number; readonly heartbeatIntervalMs: number }): void {
    this.#maxConnections = Math.min(this.#options.maxConnections, policy.maxConnections)
    this.#keepAliveMs = policy.heartbeatIntervalMs
    for (const session of this.#sessions.values()) session.keepAliveMs = this.#keepAliveMs
  }

  /** Begins to connect; `dialled` or `dial-failed` follows. @throws DialError DIAL_DENIED when there are too many. */
  dial(now: Millis, node: NodeId): number {
    if (this.#isFull()) throw new DialError('DIAL_DENIED', 'as many connections as may be', { retryable: true })
    const number = this.#nextDial++
    const deadline = now + this.#options.dialTimeoutMs
    const handshake = this.#begin(now, node)
    this.#dials.set(number, { number, node, deadline, handshake, session: undefined, openedAt: now, tries: 1 })
    return number
  }

  /** Nobody waits for it any more; no event follows. */
  cancelDial(now: Millis, number: number): void {
    const dial = this.#dials.get(number)
    this.#dials.delete(number)
    dial?.session?.abort(now)
  }

  /** A packet of the mesh for us. */
  handlePacket(now: Millis, packet: MeshPacket, from: { readonly hops: number; readonly link: number }): void {
    if (packet.type === MeshPacketType.Handshake) return this.#onHandshake(now, packet, from)
    if (packet.type === MeshPacketType.Acknowledgement) this.#proven(now, packet, from.hops)
    const tag = readSessionTag(packet)
    if (tag === undefined) return
    const session = this.#sessions.get(key(packet.source, !tag.fromInitiator, tag.number))
    if (session !== undefined) this.#toSession(now, session, packet, from.hops)
  }

  /** An announcement of that node was heard. */
  peerSeen(now: Millis, node: NodeId): void {
    for (const { handshake } of this.#dials.values()) if (handshake.remote === node) handshake.peerSeen(now)
    for (const session of this.#sessions.values()) if (session.remote.nodeId === node) session.peerSeen(now)
  }

  handleTimeout(now: Millis): void {
    for (const dial of this.#dials.values()) this.#checkDial(now, dial)
    for (const [id, { handshake }] of this.#halfOpen) {
      if (now >= handshake.startedAt + HALF_OPEN_MS) this.#halfOpen.delete(id)
    }
    const at = this.#reassembler.nextTimeout()
    if (at !== undefined && at <= now) this.#reassembler.handleTimeout(now)
    this.#drainReassembler(now)
    for (const [id, session] of this.#sessions) {
      const sessionAt = session.nextTimeout()
      if (sessionAt !== undefined && sessionAt <= now) session.handleTimeout(now)
      if (session.isClosed) this.#reassembler.forget(session)
      if (session.isOver(now)) this.#sessions.delete(id)
    }
  }

  pollPacket(now: Millis): MeshPacket | undefined {
    for (const { handshake } of [...this.#dials.values(), ...this.#halfOpen.values()]) {
      const packet = handshake.poll(now)
      if (packet !== undefined) return packet
    }
    for (const [id, session] of this.#inTurn()) {
      const packet = session.pollPacket(now)
      if (packet === undefined) continue
      this.#polled = id
      return packet
    }
    return undefined
  }

  pollEvent(): EndpointEvent | undefined {
    return this.#events.shift()
  }

  nextTimeout(): Millis | undefined {
    let at = this.#reassembler.nextTimeout() ?? Number.POSITIVE_INFINITY
    for (const { handshake, deadline, session, openedAt, tries } of this.#dials.values()) {
      at = Math.min(at, deadline, handshake.nextTimeout() ?? at)
      if (session !== undefined && tries < MAX_TRIES) at = Math.min(at, openedAt + CONFIRM_MS)
    }
    for (const { handshake } of this.#halfOpen.values()) {
      at = Math.min(at, handshake.startedAt + HALF_OPEN_MS, handshake.nextTimeout() ?? at)
    }
    for (const session of this.#sessions.values()) at = Math.min(at, session.nextTimeout() ?? at)
    return Number.isFinite(at) ? at : undefined
  }

  // ---- handshakes

  #begin(now: Millis, node: NodeId): MeshHandshake {
    const { nodeId, secure, random } = this.#components
    let id: Uint8Array
    do id = random.bytes(HANDSHAKE_ID_BYTES)
    while (this.#sessions.has(key(node, true, sessionNumber(id))))
    return new MeshHandshake(now, secure, { id, local: nodeId, remote: node, isInitiator: true })
  }

  #onHandshake(now: Millis, packet: MeshPacket, from: { readonly hops: number; readonly link: number }): void {
    const { handshake: id, message } = readHandshakeId(packet)
    if (message === 2) return this.#onAnswer(now, packet, id, from.hops)
    const name = `${packet.source}/${toHex(id)}`
    const known = this.#halfOpen.get(name)
    if (known === undefined) {
      if (message === 1) return this.#accept(now, name, packet, id, from.link)
      // its last message again: it does not know that we have keys
      this.#sessions.get(key(packet.source, false, sessionNumber(id)))?.greet(now)
      return
    }
    known.handshake.handleMessage(now, message, packet.payload)
    const { outcome } = known.handshake
    if (outcome === undefined) return
    this.#halfOpen.delete(name)
    if (outcome instanceof AivError || outcome.remote.nodeId !== packet.source) return
    this.#established(now, outcome, id, from.hops)
  }

  #accept(now: Millis, name: string, packet: MeshPacket, id: Uint8Array, link: number): void {
    const { nodeId, secure, admit } = this.#components
    if (this.#isFull() || !this.#rateOf(now, link).take(now) || !admit(undefined)) return
    if (this.#halfOpen.size >= this.#options.maxHandshakes) this.#dropHalfOpen()
    const parts = { id: id.slice(), local: nodeId, remote: packet.source, isInitiator: false }
    const handshake = new MeshHandshake(now, secure, parts)
    handshake.handleMessage(now, 1, packet.payload)
    if (handshake.outcome === undefined) this.#halfOpen.set(name, { handshake, link })
  }

  /** The other side of a dial answered. */
  #onAnswer(now: Millis, packet: MeshPacket, id: Uint8Array, hops: number): void {
    for (const dial of this.#dials.values()) {
      const { handshake } = dial
      if (handshake.remote !== packet.source || !equalBytes(handshake.id, id)) continue
      handshake.handleMessage(now, 2, packet.payload)
      const { outcome } = handshake
      if (outcome instanceof AivError) {
        if (dial.tries >= MAX_TRIES) this.#failDial(dial, dialError(outcome))
        else this.#again(now, dial)
      } else if (outcome !== undefined && dial.session === undefined) {
        dial.openedAt = now
        dial.session = this.#open(now, outcome, { isInitiator: true, number: sessionNumber(id) }, hops)
      }
      return
    }
  }

  #established(now: Millis, secure: SecureSession, id: Uint8Array, hops: number): void {
    const session = this.#open(now, secure, { isInitiator: false, number: sessionNumber(id) }, hops)
    if (!this.#isFull(1) && this.#components.admit(secure.remote.nodeId)) {
      session.greet(now)
      this.#events.push({ type: 'accepted', session })
    } else {
      session.abort(now, CloseCode.Refused)
    }
  }

  #open(
    now: Millis,
    secure: SecureSession,
    own: { readonly isInitiator: boolean; readonly number: number },
    hops: number,
  ): MeshSession {
    const { nodeId: local, crypto, random } = this.#components
    const cipher = new SessionCipher(secure, crypto, own)
    const parts = { local, remote: secure.remote, cipher, crypto, random, options: this.#options, hops }
    const session = new MeshSession(now, parts)
    session.keepAliveMs = this.#keepAliveMs
    const name = key(secure.remote.nodeId, own.isInitiator, own.number)
    // the node has begun anew, and this handshake proves that it is it
    this.#sessions.get(name)?.abort(now)
    this.#sessions.set(name, session)
    return session
  }

  #checkDial(now: Millis, dial: Dial): void {
    if (now >= dial.deadline) {
      dial.session?.abort(now)
      this.#failDial(dial, new DialError('DIAL_TIMEOUT', `no answer from ${dial.node}`, { retryable: true }))
    } else if (dial.session !== undefined && now >= dial.openedAt + CONFIRM_MS && dial.tries < MAX_TRIES) {
      dial.session.abort(now)
      this.#again(now, dial)
    }
  }

  #again(now: Millis, dial: Dial): void {
    dial.tries++
    dial.session = undefined
    dial.handshake = this.#begin(now, dial.node)
  }

  #failDial(dial: Dial, error: DialError): void {
    this.#dials.delete(dial.number)
    this.#events.push({ type: 'dial-failed', dial: dial.number, error })
  }

  /** The oldest of the link that most came in on. */
  #dropHalfOpen(): void {
    const counts = new Map<number, number>()
    for (const { link } of this.#halfOpen.values()) counts.set(link, (counts.get(link) ?? 0) + 1)
    let [crowded, most] = [-1, 0]
    for (const [link, count] of counts) if (count > most) [crowded, most] = [link, count]
    for (const [name, { link }] of this.#halfOpen) {
      if (link !== crowded) continue
      this.#halfOpen.delete(name)
      return
    }
  }

  #rateOf(now: Millis, link: number): TokenBucket {
    let bucket = this.#handshakeRates.get(link)
    if (bucket === undefined) {
      const burst = this.#options.handshakesPerMinute
      bucket = new TokenBucket(now, { perSecond: burst / 60, burst })
      if (this.#handshakeRates.size >= MAX_LINK_BUCKETS) this.#handshakeRates.clear()
      this.#handshakeRates.set(link, bucket)
    }
    return bucket
  }

  #isFull(own = 0): boolean {
    return this.load - own >= this.#maxConnections
  }

  // ---- sessions

  #toSession(now: Millis, session: MeshSession, packet: MeshPacket, hops: number): void {
    const onFragment = (bytes: Uint8Array): void => this.#reassembler.handleInput(now, { peer: session, bytes })
    if (!session.handlePacket(now, packet, hops, onFragment)) return
    this.#drainReassembler(now)
    for (const dial of this.#dials.values()) if (dial.session === session) this.#confirmed(dial, session)
  }

  #confirmed(dial: Dial, session: MeshSession): void {
    if (session.reason?.code === 'REFUSED') {
      return this.#failDial(
        dial,
        new DialError('DIAL_REFUSED', `${dial.node} takes no connection`, { retryable: true }),
      )
    }
    this.#dials.delete(dial.number)
    this.#events.push({ type: 'dialled', dial: dial.number, session })
  }

  /** A bare proof names no session: it is for the one that asked, and says that the node lives. */
  #proven(now: Millis, packet: MeshPacket, hops: number): void {
    if (packet.payload.length > 16) return
    for (const session of this.#sessions.values()) {
      if (session.remote.nodeId === packet.source) session.handlePacket(now, packet, hops, () => undefined)
    }
  }

  #drainReassembler(now: Millis): void {
    for (let event; (event = this.#reassembler.pollEvent()) !== undefined;) {
      if (event.type === 'message') event.peer.handleMessage(now, event.bytes)
    }
    for (let out; (out = this.#reassembler.pollOutput()) !== undefined;) out.peer.owe(out.bytes)
  }

  *#inTurn(): Generator<[string, MeshSession]> {
    const polled = this.#polled
    let isAfter = false
    for (const entry of this.#sessions) {
      if (isAfter) yield entry
      else isAfter = entry[0] === polled
    }
    for (const entry of this.#sessions) {
      yield entry
      if (entry[0] === polled) return
    }
  }
}

function key(remote: NodeId, isInitiator: boolean, number: number): string {
  return `${remote}/${isInitiator ? 'i' : 'r'}${number}`
}

const dialCodes: Readonly<Record<string, DialErrorCode>> = {
  IDENTITY_MISMATCH: 'IDENTITY_MISMATCH',
  IDENTITY_OWN: 'IDENTITY_OWN',
}

function dialError(cause: AivError): DialError {
  return new DialError(dialCodes[cause.code] ?? 'HANDSHAKE_FAILED', 'the handshake failed', { cause })
}
