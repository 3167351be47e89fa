import {
  AEAD_TAG_BYTES,
  FRAME_OVERHEAD,
  FrameDecoder,
  FrameFlag,
  type FrameHeader,
  type FrameSink,
  FrameType,
  crc32 as platformCrc32,
  encodeFrame,
  readChunks,
} from '@aiv/htx-codec'
import {
  AivError,
  ArgumentError,
  type Bytes,
  type CloseReason,
  type ConnectionHandler,
  type ConnectionStats,
  MAX_EARLY_BYTES,
  type Millis,
  type PacketInfo,
  type PeerIdentity,
  type ProtocolCore,
  type SendOptions,
  type SendResult,
  byteLength,
  joinBytes,
} from '@aiv/transport-api'
import { AckSchedule } from './ack-schedule.js'
import { type Capabilities, HTX_VERSION } from './capabilities.js'
import { closeName, closeNumber } from './close-codes.js'
import { CompressionGate, MAX_COMPRESSED_PLAIN_BYTES } from './compression-gate.js'
import { ControlLimiter } from './control-limiter.js'
import { PING_BYTES, decodeClose, decodeUint64, encodeClose, encodeUint64 } from './control-payloads.js'
import { DeliveryRate } from './delivery-rate.js'
import { HtxSessionError } from './errors.js'
import { EventQueue } from './event-queue.js'
import { ReceiveCredit, SendCredit } from './flow-control.js'
import { KeepAlive } from './keep-alive.js'
import { MessageAssembler } from './message-assembler.js'
import {
  AeadRecordOpener,
  AeadRecordSealer,
  MIN_KEY_FRAMES,
  MIN_KEY_MS,
  type RecordOpener,
  type RecordSealer,
} from './record-layer.js'
import type { VerifiedHtxSessionOptions } from './options.js'
import { SendQueues } from './send-queues.js'
import { SendScheduler } from './send-scheduler.js'
import type { HtxSessionEvent, HtxSessionStart } from './session-events.js'
import { type EstablishedHandshake, MAX_HANDSHAKE_BYTES, SessionHandshake } from './session-handshake.js'

export type { HtxSessionEvent, HtxSessionStart } from './session-events.js'

const EMPTY = new Uint8Array(0)
/** How long a resumed session waits for something to say before it shows with an empty frame that it is there. */
const PROOF_DELAY_MS = 1
/** How long the first message waits for something that it can carry. */
const EARLY_DELAY_MS = 1

/**
 * One HTX session over one ordered stream of bytes (docs/wire/htx-session.md): handshake, sealed frames, credit,
 * priorities, keep-alive, rekey, close. It decides everything; a shell moves bytes and keeps one timer.
 *
 * `send` may be called in any state but closed; what is sent during the handshake waits for its end. A turn ends with
 * {@link pollOutput}: small messages sent before it share a frame, so that a shell does well to poll in a microtask.
 */
export class HtxSession implements ProtocolCore<HtxSessionEvent, Uint8Array, readonly Uint8Array[]> {
  readonly #start: HtxSessionStart
  /** When there was a link: the session may have been made while it was dialled. */
  #startedAt: Millis
  #started = false
  /** How long making the link took: until there is a better one, a guess at the round trip. */
  #linkMs = 0
  readonly #decoder: FrameDecoder
  readonly #events = new EventQueue()
  readonly #capabilities: Capabilities
  #handshake: SessionHandshake | undefined
  #remoteCapabilities: Capabilities | undefined
  #state: 'handshaking' | 'open' | 'closing' | 'closed' = 'handshaking'
  #now: Millis

  // bytes that are ready before the scheduler is asked: the handshake, a CLOSE
  #ready: Uint8Array[] = []
  #handshakeSentAt: Millis | undefined
  #heardFrame = false
  /** Our last message is sent, and no sealed frame has shown yet that the other side took it. */
  #unconfirmed = false
  /** A resumed handshake that the other side may only have repeated: its first sealed frame proves it. */
  #unproven: EstablishedHandshake | undefined
  /** We owe the other side that frame, and it is sent then at the latest: `Infinity` once that time has come. */
  #owesProof = false
  #proofDueAt: Millis = Infinity
  readonly #earlyRemote: PeerIdentity | undefined
  /** Our first message waits for something that it can carry, and goes then at the latest: `Infinity` once that time has come. */
  #holdsOffer = false
  #offerDueAt: Millis = Infinity
  /** Chunks that went with it, until they are known to be read: else they go again. */
  #early: Uint8Array | undefined
  #earlyMessageBytes = 0

  #sealer: RecordSealer | undefined
  #opener: RecordOpener | undefined
  #keySince: Millis = NaN
  #firstFrameAt: Millis | undefined
  #maxPlainBytes = 0

