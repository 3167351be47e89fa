import { createRequire } from 'node:module'
import type {
  Config,
  Connection,
  ConnectionErrorCode,
  ConfigConstructor,
  ConnectionConstructor,
  PathEvent,
} from '@matrixai/quic/native/types.js'
import type {
  PacketEngine,
  PacketEngineConfig,
  PacketEngineOptions,
  PacketPath,
  PacketPathEvent,
  PacketSession,
  StrangerPacket,
  Transmit,
} from './packet-engine.js'
import type { QuicClose, QuicEngine, QuicSessionStats, QuicStreams, StreamRead, UdpAddress } from './quic-engine.js'
import { QuicError } from './errors.js'
import { udpEngine } from './udp-engine.node.js'

/** The part of the binding that is used here. */
interface Binding {
  readonly Config: ConfigConstructor
  readonly Connection: ConnectionConstructor
  retry(
    scid: Uint8Array,
    dcid: Uint8Array,
    newScid: Uint8Array,
    token: Uint8Array,
    version: number,
    out: Uint8Array,
  ): number
  negotiateVersion(scid: Uint8Array, dcid: Uint8Array, out: Uint8Array): number
  versionIsSupported(version: number): boolean
}

/** Binaries by platform, in the order in which they are tried. */
const binaries: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['linux-x64'],
  'darwin-x64': ['darwin-x64', 'darwin-universal'],
  'darwin-arm64': ['darwin-arm64', 'darwin-universal'],
  'win32-x64': ['win32-x64'],
}

/**
 * quiche 0.18 through the raw binding of `@matrixai/quic`, an optional dependency. Loaded when an endpoint is opened.
 * This is the only file that knows the library. docs/decisions/0221-quiche-by-its-raw-binding.md
 */
export function quicheEngine(platform = `${process.platform}-${process.arch}`): QuicEngine {
  return udpEngine('quiche 0.18', () => new QuichePacketEngine(loadBinding(platform)))
}

function loadBinding(platform: string): Binding {
  const targets = binaries[platform] ?? []
  const failures: unknown[] = []
  for (const target of targets) {
    try {
      // The binary's package belongs to the main one and is found from there, wherever it was installed
      const own = createRequire(import.meta.url)
      return createRequire(own.resolve('@matrixai/quic/package.json'))(`@matrixai/quic-${target}`) as Binding
    } catch (error) {
      failures.push(error)
    }
  }
  const why = targets.length === 0 ? 'there is no binary for it' : 'the optional package @matrixai/quic is not there'
  throw new QuicError('QUIC_UNAVAILABLE', `no QUIC on ${platform}: ${why}`, { cause: failures[0] })
}

class QuichePacketEngine implements PacketEngine {
  readonly #binding: Binding

  constructor(binding: Binding) {
    this.#binding = binding
  }

  supportsVersion(version: number): boolean {
    return this.#binding.versionIsSupported(version)
  }

  writeVersionNegotiation(out: Uint8Array, packet: StrangerPacket): number {
    return this.#binding.negotiateVersion(packet.sourceId, packet.destinationId, out)
  }

  writeRetry(out: Uint8Array, packet: StrangerPacket, newSourceId: Uint8Array, token: Uint8Array): number {
    const { sourceId, destinationId, version } = packet
    return this.#binding.retry(sourceId, destinationId, newSourceId, token, version, out)
  }

