import type { Clock, Logger, Millis, Random } from '@aiv/transport-api'

/**
 * A QUIC library, as the transport sees it. Two kinds fit: one that owns its sockets implements this directly; one that
 * is a state machine (bytes and time in, datagrams and events out) implements `PacketEngine` and gets its sockets and
 * timers from the driver in `udp-engine.node.ts`. docs/decisions/0220-the-seam-of-the-engine.md
 */
export interface QuicEngine {
  /** The library and its version, for people. */
  readonly name: string
  /**
   * Binds the listening socket, if there is to be one.
   * @throws TransportError when the port is taken or may not be used; QuicError QUIC_UNAVAILABLE where the library has
   * no binary for this platform.
   */
  open(settings: QuicEndpointSettings, handler: QuicEndpointHandler): Promise<QuicEndpoint>
}

/** What an endpoint is made with. */
export interface QuicEndpointSettings {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly credentials: QuicCredentials
  readonly limits: QuicLimits
  /** The one application protocol that both sides have to name. */
  readonly alpn: string
  /** `undefined`: only connect. `host` undefined: every address. */
  readonly listen: { readonly host: string | undefined; readonly port: number } | undefined
}

/** Our certificate and its key, PEM. */
export interface QuicCredentials {
  readonly certificate: Uint8Array
  readonly privateKey: Uint8Array
}

/** Bounds of every connection, and of an endpoint; sizes in bytes. */
export interface QuicLimits {
  readonly idleTimeoutMs: number
  /** Streams of each kind that the other side may have open at once. */
  readonly maxStreams: number
  /** Receive windows at first, of a connection and of a stream; the engine tunes them up to `maxWindowBytes`. */
  readonly initialWindowBytes: number
  readonly maxWindowBytes: number
  /** Datagrams queued inside the engine in each direction. */
  readonly maxQueuedDatagrams: number
  /** Largest UDP payload sent. */
  readonly maxUdpPayloadBytes: number
  /** Connection ids, and with them paths, of one connection. */
  readonly maxConnectionIds: number
  readonly congestionControl: CongestionControl
  readonly unvalidated: UnvalidatedLimits
}

export type CongestionControl = 'reno' | 'cubic' | 'bbr'

/** Handshakes that are not finished. A peer is validated by its handshake, or before it by a retry token. */
export interface UnvalidatedLimits {
  /** Above so many in all, a stranger has to show first that it receives at its address (RFC 9000 section 8.1.2). */
  readonly retryAbove: number
  /** From one IPv4 address or IPv6 /64; then the oldest goes. */
  readonly perHost: number
  /** In all; then newcomers are dropped. */
  readonly total: number
  /** From one host per second, on average. */
  readonly perHostPerSecond: number
  /** How many of them may come at once. */
  readonly perHostBurst: number
  /** How long a handshake may take. */
  readonly timeoutMs: number
}

/** An end of a UDP path. */
export interface UdpAddress {
  readonly host: string
  readonly port: number
}

/** Told by an endpoint. */
export interface QuicEndpointHandler {
  /** Before anything is kept or computed for a stranger. False: not answered. */
  admit(remote: UdpAddress): boolean
  /** A stranger has begun a handshake; attach within the call. */
  onSession(session: QuicSession): void
  /** The listening socket failed; every session is gone. */
  onDown(error: Error): void
}

export interface QuicEndpoint {
  /** Where it listens. */
  readonly local: UdpAddress | undefined
  /**
   * Begins a handshake. Whoever does not want the session any more closes it.
   * @param ticket - from an earlier session with the same node: data may be sent before the handshake ends. Not kept.
   */
  connect(to: UdpAddress, ticket: Uint8Array | undefined): Promise<QuicSession>
  /** From now on tickets are made with another key: none that was given out before is taken any more. */
  renewTicketKey(): void
  /** Sessions end without a further word; whoever wants one closes them first. */
  close(): Promise<void>
}

/** `early`: data may be exchanged, the other side is not proven to be there now. */
export type QuicSessionState = 'handshake' | 'early' | 'established' | 'closed'

