import {
  type Bytes,
  type CloseReason,
  type ConnectionStats,
  type Millis,
  type NodeId,
  type PeerIdentity,
  Priority,
  type Random,
  type SendOptions,
  type SendResult,
  byteLength,
  joinBytes,
  priorities,
} from '@aiv/transport-api'
import { Fragmenter, type FragmenterEvent } from '@aiv/fragments'
import { MAX_MESSAGES_AHEAD, MAX_MESSAGE_HEADER_BYTES, MessageOrder, encodeMessage } from './message-order.js'
import { PROOF_BYTES } from './mesh-core.js'
import { type MeshPacket, MeshPacketType } from './mesh-packet.js'
import type { MeshCrypto } from './mesh-types.js'
import { PacketQueues, type QueuedPacket } from './packet-queues.js'
import { MAX_SEALED_BYTES, type SessionCipher } from './session-cipher.js'
import { type SessionFrame, decodeFrames, encodeFrame } from './session-frames.js'
import { SessionLiveness } from './session-liveness.js'
import type { VerifiedSessionOptions } from './session-options.js'

export type MeshSessionEvent =
  | { readonly type: 'packet'; readonly bytes: Uint8Array; readonly delivery: 'reliable' | 'datagram' }
  | { readonly type: 'drain'; readonly lowest: Priority }
  | { readonly type: 'sent'; readonly tag: number }
  | { readonly type: 'dropped'; readonly tag: number; readonly code: string }
  | { readonly type: 'liveness'; readonly state: 'alive' | 'suspect' }
  | { readonly type: 'hops'; readonly hops: number }
  | { readonly type: 'closed'; readonly reason: CloseReason }

/** What a session is made of. */
export interface MeshSessionParts {
  readonly local: NodeId
  readonly remote: PeerIdentity
  readonly cipher: SessionCipher
  readonly crypto: MeshCrypto
  readonly random: Random
  readonly options: VerifiedSessionOptions
  readonly hops: number
}

/** A fragment with the type byte of its frame fills a sealed packet. */
const FRAGMENT_BYTES = MAX_SEALED_BYTES - 1
export const MAX_DATAGRAM_BYTES = MAX_SEALED_BYTES - 1
/** What goes out as one packet: less the header and the digest of a fragment, and that of a message. */
export const UNSEGMENTED_BYTES = FRAGMENT_BYTES - 20 - MAX_MESSAGE_HEADER_BYTES
const MAX_DATAGRAMS = 32
/** Messages of one priority under way, and bytes beside the first. */
const MAX_UNDER_WAY = 16
const MAX_UNDER_WAY_BYTES = 8_192
/** Bytes that the other side's application has not taken: a single message is always sent when there are none. */
const WINDOW_BYTES = 131_072
/** For emergencies, beyond the window. */
const EMERGENCY_BYTES = 16_384
/** Counted for each message beside its bytes. */
const MESSAGE_COST_BYTES = 16
/** One proof of delivery is asked for at a time; one that is not back by then is not waited for. */
const PROOF_WAIT_MS = 5_000
/** A proof that is owed waits so long for acknowledgements that go with it. */
const PROOF_DELAY_MS = 20
/** A message that nobody answered goes again after this, or when the node is heard of; one that was refused after that. */
const UNANSWERED_RETRY_MS = 30_000
const REFUSED_RETRY_MS = 1_000
const MAX_REFUSALS = 20
/** While credit is waited for it is asked for. */
const CREDIT_QUESTION_MS = 1_000
/** A CLOSE is said again after these, until the other side has said it, too. */
const CLOSE_REPEATS_MS = [500, 2_000, 6_000] as const
const LINGER_MS = 10_000
/** Packets that are kept for a CLOSE of a session that has used up its key. */
const RESERVED_PACKETS = 64