  configure(options: PacketEngineOptions): PacketEngineConfig {
    const { credentials, limits, alpn, ticketKey } = options
    const keys = [credentials.privateKey]
    const certificates = [credentials.certificate]
    // A certificate is demanded and any is taken: whose it is gets checked above, before a byte goes out
    const config: Config = this.#binding.Config.withBoringSslCtx(true, true, null, keys, certificates, 'ed25519')
    config.setApplicationProtos([alpn])
    config.grease(true)
    config.setMaxIdleTimeout(limits.idleTimeoutMs)
    config.setMaxRecvUdpPayloadSize(65_527)
    config.setMaxSendUdpPayloadSize(limits.maxUdpPayloadBytes)
    config.setInitialMaxData(limits.initialWindowBytes)
    config.setInitialMaxStreamDataBidiLocal(limits.initialWindowBytes)
    config.setInitialMaxStreamDataBidiRemote(limits.initialWindowBytes)
    config.setInitialMaxStreamDataUni(limits.initialWindowBytes)
    config.setInitialMaxStreamsBidi(limits.maxStreams)
    config.setInitialMaxStreamsUni(limits.maxStreams)
    config.setMaxConnectionWindow(limits.maxWindowBytes)
    config.setMaxStreamWindow(limits.maxWindowBytes)
    config.setActiveConnectionIdLimit(limits.maxConnectionIds)
    config.setDisableActiveMigration(false)
    config.enableDgram(true, limits.maxQueuedDatagrams, limits.maxQueuedDatagrams)
    config.setCcAlgorithmName(limits.congestionControl)
    // Its pacing hints cannot be read through the binding
    config.enablePacing(false)
    config.enableEarlyData()
    if (ticketKey !== undefined) config.setTicketKey(ticketKey)
    const { Connection: Constructor } = this.#binding
    return {
      connect: (sourceId, local, remote, ticket) => {
        const connection = Constructor.connect(null, sourceId, local, remote, config)
        if (ticket !== undefined) attempt(() => connection.setSession(ticket))
        return new QuicheSession(connection, 'dialled', limits.idleTimeoutMs)
      },
      accept: (sourceId, originalId, local, remote) => {
        const connection = Constructor.accept(sourceId, originalId ?? null, local, remote, config)
        return new QuicheSession(connection, 'accepted', limits.idleTimeoutMs)
      },
    }
  }
}

/** The first stream of packets that the other side opens: RFC 9000 section 2.1. */
const FIRST_OF_PEER = { dialled: 3, accepted: 2 } as const

const nothing: Transmit = Object.freeze({ length: 0, from: { host: '', port: 0 }, to: { host: '', port: 0 } })

class QuicheSession implements PacketSession {
  readonly streams: QuicStreams
  readonly #connection: Connection
  readonly #idleTimeoutMs: number
  readonly #out = { length: 0, from: nothing.from, to: nothing.to }
  #closing: QuicClose | undefined

  constructor(connection: Connection, direction: keyof typeof FIRST_OF_PEER, idleTimeoutMs: number) {
    this.#connection = connection
    this.#idleTimeoutMs = idleTimeoutMs
    this.streams = new QuicheStreams(connection, FIRST_OF_PEER[direction])
  }

  receive(bytes: Uint8Array, path: PacketPath): void {
    try {
      this.#connection.recv(bytes, path)
    } catch {
      // Bytes that were no packet of ours ('Done'), or a mistake of the other side, which closes the connection
    }
  }

  transmit(into: Uint8Array): Transmit {
    try {
      return this.#transmitted(this.#connection.send(into))
    } catch {
      return nothing
    }
  }