/** What ended a session. */
export interface QuicClose {
  readonly by: 'local' | 'remote' | 'timeout' | 'lost'
  /** True for codes of the application, else one of RFC 9000 section 20.1. */
  readonly application: boolean
  readonly code: number
  readonly reason: Uint8Array
}

/** Told by a session, once for everything that came in one turn. */
export interface QuicSessionHandler {
  /**
   * State, streams, datagrams or credit may have changed; what is written in here goes out when it returns. False:
   * nothing was, and nothing written before waits to be sent or acknowledged, so that an acknowledgement may wait for
   * company.
   */
  onProgress(): boolean
  onPath(change: QuicPathChange): void
  /** Once, and last. Streams can still be read in it. */
  onClosed(close: QuicClose): void
}

/** `rebound`: the other side's address changed. `migrated`: ours did. `exhausted`: no connection id is left for a move. */
export type QuicPathChange = 'rebound' | 'migrated' | 'exhausted'

/** One connection of an engine. */
export interface QuicSession {
  readonly direction: 'dialled' | 'accepted'
  readonly state: QuicSessionState
  readonly local: UdpAddress
  readonly remote: UdpAddress
  readonly streams: QuicStreams
  /** Monotonic time of the last datagram from the other side. */
  readonly lastHeardAt: Millis
  /** `onProgress` comes in this turn without being asked for: what is written until then goes out with it. */
  readonly willProgress: boolean
  attach(handler: QuicSessionHandler): void
  /** The other side's certificates, DER, its own first. Empty before they are known. */
  peerCertificates(): readonly Uint8Array[]
  /** To resume with; changes whenever the other side gives a new one. A secret. */
  ticket(): Uint8Array | undefined
  /** Sends something that the other side has to acknowledge. */
  ping(): void
  /** Sends what was written outside of a handler's call. */
  flush(): void
  /** Sends what was written. True when all of it has been acknowledged, on streams that have not ended too. */
  isAcknowledged(): boolean
  stats(): QuicSessionStats
  /** Moves a dialled session to a fresh socket: probes, validates, moves. Resolves when it has moved. */
  migrate(): Promise<void>
  /** Tells the other side. `onClosed` follows within the call. */
  close(code: number, reason: string): void
}

export interface QuicSessionStats {
  readonly rttMs: number | undefined
  readonly lostPackets: number
  readonly sentPackets: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly deliveryBytesPerSecond: number | undefined
}

/** The streams and datagrams of a session, by the stream ids of RFC 9000 section 2.1. Nothing here throws. */
export interface QuicStreams {
  /** How many more streams of ours the other side lets us open now. */
  streamsLeft(kind: 'uni' | 'bidi'): number
  /** Opens the stream on first use. Bytes taken, with `end` only if all were; −1: nobody reads this stream any more. */
  write(stream: number, bytes: Uint8Array, end: boolean): number
  /** Calls `read` once for each stream with something to read, an end included; false: not for the others. */
  eachReadable(read: (stream: number) => boolean): void
  /** See {@link StreamRead}. */
  read(stream: number, into: Uint8Array): StreamRead
  /** 0 is the most urgent; streams of one urgency are served by id, or in turn where `shared`. */
  prioritise(stream: number, urgency: number, shared: boolean): void
  /** Ends our direction at once. */
  reset(stream: number, code: number): void
  /** Asks the other side to end its direction. */
  stopReading(stream: number, code: number): void
  /** True when all that was written, end included, has been acknowledged, and the other side's direction is over. */
  isDelivered(stream: number): boolean
  /** False: not now. */
  sendDatagram(bytes: Uint8Array): boolean
  /** A new buffer. */
  receiveDatagram(): Uint8Array | undefined
  /** 0: none can be sent. */
  maxDatagramBytes(): number
}

/** One object, reused: read it before the next call. */
export interface StreamRead {
  /** Bytes read; −1: the other side reset the stream with {@link code}. */
  readonly length: number
  readonly end: boolean
  readonly code: number
}
