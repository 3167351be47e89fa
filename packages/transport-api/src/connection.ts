import type { Bytes } from './bytes.js'
import type { Millis } from './clock.js'
import type { PeerIdentity } from './identity.js'
import type { PerPriority, Priority } from './priority.js'

/** What is between the two ends right now: a frozen value, replaced as a whole through `onPath`. */
export interface Path {
  /** Radio hops inside this connection; 1 = neighbour. */
  readonly hops: number
  /** Largest packet that one reliable `send` takes, after the transport's own segmentation. */
  readonly maxPacketBytes: number
  /** What goes out as one unit: about 179 on BLE. */
  readonly unsegmentedBytes: number
  /** Largest datagram; 0: none. */
  readonly maxDatagramBytes: number
  /** True where bytes cost money. */
  readonly metered: boolean
  /** Addresses as URLs without the node id; `undefined` in a mesh. */
  readonly local: string | undefined
  readonly remote: string | undefined
}

/** Measured, not promised. Taken when asked for. */
export interface ConnectionStats {
  /** Smoothed round trip. */
  readonly rttMs: number | undefined
  readonly rttVarianceMs: number | undefined
  /** 0 to 1. */
  readonly lossRatio: number | undefined
  readonly deliveryBytesPerSecond: number | undefined
  readonly receivedBytes: number
  readonly sentBytes: number
  /** Repeats and relayed copies included: what energy is paid for. */
  readonly onAirBytes: number
  readonly queuedBytes: PerPriority<number>
  /** Handed to the network and not yet confirmed by the other side. */
  readonly unconfirmedBytes: number
  readonly lastHeardAt: Millis
}

export interface SendOptions {
  readonly priority: Priority
  /** `datagram`: may be lost, doubled and reordered. Sent reliably where the path has no datagrams. */
  readonly delivery: 'reliable' | 'datagram'
  /** Dropped when still unsent by then, and named by `onDropped` with `EXPIRED`. */
  readonly expiresAt?: Millis
  /** May go out as 0-RTT early data, and so be replayed. */
  readonly repeatable?: boolean
  /** A number of the caller's, named by `onSent` and `onDropped`. */
  readonly tag?: number
}

/**
 * `full` and `too-large` take nothing: wait for `onDrain`, segment, or choose another connection. An accepted packet's
 * buffers belong to the connection and must not be changed.
 */
export type SendResult = 'accepted' | 'full' | 'too-large' | 'closed'

export interface CloseReason {
  readonly by: 'local' | 'remote' | 'lost' | 'timeout' | 'protocol'
  /** `CLOSED` for an orderly end, else the stable code of what was wrong. */
  readonly code: string
  /** True when dialling again may help. */
  readonly retryable: boolean
}

/**
 * What a connection tells its owner. Called synchronously, once the core has been drained; may call any method of the
 * connection.
 */
export interface ConnectionHandler {
  /** `bytes` is yours to keep, and may be a view into a larger buffer. `early`: may be a replay. */
  onPacket(bytes: Uint8Array, info: PacketInfo): void
  /** `lowest` and all priorities above it have room again; only after a `full`. */
  onDrain(lowest: Priority): void
  /** Left the queue: a retry timer starts here. */
  onSent?(tag: number): void
  /** Will not be sent. */
  onDropped?(tag: number, code: string): void
  /** 0-RTT confirmed; until then the peer's packets may be replays. Never called where there is no 0-RTT. */
  onEstablished?(): void
  onPath?(path: Path, cause: 'migrated' | 'rebound' | 'hops' | 'mtu'): void
  /** `suspect`: something is unanswered for longer than the round trip explains. Comes again on each change. */
  onLiveness?(state: 'alive' | 'suspect'): void
  onStream?(stream: ByteStream): void
  /** Exactly once, and last. */
  onClosed(reason: CloseReason): void
}

export interface PacketInfo {
  readonly delivery: 'reliable' | 'datagram'
  readonly early: boolean
}

/**
 * To exactly one authenticated node. Reliable packets arrive whole, once, and in order per priority; priorities
 * overtake. There is no promise on the data path.
 */
export interface Connection extends AsyncDisposable {
  readonly remote: PeerIdentity
  /** `Transport.name`. */
  readonly transport: string
  readonly direction: 'dialled' | 'accepted'
  /** True while the handshake is not confirmed: handed out on early data, until `onEstablished`. Absent: confirmed. */
  readonly early?: boolean
  readonly path: Path
  /** Once; nothing is read before it, and a connection that closed meanwhile says so through `onClosed`, later in this turn. */
  attach(handler: ConnectionHandler): void
  send(packet: Bytes, options: SendOptions): SendResult
  /** Withholds credit, so that back-pressure reaches the sender. Packets that are already here may still be given out. */
  pause(): void
  resume(): void
  /** Is the other side there, now? The answer is `onLiveness`. */
  probe(): void
  stats(): ConnectionStats
  openStream?(options: { readonly priority: Priority }): ByteStream
  migrate?(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Flushes what was accepted, for 2 s at most; resolves when the connection is down. May be called again. */
  close(options?: { readonly code: number; readonly reason: string }): Promise<void>
  /** Now, without flushing; `onClosed` follows before this returns, or later in this turn when called from a handler. */
  abort(error: Error): void
}

/** An ordered stream of bytes inside a connection, where the transport has them. */
export interface ByteStream {
  attach(handler: ByteStreamHandler): void
  /** False: taken, but wait for `onDrain` before the next one. */
  write(bytes: Bytes, options?: { readonly end: boolean }): boolean
  pause(): void
  resume(): void
  reset(code: number): void
}

export interface ByteStreamHandler {
  onData(bytes: Uint8Array): void
  onEnd(): void
  onDrain(): void
  onReset(code: number): void
}
