import type { Millis } from '@aiv/transport-api'
import type {
  QuicClose,
  QuicCredentials,
  QuicLimits,
  QuicSessionStats,
  QuicStreams,
  UdpAddress,
} from './quic-engine.js'

/**
 * A QUIC library that is a state machine: datagrams in, datagrams and events out, one deadline. It owns no socket and
 * no timer. `udp-engine.node.ts` drives it.
 */
export interface PacketEngine {
  /** Configuration of all sessions in one direction; cheap to use, made anew to change the ticket key. */
  configure(options: PacketEngineOptions): PacketEngineConfig
  /** Writes a Retry packet that carries `token` into `out`; returns its length, 0 when it cannot be. Keeps nothing. */
  writeRetry(out: Uint8Array, packet: StrangerPacket, newSourceId: Uint8Array, token: Uint8Array): number
  /** Writes a version negotiation packet into `out`; returns its length. Keeps nothing. */
  writeVersionNegotiation(out: Uint8Array, packet: StrangerPacket): number
  supportsVersion(version: number): boolean
}

export interface PacketEngineOptions {
  readonly credentials: QuicCredentials
  readonly limits: QuicLimits
  readonly alpn: string
  /** Server only; 48 bytes. */
  readonly ticketKey: Uint8Array | undefined
}

export interface PacketEngineConfig {
  connect(sourceId: Uint8Array, local: UdpAddress, remote: UdpAddress, ticket: Uint8Array | undefined): PacketSession
  /** @param originalId - the first destination id of the client, when a Retry came between. */
  accept(sourceId: Uint8Array, originalId: Uint8Array | undefined, local: UdpAddress, remote: UdpAddress): PacketSession
}

/** What of a packet can be read without keys. */
export interface StrangerPacket {
  readonly version: number
  readonly destinationId: Uint8Array
  readonly sourceId: Uint8Array
}

/** Where a datagram came from and to; the same object for the same path, so that nothing is made per packet. */
export interface PacketPath {
  readonly from: UdpAddress
  readonly to: UdpAddress
}

/** One object, reused: read it before the next call. */
export interface Transmit {
  /** Bytes written; 0: nothing to send now. */
  readonly length: number
  readonly from: UdpAddress
  readonly to: UdpAddress
}

/** `validated`: a path that was probed works. `peer-moved`: the other side's address is another from now on. */
export interface PacketPathEvent {
  readonly type: 'validated' | 'peer-moved'
  readonly peer: UdpAddress
}

/** One connection. Reads its own clock, so that deadlines are given as delays. */
export interface PacketSession {
  readonly streams: QuicStreams
  /** Decrypts in place. Whatever is wrong with the bytes shows in the state, never as an exception. */
  receive(bytes: Uint8Array, path: PacketPath): void
  /** The next datagram, on whichever path has something to send. */
  transmit(into: Uint8Array): Transmit
  /**
   * Nothing is on its way. True says so only when {@link transmit} has just had nothing more to send.
   * @param silentMs - since the last datagram that was received.
   */
  isAcknowledged(silentMs: Millis): boolean
  /** Milliseconds until {@link handleTimeout} wants to be called. */
  timeoutMs(): number | undefined
  handleTimeout(): void
  /** False while nothing that came could be decrypted. */
  hasReceived(): boolean
  isEstablished(): boolean
  isEarly(): boolean
  /** A close was sent or came, or it timed out: no data will be exchanged any more. */
  isEnding(): boolean
  /** Nothing is left to do for it: forget it. */
  isOver(): boolean
  close(code: number, reason: string): void
  /** What ended it; once {@link isEnding}. */
  outcome(): QuicClose
  peerCertificates(): readonly Uint8Array[]
  ticket(): Uint8Array | undefined
  ping(): void
  stats(): QuicSessionStats
  /** Connection ids of ours that the other side may still be given. */
  sourceIdsLeft(): number
  addSourceId(id: Uint8Array, resetToken: bigint): void
  /** An id that the other side has given up, and that therefore may be forgotten. */
  retiredSourceId(): Uint8Array | undefined
  /** Ids of the other side that no path uses yet. */
  spareDestinationIds(): number
  pathEvent(): PacketPathEvent | undefined
  /** False when there is no spare id for it. */
  probe(local: UdpAddress, peer: UdpAddress): boolean
  isValidated(local: UdpAddress, peer: UdpAddress): boolean
  /** Makes a validated path the one in use. */
  moveTo(local: UdpAddress, peer: UdpAddress): boolean
}