  readonly #sendCredit = new SendCredit()
  readonly #receiveCredit: ReceiveCredit
  readonly #queues: SendQueues
  readonly #scheduler: SendScheduler
  readonly #assembler: MessageAssembler
  readonly #rate = new DeliveryRate()
  readonly #acks: AckSchedule
  readonly #keepAlive: KeepAlive
  readonly #limiter: ControlLimiter
  readonly #compression: CompressionGate
  /** Credit of whole messages that stand in the event queue. */
  #heldCredit = 0
  #paused = false
  #limited = false
  /** A frame that is not DATA came since the limiter was asked. */
  #talked = false
  #pong: Uint8Array | undefined

  /** The input in hand has completed a frame, or belongs to the handshake. */
  #stirred = false
  // the frame that arrives in pieces
  #frameType = 0
  #frameFlags = 0
  #frameSealed = false
  /** Payload of one that is not sealed: copied, since a view for each byte would hold a hundred times as much. */
  #framePayload = EMPTY
  #frameFilled = 0

  #closeDeadline: Millis = Infinity
  #closeCode = 0
  #closeText = ''
  #closeSent = false
  #closedBy: 'local' | 'remote' = 'local'
  #remoteClose: { readonly code: number; readonly reason: string } | undefined

  #receivedBytes = 0
  #sentBytes = 0

