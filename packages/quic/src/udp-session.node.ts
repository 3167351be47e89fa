import type { Millis, Timer } from '@aiv/transport-api'
import type { PacketPath, PacketSession } from './packet-engine.js'
import type {
  QuicEndpointSettings,
  QuicSession,
  QuicSessionHandler,
  QuicSessionState,
  QuicSessionStats,
  QuicStreams,
  UdpAddress,
} from './quic-engine.js'
import type { SendSlots } from './send-slots.js'
import { UdpSocket, type UdpSocketHandler } from './udp-socket.node.js'

/** Datagrams sent before others get their turn: what comes meanwhile would fill the kernel's buffer. */
const BURST = 64
/** Datagrams that a stranger may send before its handshake is done; also bounds early data. */
const MAX_HANDSHAKE_DATAGRAMS = 128
/**
 * An acknowledgement alone waits for so many datagrams, or so long: each costs both sides as much as a full packet.
 * RFC 9000 section 13.2.2 lets a receiver decide.
 */
const ANSWER_AFTER = 8
const ANSWER_WITHIN_MS = 1
/** Connection ids that the other side holds in reserve for a move. */
const SPARE_IDS = 3
/** How long a probed path may take to answer, and an old socket still listens after a move. */
const MOVE_TIMEOUT_MS = 3_000
const OLD_SOCKET_MS = 1_000

/** What a session needs of its endpoint. */
export interface UdpSessionHost {
  readonly settings: QuicEndpointSettings
  readonly slots: SendSlots
  newId(): Uint8Array
  addId(id: Uint8Array, session: UdpSession): void
  removeId(id: Uint8Array): void
  addSession(session: UdpSession): void
  onValidated(session: UdpSession): void
  onGone(session: UdpSession): void
  schedule(session: UdpSession): void
}

/** A move of ours to another socket. */
interface Move {
  readonly socket: UdpSocket
  readonly done: (moved: boolean) => void
  readonly timer: Timer
}

/** One engine connection with its socket and its one timer. A dialled one has a socket of its own. */
export class UdpSession implements QuicSession {
  readonly direction: 'dialled' | 'accepted'
  readonly streams: QuicStreams
  /** Where its first datagram came from. */
  readonly firstRemote: UdpAddress
  lastHeardAt: Millis
  readonly #host: UdpSessionHost
  readonly #engine: PacketSession
  #socket: UdpSocket
  #path: PacketPath
  #move: Move | undefined
  readonly #oldSockets = new Map<UdpSocket, Timer>()
  #handler: QuicSessionHandler | undefined
  /** Ids of ours, while there is a listener that has to know them. */
  readonly #ids: Uint8Array[] = []
  /** Beginnings of those of our ids that datagrams came for: what is used up has to be replaced. */
  readonly #seenIds = new Set<number>()
  #lastSeenId = -1
  #issuedIds = 1
  #state: QuicSessionState = 'handshake'
  #handshakeDatagrams = 0
  #handshakeEndsAt: Millis
  /** Datagrams since the last answer, and when they have to be answered. */
  #unanswered = 0
  #answerAt: Millis = Infinity
  #scheduled = false
  #running = false
  /** The end of a dialler's handshake waits for what is said first. */
  #greeting = false
  #gone = false
  #timer: Timer | undefined
  #timerAt: Millis = 0

  private constructor(
    host: UdpSessionHost,
    engine: PacketSession,
    socket: UdpSocket,
    path: PacketPath,
    direction: 'dialled' | 'accepted',
  ) {
    this.#host = host
    this.#engine = engine
    this.#socket = socket
    this.#path = path
    this.direction = direction
    this.streams = engine.streams
    this.firstRemote = path.from
    const now = host.settings.clock.now()
    this.lastHeardAt = now
    // A dialler has a time limit of its own
    this.#handshakeEndsAt = direction === 'accepted' ? now + host.settings.limits.unvalidated.timeoutMs : Infinity
  }

  static accept(host: UdpSessionHost, engine: PacketSession, socket: UdpSocket, path: PacketPath): UdpSession {
    return new UdpSession(host, engine, socket, path, 'accepted')
  }

