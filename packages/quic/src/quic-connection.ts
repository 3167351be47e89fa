import {
  AivError,
  ArgumentError,
  type Bytes,
  type ByteStream,
  byteLength,
  type Clock,
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type ConnectionStats,
  type Millis,
  type PacketInfo,
  type Path,
  type PeerIdentity,
  type Priority,
  type Random,
  type SendOptions,
  type SendResult,
  socketAddress,
  type Timer,
} from '@aiv/transport-api'
import type { BufferPool } from './buffer-pool.js'
import { closeName, closeNumber } from './close-codes.js'
import { encodeEarlyOpening, type EarlyRegister } from './early-data.js'
import { QuicError } from './errors.js'
import { Liveness } from './liveness.js'
import { PacketQueues } from './packet-queues.js'
import { PacketReceiver, type PacketReceiverHandler } from './packet-receiver.js'
import { type EarlyAllowance, PacketSender } from './packet-sender.js'
import { type ByteStreamOwner, QuicByteStream, STREAM_REFUSED } from './quic-byte-stream.js'
import type {
  QuicClose,
  QuicPathChange,
  QuicSession,
  QuicSessionHandler,
  QuicStreams,
  UdpAddress,
} from './quic-engine.js'
import { DATAGRAM_PACKET, DATAGRAM_REBOUND } from './stream-format.js'

/** How long `close` waits for what was accepted to be acknowledged, in ms. */
const CLOSE_FLUSH_MS = 2_000
/** Early data that is kept in case it has to be sent again. */
const MAX_EARLY_BYTES = 65_536
/** RFC 9000 section 20.1: what an application's close becomes before the handshake is done. */
const APPLICATION_ERROR = 0x0c
/** Nothing moves for so long after the dialler's address has changed, and a fresh connection is the way out, in ms. */
const STALLED_MS = 1_500
/** A round trip is asked of the engine no more often than this. */
const RTT_REFRESH_MS = 100

const reliable: PacketInfo = Object.freeze({ delivery: 'reliable', early: false })
const reliableEarly: PacketInfo = Object.freeze({ delivery: 'reliable', early: true })
const datagram: PacketInfo = Object.freeze({ delivery: 'datagram', early: false })

/** What all connections of a transport share. */
export interface QuicConnectionShared {
  readonly transport: string
  readonly clock: Clock
  readonly random: Random
  readonly maxPacketBytes: number
  readonly maxQueuedBytes: number
  readonly buffers: BufferPool
  /** At least 64 KiB, used within one call only. */
  readonly scratch: Uint8Array
  readonly register: EarlyRegister
  identify(chain: readonly Uint8Array[]): PeerIdentity | undefined
  /** False: no memory is left for unfinished packets. */
  reserve(bytes: number): boolean
  release(bytes: number): void
}

export interface QuicConnectionParts {
  readonly shared: QuicConnectionShared
  readonly session: QuicSession
  readonly keepAliveMs: number
  readonly maxAgeMs: number
  readonly owner: QuicConnectionOwner
  /** False: ready only when the handshake is confirmed, whatever was sent before. */
  readonly handOutEarly: boolean
  /** A fresh session without early data, for a dialler whose early data was refused. */
  readonly reconnect: (() => Promise<QuicSession>) | undefined
}

/** Whoever made the connection. */
export interface QuicConnectionOwner {
  /** It is known who the other side is, by certificate; asked again when early data is confirmed. An error refuses it. */
  onIdentity(remote: PeerIdentity): AivError | undefined
  /** It may be handed out. Once. */
  onReady(connection: QuicConnection): void
  /** The handshake is done; `wasEarly`: after data that was taken before it. */
  onEstablished(wasEarly: boolean): void
  /** To resume with; a secret, and the receiver's to wipe. */
  onTicket(ticket: Uint8Array): void
  /** Early data was refused and is sent again. */
  onEarlyRefused(): void
  onPath(change: QuicPathChange): void
  /** Before or after it was ready. */
  onClosed(connection: QuicConnection, reason: CloseReason, error: AivError | undefined): void
}