  constructor(now: Millis, start: HtxSessionStart) {
    const { options, role, secure, expected, remoteStatic, budget, compressor, crc32 = platformCrc32 } = start
    this.#start = start
    this.#startedAt = now
    this.#now = now
    this.#decoder = new FrameDecoder({ maxFrameBytes: options.maxFrameBytes, crc32 })
    this.#capabilities = {
      versions: [HTX_VERSION],
      patterns: ['XX', 'XK'],
      suites: secure.suites,
      maxFrameBytes: options.maxFrameBytes,
      maxMessageBytes: options.maxMessageBytes,
      lz4: compressor?.name === 'lz4',
    }
    this.#receiveCredit = new ReceiveCredit(now, options.maxWindowBytes)
    this.#queues = new SendQueues(options.maxQueuedBytes, {
      onSent: (tag) => this.#events.push(tag),
      onDropped: (tag, code) => this.#events.push({ type: 'dropped', tag, code }),
    })
    this.#scheduler = new SendScheduler(this.#queues, this.#sendCredit)
    this.#assembler = new MessageAssembler({
      maxMessageBytes: options.maxMessageBytes,
      minProgressBytesPerSecond: options.minProgressBytesPerSecond,
      progressWindowMs: options.progressWindowMs,
      budget,
      credit: this.#receiveCredit,
      deliver: (bytes, cost) => {
        this.#heldCredit += cost
        this.#events.pushPacket(bytes)
      },
      deliverRun: (messages, cost) => {
        this.#heldCredit += cost
        this.#events.pushPackets(messages)
      },
    })
    this.#acks = new AckSchedule(options.ackDelayMs)
    this.#keepAlive = new KeepAlive(now, options.keepAliveMs, options.idleTimeoutMs)
    this.#limiter = new ControlLimiter(now, options.controlFramesPerSecond, options.controlBytesPerSecond)
    this.#compression = new CompressionGate(compressor)
    this.#handshake = new SessionHandshake({
      role,
      secure,
      expected,
      remoteStatic,
      capabilities: this.#capabilities,
    })
    const resumes = start.early === true ? this.#handshake.resumes : undefined
    this.#earlyRemote = resumes?.remote
    this.#remoteCapabilities = resumes?.remoteCapabilities
    this.#holdsOffer = resumes !== undefined
    if (!this.#holdsOffer) this.#pumpHandshake(this.#handshake)
  }

  /** Whom an initiator with `early` may send to before the handshake has ended: the only one that can read it. */
  get earlyRemote(): PeerIdentity | undefined {
    return this.#earlyRemote
  }

  get options(): VerifiedHtxSessionOptions {
    return this.#start.options
  }

  get state(): 'handshaking' | 'open' | 'closing' | 'closed' {
    return this.#state
  }

  /** False while the other side floods us with frames that are not DATA: the shell stops reading until it is true again. */
  get wantsInput(): boolean {
    return !this.#limited && this.#state !== 'closed'
  }

  // ---- input

  /**
   * Takes the next bytes of the stream, of any number. False where nothing has come of them: the middle of a frame,
   * behind which there is no output, no event and no earlier deadline.
   */
  handleInput(now: Millis, bytes: Uint8Array): boolean {
    if (this.#state === 'closed' || bytes.length === 0) return false
    this.#now = now
    this.#receivedBytes += bytes.length
    this.#stirred = this.#state === 'handshaking'
    if (this.#stirred) this.#concludeHandshake()
    if (this.#keepAlive.heard(now)) this.#events.push({ type: 'liveness', state: 'alive' })
    // behind a CLOSE there is nothing to read, not even frames
    if (this.#deaf()) return true
    this.#assembler.setTime(now)
    try {
      this.#decoder.push(bytes, this.#sink)
    } catch (error) {
      this.#onFault(error)
      return true
    }
    if (this.#stirred) this.#onFrames(now)
    return this.#stirred || this.hasEvents || this.#acks.isDue(now)
  }

  /** What came in one input had at least one whole frame in it. */
  #onFrames(now: Millis): void {
    if (this.#isClosed()) return
    this.#acks.onReceived(now, this.#assembler.messageBytes)
    if (this.#talked || this.#limited) this.#checkLimiter(now)
  }

  /** The byte stream ended or broke. Without a sealed CLOSE before, that is an abort. */
  handleEnd(now: Millis): void {
    this.#now = now
    if (this.#state === 'closed') return
    if (this.#closeSent || this.#remoteClose !== undefined) return this.#finishOrderly()
    const error = new HtxSessionError('CONNECTION_LOST', 'the stream ended without a CLOSE', { retryable: true })
    this.#ready = []
    this.#finish({ by: 'lost', code: error.code, retryable: true }, error)
  }

  handleTimeout(now: Millis): void {
    this.#now = now
    if (this.#state === 'closed') return
    if (now >= this.#closeDeadline) return this.#closeNow()
    if (now >= this.#handshakeDeadline())
      return this.#fail(
        new HtxSessionError('HANDSHAKE_TIMEOUT', 'no handshake in time', { retryable: true }),
        'timeout',
      )
    if (now >= this.#offerDueAt) this.#offerDueAt = Infinity
    if (this.#state === 'handshaking') return this.#checkSuspect(now)
    if (now >= this.#keepAlive.idleAt())
      return this.#fail(new HtxSessionError('IDLE_TIMEOUT', 'not a byte in time', { retryable: true }), 'timeout')
    if (now >= this.#proofDueAt) this.#proofDueAt = Infinity
    this.#acks.onTimeout(now)
    this.#keepAlive.onTimeout(now)
    this.#checkSuspect(now)
    if (now >= this.#queues.nextExpiryAt()) this.#queues.dropExpired(now)
    this.#checkLimiter(now)
    if (!this.#paused && now >= this.#assembler.nextCheckAt() && this.#assembler.checkProgress(now))
      this.#fail(new HtxSessionError('PROGRESS_TIMEOUT', 'an unfinished message hardly moves', { retryable: true }))
  }

  #checkSuspect(now: Millis): void {
    if (this.#keepAlive.checkSuspect(now, this.#expectedRttMs()))
      this.#events.push({ type: 'liveness', state: 'suspect' })
  }

  /** Until one was measured: a dialler knows how long the link took, a listener nothing. */
  #expectedRttMs(): number | undefined {
    if (this.#unproven !== undefined) return Infinity
    return this.#state === 'handshaking' ? this.#linkMs : this.#rate.smoothedRttMs
  }

  // ---- commands

  /**
   * Takes a packet, or says why not: `full` takes nothing and is followed by a `drain` event. The packet's buffers
   * belong to the session from here on.
   * @throws ArgumentError for a priority that there is not.
   */
  send(now: Millis, packet: Bytes, options: SendOptions): SendResult {
    if (this.#state === 'closed' || this.#closeDeadline !== Infinity) return 'closed'
    const { priority, tag, expiresAt = Infinity } = options
    if (!(priority >= 0 && priority <= 3)) throw new ArgumentError(`priority ${String(priority)}`)
    this.#now = now
    const length = byteLength(packet)
    const remoteLimit = this.#remoteCapabilities?.maxMessageBytes ?? Infinity
    if (length > this.#start.options.maxMessageBytes || length > remoteLimit) return 'too-large'
    if (this.#queues.push(packet, length, priority, tag, expiresAt)) return 'accepted'
    this.#queues.refused(priority)
    return 'full'
  }

  /** Withholds credit. Packets that are here already come nevertheless. */
  pause(): void {
    this.#paused = true
  }

  resume(now: Millis): void {
    this.#now = now
    if (!this.#paused) return
    this.#paused = false
    this.#assembler.forgiveProgress(now)
  }

  /** Asks the other side for a sign of life now; the answer, or silence, is a `liveness` event. */
  probe(now: Millis): void {
    this.#now = now
    this.#keepAlive.probe()
  }

  /**
   * Sends what was accepted, then a CLOSE, and waits for the other side's: `closeDrainMs` in all. Then, or at once
   * during the handshake, comes `closed`. Does nothing when called again.
   * @param code - 0, or one of the application's own from 0x1000 to 0xFFFF.
   * @throws ArgumentError for another code.
   */
  close(now: Millis, code = 0, reason = ''): void {
    if (!Number.isInteger(code) || code < 0 || code > 0xffff) throw new ArgumentError(`close code ${code}: 0 to 65,535`)
    this.#now = now
    if (this.#state === 'handshaking') this.#concludeHandshake()
    if (this.#isClosed() || this.#closeDeadline !== Infinity) return
    this.#closeCode = code
    this.#closeText = reason
    if (this.#state === 'handshaking' && !this.#mayHaveSent()) {
      if (this.#sealer !== undefined) this.#sealClose(code, reason, this.#ready)
      else this.#pushPlainClose(code, reason)
      this.#finish({ by: 'local', code: 'CLOSED', retryable: true })
      return
    }
    if (this.#state === 'open') this.#state = 'closing'
    this.#closeDeadline = now + this.#start.options.closeDrainMs
  }

  /** Somebody was told during the handshake that he may send, and did. */
  #mayHaveSent(): boolean {
    return this.#early !== undefined || (this.#earlyRemote !== undefined && this.#queues.messages > 0)
  }

  /**
   * Ends the session at once and without a CLOSE, so that the other side takes it for a broken connection. Packets that came
   * and were not taken are dropped.
   */
  abort(now: Millis, error: Error): void {
    this.#now = now
    this.#events.dropPackets()
    if (this.#state === 'closed') return
    const reason =
      error instanceof AivError
        ? error
        : new HtxSessionError('ABORTED', error.message, { cause: error, retryable: true })
    this.#ready = []
    this.#finish({ by: 'local', code: 'ABORTED', retryable: true }, reason)
  }

  // ---- output

  /**
   * Whole frames as pieces to be written one after another, about `maxOutputBytes` of them; new buffers and, where
   * nothing had to be copied, none of the caller's.
   */
  pollOutput(now: Millis): readonly Uint8Array[] | undefined {
    this.#now = now
    if (this.#state === 'handshaking') this.#pollHandshake(now)
    const out = this.#ready
    if (this.#isOpen()) this.#sealAll(now, out)
    if (out.length === 0) return undefined
    this.#ready = []
    for (let i = 0; i < out.length; i++) this.#sentBytes += (out[i] as Uint8Array).length
    return out
  }

  /** Whether {@link pollEvent} has one. */
  get hasEvents(): boolean {
    return !this.#events.isEmpty
  }

  pollEvent(): HtxSessionEvent | undefined {
    const event = this.#events.shift()
    if (this.#events.isEmpty) this.#releaseHeld()
    return event
  }

  /** Gives out the packets that come next, up to another event, without an object around each of them. */
  takePackets(handler: Pick<ConnectionHandler, 'onPacket'>, info: PacketInfo): void {
    this.#events.takePackets(handler, info)
    if (this.#events.isEmpty) this.#releaseHeld()
  }

  /** Every packet was taken: their credit is the other side's again. */
  #releaseHeld(): void {
    this.#receiveCredit.release(this.#heldCredit)
    this.#heldCredit = 0
  }

  nextTimeout(): Millis | undefined {
    if (this.#state === 'closed') return undefined
    if (this.#state === 'handshaking')
      return Math.min(
        this.#handshakeDeadline(),
        this.#offerDueAt,
        this.#closeDeadline,
        this.#keepAlive.suspectAt(this.#expectedRttMs()),
      )
    return Math.min(
      this.#handshakeDeadline(),
      this.#proofDueAt,
      this.#keepAlive.nextAt(this.#expectedRttMs()),
      this.#acks.dueAt,
      this.#closeDeadline,
      this.#queues.nextExpiryAt(),
      this.#paused ? Infinity : this.#assembler.nextCheckAt(),
      this.#limited ? this.#limiter.resumeAt() : Infinity,
    )
  }

  stats(now: Millis): ConnectionStats {
    this.#now = now
    return {
      rttMs: this.#rate.smoothedRttMs,
      rttVarianceMs: this.#rate.rttVarianceMs,
      // the stream below repeats what is lost without telling
      lossRatio: undefined,
      deliveryBytesPerSecond: this.#rate.bytesPerSecond,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      onAirBytes: this.#sentBytes,
      queuedBytes: this.#queues.queuedBytes,
      unconfirmedBytes: this.#rate.inFlightBytes,
      lastHeardAt: this.#keepAlive.lastHeardAt,
    }
  }

  /** Everything that this turn wants to say, after the handshake. */
  #sealAll(now: Millis, out: Uint8Array[]): void {
    if (this.#early !== undefined) this.#sealEarly(this.#early, out)
    if (this.#pong !== undefined) {
      this.#seal(FrameType.Pong, this.#pong, PING_BYTES, out)
      this.#pong = undefined
    }
    if (this.#acks.isDue(now) || (this.#queues.messages > 0 && this.#acks.mayRide(now))) {
      this.#seal(FrameType.Ack, encodeUint64(this.#acks.take(now)), 8, out)
    }
    if (this.#receiveCredit.due && !this.#paused) {
      const limit = this.#receiveCredit.grant(now, this.#rate.smoothedRttMs ?? 0)
      this.#seal(FrameType.WindowUpdate, encodeUint64(limit), 8, out)
    }
    const ping = this.#keepAlive.pollPing(now)
    if (ping !== undefined) this.#seal(FrameType.Ping, ping, PING_BYTES, out)
    if (this.#queues.messages > 0) this.#sealMessages(now, out)
    // all that waited expired
    else this.#announceRoom()
    if (this.#owesProof) this.#prove(now, out)
    if (this.#state === 'closing' && !this.#closeSent && this.#queues.messages === 0) {
      this.#sealClose(this.#closeCode, this.#closeText, out)
      if (this.#remoteClose !== undefined) this.#finishOrderly()
    }
  }

  /** What went out early and was not read, before everything that was sent since. */
  #sealEarly(early: Uint8Array, out: Uint8Array[]): void {
    this.#early = undefined
    this.#seal(FrameType.Data, early, early.length, out)
    this.#rate.onSent(this.#now, this.#earlyMessageBytes)
  }

  #sealMessages(now: Millis, out: Uint8Array[]): void {
    const limit = this.#start.options.maxOutputBytes
    const frameBytes = this.#rate.frameBytes(this.#maxPlainBytes + FRAME_OVERHEAD + AEAD_TAG_BYTES)
    const plainBytes = frameBytes - FRAME_OVERHEAD - AEAD_TAG_BYTES
    let room = this.#rate.maxInFlightBytes() - this.#rate.inFlightBytes
    let sent = 0
    for (let bytes = 0; bytes < limit;) {
      // the rest that fills no frame goes with what is sent meanwhile, or at the next poll
      if (bytes > 0 && (this.#queues.bytes < frameBytes || bytes + frameBytes > limit)) break
      const plan = this.#scheduler.fill(now, plainBytes, room)
      if (plan === undefined) break
      const { pieces, chunks, messageBytes } = plan
      const plain = pieces.length === 1 ? (pieces[0] as Uint8Array) : pieces
      const packed =
        chunks === 1 && this.#compression.allowed ? this.#compression.compress(plain, plan.bytes) : undefined
      bytes +=
        packed === undefined
          ? this.#seal(FrameType.Data, plain, plan.bytes, out)
          : this.#seal(FrameType.Data, packed, packed.length, out, FrameFlag.Compressed)
      // an empty message is acknowledged with what was before it, and says nothing of the path
      if (messageBytes > 0) this.#rate.onSent(now, messageBytes)
      room -= messageBytes
      sent += messageBytes
      // Whoever waited for room is asked before the rest goes: what comes then fills the frame
      if (this.#announceRoom()) break
    }
    this.#scheduler.release()
    // nothing may be sent, but a priority has become empty by expiry: what was refused fits there
    if (sent === 0) this.#announceRoom(true)
    if (sent > 0) this.#keepAlive.unacknowledged(now)
    this.#limiter.earn(sent)
    if (this.#queues.messages === 0) this.#rate.onIdle()
  }

  /** A frame of no messages, where nothing else has shown the other side that we are there. */
  #prove(now: Millis, out: Uint8Array[]): void {
    const silent = (this.#sealer as RecordSealer).frames === 0
    if (silent && this.#proofDueAt !== Infinity && now < this.#proofDueAt) return
    if (silent) this.#seal(FrameType.Data, EMPTY, 0, out)
    this.#owesProof = false
    this.#proofDueAt = Infinity
  }

  #announceRoom(emptyOnly = false): boolean {
    const lowest = this.#queues.pollDrain(emptyOnly)
    if (lowest === undefined) return false
    this.#events.push({ type: 'drain', lowest })
    return true
  }

  /** Seals one frame, after a KEY_UPDATE where the key has done its work; returns its size. */
  #seal(type: FrameType, plain: Bytes, plainBytes: number, out: Uint8Array[], flags = 0): number {
    const sealer = this.#sealer as RecordSealer
    const timestamp = this.#timestamp()
    if (this.#keyIsSpent(sealer)) {
      sealer.seal(FrameType.KeyUpdate, 0, EMPTY, 0, timestamp, out)
      sealer.next()
      this.#keySince = this.#now
    }
    return sealer.seal(type, flags, plain, plainBytes, timestamp, out)
  }

  #keyIsSpent(sealer: RecordSealer): boolean {
    const { rekeyAfterFrames, rekeyAfterBytes, rekeyAfterMs } = this.#start.options
    const age = this.#now - this.#keySince
    // one more frame, and the KEY_UPDATE after it, have to find room
    if (sealer.frames + 1 >= rekeyAfterFrames) return true
    if (age >= rekeyAfterMs) return true
    const frame = this.#maxPlainBytes + 2 * (FRAME_OVERHEAD + AEAD_TAG_BYTES)
    // the other side closes on changes that follow each other too fast
    return sealer.bytes + frame > rekeyAfterBytes && (sealer.frames >= MIN_KEY_FRAMES || age >= MIN_KEY_MS)
  }

  #sealClose(code: number, reason: string, out: Uint8Array[]): void {
    const payload = encodeClose(code, reason)
    this.#seal(FrameType.Close, payload, payload.length, out)
    this.#closeSent = true
  }

  #pushPlainClose(code: number, reason: string): void {
    this.#ready.push(this.#plainFrame(FrameType.Close, encodeClose(code, reason)))
  }

  #plainFrame(type: FrameType, payload: Uint8Array): Uint8Array {
    const frame = { flags: 0, type, sequence: 0, timestamp: this.#timestamp(), payload }
    return encodeFrame(frame, this.#start.crc32 ?? platformCrc32)
  }

  #timestamp(): number {
    this.#firstFrameAt ??= this.#now
    return Math.max(0, Math.floor(this.#now - this.#firstFrameAt))
  }

  // ---- frames

  readonly #sink: FrameSink = {
    onFrame: (header, headerBytes, payload) => {
      this.#stirred = true
      if (this.#deaf()) return
      if (this.#opener === undefined || this.#isRefusal(header)) return this.#onPlainFrame(header, payload)
      const { type, flags, length } = header
      this.#onRecord(type, flags, length, this.#opener.open(header, headerBytes, payload))
    },
    onFrameStart: (header, headerBytes) => {
      if (this.#deaf()) return
      this.#frameType = header.type
      this.#frameFlags = header.flags
      this.#frameSealed = this.#opener !== undefined && !this.#isRefusal(header)
      if (this.#frameSealed) return this.#opener?.start(header, headerBytes)
      this.#checkPlainFrame(header)
      this.#framePayload = new Uint8Array(header.length)
      this.#frameFilled = 0
    },
    onFramePiece: (piece) => {
      if (this.#deaf()) return
      if (this.#frameSealed) return this.#opener?.update(piece)
      this.#framePayload.set(piece, this.#frameFilled)
      this.#frameFilled += piece.length
    },
    onFrameEnd: () => {
      this.#stirred = true
      if (this.#deaf()) return
      if (this.#opener === undefined || !this.#frameSealed) {
        const payload = this.#framePayload
        this.#framePayload = EMPTY
        return this.#onPlainPayload(this.#frameType, payload)
      }
      const plain = this.#opener.finish()
      this.#onRecord(this.#frameType, this.#frameFlags, byteLength(plain) + AEAD_TAG_BYTES, plain)
    },
  }

  /** After the other side's CLOSE nothing it sends counts, nor after our end. */
  #deaf(): boolean {
    return this.#state === 'closed' || this.#remoteClose !== undefined
  }

  /**
   * The CLOSE of a responder that refuses message 3, or of an initiator that could make nothing of message 2 of a resumed
   * handshake: it has no keys to seal it with, and we are through already. Taken for what every CLOSE of the handshake is,
   * a hint from whoever is in between, who could as well cut the connection.
   */
  #isRefusal({ type, flags, sequence }: FrameHeader): boolean {
    const oneHasNoKeys = this.#unconfirmed || this.#unproven !== undefined
    return oneHasNoKeys && type === FrameType.Close && flags === 0 && sequence === 0
  }

  #onPlainFrame(header: FrameHeader, payload: Uint8Array): void {
    this.#checkPlainFrame(header)
    this.#onPlainPayload(header.type, payload)
  }

  /** Before the handshake is done: HANDSHAKE and CLOSE, small, unsealed. */
  #checkPlainFrame(header: FrameHeader): void {
    const { type, flags, sequence, length } = header
    if (type !== FrameType.Handshake && type !== FrameType.Close)
      throw new HtxSessionError('UNEXPECTED_FRAME', `a frame of type ${type} during the handshake`)
    if (flags !== 0 || sequence !== 0 || length > MAX_HANDSHAKE_BYTES)
      throw new HtxSessionError('MALFORMED', 'a frame of the handshake with flags, a sequence number or too much in it')
  }

  #onPlainPayload(type: number, payload: Uint8Array): void {
    this.#heardFrame = true
    if (type === FrameType.Handshake) {
      const handshake = this.#handshake
      // the keys may be there since this frame began, or come behind a message of ours that is still to be polled
      if (handshake !== undefined) this.#lookAtOutcome(handshake)
      if (handshake === undefined || this.#handshake === undefined)
        throw new HtxSessionError('PLAINTEXT_FRAME', 'an unsealed HANDSHAKE frame behind the handshake')
      handshake.handleMessage(payload)
      this.#pumpHandshake(handshake)
      if (handshake.early !== undefined) this.#lookAtOutcome(handshake)
      return
    }
    const close = decodeClose(payload)
    if (close === undefined) throw new HtxSessionError('MALFORMED', 'a CLOSE that cannot be read')
    this.#remoteClose = close
    this.#ready = []
    this.#finish({ by: 'remote', code: closeName(close.code), retryable: true })
  }

  #pumpHandshake(handshake: SessionHandshake): void {
    const before = this.#ready.length
    for (let message; (message = handshake.pollMessage()) !== undefined;)
      this.#ready.push(this.#plainFrame(FrameType.Handshake, message))
    // whoever waits for our last message should not wait for our keys: they come behind it
    if (this.#ready.length === before) this.#lookAtOutcome(handshake)
  }

  #lookAtOutcome(handshake: SessionHandshake): void {
    const { outcome } = handshake
    if (outcome === undefined) return
    if (outcome instanceof AivError) throw outcome
    this.#establish(outcome)
  }

  #concludeHandshake(): void {
    const handshake = this.#handshake
    if (handshake === undefined) return
    try {
      this.#lookAtOutcome(handshake)
    } catch (error) {
      this.#onFault(error)
    }
  }

  #pollHandshake(now: Millis): void {
    if (!this.#started) {
      this.#started = true
      this.#linkMs = now - this.#startedAt
      this.#startedAt = now
      if (this.#holdsOffer) this.#offerDueAt = now + EARLY_DELAY_MS
    }
    const isDue = this.#offerDueAt === Infinity || now >= this.#offerDueAt
    if (this.#holdsOffer && (isDue || this.#queues.messages > 0)) this.#sendOffer(now)
    if (this.#ready.length === 0) this.#concludeHandshake()
    else this.#handshakeSentAt ??= now
  }

  #sendOffer(now: Millis): void {
    this.#holdsOffer = false
    this.#offerDueAt = Infinity
    const plan = this.#scheduler.fill(now, MAX_EARLY_BYTES, MAX_EARLY_BYTES)
    if (plan !== undefined) {
      this.#early = new Uint8Array(joinBytes(plan.pieces))
      this.#earlyMessageBytes = plan.messageBytes
      this.#scheduler.release()
      if (plan.messageBytes > 0) this.#keepAlive.unacknowledged(now)
    }
    const message = this.#handshake?.pollMessage(this.#early)
    if (message !== undefined) this.#ready.push(this.#plainFrame(FrameType.Handshake, message))
  }

  #establish(established: EstablishedHandshake): void {
    const { session, remoteCapabilities, early, fault } = established
    const { options, role, crc32 } = this.#start
    this.#handshake = undefined
    this.#sealer = new AeadRecordSealer(session.sending, crc32)
    this.#opener = new AeadRecordOpener(session.receiving)
    this.#keySince = this.#now
    // of a resumed handshake the responder has its keys as soon as its message is out
    this.#unconfirmed = role === 'initiator' && session.resumed !== true
    this.#remoteCapabilities = remoteCapabilities
    const frameBytes = Math.min(options.maxFrameBytes, remoteCapabilities.maxFrameBytes)
    this.#maxPlainBytes = frameBytes - FRAME_OVERHEAD - AEAD_TAG_BYTES
    if (fault !== undefined) throw fault
    if (session.resumed !== true) return this.#open(established)
    if (role === 'responder') {
      this.#unproven = established
      if (early === undefined) return
      // message 2 goes now
      this.#handshakeSentAt = this.#now
      this.#open(established)
      return readChunks(early, this.#assembler)
    }
    // it was read with message 1
    if (this.#early !== undefined) this.#rate.onSent(this.#now, this.#earlyMessageBytes)
    this.#early = undefined
    this.#owesProof = true
    this.#proofDueAt = this.#now + PROOF_DELAY_MS
    this.#open(established)
  }

  #open({ session, pattern, suite, remoteCapabilities }: EstablishedHandshake): void {
    this.#state = this.#closeDeadline === Infinity ? 'open' : 'closing'
    this.#compression.allowed = this.#start.options.compression && remoteCapabilities.lz4
    if (this.#compression.allowed) this.#maxPlainBytes = Math.min(this.#maxPlainBytes, MAX_COMPRESSED_PLAIN_BYTES)
    if (this.#unproven === undefined) this.#measureHandshake()
    this.#acks.onOpen(this.#now)
    const { remote, remoteStatic, resumed = false } = session
    const early = this.#unproven !== undefined
    this.#events.push({ type: 'established', remote, remoteStatic, pattern, suite, remoteCapabilities, resumed, early })
  }

  #onProof(unproven: EstablishedHandshake): void {
    this.#unproven = undefined
    if (this.#state === 'handshaking') return this.#open(unproven)
    this.#measureHandshake()
    this.#events.push({ type: 'confirmed' })
  }

  #measureHandshake(): void {
    if (this.#handshakeSentAt !== undefined) this.#rate.onRoundTrip(this.#now, this.#now - this.#handshakeSentAt)
  }

  /** A frame whose tag was right: only now its type means something. */
  #onRecord(type: number, flags: number, wireBytes: number, plain: Bytes): void {
    this.#unconfirmed = false
    if (this.#unproven !== undefined) this.#onProof(this.#unproven)
    if (type === FrameType.Data && wireBytes > AEAD_TAG_BYTES) {
      this.#limiter.earn(wireBytes)
      const unpacked = (flags & FrameFlag.Compressed) === 0 ? plain : this.#compression.decompress(joinBytes(plain))
      return readChunks(unpacked, this.#assembler)
    }
    this.#talked = true
    this.#limiter.take(wireBytes + FRAME_OVERHEAD)
    if ((flags & FrameFlag.Compressed) !== 0)
      throw new HtxSessionError('MALFORMED', `a compressed frame of type ${type}: only DATA may be`)
    // one with nothing in it costs no credit, so it counts as what it is: talk
    if (type === FrameType.Data) return
    this.#onControl(type, joinBytes(plain))
  }

  #onControl(type: number, payload: Uint8Array): void {
    switch (type) {
      case FrameType.WindowUpdate:
        return this.#sendCredit.grant(readUint64(payload))
      case FrameType.Ack:
        if (!this.#rate.onAck(this.#now, readUint64(payload)))
          throw new HtxSessionError('MALFORMED', 'an ACK for more than was sent')
        if (this.#rate.inFlightBytes === 0) this.#keepAlive.acknowledged()
        return
      case FrameType.KeyUpdate:
        if (payload.length > 0) throw new HtxSessionError('MALFORMED', 'a KEY_UPDATE with a payload')
        return this.#opener?.next(this.#now)
      case FrameType.Ping:
        if (payload.length !== PING_BYTES) throw new HtxSessionError('MALFORMED', `a PING of ${payload.length} bytes`)
        // only the latest is answered, so that at most one PONG waits
        this.#pong = payload
        return
      case FrameType.Pong: {
        const rtt = this.#keepAlive.onPong(this.#now, payload)
        if (rtt === undefined) return
        this.#rate.onRoundTrip(this.#now, rtt)
        if (this.#keepAlive.takeAnswer()) this.#events.push({ type: 'liveness', state: 'alive' })
        return
      }
      case FrameType.Close:
        return this.#onClose(payload)
      case FrameType.Handshake:
        throw new HtxSessionError('UNEXPECTED_FRAME', 'a HANDSHAKE frame after the handshake')
      default:
        // 04 to 07 are reserved, from 0x40 on are experiments and private matters: both are passed over
        if (type >= 0x40 || (type >= 0x04 && type <= 0x07)) return
        throw new HtxSessionError('UNKNOWN_FRAME', `type ${type}`)
    }
  }

  #onClose(payload: Uint8Array): void {
    const close = decodeClose(payload)
    if (close === undefined) throw new HtxSessionError('MALFORMED', 'a CLOSE that cannot be read')
    this.#remoteClose = close
    if (this.#closeSent) return this.#finishOrderly()
    const code = closeName(close.code)
    if (code !== 'CLOSED') {
      // the other side has gone: there is nobody left to flush to
      this.#finish({ by: 'remote', code, retryable: true })
    } else if (this.#state === 'open') {
      this.#state = 'closing'
      this.#closedBy = 'remote'
      this.#closeDeadline = this.#now + this.#start.options.closeDrainMs
    }
  }

  // ---- the end

  /** What came up while what the other side sent was looked at: its mistakes end the session, ours are thrown. */
  #onFault(error: unknown): void {
    if (!isAivError(error) || error instanceof ArgumentError) throw error
    // what came in one read with the CLOSE and is no frame: the end has been told
    if (!this.#deaf()) this.#fail(error)
  }

  /** Ends the session with a CLOSE that says why. */
  #fail(error: AivError, by: 'protocol' | 'timeout' = 'protocol'): void {
    const retryable = error.retryable || this.#sealer !== undefined
    const code = closeNumber(error.code)
    if (this.#sealer === undefined) this.#pushPlainClose(code, error.code)
    else if (!this.#closeSent) this.#sealClose(code, error.code, this.#ready)
    this.#finish({ by, code: error.code, retryable }, error)
  }

  /** The time for an orderly end is over. */
  #closeNow(): void {
    // our last message may be out without the keys having been asked for
    if (this.#state === 'handshaking') this.#concludeHandshake()
    if (this.#isClosed()) return
    if (this.#sealer === undefined) this.#pushPlainClose(this.#closeCode, this.#closeText)
    else if (!this.#closeSent) this.#sealClose(this.#closeCode, this.#closeText, this.#ready)
    this.#finishOrderly()
  }

  #finishOrderly(): void {
    this.#finish({ by: this.#closedBy, code: 'CLOSED', retryable: true })
  }

  #finish(reason: CloseReason, error?: AivError): void {
    this.#state = 'closed'
    this.#queues.dropAll('CLOSED')
    this.#assembler.clear()
    this.#handshake = undefined
    this.#unproven = undefined
    this.#early = undefined
    this.#sealer = undefined
    this.#opener = undefined
    this.#framePayload = EMPTY
    this.#events.push({
      type: 'closed',
      reason,
      ...(error === undefined ? {} : { error }),
      ...(this.#remoteClose === undefined ? {} : { remoteClose: this.#remoteClose }),
    })
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'closing'
  }

  /** Also for a listener that was told something early: the other side has to show that it is there. */
  #handshakeDeadline(): Millis {
    if (this.#state !== 'handshaking' && this.#unproven === undefined) return Infinity
    const { firstFrameTimeoutMs, handshakeTimeoutMs } = this.#start.options
    return this.#startedAt + (this.#heardFrame ? handshakeTimeoutMs : Math.min(firstFrameTimeoutMs, handshakeTimeoutMs))
  }

  #checkLimiter(now: Millis): void {
    this.#talked = false
    this.#limiter.refill(now)
    this.#limited = this.#limiter.exhausted
  }
}

function readUint64(payload: Uint8Array): number {
  const value = decodeUint64(payload)
  if (value === undefined) throw new HtxSessionError('MALFORMED', `${payload.length} bytes where 8 belong`)
  return value
}

/** `instanceof` alone would leave the code untyped. */
function isAivError(error: unknown): error is AivError {
  return error instanceof AivError
}