  #transmitted(sent: ReturnType<Connection['send']>): Transmit {
    if (sent === null) return nothing
    this.#out.length = sent[0]
    this.#out.from = sent[1].from
    this.#out.to = sent[1].to
    return this.#out
  }

  isAcknowledged(silentMs: number): boolean {
    // The binding does not say what is on its way. As long as something is, a timer for its loss runs, which is due
    // before that of the idle timeout, the only other one, unless that is set below some round trips: RFC 9002 section
    // 6.2, RFC 9000 section 10.1
    const { peerMaxIdleTimeout } = this.#connection.stats()
    const idleTimeoutMs = Math.min(this.#idleTimeoutMs, peerMaxIdleTimeout || Infinity)
    // Rounded down to whole milliseconds
    return (this.timeoutMs() ?? 0) + 1 >= idleTimeoutMs - silentMs
  }

  timeoutMs(): number | undefined {
    return this.#connection.timeout() ?? undefined
  }

  handleTimeout(): void {
    this.#connection.onTimeout()
  }

  hasReceived(): boolean {
    // The idle timer starts with the first packet that is taken; the statistics would say it at a hundred times the cost
    return this.#connection.timeout() !== null
  }

  isEstablished(): boolean {
    return this.#connection.isEstablished()
  }

  isEarly(): boolean {
    return this.#connection.isInEarlyData()
  }

  isEnding(): boolean {
    return this.#closing !== undefined || this.#connection.isDraining() || this.#connection.isClosed()
  }

  isOver(): boolean {
    return this.#connection.isClosed()
  }

  close(code: number, reason: string): void {
    const bytes = new TextEncoder().encode(reason)
    this.#closing ??= { by: 'local', application: true, code, reason: bytes }
    // Before the handshake is done the other side may be unable to read more than this (RFC 9000 section 10.2.3)
    const done = this.#connection.isEstablished()
    attempt(() => this.#connection.close(done, done ? code : APPLICATION_ERROR, bytes))
  }

  outcome(): QuicClose {
    if (this.#closing !== undefined) return this.#closing
    const peer = this.#connection.peerError()
    if (peer !== null) return { by: 'remote', application: peer.isApp, code: peer.errorCode, reason: peer.reason }
    const local = this.#connection.localError()
    if (local !== null) return { by: 'lost', application: false, code: local.errorCode, reason: local.reason }
    const by = this.#connection.isTimedOut() ? 'timeout' : 'lost'
    return { by, application: false, code: 0 satisfies ConnectionErrorCode.NoError, reason: new Uint8Array(0) }
  }

  peerCertificates(): readonly Uint8Array[] {
    return this.#connection.peerCertChain() ?? []
  }

  ticket(): Uint8Array | undefined {
    return this.#connection.session() ?? undefined
  }

  ping(): void {
    attempt(() => this.#connection.sendAckEliciting())
  }

  stats(): QuicSessionStats {
    const { sent, lost, sentBytes, recvBytes } = this.#connection.stats()
    const path = this.#connection.pathStats().find(({ active }) => active)
    return {
      rttMs: path === undefined || path.recv === 0 ? undefined : path.rtt,
      lostPackets: lost,
      sentPackets: sent,
      sentBytes,
      receivedBytes: recvBytes,
      deliveryBytesPerSecond: path === undefined || path.deliveryRate === 0 ? undefined : path.deliveryRate,
    }
  }

  sourceIdsLeft(): number {
    return this.#connection.sourceCidsLeft()
  }

  addSourceId(id: Uint8Array, resetToken: bigint): void {
    attempt(() => this.#connection.newSourceCid(id, resetToken, false))
  }

  retiredSourceId(): Uint8Array | undefined {
    return this.#connection.retiredScidNext() ?? undefined
  }

  spareDestinationIds(): number {
    return this.#connection.availableDcids()
  }

  pathEvent(): PacketPathEvent | undefined {
    for (;;) {
      const event = this.#connection.pathEventNext() as PathEvent | null
      if (event === null) return undefined
      if (event.type === 'PeerMigrated') return { type: 'peer-moved', peer: event.new }
      if (event.type === 'Validated') return { type: 'validated', peer: event.peer }
    }
  }

  probe(local: UdpAddress, peer: UdpAddress): boolean {
    return attempt(() => this.#connection.probePath(local, peer))
  }

  isValidated(local: UdpAddress, peer: UdpAddress): boolean {
    let validated = false
    attempt(() => (validated = this.#connection.isPathValidated(local, peer)))
    return validated
  }

  moveTo(local: UdpAddress, peer: UdpAddress): boolean {
    return attempt(() => this.#connection.migrate(local, peer))
  }
}

class QuicheStreams implements QuicStreams {
  readonly #connection: Connection
  readonly #read = { length: 0, end: false, code: 0 }
  /** The stream that something was read of last, and the one that is opened after it. */
  #last: number
  #next: number

  constructor(connection: Connection, first: number) {
    this.#connection = connection
    this.#last = first
    this.#next = first
  }

  streamsLeft(kind: 'uni' | 'bidi'): number {
    return kind === 'uni' ? this.#connection.peerStreamsLeftUni() : this.#connection.peerStreamsLeftBidi()
  }

  write(stream: number, bytes: Uint8Array, end: boolean): number {
    try {
      return this.#connection.streamSend(stream, bytes, end) ?? 0
    } catch (error) {
      // The other side lets us open it later
      return messageOf(error) === 'StreamLimit' ? 0 : -1
    }
  }

  /**
   * Streams come one after the other, so the one read last or the next of its kind is mostly all there is: asking for
   * these costs a tenth of an iterator of the binding, which costs more than to send a datagram.
   */
  eachReadable(read: (stream: number) => boolean): void {
    const connection = this.#connection
    if (!connection.isReadable()) return
    const last = this.#last
    const next = this.#next
    if (connection.streamReadable(last) && !read(last)) return
    if (next !== last && connection.streamReadable(next) && !read(next)) return
    // Whatever is held back stays readable
    if (!connection.isReadable()) return
    for (const stream of connection.readable() as Iterable<number>) {
      if (stream !== last && stream !== next && !read(stream)) return
    }
  }

  read(stream: number, into: Uint8Array): StreamRead {
    const out = this.#read
    this.#last = stream
    this.#next = stream + 4
    out.end = false
    out.length = 0
    try {
      const read = this.#connection.streamRecv(stream, into)
      if (read !== null) {
        out.length = read[0]
        out.end = read[1]
      }
    } catch (error) {
      // 'StreamReset(code)'; anything else is said of a stream that is over
      const code = /^StreamReset\((\d+)\)/.exec(messageOf(error))?.[1]
      if (code !== undefined) {
        out.length = -1
        out.code = Number(code)
      }
    }
    return out
  }

  prioritise(stream: number, urgency: number, shared: boolean): void {
    attempt(() => this.#connection.streamPriority(stream, urgency, shared))
  }

  reset(stream: number, code: number): void {
    attempt(() => this.#connection.streamShutdown(stream, WRITE, code))
  }

  stopReading(stream: number, code: number): void {
    attempt(() => this.#connection.streamShutdown(stream, READ, code))
  }

  isDelivered(stream: number): boolean {
    // A stream that is done in both directions is forgotten, and what is forgotten counts as finished; until then a
    // stream of ours that only we write to never does
    if ((stream & 2) !== 0) return this.#connection.streamFinished(stream)
    // Another one counts as finished as soon as it is read to its end, but has room for writing until it is forgotten
    return !attempt(() => this.#connection.streamCapacity(stream))
  }

  sendDatagram(bytes: Uint8Array): boolean {
    try {
      return this.#connection.dgramSend(bytes) !== null
    } catch {
      return false
    }
  }

  receiveDatagram(): Uint8Array | undefined {
    return this.#connection.dgramRecvVec() ?? undefined
  }

  maxDatagramBytes(): number {
    return this.#connection.dgramMaxWritableLen() ?? 0
  }
}

/** RFC 9000 section 20.1. */
const APPLICATION_ERROR = 0x0c
/** `Shutdown` of the binding: its enumerations exist as types only. */
const READ = 0
const WRITE = 1

/** What the binding throws is always an error, but perhaps of another realm, as in tests: `instanceof` would not know it. */
function messageOf(error: unknown): string {
  return (error as Error).message
}

/** True when it worked. What fails here fails because the connection or the stream is over, which shows elsewhere. */
function attempt(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}