/** Codes of a CLOSE frame: docs/wire/bitchat-native.md. From 256 on the application's own, plus 256. */
export const CloseCode = { Closed: 0, Aborted: 1, KeyLimit: 2, Violation: 3, Refused: 4 } as const
const closeCodes: readonly string[] = ['CLOSED', 'ABORTED', 'KEY_LIMIT', 'FLOW_CONTROL_VIOLATION', 'REFUSED']
const APPLICATION_CODES = 256

interface UnderWay {
  readonly number: number
  readonly priority: Priority
  readonly message: Uint8Array
  tag: number | undefined
  refusals: number
  /** Given up by the fragmenter for now. */
  retryAt: Millis | undefined
}

/**
 * One established session across the mesh, as a state machine: packets of an application in, sealed mesh packets out,
 * and back. Reliable packets are messages of `fragments`, one fragmenter for each priority, so that an urgent one never
 * waits for a window; here they get their numbers, their order and the credit that makes a slow receiver felt.
 */
export class MeshSession {
  readonly #parts: MeshSessionParts
  readonly #openedAt: Millis
  readonly #queues: PacketQueues
  readonly #fragmenters: readonly Fragmenter[]
  /** By the fragmenter's number. */
  readonly #underWay = priorities.map(() => new Map<number, UnderWay>())
  readonly #retries = new Set<UnderWay>()
  readonly #numbers: [number, number, number, number] = [0, 0, 0, 0]
  readonly #order = new MessageOrder()
  readonly #liveness: SessionLiveness
  readonly #events: MeshSessionEvent[] = []
  readonly #inbox: Uint8Array[] = []
  readonly #control: SessionFrame[] = []
  readonly #datagrams: { readonly bytes: Uint8Array; readonly tag: number | undefined }[] = []
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closing: { readonly code: number; readonly reason: string; readonly by: Millis } | undefined
  #closeRepeats: Millis[] = []
  #reason: CloseReason | undefined
  #lingerUntil: Millis | undefined
  #lastCloseAt: Millis = Number.NEGATIVE_INFINITY
  #isPaused = false
  #owed: { readonly id: Uint8Array; readonly sequence: number; readonly at: Millis } | undefined
  #proofAskedAt: Millis | undefined
  #nextPing = 0
  readonly #pingsSent = new Map<number, Millis>()
  #pingRoundTripMs: number | undefined
  #hops: number
  #outstanding = { sent: 0, taken: 0 }
  #received = { bytes: 0, taken: 0, told: 0 }
  #counts = { received: 0, sent: 0, onAir: 0 }

