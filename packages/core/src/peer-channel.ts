import {
  encodeLinkEnvelopeHeader,
  EPOCH_BYTES,
  epochFromBytes,
  OutboundDelivery,
  type Epoch,
  type Hello,
  type LinkAck,
  type LinkEnvelope,
  type OutboundFailure,
} from '@aiv/routing'
import {
  AivError,
  compareNodeIds,
  priorities,
  type CloseReason,
  type Connection,
  type Millis,
  type NodeId,
  type Priority,
} from '@aiv/transport-api'
import { AckGathering } from './ack-gathering.js'
import type { ChannelHost, Inbound } from './channel-host.js'
import { NodeError } from './errors.js'
import { HandlingLimit } from './handling-limit.js'
import { LazyTimer } from './lazy-timer.js'
import type { OutgoingMessage } from './outgoing-message.js'
import { EarlyLinkError, PacketError, PeerLink, type PeerLinkOwner } from './peer-link.js'
import { DialFailures } from './staggered-dial.js'

/** A connection that lived for this long was a good one. */
const PROVEN_MS = 1_000

/** Below this a message is not worth compressing. */
const COMPRESS_FROM_BYTES = 1_024
/** After a message that did not shrink, so many are not tried. */
const COMPRESS_SKIP = 16
/** Largest decompressed payload; a message may be 16 MiB. */
const DECOMPRESS_LIMIT_BYTES = 16 * 1024 * 1024

/** What a failed link leaves behind, until its messages go out on another one. */
interface Failover {
  readonly from: string
  readonly at: Millis
  messages: number
}

/**
 * All that there is between us and one peer: its connections, what waits for it and what is on its way to it. It
 * decides which connection a message takes, and moves messages when one fails.
 */
export class PeerChannel implements PeerLinkOwner {
  readonly id: NodeId
  readonly outbound: OutboundDelivery<OutgoingMessage>
  readonly #host: ChannelHost
  /** Names the life of this channel's counters: one that is forgotten and made again begins at 0 under another. */
  readonly #epoch: Epoch
  readonly #links: PeerLink[] = []
  /** The connection that each priority uses: it stays as long as it works, so that order is kept. */
  readonly #assigned: (PeerLink | undefined)[] = [undefined, undefined, undefined, undefined]
  /** Taken from the queue, but its connection was full: first in line. */
  readonly #stalled: (OutgoingMessage | undefined)[] = [undefined, undefined, undefined, undefined]
  readonly #timer: LazyTimer
  #failover: Failover | undefined
  /** When the acknowledgement that is being read came in. */
  #acknowledgedAt: Millis = 0
  /** The tag that is being handed to a connection right now; −1: none. */
  #sending = -1
  #pumping = false
  #pumpAgain = false
  #dialing: AbortController | undefined
  #dialRounds = 0
  #dialAgainAt = Infinity
  #everConnected = false
  #queuedUntil = Infinity
  #compressSkip = 0
  readonly #acks = new AckGathering()
  #ackScheduled = false
  readonly #handling = new HandlingLimit((paused) => (paused ? this.pause() : this.resume()))
  #pauses = 0
  #closed = false