/** The shell around one engine session: packets in and out of streams, datagrams, liveness, one timer. */
export class QuicConnection implements Connection, QuicSessionHandler, PacketReceiverHandler, ByteStreamOwner {
  readonly transport: string
  readonly direction: 'dialled' | 'accepted'
  readonly #parts: QuicConnectionParts
  readonly #shared: QuicConnectionShared
  readonly #clock: Clock
  readonly #queues: PacketQueues
  readonly #sender: PacketSender
  readonly #liveness: Liveness
  readonly #bidi = new Map<number, QuicByteStream>()
  /** Streams that are over here and perhaps not yet in the engine; bounded by the credit for streams. */
  readonly #leaving = new Set<number>()
  readonly #openedAt: Millis
  #receiver: PacketReceiver
  #session: QuicSession
  #path: Path | undefined
  #remote: PeerIdentity | undefined
  #handler: ConnectionHandler | undefined
  #ready = false
  #established = false
  /** Early data was sent, or taken. */
  #wasEarly = false
  #handedOutEarly = false
  #toldEstablished = false
  #hasTicket = false
  #opening: EarlyAllowance | undefined
  /** The accepted side has seen an opening that counts. */
  #opened = false
  #paused = false
  #driving = false
  #scheduled = false
  #again = false
  #wrote = false
  #turnAt: Millis = 0
  #rttMs: number | undefined
  #rttAt: Millis = -Infinity
  #nextBidi: number
  /** Since when a stall is watched for. */
  #watchFrom: Millis | undefined
  #closing: { readonly code: number; readonly reason: string; readonly until: Millis } | undefined
  /** What ended it, once it has. */
  #closed: CloseReason | undefined
  #told = false
  #failure: AivError | undefined
  #timer: Timer | undefined
  #timerAt: Millis = 0
  #willLookAround = false
  #onceDown: (() => void)[] = []

  constructor(parts: QuicConnectionParts) {
    const { shared, session } = parts
    this.#parts = parts
    this.#shared = shared
    this.#clock = shared.clock
    this.#session = session
    this.transport = shared.transport
    this.direction = session.direction
    const now = this.#clock.now()
    this.#openedAt = now
    const observer = {
      onSent: (tag: number) => this.#handler?.onSent?.(tag),
      onDropped: (tag: number, code: string) => this.#handler?.onDropped?.(tag, code),
    }
    this.#queues = new PacketQueues(shared.maxQueuedBytes, observer)
    this.#sender = new PacketSender(this.direction, this.#queues, shared.buffers, observer.onSent)
    this.#receiver = new PacketReceiver(this, shared.maxPacketBytes, shared.scratch)
    this.#liveness = new Liveness(now, parts.keepAliveMs)
    this.#nextBidi = this.direction === 'dialled' ? 0 : 1
  }

  /** Begins. Once, by whoever made the connection. */
  start(): void {
    this.#session.attach(this)
    this.#lookAtHandshake()
  }

