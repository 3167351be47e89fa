import type { Identity } from '@aiv/security'
import {
  ArgumentError,
  type Clock,
  type Compressor,
  type DeviceType,
  type Logger,
  type Metrics,
  type NodeId,
  type Priority,
  type Random,
  type TransportFactory,
} from '@aiv/transport-api'
import type { OutboundDeliveryOptions } from '@aiv/routing'
import type { QueueOptions } from '@aiv/policy'
import type { PeerBookOptions } from './peer-book.js'
import type { ProtocolRegistryOptions } from './protocol-registry.js'

/** How many connections a node keeps. */
export interface PoolOptions {
  /** Connections that we dialled; when full an idle one gives way, else the dial fails with POOL_FULL. @defaultValue 100 */
  readonly maxDialled?: number
  /** Connections dialled to us; further ones are refused before the handshake. @defaultValue 10_000 */
  readonly maxAccepted?: number
  /** A dialled connection without a message for this long is closed. @defaultValue 300_000 */
  readonly idleTimeoutMs?: number
  /** The less wanted of two connections of one transport to one peer is closed after this long. @defaultValue 5_000 */
  readonly spareTimeoutMs?: number
  /** A dialled connection that has lived for this long is replaced by a fresh one, with new keys. @defaultValue 86_400_000 */
  readonly maxAgeMs?: number
}

/** How peers are dialled. */
export interface DialingOptions {
  /** One attempt at one address, handshake included. @defaultValue 10_000 */
  readonly timeoutMs?: number
  /** Head start of each address before the next one joins in (RFC 8305). @defaultValue 250 */
  readonly staggerMs?: number
  /** Addresses of one peer dialled at the same time. @defaultValue 4 */
  readonly maxParallel?: number
  /** Rounds over all addresses before messages to a peer that was never reached fail. @defaultValue 5 */
  readonly tries?: number
  /** Wait after the first failed round; doubles up to sixteen times this, with jitter. @defaultValue 200 */
  readonly backOffMs?: number
}

/** What `createNode` takes; only `identity` and `transports` are required. */
export interface NodeOptions {
  readonly identity: Identity
  /**
   * In the order of preference: addresses of the first one are dialled first, each with a head start over the next, and
   * of several connections to a peer messages take that of the earliest transport here. Each node goes by its own order.
   */
  readonly transports: readonly TransportFactory[]
  /** @defaultValue 'desktop' */
  readonly deviceType?: DeviceType
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Logger
  readonly metrics?: Metrics
  /** Makes messages of 1,024 bytes and more smaller where the peer can undo it. Without one nothing is compressed. */
  readonly compressor?: Compressor
  readonly pool?: PoolOptions
  readonly dialing?: DialingOptions
  readonly peerBook?: PeerBookOptions
  readonly protocols?: ProtocolRegistryOptions
  readonly queues?: Partial<QueueOptions>
  readonly delivery?: OutboundDeliveryOptions
  /** When given, nobody else is dialled or accepted. */
  readonly allow?: readonly NodeId[]
  /** Neither dialled nor accepted. */
  readonly deny?: readonly NodeId[]
  /** Asked before the handshake (`node` undefined) and after it. */
  readonly admit?: (from: { readonly address: string | undefined; readonly node: NodeId | undefined }) => boolean
  /** Calls of `send` that may wait for a place in the queue; beyond it they fail with QUEUE_FULL. @defaultValue 1_024 */
  readonly maxWaitingSends?: number
  /** Time that a message has by default. @defaultValue 30_000 */
  readonly deliveryTimeoutMs?: number
  /** A connection that is suspect for this long is dead. @defaultValue 5_000 */
  readonly deadAfterMs?: number
  /** Aborts the start. */
  readonly signal?: AbortSignal
}

/** The scalar settings, complete. */
export interface NodeSettings {
  readonly deviceType: DeviceType
  readonly maxDialled: number
  readonly maxAccepted: number
  readonly idleTimeoutMs: number
  readonly spareTimeoutMs: number
  readonly maxAgeMs: number
  readonly dialTimeoutMs: number
  readonly staggerMs: number
  readonly maxParallelDials: number
  readonly dialTries: number
  readonly dialBackOffMs: number
  readonly maxWaitingSends: number
  readonly deliveryTimeoutMs: number
  readonly deadAfterMs: number
}

/** 16 MiB with the link envelope's header. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024 - 64

/** Longest life of a message that goes straight to its recipient: the recipient remembers it at least as long. */
export const MAX_DELIVERY_TIMEOUT_MS = 300_000

/** @throws ArgumentError on a number that makes no sense. */
export function verifyNodeOptions(options: NodeOptions): NodeSettings {
  const { pool = {}, dialing = {} } = options
  const settings: NodeSettings = {
    deviceType: options.deviceType ?? 'desktop',
    maxDialled: pool.maxDialled ?? 100,
    maxAccepted: pool.maxAccepted ?? 10_000,
    idleTimeoutMs: pool.idleTimeoutMs ?? 300_000,
    spareTimeoutMs: pool.spareTimeoutMs ?? 5_000,
    maxAgeMs: pool.maxAgeMs ?? 86_400_000,
    dialTimeoutMs: dialing.timeoutMs ?? 10_000,
    staggerMs: dialing.staggerMs ?? 250,
    maxParallelDials: dialing.maxParallel ?? 4,
    dialTries: dialing.tries ?? 5,
    dialBackOffMs: dialing.backOffMs ?? 200,
    maxWaitingSends: options.maxWaitingSends ?? 1_024,
    deliveryTimeoutMs: options.deliveryTimeoutMs ?? 30_000,
    deadAfterMs: options.deadAfterMs ?? 5_000,
  }
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value !== 'number') continue
    const least = name === 'maxAccepted' || name === 'maxWaitingSends' || name === 'staggerMs' ? 0 : 1
    if (!Number.isFinite(value) || value < least) throw new ArgumentError(`${name} of ${value}`)
  }
  if (settings.deliveryTimeoutMs > MAX_DELIVERY_TIMEOUT_MS) {
    throw new ArgumentError(`deliveryTimeoutMs of ${settings.deliveryTimeoutMs}: at most ${MAX_DELIVERY_TIMEOUT_MS}`)
  }
  return settings
}

/** What `send` takes beside the recipient and the payload. */
export interface SendMessageOptions {
  /** Application protocol, at most 32 bytes of UTF-8. @defaultValue '' */
  readonly protocol?: string
  /** @defaultValue Priority.Normal */
  readonly priority?: Priority
  /** False: the recipient need not wait for earlier messages of the same priority. @defaultValue true */
  readonly ordered?: boolean
  /** Given up when not acknowledged by then. At most 300,000. @defaultValue 30_000 */
  readonly timeoutMs?: number
  /** Gives up waiting for a place; a message that was handed over stays on its way. */
  readonly signal?: AbortSignal
  /** What to do when the queue is full. @defaultValue 'wait' */
  readonly whenFull?: 'wait' | 'fail'
}
