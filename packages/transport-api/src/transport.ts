import type { Clock, Random } from './clock.js'
import type { Connection } from './connection.js'
import type { LocalIdentity } from './identity.js'
import type { Logger } from './logger.js'
import type { Metrics } from './metrics.js'
import type { NodeId } from './node-id.js'
import type { PeerRecord } from './peer-record.js'
import type { SecureChannels } from './secure-channel.js'

/** What is known of a transport before any dial. */
export interface TransportProfile {
  readonly reach: 'radio' | 'lan' | 'internet'
  /** After the transport's own segmentation. */
  readonly largestPacketBytes: number
  readonly datagrams: boolean
  readonly streams: boolean
  /**
   * What {@link DialOptions.early} means here. `once`: a link stands when the dial resolves, and nothing that is sent on
   * it can be replayed. `repeatable`: nobody was heard then, and what goes out early are packets that bear being
   * replayed. Absent: every dial resolves when the handshake is confirmed.
   */
  readonly earlyDials?: 'once' | 'repeatable'
  readonly energy: {
    readonly idleMilliwatts: number
    readonly microjoulesPerByte: number
    readonly millijoulesPerDial: number
  }
}

/** What the resource policy allows a transport; every field is a ceiling, not a wish. */
export interface TransportPolicy {
  /** Silence after which a keep-alive is sent. */
  readonly heartbeatIntervalMs: number
  readonly maxConnections: number
  /** Share of the time that a radio may scan, 0 to 1. */
  readonly dutyCycle: number
  /**
   * Of what this node sends. Kept by transports that share a medium and so pace themselves; over TCP and UDP by whoever
   * sends, who alone can choose what waits: a transport would have to hold back what it has accepted.
   */
  readonly maxBytesPerSecond: number
  /** dBm; `undefined`: the radio's own default. */
  readonly transmitPowerDbm: number | undefined
}

export interface DialOptions {
  /** The only node that is accepted; `undefined`: whoever answers, as with an address that names nobody. */
  readonly expected: NodeId | undefined
  /** What is known of the node: its static key makes a shorter and more private handshake possible. */
  readonly record?: PeerRecord
  /**
   * Resolve before the handshake is confirmed where the transport can ({@link TransportProfile.earlyDials}), for a node
   * that was met before. What is sent next should be sent in the same turn; what is wrong afterwards ends the
   * connection. @defaultValue false
   */
  readonly early?: boolean
  /**
   * Reliable packets that bear being replayed: they go out as early data where the transport has 0-RTT with this node,
   * and nowhere else. The other side may then begin to speak half a round trip after the dial; the dial still resolves
   * when the handshake is confirmed, unless {@link early} says otherwise.
   */
  readonly firstFlight?: readonly Uint8Array[]
  readonly signal?: AbortSignal
}

/** Gives the host authenticated connections, dialled or accepted. */
export interface Transport extends AsyncDisposable {
  /** Short and fixed: `betanet`, `websocket`. */
  readonly name: string
  /** Address schemes that {@link dial} takes. */
  readonly schemes: readonly string[]
  readonly profile: TransportProfile
  /** Once. Rejects with a {@link TransportError}: no adapter, port taken. Nothing is left open then. */
  start(host: TransportHost, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Rejects with a {@link DialError}, or with the signal's reason. Before {@link start} and after {@link close}: TRANSPORT_CLOSED. */
  dial(address: string, options: DialOptions): Promise<Connection>
  apply(policy: TransportPolicy): void
  /** Wi-Fi to Ethernet, wake from sleep: connections are to be checked now. */
  networkChanged(): void
  /** Stops listening, closes every connection, resolves when all are down. May be called again. */
  close(): Promise<void>
}

/** Whoever started a transport. */
export interface TransportHost {
  /** Asked before the handshake (`node` undefined) and after it. False: closed without a word. */
  admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean
  /** Accepted connections only; attach within the call, or the connection is closed. */
  onConnection(connection: Connection): void
  /** All addresses, whenever they change; without the own node id. */
  onListening(addresses: readonly string[]): void
  /** Went down by itself, and every connection with it. */
  onDown(error: Error): void
}

/** What the program supplies to every transport. */
export interface TransportComponents {
  readonly identity: LocalIdentity
  readonly secure: SecureChannels
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics | undefined
}

/** What a transport package exports is a function of its options that gives one of these. */
export type TransportFactory = (components: TransportComponents) => Transport