  /** @throws ArgumentError before the other side is known; a connection is not handed out before that. */
  get remote(): PeerIdentity {
    if (this.#remote === undefined) throw new ArgumentError('the handshake has not ended: nobody is proven yet')
    return this.#remote
  }

  get session(): QuicSession {
    return this.#session
  }

  get early(): boolean {
    return this.#handedOutEarly && !this.#established
  }

  get attached(): boolean {
    return this.#handler !== undefined
  }

  get streams(): QuicStreams {
    return this.#session.streams
  }

  get path(): Path {
    this.#path ??= this.#describePath()
    return this.#path
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new ArgumentError('a connection takes one handler')
    this.#handler = handler
    this.#schedule()
  }

  send(packet: Bytes, options: SendOptions): SendResult {
    if (this.#closed !== undefined || this.#closing !== undefined) return 'closed'
    const length = packet instanceof Uint8Array ? packet.length : byteLength(packet)
    const asDatagram = options.delivery === 'datagram' && this.path.maxDatagramBytes > 0
    if (length > (asDatagram ? this.path.maxDatagramBytes : this.#shared.maxPacketBytes)) return 'too-large'
    const taken = this.#queues.push(options.priority, {
      bytes: packet,
      length,
      datagram: asDatagram,
      repeatable: options.repeatable === true,
      expiresAt: options.expiresAt ?? Infinity,
      tag: options.tag,
    })
    if (!taken) return 'full'
    this.#schedule()
    return 'accepted'
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  probe(): void {
    if (this.#closed !== undefined) return
    this.#liveness.pinged(this.#clock.now(), true)
    this.#session.ping()
    this.#arm()
  }

  stats(): ConnectionStats {
    const { rttMs, lostPackets, sentPackets, sentBytes, receivedBytes, deliveryBytesPerSecond } = this.#session.stats()
    return {
      rttMs,
      rttVarianceMs: undefined,
      lossRatio: sentPackets === 0 ? undefined : Math.min(1, lostPackets / sentPackets),
      deliveryBytesPerSecond,
      receivedBytes,
      sentBytes,
      onAirBytes: sentBytes,
      queuedBytes: this.#queues.queuedBytes,
      unconfirmedBytes: this.#closed === undefined ? this.#sender.unconfirmedBytes(this.#session.streams) : 0,
      lastHeardAt: this.#session.lastHeardAt,
    }
  }

  openStream(options: { readonly priority: Priority }): ByteStream {
    const stream = new QuicByteStream(this.#nextBidi, this, options.priority)
    this.#nextBidi += 4
    if (this.#closed !== undefined || this.#closing !== undefined) stream.end()
    else this.#bidi.set(stream.id, stream)
    this.#schedule()
    return stream
  }

  /** Moves to a fresh socket: after a change of the local address. Resolves when it has moved, or cannot. */
  async migrate(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#closed === undefined) await this.#session.migrate()
    options.signal?.throwIfAborted()
  }

  close(options: { readonly code: number; readonly reason: string } = { code: 0, reason: '' }): Promise<void> {
    if (this.#closed !== undefined) return Promise.resolve()
    this.#closing ??= { ...options, until: this.#clock.now() + CLOSE_FLUSH_MS }
    const down = new Promise<void>((resolve) => this.#onceDown.push(resolve))
    this.#schedule()
    return down
  }

  abort(error: Error): void {
    if (this.#closed !== undefined) return
    const code = error instanceof AivError ? String(error.code) : 'ABORTED'
    this.#failure ??= error instanceof AivError ? error : new QuicError('ABORTED', error.message, { cause: error })
    this.#finish({ by: 'local', code: 'ABORTED', retryable: true })
    this.#session.close(closeNumber(code), '')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // What the session tells

  onProgress(): boolean {
    this.#wrote = false
    this.#drive()
    return this.#wrote || this.#closed !== undefined || this.#isUndelivered()
  }

  /** The engine may hold what it was not allowed to send so far: every acknowledgement may allow it. */
  #isUndelivered(): boolean {
    return this.#hasStreams() || !this.#sender.confirm(this.#session.streams)
  }

  /** A stream is open, or over here and not yet with the other side. */
  #hasStreams(): boolean {
    if (this.#bidi.size > 0) return true
    for (const id of this.#leaving) {
      if (!this.#session.streams.isDelivered(id)) return true
      this.#leaving.delete(id)
    }
    return false
  }

  onPath(change: QuicPathChange): void {
    this.#parts.owner.onPath(change)
    // It stays where it is: alive as long as the old path works, and suspected as soon as that does not answer
    if (change === 'exhausted') return
    // What the engine had on its way to the old address may be lost for good; the dialler has to know to watch for it
    if (change === 'rebound') this.#session.streams.sendDatagram(Uint8Array.of(DATAGRAM_REBOUND))
    this.#path = undefined
    if (this.#ready) this.#handler?.onPath?.(this.path, change)
  }

  onClosed(close: QuicClose): void {
    if (this.#closed !== undefined) return
    if (this.#mayReconnect(close)) return void this.#reconnect()
    // What came with the last words is not lost, whether it was asked for or not
    this.#paused = false
    for (const stream of this.#bidi.values()) stream.resume()
    if (this.#handler !== undefined) this.#readAll()
    this.#finish(this.#closeReason(close))
  }

  // What streams and packets ask

  onPacket(bytes: Uint8Array): void {
    this.#handler?.onPacket(bytes, this.#established || this.direction === 'dialled' ? reliable : reliableEarly)
  }

  onEarlyOpening(opening: Uint8Array): boolean {
    // Refused by TLS, it comes again when the handshake is done, and is early no more
    if (this.#wasEarly && !this.#shared.register.accept(this.#clock.unixNow(), opening)) {
      throw new QuicError('EARLY_REFUSED', 'early data may be a replay')
    }
    this.#opened = true
    return true
  }

  reserve(bytes: number): boolean {
    return this.#shared.reserve(bytes)
  }

  release(bytes: number): void {
    this.#shared.release(bytes)
  }

  isStopped(): boolean {
    return this.#paused || this.#told || this.#handler === undefined || (!this.#established && !this.#opened)
  }

  wake(): void {
    this.#schedule()
  }

  forget(stream: QuicByteStream): void {
    this.#bidi.delete(stream.id)
    this.#leaving.add(stream.id)
  }

  #schedule(): void {
    this.#again = true
    if (this.#driving || this.#scheduled) return
    if (this.#closed === undefined && this.#session.willProgress) return
    this.#scheduled = true
    this.#turnAt = this.#clock.now()
    queueMicrotask(this.#flush)
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    if (this.#driving) return
    this.#drive()
    if (this.#closed === undefined) this.#session.flush()
  }

  /** Reads, hands out, writes: whatever can be done now. */
  #drive(): void {
    if (this.#driving) return
    this.#driving = true
    try {
      do this.#work()
      while (this.#again && this.#closed === undefined)
    } finally {
      this.#driving = false
      if (!this.#willLookAround && this.#closed === undefined && !this.#session.willProgress) {
        this.#willLookAround = true
        queueMicrotask(this.#lookAround)
      }
    }
  }

  #work(): void {
    this.#again = false
    if (this.#closed !== undefined) return this.#tellClosed()
    this.#turnAt = this.#clock.now()
    this.#lookAtHandshake()
    // All of it follows in this turn, together with what is said until then
    if (this.#session.willProgress && this.#closed === undefined) return
    if (this.#handler !== undefined && this.#closed === undefined) this.#readAll()
    // What is sent from within the calls that follow is looked at once more
    this.#again = false
    this.#writeAll()
    this.#lookAtClosing(this.#turnAt)
  }

  /** What need not be known before the answer is on its way. */
  readonly #lookAround = (): void => {
    this.#willLookAround = false
    if (this.#closed !== undefined) return
    this.#lookForTicket()
    this.#lookAtLiveness(this.#turnAt)
    this.#lookForStall(this.#turnAt)
    this.#arm()
  }

  #lookAtHandshake(): void {
    const { state } = this.#session
    if (this.#established || state === 'handshake' || state === 'closed') return
    const early = state === 'early'
    if (early && !this.#wasEarly) {
      this.#wasEarly = true
      if (this.direction === 'dialled') this.#allowEarly()
    }
    const chain = this.#session.peerCertificates()
    // On the accepted side early data and the identity it rests on come in one flight
    if (early && chain.length === 0) return
    // Early data that may be a replay makes no connection: nobody is told before its opening counts
    if (early && this.direction === 'accepted' && !this.#readOpening()) return
    const error = this.#identify(chain)
    if (error !== undefined) return this.#fail(error)
    if (!early) this.#establish()
    if (this.#ready || this.#closed !== undefined || (early && !this.#parts.handOutEarly)) return
    this.#ready = true
    this.#handedOutEarly = early
    this.#parts.owner.onReady(this)
  }

  #allowEarly(): void {
    this.#sender.beginEarly()
    let opening: Uint8Array | undefined = encodeEarlyOpening(this.#clock.unixNow(), this.#shared.random.bytes(16))
    this.#opening = {
      maxBytes: MAX_EARLY_BYTES,
      takeOpening: () => {
        const taken = opening
        opening = undefined
        return taken
      },
    }
  }

  /** True once the first early stream has shown an opening that is new. */
  #readOpening(): boolean {
    if (!this.#opened) this.#guarded(() => this.#readOpeningStreams(this.#session.streams))
    return this.#opened && this.#closed === undefined
  }

  /** Checked at every handshake, and again when a resumed one is confirmed. */
  #identify(chain: readonly Uint8Array[]): AivError | undefined {
    const remote = this.#shared.identify(chain)
    if (remote === undefined) return new QuicError('CERTIFICATE_INVALID', 'no certificate of a node')
    const error = this.#parts.owner.onIdentity(remote)
    if (error !== undefined) return error
    const known = this.#remote
    if (known !== undefined && known.nodeId !== remote.nodeId) {
      return new QuicError('CERTIFICATE_INVALID', 'another node than the one that sent early data')
    }
    this.#remote = remote
    return undefined
  }

  #establish(): void {
    this.#established = true
    this.#opening = undefined
    this.#sender.endEarly()
    this.#path = undefined
    this.#parts.owner.onEstablished(this.#wasEarly)
    this.#tellEstablished()
    this.#schedule()
  }

  #tellEstablished(): void {
    if (!this.#handedOutEarly || !this.#established || this.#toldEstablished || this.#handler === undefined) return
    this.#toldEstablished = true
    this.#handler.onEstablished?.()
  }

  #readAll(): void {
    this.#tellEstablished()
    const { streams } = this.#session
    this.#guarded(() => {
      this.#receiver.resume(streams)
      streams.eachReadable(this.#readStream)
      if (this.#established && !this.#told) this.#readDatagrams(streams)
    })
  }

  readonly #readStream = (id: number): boolean => {
    if (this.#told) return false
    if ((id & 2) !== 0) this.#receiver.read(id, this.#session.streams)
    else if (this.#established) this.#readBidi(id)
    return true
  }

  #readOpeningStreams(streams: QuicStreams): void {
    streams.eachReadable((id) => {
      if ((id & 2) !== 0) this.#receiver.read(id, streams)
      return true
    })
  }

  /** What the other side should not have sent ends the connection and not the program. */
  #guarded(read: () => void): void {
    try {
      read()
    } catch (error) {
      if (!(error instanceof QuicError)) throw error
      this.#fail(error)
    }
  }

  #readBidi(id: number): void {
    let stream = this.#bidi.get(id)
    if (stream === undefined) {
      const ours = ((id & 1) === 0) === (this.direction === 'dialled')
      // Over, as far as we are concerned; what still comes of it is not read
      if (ours) return
      stream = new QuicByteStream(id, this, undefined)
      this.#bidi.set(id, stream)
    }
    const wasOpen = stream.isOpen
    stream.read()
    if (wasOpen || !stream.isOpen) return
    this.#handler?.onStream?.(stream)
    if (stream.hasHandler) stream.read()
    else stream.reset(STREAM_REFUSED)
  }

  #readDatagrams(streams: QuicStreams): void {
    for (let bytes; !this.isStopped() && (bytes = streams.receiveDatagram()) !== undefined;) {
      if (bytes[0] === DATAGRAM_PACKET) this.#handler?.onPacket(bytes.subarray(1), datagram)
      else if (bytes[0] === DATAGRAM_REBOUND && this.direction === 'dialled') this.#watchFrom = this.#turnAt
    }
  }

  #writeAll(): void {
    if (this.#closed !== undefined) return
    const { streams, state } = this.#session
    if (state === 'handshake' || (state === 'early' && this.direction === 'dialled' && this.#opening === undefined))
      return
    let wrote = this.#sender.pump(this.#turnAt, streams, this.#opening)
    if (this.#established && this.#bidi.size > 0) {
      for (const stream of [...this.#bidi.values()]) wrote = stream.pump() || wrote
    }
    if (wrote) {
      this.#wrote = true
      this.#watchFrom &&= this.#turnAt
      this.#liveness.wrote(this.#turnAt)
    }
    const lowest = this.#queues.pollDrain()
    if (lowest !== undefined) this.#handler?.onDrain(lowest)
  }

  /** The first one is enough: it serves one resumption, whose session gives the next. */
  #lookForTicket(): void {
    if (this.#hasTicket || !this.#established || this.direction === 'accepted') return
    const ticket = this.#session.ticket()
    if (ticket === undefined) return
    this.#hasTicket = true
    this.#parts.owner.onTicket(ticket)
  }

  #lookAtLiveness(now: Millis): void {
    if (!this.#ready || this.#closed !== undefined) return
    const { lastHeardAt, streams } = this.#session
    const state = this.#liveness.look(now, lastHeardAt, this.#sender.confirm(streams), () => this.#rtt(now))
    if (state !== undefined) this.#handler?.onLiveness?.(state)
    if (this.#liveness.wantsPing(now, lastHeardAt)) {
      this.#liveness.pinged(now, false)
      this.#session.ping()
    }
    if (this.direction === 'dialled' && now >= this.#openedAt + this.#parts.maxAgeMs) void this.close()
  }

  /**
   * After a change of the dialler's address: credit that was lost with the old path is not given again by the engine,
   * so that a sender could wait for ever. docs/decisions/0224-large-windows-from-the-start.md
   */
  #lookForStall(now: Millis): void {
    const since = this.#watchFrom
    if (since === undefined) return
    if (this.#sender.isIdle) this.#watchFrom = undefined
    else if (now >= since + STALLED_MS) {
      this.#failure = new QuicError('STALLED', 'nothing moves since the path has changed', { retryable: true })
      this.#finish({ by: 'lost', code: 'STALLED', retryable: true })
      this.#session.close(closeNumber('STALLED'), '')
    }
  }

  /** Taken while something is waited for, seldom: asking the engine is not free. */
  #rtt(now: Millis): number | undefined {
    if (now - this.#rttAt >= RTT_REFRESH_MS) {
      this.#rttAt = now
      this.#rttMs = this.#session.stats().rttMs
    }
    return this.#rttMs
  }

  #lookAtClosing(now: Millis): void {
    const closing = this.#closing
    if (closing === undefined || this.#closed !== undefined) return
    const flushed =
      this.#established &&
      this.#sender.isIdle &&
      this.#sender.confirm(this.#session.streams) &&
      [...this.#bidi.values()].every((stream) => stream.isFlushed) &&
      (!this.#hasStreams() || this.#session.isAcknowledged())
    if (!flushed && now < closing.until) return
    this.#finish({ by: 'local', code: 'CLOSED', retryable: true })
    this.#session.close(closing.code, closing.reason)
  }

  #fail(error: AivError): void {
    if (this.#closed !== undefined) return
    this.#failure = error
    this.#finish({ by: 'protocol', code: error.code, retryable: false })
    this.#session.close(closeNumber(error.code), '')
  }

  #closeReason({ by, application, code, reason }: QuicClose): CloseReason {
    if (by === 'timeout') return { by: 'timeout', code: 'IDLE_TIMEOUT', retryable: true }
    if (by === 'remote' && application) return { by: 'remote', code: closeName(code), retryable: true }
    const text = new TextDecoder().decode(reason)
    this.#failure ??= new QuicError('ABORTED', `QUIC error ${code}${text === '' ? '' : `: ${text}`}`, {
      retryable: true,
    })
    return { by, code: by === 'remote' ? 'REMOTE_ERROR' : 'CONNECTION_LOST', retryable: true }
  }

  #mayReconnect(close: QuicClose): boolean {
    return (
      this.#parts.reconnect !== undefined &&
      this.#sender.canRestart &&
      close.by === 'remote' &&
      (close.application ? closeName(close.code) === 'EARLY_REFUSED' : close.code === APPLICATION_ERROR)
    )
  }

  /** Early data was refused: the same packets again, in a session without. */
  async #reconnect(): Promise<void> {
    const { reconnect, owner } = this.#parts
    if (reconnect === undefined) return
    owner.onEarlyRefused()
    try {
      const session = await reconnect()
      if (this.#closed !== undefined) return session.close(0, '')
      this.#receiver.close()
      this.#receiver = new PacketReceiver(this, this.#shared.maxPacketBytes, this.#shared.scratch)
      this.#opening = undefined
      this.#wasEarly = false
      this.#established = false
      this.#sender.restart()
      this.#session = session
      session.attach(this)
    } catch (error) {
      this.#failure ??= error instanceof AivError ? error : new QuicError('ABORTED', String(error), { cause: error })
      this.#finish({ by: 'lost', code: 'CONNECTION_LOST', retryable: true })
    }
  }

  /** From here on nothing is sent or read. */
  #finish(reason: CloseReason): void {
    if (this.#closed !== undefined) return
    this.#closed = reason
    this.#timer?.clear()
    this.#timer = undefined
    this.#receiver.close()
    this.#sender.release()
    this.#queues.dropAll(reason.code)
    for (const stream of this.#bidi.values()) stream.end()
    this.#bidi.clear()
    this.#leaving.clear()
    this.#parts.owner.onClosed(this, reason, this.#failure)
    this.#tellClosed()
    const waiting = this.#onceDown
    this.#onceDown = []
    for (const resolve of waiting) resolve()
  }

  #tellClosed(): void {
    if (this.#told || this.#closed === undefined || this.#handler === undefined) return
    this.#told = true
    this.#handler.onClosed(this.#closed)
  }

  #describePath(): Path {
    const { local, remote, streams } = this.#session
    return Object.freeze({
      hops: 1,
      maxPacketBytes: this.#shared.maxPacketBytes,
      unsegmentedBytes: 1200,
      maxDatagramBytes: Math.max(0, streams.maxDatagramBytes() - 1),
      metered: false,
      local: quicAddress(local),
      remote: quicAddress(remote),
    })
  }

  /** A timer that is due too early is left alone: it looks again when it runs. */
  #arm(): void {
    if (this.#closed !== undefined) return
    const at = this.#nextAt()
    if (this.#timer !== undefined) {
      if (this.#timerAt <= at) return
      this.#timer.clear()
      this.#timer = undefined
    }
    if (at === Infinity) return
    this.#timerAt = at
    this.#timer = this.#clock.setTimeout(this.#onTimer, Math.max(0, at - this.#clock.now()))
  }

  #nextAt(): Millis {
    return Math.min(
      this.#ready ? this.#liveness.nextAt(this.#session.lastHeardAt, this.#rttMs) : Infinity,
      this.#queues.nextExpiryAt(),
      this.#closing?.until ?? Infinity,
      this.#watchFrom === undefined ? Infinity : this.#watchFrom + STALLED_MS,
    )
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    const now = this.#clock.now()
    if (now >= this.#queues.nextExpiryAt()) this.#queues.dropExpired(now)
    this.#flush()
  }
}

/** An end of the path as a URL without a node id; an IPv4-mapped IPv6 address as the IPv4 one. */
export function quicAddress({ host, port }: UdpAddress): string {
  return socketAddress('quic', host, port)
}