  constructor(now: Millis, parts: MeshSessionParts) {
    const { options, crypto, random, hops } = parts
    this.#parts = parts
    this.#openedAt = now
    this.#hops = hops
    this.#queues = new PacketQueues(options.maxQueuedBytes)
    const components = { sha256: (bytes: Uint8Array) => crypto.sha256(bytes), random }
    const maxMessageBytes = options.maxPacketBytes + MAX_MESSAGE_HEADER_BYTES
    this.#fragmenters = priorities.map(
      () =>
        new Fragmenter(components, {
          fragmentBytes: FRAGMENT_BYTES,
          maxMessageBytes,
          maxQueuedBytes: 2 * maxMessageBytes + MAX_UNDER_WAY_BYTES,
        }),
    )
    this.#liveness = new SessionLiveness(now, options)
  }

  get remote(): PeerIdentity {
    return this.#parts.remote
  }

  get hops(): number {
    return this.#hops
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Why it ended, when it has. */
  get reason(): CloseReason | undefined {
    return this.#reason
  }

  /** True when it may be forgotten: closed, and the other side has heard it or had the time to. */
  isOver(now: Millis): boolean {
    return this.#state === 'closed' && now >= (this.#lingerUntil ?? now)
  }

  set keepAliveMs(ms: number) {
    this.#liveness.keepAliveMs = ms
  }

  send(now: Millis, packet: Bytes, options: SendOptions): SendResult {
    if (this.#state !== 'open') return 'closed'
    const length = byteLength(packet)
    if (options.delivery === 'datagram') {
      if (length > MAX_DATAGRAM_BYTES) return 'too-large'
      // a full queue is where a datagram may be lost
      if (this.#datagrams.length >= MAX_DATAGRAMS) this.#datagrams.shift()
      this.#datagrams.push({ bytes: new Uint8Array(joinBytes(packet)), tag: options.tag })
      return 'accepted'
    }
    if (length > this.#parts.options.maxPacketBytes) return 'too-large'
    if (!this.#queues.push(packet, options)) return 'full'
    this.#expire(now)
    return 'accepted'
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#giveOut()
  }

  probe(now: Millis): void {
    if (this.#state === 'open') this.#liveness.probe(now)
  }

  /** Says goodbye once what was accepted is through, or the time for it is over. */
  close(now: Millis, code: number | undefined, reason = ''): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    const wire = code === undefined ? CloseCode.Closed : APPLICATION_CODES + (code & 0x7fff)
    this.#closing = { code: wire, reason, by: now + this.#parts.options.closeDrainMs }
    this.#closeWhenFlushed(now)
  }

  /** Ends it now; the other side is told as well as it can be. */
  abort(now: Millis, code: number = CloseCode.Aborted): void {
    if (this.#state === 'closed') return
    this.#sayClose(now, { type: 'close', code, reason: '' })
    this.#finish(now, { by: 'local', code: closeCodes[code] ?? 'ABORTED', retryable: false })
  }

  /** Lets the other side know that we have keys, too. */
  greet(now: Millis): void {
    this.#liveness.askBy(now)
  }

  /** The other node is within reach again. */
  peerSeen(now: Millis): void {
    for (const message of this.#retries) message.retryAt = Math.min(message.retryAt ?? now, now)
    if (this.#liveness.isSuspect) this.#liveness.askBy(now)
  }

  /** Block acknowledgements of what came from the other side. */
  owe(blockAck: Uint8Array): void {
    if (this.#state !== 'closed') this.#control.push({ type: 'block-ack', bytes: blockAck })
  }

  /**
   * A packet of the mesh for this session. Fragments in it are given to `onFragment`. False: forged, replayed, or no
   * packet of a session.
   */
  handlePacket(now: Millis, packet: MeshPacket, hops: number, onFragment: (bytes: Uint8Array) => void): boolean {
    const isProof = packet.type === MeshPacketType.Acknowledgement
    if (isProof) this.#proofAskedAt = undefined // the mesh has checked it, and only the other side can make it
    if (isProof && packet.payload.length === PROOF_BYTES) {
      this.#heard(now, packet, hops)
      return true
    }
    const opened = this.#parts.cipher.open(packet)
    if (opened === undefined) return false
    this.#heard(now, packet, hops)
    if (packet.proofWanted) this.#owed = { id: packet.id.slice(), sequence: opened.sequence, at: now + PROOF_DELAY_MS }
    const frames = decodeFrames(opened.plain)
    if (this.#state === 'closed') this.#answerClosed(now, frames ?? [])
    else if (frames === undefined) this.#violated(now)
    else for (const frame of frames) this.#handleFrame(now, frame, onFragment)
    return true
  }

  /** A whole message of the other side. */
  handleMessage(now: Millis, message: Uint8Array): void {
    if (this.#state === 'closed') return
    const packets = this.#order.take(message)
    if (packets === undefined) return this.#violated(now)
    for (const packet of packets) {
      this.#received.bytes += packet.length + MESSAGE_COST_BYTES
      this.#inbox.push(packet)
    }
    const held = this.#received.bytes - this.#received.taken
    if (held > 2 * WINDOW_BYTES + EMERGENCY_BYTES + this.#parts.options.maxPacketBytes) return this.#violated(now)
    this.#giveOut()
  }

  handleTimeout(now: Millis): void {
    if (this.#state === 'closed') {
      if (this.#closeRepeats[0] !== undefined && this.#closeRepeats[0] <= now) {
        this.#closeRepeats.shift()
        this.#control.push({ type: 'close', code: this.#closing?.code ?? CloseCode.Closed, reason: '' })
      }
      return
    }
    this.#expire(now)
    for (const priority of priorities) {
      const fragmenter = this.#fragmenters[priority] as Fragmenter
      const at = fragmenter.nextTimeout()
      if (at !== undefined && at <= now) fragmenter.handleTimeout(now)
      this.#drainFragmenter(now, priority)
    }
    for (const message of this.#retries) if ((message.retryAt ?? now) <= now) this.#resubmit(message)
    const verdict = this.#liveness.check(now, this.roundTripMs)
    if (verdict === 'suspect') this.#events.push({ type: 'liveness', state: 'suspect' })
    if (verdict === 'lost') {
      this.#finish(now, { by: 'lost', code: 'IDLE_TIMEOUT', retryable: true })
      return
    }
    if (now >= this.#openedAt + this.#parts.options.keyLifetimeMs) this.#keyLimit(now)
    this.#closeWhenFlushed(now)
  }

  /** The next packet for the mesh. */
  pollPacket(now: Millis): MeshPacket | undefined {
    if (this.#parts.cipher.left === 0) return undefined
    if (this.#parts.cipher.left <= RESERVED_PACKETS && this.#state !== 'closed') this.#keyLimit(now)
    if (this.#state !== 'closed') this.#feed(now)
    if (this.#state !== 'closed' && this.#liveness.takePing(now, this.roundTripMs)) {
      this.#pingsSent.set(this.#nextPing, now)
      if (this.#pingsSent.size > 8) this.#pingsSent.delete(this.#nextPing - 8)
      this.#control.push({ type: 'ping', number: this.#nextPing++ })
    }
    const owed = this.#owed
    if (owed !== undefined && (this.#control.length > 0 || owed.at <= now)) {
      this.#owed = undefined
      const plain = this.#takeControl(MAX_SEALED_BYTES - PROOF_BYTES)
      const header = this.#header(MeshPacketType.Acknowledgement, Priority.High, false)
      return this.#out(this.#parts.cipher.sealProof(header, owed, plain))
    }
    if (this.#state !== 'closed') {
      for (const priority of priorities) {
        const fragment = this.#fragmenters[priority]?.pollOutput(now)
        if (fragment === undefined) continue
        this.#drainFragmenter(now, priority)
        const last = encodeFrame({ type: 'fragment', bytes: joinBytes(fragment) })
        const plain = joinBytes([this.#takeControl(MAX_SEALED_BYTES - last.length), last])
        this.#liveness.asked(now)
        return this.#sealed(now, priority, plain, true)
      }
    }
    if (this.#control.length > 0) {
      const isQuestion = this.#control.some(({ type }) => type === 'ping')
      return this.#sealed(now, Priority.High, this.#takeControl(MAX_SEALED_BYTES), isQuestion)
    }
    const datagram = this.#datagrams.shift()
    if (datagram === undefined) return undefined
    if (datagram.tag !== undefined) this.#events.push({ type: 'sent', tag: datagram.tag })
    return this.#sealed(now, Priority.Normal, encodeFrame({ type: 'datagram', bytes: datagram.bytes }), false)
  }

  pollEvent(): MeshSessionEvent | undefined {
    return this.#events.shift()
  }

  nextTimeout(): Millis | undefined {
    if (this.#state === 'closed') return this.#closeRepeats[0] ?? this.#lingerUntil
    let at = Math.min(this.#liveness.nextTimeout(this.roundTripMs), this.#openedAt + this.#parts.options.keyLifetimeMs)
    for (const fragmenter of this.#fragmenters) at = Math.min(at, fragmenter.nextTimeout() ?? at)
    for (const { retryAt } of this.#retries) at = Math.min(at, retryAt ?? at)
    at = Math.min(at, this.#queues.nextExpiry() ?? at, this.#owed?.at ?? at, this.#closing?.by ?? at)
    return at
  }

  get roundTripMs(): number | undefined {
    const measured = this.#fragmenters.map(({ roundTripMs }) => roundTripMs).filter((ms) => ms !== undefined)
    return measured.length > 0 ? Math.max(...measured) : this.#pingRoundTripMs
  }

  stats(): ConnectionStats {
    const fragments = this.#fragmenters.reduce((sum, { counts }) => sum + counts.fragments, 0)
    const repeats = this.#fragmenters.reduce((sum, { counts }) => sum + counts.repeats, 0)
    return {
      rttMs: this.roundTripMs,
      rttVarianceMs: undefined,
      lossRatio: fragments === 0 ? undefined : repeats / fragments,
      deliveryBytesPerSecond: undefined,
      receivedBytes: this.#counts.received,
      sentBytes: this.#counts.sent,
      onAirBytes: this.#counts.onAir,
      queuedBytes: this.#queues.bytes,
      unconfirmedBytes: this.#fragmenters.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0),
      lastHeardAt: this.#liveness.lastHeardAt,
    }
  }

  // ---- what comes in

  #heard(now: Millis, packet: MeshPacket, hops: number): void {
    this.#counts.received += packet.payload.length
    if (this.#liveness.heard(now) && this.#state !== 'closed') this.#events.push({ type: 'liveness', state: 'alive' })
    if (hops === this.#hops) return
    this.#hops = hops
    if (this.#state !== 'closed') this.#events.push({ type: 'hops', hops })
  }

  #handleFrame(now: Millis, frame: SessionFrame, onFragment: (bytes: Uint8Array) => void): void {
    if (this.#state === 'closed') return
    switch (frame.type) {
      case 'fragment':
        return onFragment(frame.bytes)
      case 'block-ack':
        for (const priority of priorities) {
          this.#fragmenters[priority]?.handleInput(now, frame.bytes)
          this.#drainFragmenter(now, priority)
        }
        return this.#closeWhenFlushed(now)
      case 'ping':
        this.#control.push({ type: 'pong', number: frame.number }, this.#credit())
        return
      case 'pong': {
        const sentAt = this.#pingsSent.get(frame.number)
        this.#pingsSent.delete(frame.number)
        if (sentAt !== undefined) this.#pingRoundTripMs = now - sentAt
        return
      }
      case 'credit':
        this.#outstanding.taken = Math.max(this.#outstanding.taken, Math.min(frame.takenBytes, this.#outstanding.sent))
        return
      case 'datagram':
        this.#events.push({ type: 'packet', bytes: frame.bytes, delivery: 'datagram' })
        return
      case 'close': {
        this.#sayClose(now, { type: 'close', code: CloseCode.Closed, reason: '' })
        this.#closeRepeats = []
        const code = closeCodes[frame.code] ?? 'CLOSED'
        return this.#finish(now, { by: 'remote', code, retryable: frame.code === CloseCode.KeyLimit })
      }
    }
  }

  /** It goes on although we have closed: it is told again, or it has said so itself. */
  #answerClosed(now: Millis, frames: readonly SessionFrame[]): void {
    if (frames.some(({ type }) => type === 'close')) {
      this.#closeRepeats = []
    } else if (now >= this.#lastCloseAt + CLOSE_REPEATS_MS[0]) {
      this.#lastCloseAt = now
      this.#control.push({ type: 'close', code: this.#closing?.code ?? CloseCode.Closed, reason: '' })
    }
  }

  #giveOut(): void {
    while (!this.#isPaused && this.#state !== 'closed') {
      const bytes = this.#inbox.shift()
      if (bytes === undefined) break
      this.#received.taken += bytes.length + MESSAGE_COST_BYTES
      this.#events.push({ type: 'packet', bytes, delivery: 'reliable' })
    }
    if (this.#received.taken - this.#received.told >= WINDOW_BYTES / 4) this.#control.push(this.#credit())
  }

  #credit(): SessionFrame {
    this.#received.told = this.#received.taken
    return { type: 'credit', takenBytes: this.#received.taken }
  }

  // ---- what goes out

  /** Moves packets from the queues to the fragmenters, as far as window and credit allow. */
  #feed(now: Millis): void {
    for (const priority of priorities) {
      for (let packet; (packet = this.#queues.peek(priority)) !== undefined;) {
        if (!this.#hasRoom(priority, packet)) break
        this.#queues.shift(priority)
        this.#submit(priority, packet)
      }
    }
    if (!this.#queues.isEmpty && this.#outstanding.sent - this.#outstanding.taken >= WINDOW_BYTES / 2) {
      this.#liveness.askBy(now + Math.max(CREDIT_QUESTION_MS, 2 * (this.roundTripMs ?? 0)))
    }
    const lowest = this.#queues.drained()
    if (lowest !== undefined) this.#events.push({ type: 'drain', lowest })
  }

  #hasRoom(priority: Priority, { length }: QueuedPacket): boolean {
    const underWay = this.#underWay[priority] as Map<number, UnderWay>
    if (underWay.size > 0) {
      let first = Number.POSITIVE_INFINITY
      let bytes = 0
      for (const { number, message } of underWay.values()) {
        first = Math.min(first, number)
        bytes += message.length
      }
      if (underWay.size >= MAX_UNDER_WAY || bytes + length > MAX_UNDER_WAY_BYTES) return false
      if (this.#numbers[priority] - first >= MAX_MESSAGES_AHEAD) return false
    }
    const outstanding = this.#outstanding.sent - this.#outstanding.taken
    const window = WINDOW_BYTES + (priority === Priority.Emergency ? EMERGENCY_BYTES : 0)
    return outstanding === 0 || outstanding + length + MESSAGE_COST_BYTES <= window
  }

  #submit(priority: Priority, packet: QueuedPacket): void {
    const number = this.#numbers[priority]++
    const pieces = packet.bytes instanceof Uint8Array ? [packet.bytes] : packet.bytes
    const message = encodeMessage(priority, number, pieces)
    this.#outstanding.sent += packet.length + MESSAGE_COST_BYTES
    this.#counts.sent += packet.length
    this.#resubmit({ number, priority, message, tag: packet.tag, refusals: 0, retryAt: undefined })
  }

  #resubmit(message: UnderWay): void {
    const underWay = this.#underWay[message.priority] as Map<number, UnderWay>
    for (const [number, other] of underWay) if (other === message) underWay.delete(number)
    this.#retries.delete(message)
    message.retryAt = undefined
    // there is always room: fewer are under way than a fragmenter takes
    const number = this.#fragmenters[message.priority]?.send(message.message)
    if (number !== undefined) underWay.set(number, message)
  }

  #drainFragmenter(now: Millis, priority: Priority): void {
    const fragmenter = this.#fragmenters[priority] as Fragmenter
    for (let event; (event = fragmenter.pollEvent()) !== undefined;) this.#onFragmenter(now, priority, event)
  }

  #onFragmenter(now: Millis, priority: Priority, event: FragmenterEvent): void {
    const underWay = this.#underWay[priority] as Map<number, UnderWay>
    const message = underWay.get(event.message)
    if (message === undefined) return
    if (event.type === 'sent') {
      if (message.tag !== undefined) this.#events.push({ type: 'sent', tag: message.tag })
      message.tag = undefined
      return
    }
    if (event.type === 'delivered') {
      underWay.delete(event.message)
      return
    }
    // it keeps its place among those under way: what comes after it waits at the other side
    const isRefused = event.code === 'FRAGMENTS_REFUSED'
    message.retryAt = now + (isRefused ? REFUSED_RETRY_MS : UNANSWERED_RETRY_MS)
    this.#retries.add(message)
    if (isRefused && ++message.refusals > MAX_REFUSALS) this.#end(now, CloseCode.Refused)
  }

  #expire(now: Millis): void {
    for (const { tag } of this.#queues.expire(now)) {
      if (tag !== undefined) this.#events.push({ type: 'dropped', tag, code: 'EXPIRED' })
    }
  }

  #header(type: MeshPacketType, priority: Priority, proofWanted: boolean): Omit<MeshPacket, 'id' | 'payload'> {
    const { local, remote } = this.#parts
    // a suspect path is not trusted: the packet goes every way there is
    const flood = this.#liveness.isSuspect && type === MeshPacketType.Data
    return { type, priority, flood, proofWanted, source: local, destination: remote.nodeId }
  }

  #sealed(now: Millis, priority: Priority, plain: Uint8Array, isQuestion: boolean): MeshPacket {
    const isWaiting = this.#proofAskedAt !== undefined && now < this.#proofAskedAt + PROOF_WAIT_MS
    const proofWanted = isQuestion && !isWaiting
    if (proofWanted) this.#proofAskedAt = now
    return this.#out(this.#parts.cipher.seal(this.#header(MeshPacketType.Data, priority, proofWanted), plain))
  }

  #out(packet: MeshPacket): MeshPacket {
    this.#counts.onAir += (packet.payload.length + 45) * this.#hops
    return packet
  }

  /** Control frames that fit into `room` bytes, the oldest first. A close is always the last of them. */
  #takeControl(room: number): Uint8Array {
    const taken: Uint8Array[] = []
    for (let frame; (frame = this.#control[0]) !== undefined;) {
      const bytes = encodeFrame(frame)
      if (bytes.length > room) break
      room -= bytes.length
      taken.push(bytes)
      this.#control.shift()
    }
    return joinBytes(taken)
  }

  // ---- the end

  #closeWhenFlushed(now: Millis): void {
    if (this.#state !== 'closing' || this.#closing === undefined) return
    const isFlushed =
      this.#queues.isEmpty && this.#datagrams.length === 0 && this.#underWay.every(({ size }) => size === 0)
    if (!isFlushed && now < this.#closing.by) return
    const { code, reason } = this.#closing
    this.#sayClose(now, { type: 'close', code, reason })
    this.#finish(now, { by: 'local', code: 'CLOSED', retryable: false })
  }

  #keyLimit(now: Millis): void {
    this.#end(now, CloseCode.KeyLimit)
  }

  #violated(now: Millis): void {
    this.#end(now, CloseCode.Violation)
  }

  #end(now: Millis, code: number): void {
    if (this.#state === 'closed') return
    this.#sayClose(now, { type: 'close', code, reason: '' })
    const isOurs = code === CloseCode.KeyLimit
    this.#finish(now, { by: isOurs ? 'local' : 'protocol', code: closeCodes[code] ?? 'CLOSED', retryable: isOurs })
  }

  #sayClose(now: Millis, frame: SessionFrame & { type: 'close' }): void {
    this.#closing ??= { code: frame.code, reason: frame.reason, by: now }
    this.#lastCloseAt = now
    this.#closeRepeats = CLOSE_REPEATS_MS.map((ms) => now + ms)
    // nothing else is of interest any more
    this.#control.splice(0, this.#control.length, frame)
  }

  #finish(now: Millis, reason: CloseReason): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#reason = reason
    this.#lingerUntil = now + LINGER_MS
    const tags = this.#queues.clear().map(({ tag }) => tag)
    for (const underWay of this.#underWay) {
      for (const { tag } of underWay.values()) tags.push(tag)
      underWay.clear()
    }
    for (const tag of tags) if (tag !== undefined) this.#events.push({ type: 'dropped', tag, code: reason.code })
    this.#retries.clear()
    this.#datagrams.length = 0
    this.#inbox.length = 0
    this.#events.push({ type: 'closed', reason })
  }
}
