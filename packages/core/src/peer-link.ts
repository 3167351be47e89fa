import {
  Capability,
  decodeHello,
  decodeLinkAck,
  decodeLinkEnvelope,
  decodePing,
  encodeHello,
  encodePing,
  HELLO_VERSION,
  PacketKind,
  type Hello,
  type LinkAck,
  type LinkEnvelope,
} from '@aiv/routing'
import {
  AivError,
  Priority,
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type Millis,
  type PacketInfo,
} from '@aiv/transport-api'
import type { Inbound } from './channel-host.js'
import type { ConnectionInfo } from './connection-info.js'
import { NodeError } from './errors.js'

/** What a link tells the channel that it belongs to. */
export interface PeerLinkOwner {
  /** Our HELLO as it is now; `heard`: we have the other side's. */
  hello(link: PeerLink, heard: boolean): Hello
  /** @returns false to refuse the peer; the link is aborted then. */
  onHello(link: PeerLink, hello: Hello): boolean
  onEnvelope(link: PeerLink, envelope: LinkEnvelope): void
  onAcknowledgement(link: PeerLink, ack: LinkAck): void
  onDrain(link: PeerLink): void
  onSent(link: PeerLink, tag: number): void
  onDropped(link: PeerLink, tag: number): void
  onLiveness(link: PeerLink): void
  onClosed(link: PeerLink, reason: CloseReason): void
}

/** A HELLO is repeated at most this often. */
const HELLO_INTERVAL_MS = 200

/** Statistics are taken anew at most this often: they are asked for with every packet. */
const MEASURE_EVERY_MS = 50

/** Of a connection that nothing has come back on yet. */
const UNKNOWN_ROUND_TRIP_MS = 700

/** The other side sent what is no packet. */
export class PacketError extends AivError<'PACKET_MALFORMED' | 'HELLO_REFUSED'> {}

/** A connection ended before its handshake was confirmed. */
export class EarlyLinkError extends NodeError {}

/** One connection to a peer: HELLO, the packets that belong to the link itself, and what is known of its state. */
export class PeerLink implements ConnectionHandler {
  /** The other side's, once it is here. */
  hello: Hello | undefined
  /** Receiving half for the epoch of {@link hello}. */
  inbound: Inbound | undefined
  /** Since when nothing was heard though something should have been; `undefined`: alive. */
  suspectSince: Millis | undefined
  /** The host's count of sleeps at that time. */
  sleepsWhenSuspect = 0
  /** Last application message, either way. */
  lastUsedAt: Millis
  readonly openedAt: Millis
  closed = false
  /** It has been told of as opened. */
  adopted = false
  /** A fresh connection takes its place: nothing new goes over it. */
  retired = false
  paused = false
  /** Priorities that were refused as full, one bit each. */
  #full = 0
  /** Came as early data, and may be a replay: read when the handshake is confirmed. */
  #earlyHello: Uint8Array | undefined
  /** Those who wait for a connection that is early to be confirmed. */
  #waiting: { readonly resolve: () => void; readonly reject: (error: EarlyLinkError) => void }[] = []
  #reason: CloseReason | undefined
  #helloSentAt = -Infinity
  #measuredAt = -Infinity
  #travelMs = 0
  readonly #owner: PeerLinkOwner
  readonly #now: () => Millis

  constructor(
    readonly number: number,
    readonly connection: Connection,
    owner: PeerLinkOwner,
    now: () => Millis,
  ) {
    this.#owner = owner
    this.#now = now
    this.openedAt = now()
    this.lastUsedAt = this.openedAt
  }

  get info(): ConnectionInfo {
    const { connection } = this
    return {
      id: this.number,
      peer: connection.remote.nodeId,
      transport: connection.transport,
      direction: connection.direction,
      remoteAddress: connection.path.remote,
      hops: connection.path.hops,
      state: this.suspectSince === undefined ? 'alive' : 'suspect',
      stats: connection.stats(),
    }
  }

  /** Begins: nothing is read from the connection before this. */
  open(): void {
    this.connection.attach(this)
    this.sendHello()
  }

  /** What the way to the other side and back may take, with all that is under way: three round trips and a bit. */
  travelMs(now: Millis): number {
    if (now - this.#measuredAt >= MEASURE_EVERY_MS) {
      this.#measuredAt = now
      const { rttMs, deliveryBytesPerSecond: rate, unconfirmedBytes } = this.connection.stats()
      const roundTripMs = rttMs ?? (this.connection.early === true ? UNKNOWN_ROUND_TRIP_MS : 0)
      const drainMs = rate === undefined || rate <= 0 ? 0 : (unconfirmedBytes / rate) * 1000
      this.#travelMs = 3 * roundTripMs + drainMs
    }
    return this.#travelMs
  }