  constructor(id: NodeId, host: ChannelHost) {
    this.id = id
    this.#host = host
    this.#epoch = epochFromBytes(host.random.bytes(EPOCH_BYTES))
    this.#timer = new LazyTimer(host.clock, () => this.#onTimer())
    this.outbound = new OutboundDelivery<OutgoingMessage>(
      {
        onDelivered: (message) => {
          message.acknowledged(this.#acknowledgedAt)
          host.metrics?.delivered(message.transport, this.#acknowledgedAt - message.queuedAt)
        },
        onFailed: (message, code) => this.#fail(message, deliveryError(message, code)),
      },
      () => host.random.uniform(),
      host.deliveryOptions,
    )
  }

  get links(): readonly PeerLink[] {
    return this.#links
  }

  /** Nothing waits, nothing is on its way, and nobody dials: the channel may be forgotten. */
  get idle(): boolean {
    return this.#links.length === 0 && !this.#hasWork() && this.#dialing === undefined
  }

  /** Nothing is left that anybody could need: connections, work, or a try to connect. */
  get forgettable(): boolean {
    return this.idle && this.#handling.messages === 0 && this.#connecting === undefined
  }

  /** The less wanted of two connections of one transport: both sides come to the same verdict. */
  isSpare(link: PeerLink): boolean {
    if (link.retired) return this.#links.length > 1
    return this.#links.some(
      (other) =>
        other !== link &&
        other.suspectSince === undefined &&
        !other.retired &&
        other.connection.transport === link.connection.transport &&
        this.#compare(other, link) < 0,
    )
  }

  /** Nothing that went out over this link is unacknowledged. */
  isUnused(link: PeerLink): boolean {
    return priorities.every((priority) => this.#assigned[priority] !== link || !this.outbound.pending(priority))
  }

  /** Connects anew beside a link that has lived for long, and lets that one end once nothing is on its way over it. */
  renew(link: PeerLink): void {
    if (link.retired || this.#connecting !== undefined) return
    link.retired = true
    this.connect().catch(() => {
      link.retired = false // it has to do for a while longer
    })
  }

  /** No message is on its way over this link or expected on it. */
  isQuiet(): boolean {
    return this.outbound.size === 0 && !this.#hasQueued() && this.#handling.messages === 0
  }

  // --- sending -------------------------------------------------------------------------------------------------

  /** Hands the message to a connection now, if that is possible without overtaking one that waits. */
  trySend(message: OutgoingMessage): boolean {
    const { priority } = message
    if (this.#stalled[priority] !== undefined || !this.outbound.hasRoom(priority, message.bytes)) return false
    if (this.#host.queue.has(this.id, priority)) return false
    const link = this.#linkFor(priority)
    return link !== undefined && this.#transmit(message, link, message.queuedAt)
  }

  /** The message waits in the node's queue for this peer, or in the line before it: sees to it that it gets on its way. */
  queued(message: OutgoingMessage): void {
    this.#queuedUntil = Math.min(this.#queuedUntil, message.deadlineAt)
    this.#ensureConnected()
    this.pump()
  }

  /** Sends what waits, as far as connections and windows allow: repeats first, then by priority. */
  pump(): void {
    // a message that is taken makes room for one that waits in line, which calls this again with the first still in hand
    this.#pumpAgain = this.#pumping
    if (this.#pumping) return
    this.#pumping = true
    try {
      do {
        this.#pumpAgain = false
        const now = this.#host.clock.now()
        for (const priority of priorities) {
          while (this.#pumpOne(priority, now));
        }
      } while (this.#pumpAgain)
    } finally {
      this.#pumping = false
    }
    this.#arm()
  }

  #pumpOne(priority: Priority, now: Millis): boolean {
    const repeat = this.outbound.nextRepeat(priority)
    const stalled = this.#stalled[priority]
    if (repeat === undefined && stalled === undefined && !this.#host.queue.has(this.id, priority)) return false
    const link = this.#linkFor(priority)
    if (link === undefined || link.isFull(priority)) return false
    if (repeat !== undefined) return this.#transmit(repeat, link, now)
    if (!this.outbound.hasRoom(priority, stalled?.bytes ?? 0)) return false
    const message = stalled ?? this.#host.queue.take(this.id, priority)
    if (message === undefined) return false
    this.#stalled[priority] = undefined
    if (message.ended) return true // its sender did not wait for it
    if (now >= message.deadlineAt) {
      this.#fail(message, deliveryError(message, 'DELIVERY_TIMEOUT'))
      return true
    }
    if (this.outbound.hasRoom(priority, message.bytes) && this.#transmit(message, link, now)) return true
    if (!message.ended) this.#stalled[priority] = message
    return message.ended
  }

  /** True when the message was accepted, or ended because no connection can ever take it. */
  #transmit(message: OutgoingMessage, link: PeerLink, now: Millis): boolean {
    const { priority } = message
    if (link.isFull(priority)) return false
    const fresh = message.counter < 0
    const counter = fresh ? this.outbound.nextCounter(priority) : message.counter
    const payload = this.#payloadFor(message, link)
    const header = encodeLinkEnvelopeHeader({
      priority,
      compressed: payload !== message.payload,
      ordered: message.ordered,
      acknowledge: true,
      kind: message.kind,
      counter,
      lifetimeS: Math.max(0, Math.ceil((message.deadlineAt - now) / 1000)),
      protocol: message.protocol,
      requestId: message.requestId,
    })
    // the tag names the message while the connection has it: 4 priorities side by side
    const tag = counter * 4 + priority
    this.#sending = tag
    const result = link.connection.send([header, payload], {
      priority,
      delivery: 'reliable',
      expiresAt: message.deadlineAt,
      tag,
    })
    const sentAtOnce = this.#sending !== tag
    this.#sending = -1
    if (result === 'accepted') {
      link.lastUsedAt = now
      message.attempts++
      message.transport = link.connection.transport
      this.#host.metrics?.sent(message.transport)
      if (fresh) this.outbound.add(message, link.number)
      else this.outbound.repeated(message, link.number)
      if (sentAtOnce) this.onSent(link, tag)
      if (this.#failover !== undefined) this.#reportFailover(link, now)
      message.handOver()
      return true
    }
    if (result === 'full') link.markFull(priority)
    if (result === 'too-large') {
      const limit = link.connection.path.maxPacketBytes
      const error = new NodeError(
        'MESSAGE_TOO_LARGE',
        `${message.payload.length} bytes; ${message.transport || link.connection.transport} takes packets of ${limit}`,
      )
      if (fresh) this.#fail(message, error)
      else this.outbound.refuse(priority, counter)
      return true
    }
    return false
  }

  #payloadFor(message: OutgoingMessage, link: PeerLink): Uint8Array {
    const { compressor } = this.#host
    const { payload } = message
    if (compressor === undefined || payload.length < COMPRESS_FROM_BYTES || !link.canDecompress) return payload
    if (message.wire !== undefined) return message.wire
    if (this.#compressSkip > 0) {
      this.#compressSkip--
      return payload
    }
    const smaller = compressor.compress(payload)
    if (smaller === undefined) this.#compressSkip = COMPRESS_SKIP
    return (message.wire = smaller ?? payload)
  }

  #fail(message: OutgoingMessage, error: AivError): void {
    this.#host.metrics?.failed(error.code)
    if (!message.failed(error)) this.#host.emit('undelivered', { receipt: message, error })
  }

  // --- which connection ----------------------------------------------------------------------------------------

  /** The link that this priority uses. It changes only when it must, or when nothing is on its way over it. */
  #linkFor(priority: Priority): PeerLink | undefined {
    const assigned = this.#assigned[priority]
    if (assigned !== undefined && !assigned.closed && assigned.suspectSince === undefined) {
      if (this.#links.length === 1 || this.outbound.pending(priority)) return assigned
    }
    const best = this.#bestLink()
    this.#assigned[priority] = best
    return best
  }

  /** The link that is preferred now. A suspect one is not: what is on its way over it may be lost already. */
  #bestLink(): PeerLink | undefined {
    let best: PeerLink | undefined
    for (const link of this.#links) {
      if (link.closed || link.suspectSince !== undefined) continue
      if (best === undefined || this.#compare(link, best) < 0) best = link
    }
    return best
  }

  #compare(a: PeerLink, b: PeerLink): number {
    if (a.retired !== b.retired) return a.retired ? 1 : -1
    // who opened an unconfirmed one with early data may not be there any more
    const byProof = Number(a.connection.early === true) - Number(b.connection.early === true)
    if (byProof !== 0) return byProof
    const byTransport =
      this.#host.transportRank(a.connection.transport) - this.#host.transportRank(b.connection.transport)
    if (byTransport !== 0) return byTransport
    // crossing connections: both sides choose the one dialled by the smaller id, the older one of several
    const smallerDials = compareNodeIds(this.#host.id, this.id) < 0 ? 'dialled' : 'accepted'
    const byDialler = Number(b.connection.direction === smallerDials) - Number(a.connection.direction === smallerDials)
    return byDialler !== 0 ? byDialler : a.number - b.number
  }

  // --- links come and go ---------------------------------------------------------------------------------------

  /** Takes a connection to this peer into use. */
  adopt(connection: Connection): PeerLink {
    const link = new PeerLink(this.#host.nextLinkNumber(), connection, this, () => this.#host.clock.now())
    this.#links.push(link)
    link.open()
    if (link.closed) return link
    link.adopted = true
    const first = this.#links.length === 1
    if (this.#pauses > 0) link.pause()
    const onConfirmed = (): void => void (this.#everConnected = true)
    link.confirmed().then(onConfirmed, () => undefined)
    this.#dialAgainAt = Infinity
    this.#host.metrics?.connections(connection.transport, 1)
    this.#host.emit('connection-opened', link.info)
    if (first) this.#host.emit('peer-connected', { peer: this.id })
    this.pump()
    return link
  }

  hello(link: PeerLink, heard: boolean): Hello {
    return this.#host.hello(link, { epoch: this.#epoch, firstCounters: this.outbound.firstCounters(), heard })
  }

  onHello(link: PeerLink, hello: Hello): boolean {
    const now = this.#host.clock.now()
    const inbound = this.#host.openInbound(this.id, hello)
    if (inbound === undefined) {
      link.connection.abort(new PacketError('HELLO_REFUSED', 'more senders than can be remembered'))
      return false
    }
    link.inbound = inbound
    if (hello.firstCounters !== undefined) {
      for (const priority of priorities) inbound.skipTo(now, priority, hello.firstCounters[priority])
      this.#deliverReady(link, inbound)
    }
    return this.#host.onHello(link, hello)
  }

  onDrain(): void {
    this.pump()
  }

  onSent(link: PeerLink, tag: number): void {
    if (tag === this.#sending) {
      this.#sending = -1 // within `send`: the message is not noted as under way yet
      return
    }
    const now = this.#host.clock.now()
    this.outbound.sent(now, priorityOfTag(tag), Math.floor(tag / 4), link.travelMs(now))
    this.#timer.arm(this.outbound.nextTimeout())
  }

  onDropped(_link: PeerLink, tag: number): void {
    this.outbound.dropped(priorityOfTag(tag), Math.floor(tag / 4))
    this.pump()
  }

  onLiveness(link: PeerLink): void {
    this.#host.emit('connection-liveness', link.info)
    if (link.suspectSince !== undefined) {
      link.sleepsWhenSuspect = this.#host.sleeps()
      this.#linkFailed(link)
    }
    this.pump()
  }

  onClosed(link: PeerLink, reason: CloseReason): void {
    const index = this.#links.indexOf(link)
    if (index >= 0) this.#links.splice(index, 1)
    const now = this.#host.clock.now()
    // one that breaks at once would otherwise be dialled again at once, for ever
    if (now - link.openedAt < PROVEN_MS || link.connection.early === true) this.#backOff(now)
    else this.#dialRounds = 0
    this.#linkFailed(link)
    if (link.adopted) {
      this.#host.metrics?.connections(link.connection.transport, -1)
      this.#host.emit('connection-closed', { ...link.info, reason })
    }
    this.#host.onLinkClosed(link)
    if (link.adopted && this.#links.length === 0) this.#host.emit('peer-disconnected', { peer: this.id })
    this.pump()
    this.#host.onChannelIdle(this)
  }

  /** What went out over it and is not acknowledged goes out over another one. */
  #linkFailed(link: PeerLink): void {
    for (const priority of priorities) if (this.#assigned[priority] === link) this.#assigned[priority] = undefined
    this.outbound.linkFailed(link.number)
    if (!this.#hasWork()) return
    this.#failover ??= { from: link.connection.transport, at: this.#host.clock.now(), messages: this.outbound.size }
    this.#ensureConnected()
  }

  #reportFailover(link: PeerLink, now: Millis): void {
    const failover = this.#failover
    this.#failover = undefined
    if (failover === undefined) return
    this.#host.metrics?.failover(failover.from)
    this.#host.emit('failover', {
      peer: this.id,
      from: failover.from,
      to: link.connection.transport,
      messages: failover.messages,
      gapMs: now - failover.at,
    })
  }

  // --- receiving -----------------------------------------------------------------------------------------------

  onEnvelope(link: PeerLink, envelope: LinkEnvelope): void {
    const { inbound } = link
    if (inbound === undefined) return
    if (!this.#host.hasRoom(envelope)) return // no place for it: not acknowledged, so the sender repeats it
    const now = this.#host.clock.now()
    link.lastUsedAt = now
    if (inbound.handle(now, envelope) === 'deliver') this.#deliver(link, envelope)
    this.#deliverReady(link, inbound)
    if (this.#acks.onMessage(now, envelope.payload.length)) this.#acknowledgeAfterTurn(link)
    else this.#timer.arm(this.#acks.dueAt)
  }

  #deliverReady(link: PeerLink, inbound: Inbound): void {
    for (let ready; (ready = inbound.pollReady()) !== undefined;) this.#deliver(link, ready)
    this.#timer.arm(inbound.nextTimeout())
  }

  #deliver(link: PeerLink, envelope: LinkEnvelope): void {
    let { payload } = envelope
    if (envelope.compressed) {
      const original = this.#host.compressor?.decompress(payload, DECOMPRESS_LIMIT_BYTES)
      if (original === undefined) {
        link.connection.abort(new AivError('PACKET_MALFORMED', 'a compressed payload that does not decompress'))
        return
      }
      payload = original
    }
    this.#host.metrics?.received(link.connection.transport)
    const handling = this.#host.deliver(this.id, link.connection.transport, envelope, payload)
    if (handling === undefined) return
    const { length } = payload
    this.#handling.begin(length)
    void handling.then(() => this.#handling.end(length))
  }

  /** Withholds credit on all connections to the peer. Calls add up. */
  pause(): void {
    if (this.#pauses++ === 0) for (const link of this.#links) link.pause()
  }

  resume(): void {
    if (--this.#pauses === 0) for (const link of this.#links) link.resume()
  }

  onAcknowledgement(link: PeerLink, ack: LinkAck): void {
    if (ack.epoch !== this.#epoch) return
    const now = this.#host.clock.now()
    link.lastUsedAt = now
    this.#acknowledgedAt = now
    for (const priority of priorities) {
      for (const { first, last } of ack.acknowledged[priority]) {
        this.outbound.acknowledge(priority, first, last - first + 1)
      }
      for (const { first, last } of ack.refused[priority]) {
        this.outbound.refuse(priority, first, last - first + 1)
      }
    }
    if (this.#hasWork()) this.pump()
    else this.#host.onChannelIdle(this)
  }

  #acknowledgeAfterTurn(link: PeerLink): void {
    if (this.#ackScheduled) return
    this.#ackScheduled = true
    queueMicrotask(() => {
      this.#ackScheduled = false
      this.#flushAck(link)
    })
  }

  #flushAck(preferred: PeerLink | undefined): void {
    this.#acks.flushed(this.#host.clock.now())
    const link = preferred !== undefined && !preferred.closed ? preferred : (this.#bestLink() ?? this.#links[0])
    if (link === undefined) return
    const seen = new Set<Inbound>()
    for (const { inbound } of [link, ...this.#links]) {
      if (inbound === undefined || seen.has(inbound)) continue
      seen.add(inbound)
      for (let ack; (ack = inbound.pollAcknowledgement()) !== undefined;) link.sendControl(ack)
    }
  }

  // --- dialling ------------------------------------------------------------------------------------------------

  /** Connects when there is reason to: work, and no link that may carry it. */
  #ensureConnected(): void {
    if (this.#closed || this.#dialing !== undefined || this.#bestLink() !== undefined) return
    if (this.#host.clock.now() < this.#dialAgainAt && this.#dialAgainAt !== Infinity) return
    this.#round(true).catch(() => undefined) // what it means for messages has been seen to in #onDialFailed
  }

  /** A connection whose handshake is confirmed. Rejects with a NodeError. */
  async connect(): Promise<PeerLink> {
    try {
      return await this.#confirmed()
    } catch (error) {
      // what was dialled early for a message won against other addresses, and turned out to be nobody
      if (!(error instanceof EarlyLinkError)) throw error
      return this.#confirmed()
    }
  }

  async #confirmed(): Promise<PeerLink> {
    const link =
      this.#earlyLink('dialled') ?? (await this.#round(false).catch((error: unknown) => this.#orAccepted(error)))
    await link.confirmed()
    return link
  }

  /** It cannot be dialled, but somebody who says that he is it has dialled us. */
  #orAccepted(error: unknown): PeerLink {
    const link = this.#earlyLink('accepted')
    if (link === undefined) throw error
    return link
  }

  #earlyLink(direction: Connection['direction']): PeerLink | undefined {
    return this.#links.find(({ connection }) => connection.early === true && connection.direction === direction)
  }

  /** One round over all addresses; several callers share it. `early`: there is something to say at once. */
  #round(early: boolean): Promise<PeerLink> {
    return (this.#connecting ??= this.#connect(early).finally(() => (this.#connecting = undefined)))
  }

  #connecting: Promise<PeerLink> | undefined

  async #connect(early: boolean): Promise<PeerLink> {
    const dialing = new AbortController()
    this.#dialing = dialing
    this.#dialAgainAt = Infinity
    try {
      const failing = this.#links.filter(({ suspectSince }) => suspectSince !== undefined)
      const avoided = new Set(failing.map((link) => link.connection.transport))
      const { connection, address } = await this.#host.dial(this.id, { avoided, early, signal: dialing.signal })
      this.#dialing = undefined
      if (this.#closed) {
        connection.abort(new NodeError('NODE_CLOSED', 'the node closed'))
        throw new NodeError('NODE_CLOSED', 'the node closed')
      }
      const link = this.#host.adoptDialled(connection)
      link.confirmed().then(
        () => this.#host.worked(this.id, address),
        () => undefined,
      )
      return link
    } catch (error) {
      this.#dialing = undefined
      const failure = this.#onDialFailed(error)
      this.#arm()
      this.#host.onChannelIdle(this)
      throw failure
    }
  }

  #onDialFailed(error: unknown): NodeError {
    const failure = asNodeError(error, this.id)
    if (this.#closed || this.#bestLink() !== undefined) return failure
    const hopeless =
      !failure.retryable || (!this.#everConnected && this.#dialRounds + 1 >= this.#host.settings.dialTries)
    if (hopeless && !this.#everConnected) this.#failQueued(failure)
    else if (hopeless && !failure.retryable && this.#links.length === 0) this.#failQueued(failure)
    if (this.#hasWork()) this.#backOff(this.#host.clock.now())
    return failure
  }

  #backOff(now: Millis): void {
    const { dialBackOffMs } = this.#host.settings
    const wait = dialBackOffMs * 2 ** Math.min(this.#dialRounds, 4)
    this.#dialRounds++
    this.#dialAgainAt = now + wait * (1 + 0.25 * this.#host.random.uniform())
  }

  /** Messages that never went out fail; those that did may have arrived, and have until their deadline. */
  #failQueued(error: NodeError): void {
    for (const priority of priorities) {
      const stalled = this.#stalled[priority]
      this.#stalled[priority] = undefined
      if (stalled !== undefined) this.#fail(stalled, error)
      for (let message; (message = this.#host.queue.take(this.id, priority)) !== undefined;) this.#fail(message, error)
    }
  }

  // --- time ----------------------------------------------------------------------------------------------------

  #onTimer(): void {
    const { clock } = this.#host
    const now = clock.now()
    if (now >= this.#acks.dueAt) this.#flushAck(undefined)
    this.outbound.handleTimeout(now)
    for (const link of [...this.#links]) {
      const { inbound } = link
      if (inbound !== undefined) {
        const due = inbound.nextTimeout()
        if (due !== undefined && now >= due) {
          inbound.handleTimeout(now)
          this.#deliverReady(link, inbound)
          this.#flushAck(link)
        }
      }
      this.#checkDead(link, now)
    }
    if (now >= this.#queuedUntil) this.#expireQueued(now)
    if (now >= this.#dialAgainAt) {
      this.#dialAgainAt = Infinity
      if (this.#hasWork()) this.#ensureConnected()
    }
    // something went out and nothing comes back: ask whether the other side is there
    for (const link of this.#links) if (this.#hasRepeats() && link.suspectSince === undefined) link.connection.probe()
    this.pump()
    this.#host.onChannelIdle(this)
  }

  #checkDead(link: PeerLink, now: Millis): void {
    if (link.suspectSince === undefined || now - link.suspectSince < this.#host.settings.deadAfterMs) return
    if (this.#host.sleeps() !== link.sleepsWhenSuspect) {
      // the machine slept: silence proves nothing, so ask again and judge later
      link.sleepsWhenSuspect = this.#host.sleeps()
      link.suspectSince = now
      link.connection.probe()
      return
    }
    link.connection.abort(new AivError('LINK_DEAD', 'nothing was heard for too long', { retryable: true }))
  }

  #expireQueued(now: Millis): void {
    this.#queuedUntil = Infinity
    for (const priority of priorities) {
      const stalled = this.#stalled[priority]
      if (stalled !== undefined && now >= stalled.deadlineAt) {
        this.#stalled[priority] = undefined
        this.#fail(stalled, deliveryError(stalled, 'DELIVERY_TIMEOUT'))
      } else if (stalled !== undefined) this.#queuedUntil = Math.min(this.#queuedUntil, stalled.deadlineAt)
    }
    this.#queuedUntil = Math.min(this.#queuedUntil, this.#host.queue.expire(this.id, now))
  }

  #arm(): void {
    if (this.#closed) return
    let at = Math.min(this.outbound.nextTimeout() ?? Infinity, this.#queuedUntil, this.#dialAgainAt, this.#acks.dueAt)
    for (const link of this.#links) {
      if (link.suspectSince !== undefined) at = Math.min(at, link.suspectSince + this.#host.settings.deadAfterMs)
      const due = link.inbound?.nextTimeout()
      if (due !== undefined) at = Math.min(at, due)
    }
    this.#timer.arm(at)
  }

  #hasRepeats(): boolean {
    return priorities.some((priority) => this.outbound.nextRepeat(priority) !== undefined)
  }

  #hasQueued(): boolean {
    return priorities.some((p) => this.#stalled[p] !== undefined || this.#host.queue.has(this.id, p))
  }

  #hasWork(): boolean {
    return this.outbound.size > 0 || this.#hasQueued()
  }

  // --- the end -------------------------------------------------------------------------------------------------

  /** Nobody knows it any more: its timer, armed for a deadline long past, would keep the process alive. */
  forgotten(): void {
    this.#closed = true
    this.#timer.clear()
  }

  /** Everything that is not acknowledged fails; links are closed by whoever owns the transports. */
  close(error: NodeError): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer.clear()
    this.#dialing?.abort(error)
    this.#failQueued(error)
    for (const message of this.outbound.drain()) message.failed(error)
  }
}

function priorityOfTag(tag: number): Priority {
  return (tag % 4) as Priority
}

function deliveryError(message: OutgoingMessage, code: OutboundFailure): NodeError {
  const tried = message.attempts === 0 ? 'never sent' : `sent ${message.attempts} times, last over ${message.transport}`
  const why = {
    DELIVERY_TIMEOUT: 'not acknowledged in time',
    DELIVERY_TRIES: 'given up after repeating it',
    DELIVERY_ORDER: 'it arrived after its place in the order had been given up',
  }[code]
  return new NodeError(code, `${why} (${tried})`, { retryable: true })
}

function asNodeError(error: unknown, id: NodeId): NodeError {
  if (error instanceof NodeError) return error
  if (error instanceof DialFailures) {
    // one reason for all, or the only one there is, is worth more than "unreachable"
    return new NodeError('PEER_UNREACHABLE', `${id.slice(0, 8)}…: ${error.message}`, {
      cause: error,
      retryable: error.retryable,
      failures: error.failures,
    })
  }
  return new NodeError('PEER_UNREACHABLE', String(error), { cause: error, retryable: true })
}