  static async connect(
    host: UdpSessionHost,
    remote: UdpAddress,
    begin: (id: Uint8Array, local: UdpAddress) => PacketSession,
  ): Promise<UdpSession> {
    const opened = UdpSocket.connect(remote, host.slots, {
      onDatagram: (bytes) => session.receiveOn(socket, bytes),
      onError: (error) => session.onSocketError(error),
    })
    const socket = opened instanceof UdpSocket ? opened : await opened
    const path: PacketPath = { from: remote, to: socket.local }
    let engine: PacketSession
    try {
      engine = begin(host.newId(), socket.local)
    } catch (error) {
      void socket.close()
      throw error
    }
    const session: UdpSession = new UdpSession(host, engine, socket, path, 'dialled')
    host.addSession(session)
    // The first flight goes out now; with a ticket, early data may follow it
    session.#transmit()
    session.#look()
    return session
  }

  get state(): QuicSessionState {
    return this.#state
  }

  get willProgress(): boolean {
    return this.#scheduled || this.#greeting
  }

  get local(): UdpAddress {
    return this.#path.to
  }

  get remote(): UdpAddress {
    return this.#path.from
  }

  attach(handler: QuicSessionHandler): void {
    this.#handler = handler
    // A dialled one has nothing to tell before somebody answers
    if (this.direction === 'accepted' || this.#state !== 'handshake') this.#wake()
  }

  peerCertificates(): readonly Uint8Array[] {
    return this.#engine.peerCertificates()
  }

  ticket(): Uint8Array | undefined {
    return this.#engine.ticket()
  }

  ping(): void {
    this.#engine.ping()
    this.flush()
  }

  stats(): QuicSessionStats {
    return this.#engine.stats()
  }

  flush(): void {
    if (!this.#running && !this.#gone && !this.#greeting) this.#transmit()
  }

  isAcknowledged(): boolean {
    const { clock } = this.#host.settings
    // What was lost is not on its way before it is sent again
    return this.#transmit() && this.#engine.isAcknowledged(clock.now() - this.lastHeardAt)
  }

  close(code: number, reason: string): void {
    if (this.#gone || this.#state === 'closed') return
    // Without the listener's part of the handshake the dialler could not read why
    if (this.#state === 'early') this.#transmit()
    // Nor could the listener without the dialler's
    if (this.#greeting && !this.#running) {
      this.#greeting = false
      this.#transmit()
    }
    this.#engine.close(code, reason)
    this.flush()
    this.#end()
    if (this.#engine.isOver()) void this.destroy()
  }

  /** An id that datagrams for this session may carry. */
  ownId(id: Uint8Array): void {
    this.#ids.push(id)
    this.#host.addId(id, this)
  }

  /** From the listener. */
  receive(bytes: Uint8Array, host: string, port: number): void {
    const { from, to } = this.#path
    let path = this.#path
    if (port !== from.port || host !== from.host) path = { from: Object.freeze({ host, port }), to }
    this.#receive(bytes, path)
  }

  /** From a socket of its own. */
  receiveOn(socket: UdpSocket, bytes: Uint8Array): void {
    let path = this.#path
    if (socket.local !== path.to) path = { from: path.from, to: socket.local }
    this.#receive(bytes, path)
  }

  #receive(bytes: Uint8Array, path: PacketPath): void {
    if (this.#gone) return
    if (this.#state === 'handshake' || this.#state === 'early') {
      if (this.direction === 'accepted' && ++this.#handshakeDatagrams > MAX_HANDSHAKE_DATAGRAMS) return
    } else if (this.#state === 'established') this.#noteId(bytes)
    this.#unanswered++
    this.lastHeardAt = this.#host.settings.clock.now()
    this.#engine.receive(bytes, path)
    // The other end waits for nothing but the end of a handshake; otherwise, the rest of the turn's datagrams come first
    if (this.#state === 'handshake' && this.#engine.isEstablished()) this.run()
    else this.#wake()
  }

  onSocketError(error: NodeJS.ErrnoException): void {
    // ICMP is not authenticated: believed before anybody is proven, never after
    const unproven = this.#state === 'handshake' || (this.#state === 'early' && this.direction === 'dialled')
    if (error.code !== 'ECONNREFUSED' || !unproven) return
    this.#end({ by: 'lost', application: false, code: 0, reason: new TextEncoder().encode('ECONNREFUSED') })
    void this.destroy()
  }

  #noteId(bytes: Uint8Array): void {
    const first = bytes[0] as number
    if ((first & 0x80) !== 0 || bytes.length < 5) return
    const id =
      (bytes[1] as number) * 0x1000000 +
      ((bytes[2] as number) << 16) +
      ((bytes[3] as number) << 8) +
      (bytes[4] as number)
    if (id === this.#lastSeenId) return
    this.#lastSeenId = id
    if (this.#seenIds.size < this.#host.settings.limits.maxConnectionIds) this.#seenIds.add(id)
  }

  #wake(): void {
    if (this.#scheduled || this.#gone) return
    this.#scheduled = true
    this.#host.schedule(this)
  }

  /** After datagrams came, or a timer ran out: tell, answer, arm. */
  run(): void {
    this.#scheduled = false
    if (this.#gone) return
    const before = this.#state
    // A handshake that ends in a refusal is none
    if (this.#state === 'established' || !this.#engine.isEnding()) this.#look()
    else this.#end()
    // Whoever waited for the connection says something first, in this turn
    this.#greeting = before !== 'established' && this.#state === 'established' && this.direction === 'dialled'
    const busy = this.#tell()
    if (this.#greeting) queueMicrotask(this.#afterGreeting)
    else if (before === 'established') {
      if (busy || this.#unanswered >= ANSWER_AFTER) this.#transmit()
      else {
        this.#answerAt = this.#host.settings.clock.now() + ANSWER_WITHIN_MS
        this.#arm()
      }
    } else if (this.#state === 'established') this.#beginWell()
    else this.#transmit()
    this.#lookAtEnd()
  }

  /** True when there may be something to send. */
  #tell(): boolean {
    // Within a handshake there is nothing to read or to write
    if (this.#state !== 'early' && this.#state !== 'established') return true
    this.#running = true
    try {
      return this.#handler?.onProgress() ?? true
    } finally {
      this.#running = false
    }
  }

  #lookAtEnd(): void {
    if (!this.#engine.isEnding()) return
    this.#end()
    if (this.#engine.isOver()) void this.destroy()
  }

  /**
   * A dialler's last flight of the handshake goes out at the end of the turn, together with what is written by those
   * who waited for the connection: one datagram less. A tick asked for in a microtask comes when no microtask is left.
   */
  readonly #afterGreeting = (): void => process.nextTick(this.#endGreeting)

  readonly #endGreeting = (): void => {
    this.#greeting = false
    if (this.#gone) return
    this.#tell()
    this.#beginWell()
    this.#lookAtEnd()
  }

  /** The end of the handshake, and after it what can wait until then: it goes with the next datagram. */
  #beginWell(): void {
    this.#transmit()
    if (this.#state !== 'established') return
    this.#replaceIds()
    if (this.direction === 'dialled') this.#socket.enlarge()
  }

  /** What became of the handshake, of paths and of connection ids. */
  #look(): void {
    const engine = this.#engine
    const before = this.#state
    if (this.#state === 'handshake' || this.#state === 'early') {
      if (engine.isEstablished()) {
        this.#state = 'established'
        this.#handshakeEndsAt = Infinity
        this.#host.onValidated(this)
      } else if (engine.isEarly()) this.#state = 'early'
    }
    if (this.#state !== 'established') return
    for (let event; (event = engine.pathEvent()) !== undefined;) {
      if (event.type === 'peer-moved' && this.direction === 'accepted') {
        this.#path = { from: Object.freeze(event.peer), to: this.#path.to }
        this.#handler?.onPath('rebound')
      }
    }
    const move = this.#move
    if (move !== undefined && engine.isValidated(move.socket.local, this.#path.from)) {
      this.#finishMove(move, engine.moveTo(move.socket.local, this.#path.from))
    }
    if (before === 'established') this.#replaceIds()
  }

  #replaceIds(): void {
    const engine = this.#engine
    while (this.#issuedIds - this.#seenIds.size < SPARE_IDS && engine.sourceIdsLeft() > 0) {
      const id = this.#host.newId()
      const token = this.#host.newId()
      engine.addSourceId(id, new DataView(token.buffer, token.byteOffset).getBigUint64(0))
      this.#issuedIds++
      if (this.direction === 'accepted') this.ownId(id)
    }
  }

  /** Everything that the engine has to say now, as far as the kernel takes it. True: that was all. */
  #transmit(): boolean {
    this.#unanswered = 0
    this.#answerAt = Infinity
    let left = BURST
    let slot: Uint8Array | undefined
    let socket = this.#socket
    while (left-- > 0 && (slot = socket.slot()) !== undefined) {
      const sent = this.#engine.transmit(slot)
      if (sent.length === 0) break
      const other = this.#move?.socket
      if (other !== undefined && sent.from.port === other.local.port) {
        other.sendCopy(slot, sent.length, sent.to)
      } else socket.send(sent.length, sent.to)
      socket = this.#socket
    }
    socket.rewind()
    const hasMore = left < 0 || slot === undefined
    if (hasMore) this.#wake()
    this.#arm()
    return !hasMore
  }

  /** A timer that is due too early is left alone: it looks again when it runs. Deadlines move later all the time. */
  #arm(): void {
    if (this.#gone) return
    const { clock } = this.#host.settings
    const now = clock.now()
    const delay = this.#engine.timeoutMs()
    // The engine counts in whole milliseconds, rounded down, and does nothing for a timer that is early
    const at = Math.min(this.#handshakeEndsAt, this.#answerAt, delay === undefined ? Infinity : now + delay + 1)
    if (this.#timer !== undefined) {
      if (this.#timerAt <= at) return
      this.#timer.clear()
      this.#timer = undefined
    }
    if (at === Infinity) return
    this.#timerAt = at
    this.#timer = clock.setTimeout(this.#onTimer, Math.max(0, Math.ceil(at - now)))
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    if (this.#gone) return
    if (this.#host.settings.clock.now() >= this.#handshakeEndsAt) return void this.destroy()
    if (this.#engine.timeoutMs() === 0) {
      this.#engine.handleTimeout()
      this.run()
    } else if (this.#host.settings.clock.now() >= this.#answerAt) this.#transmit()
    else this.#arm()
  }

  #end(close = this.#engine.outcome()): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#finishMove(this.#move, false)
    this.#host.onValidated(this)
    this.#handler?.onClosed(close)
  }

  /** Forgets it, whatever it is doing; what is to be said has been said. */
  async destroy(): Promise<void> {
    if (this.#gone) return
    this.#gone = true
    this.#timer?.clear()
    this.#end()
    for (const id of this.#ids) this.#host.removeId(id)
    this.#host.onGone(this)
    if (this.direction === 'accepted') return
    for (const timer of this.#oldSockets.values()) timer.clear()
    await Promise.all([this.#socket, ...this.#oldSockets.keys()].map((socket) => socket.close()))
  }

  async migrate(): Promise<void> {
    if (this.direction !== 'dialled' || this.#state !== 'established' || this.#move !== undefined) return
    if (this.#engine.spareDestinationIds() === 0) return this.#handler?.onPath('exhausted')
    const { clock } = this.#host.settings
    const handler: UdpSocketHandler = {
      onDatagram: (bytes) => this.receiveOn(socket, bytes),
      onError: () => undefined,
    }
    const socket = await UdpSocket.connect(this.remote, this.#host.slots, handler)
    socket.enlarge()
    if (this.#gone || this.#move !== undefined || !this.#engine.probe(socket.local, this.remote)) return socket.close()
    await new Promise<void>((resolve) => {
      const move: Move = {
        socket,
        timer: clock.setTimeout(() => this.#finishMove(move, false), MOVE_TIMEOUT_MS),
        done: () => resolve(),
      }
      this.#move = move
      this.#transmit()
    })
  }

  #finishMove(move: Move | undefined, moved: boolean): void {
    if (move === undefined || move !== this.#move) return
    this.#move = undefined
    move.timer.clear()
    if (moved) {
      const old = this.#socket
      this.#socket = move.socket
      this.#path = { from: this.#path.from, to: move.socket.local }
      // What is still on its way to the old address is not lost
      const timer = this.#host.settings.clock.setTimeout(() => {
        this.#oldSockets.delete(old)
        void old.close()
      }, OLD_SOCKET_MS)
      this.#oldSockets.set(old, timer)
      this.#handler?.onPath('migrated')
    } else void move.socket.close()
    move.done(moved)
  }
}