  get canDecompress(): boolean {
    return this.hello !== undefined && (this.hello.capabilities & Capability.Lz4) !== 0
  }

  isFull(priority: Priority): boolean {
    return (this.#full & (1 << priority)) !== 0
  }

  markFull(priority: Priority): void {
    this.#full |= 1 << priority
  }

  sendHello(): void {
    const now = this.#now()
    if (now - this.#helloSentAt < HELLO_INTERVAL_MS) return
    this.#helloSentAt = now
    this.sendControl(encodeHello(this.#owner.hello(this, this.hello !== undefined)))
  }

  /** For the few bytes that keep the others moving; they overtake everything and are not repeated. */
  sendControl(packet: Uint8Array): void {
    this.connection.send(packet, { priority: Priority.Emergency, delivery: 'reliable' })
  }

  pause(): void {
    if (this.paused || this.closed) return
    this.paused = true
    this.connection.pause()
  }

  resume(): void {
    if (!this.paused || this.closed) return
    this.paused = false
    this.connection.resume()
  }

  onPacket(bytes: Uint8Array, { early }: PacketInfo): void {
    if (this.closed) return
    if (early) this.#onEarlyPacket(bytes)
    else this.#onPacket(bytes)
  }

  /** Takes what a replay may say: the first HELLO, later, and a ping. The sender repeats the rest. */
  #onEarlyPacket(bytes: Uint8Array): void {
    if (bytes[0] === PacketKind.Hello) this.#earlyHello ??= bytes
    else if (bytes[0] === PacketKind.Ping) this.#onPacket(bytes)
  }

  /** Resolves when the handshake is confirmed, as most are from the start. Rejects with NodeError PEER_UNREACHABLE. */
  confirmed(): Promise<void> {
    if (this.#reason !== undefined) return Promise.reject(endedBefore(this.#reason))
    if (this.connection.early !== true) return Promise.resolve()
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  onEstablished(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve()
    const hello = this.#earlyHello
    this.#earlyHello = undefined
    if (hello !== undefined && !this.closed) this.#onPacket(hello)
  }

  #onPacket(bytes: Uint8Array): void {
    switch (bytes[0]) {
      case PacketKind.Link: {
        if (this.inbound === undefined) return this.sendHello() // its HELLO was lost; the sender repeats the message
        const envelope = decodeLinkEnvelope(bytes)
        if (envelope === undefined) return this.#malformed('link envelope')
        return this.#owner.onEnvelope(this, envelope)
      }
      case PacketKind.LinkAck: {
        const ack = decodeLinkAck(bytes)
        if (ack === undefined) return this.#malformed('link acknowledgement')
        return this.#owner.onAcknowledgement(this, ack)
      }
      case PacketKind.Hello: {
        const hello = decodeHello(bytes)
        if (hello === undefined) return this.#malformed('HELLO')
        if (hello.version < HELLO_VERSION) {
          return this.connection.abort(new PacketError('HELLO_REFUSED', `version ${hello.version} is too old`))
        }
        const again = this.hello !== undefined
        // the first HELLO of a link is the one that counts: an epoch does not change under a connection
        if (!again) {
          if (!this.#owner.onHello(this, hello)) return
          this.hello = hello
        }
        // it has not got ours, which went out before
        if (!hello.heard) this.sendHello()
        return
      }
      case PacketKind.Ping: {
        const ping = decodePing(bytes)
        if (ping === undefined) return this.#malformed('ping')
        if (ping.type === 'ping') this.sendControl(encodePing({ type: 'pong', opaque: ping.opaque }))
        return
      }
      default:
        // kinds of later versions are ignored
        return
    }
  }

  onDrain(lowest: Priority): void {
    this.#full &= ~((2 << lowest) - 1)
    this.#owner.onDrain(this)
  }

  onSent(tag: number): void {
    this.#owner.onSent(this, tag)
  }

  onDropped(tag: number): void {
    this.#owner.onDropped(this, tag)
  }

  onLiveness(state: 'alive' | 'suspect'): void {
    if ((state === 'suspect') === (this.suspectSince !== undefined)) return
    this.suspectSince = state === 'suspect' ? this.#now() : undefined
    this.#owner.onLiveness(this)
  }

  onClosed(reason: CloseReason): void {
    this.closed = true
    this.#reason = reason
    for (const { reject } of this.#waiting.splice(0)) reject(endedBefore(reason))
    this.#owner.onClosed(this, reason)
  }

  #malformed(what: string): void {
    this.connection.abort(new PacketError('PACKET_MALFORMED', `not a ${what}`))
  }
}

function endedBefore({ code, retryable }: CloseReason): EarlyLinkError {
  return new EarlyLinkError('PEER_UNREACHABLE', `the connection ended with ${code}`, { retryable })
}
