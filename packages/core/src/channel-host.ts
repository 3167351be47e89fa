import type { Compressor, Clock, Connection, NodeId, Random } from '@aiv/transport-api'
import type { Hello, InboundDelivery, LinkEnvelope, OutboundDeliveryOptions } from '@aiv/routing'
import type { PeerDialOptions } from './dialler.js'
import type { DialledPeer } from './staggered-dial.js'
import type { NodeMetrics } from './metrics.js'
import type { NodeEventDetails, NodeEventType } from './node-events.js'
import type { NodeSettings } from './options.js'
import type { PeerChannel } from './peer-channel.js'
import type { PeerLink } from './peer-link.js'
import type { SendQueue } from './send-queue.js'

/** The receiving half for one life of one sender. */
export type Inbound = InboundDelivery<LinkEnvelope>

/** What the channels of a node share: the node itself, seen from below. */
export interface ChannelHost {
  readonly id: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly compressor: Compressor | undefined
  readonly metrics: NodeMetrics | undefined
  readonly settings: NodeSettings
  readonly deliveryOptions: OutboundDeliveryOptions | undefined
  /** What waits for a connection. */
  readonly queue: SendQueue
  nextLinkNumber(): number
  transportRank(transport: string): number
  /** Our HELLO, with what the channel adds. */
  hello(link: PeerLink, own: Pick<Hello, 'epoch' | 'firstCounters' | 'heard'>): Hello
  onHello(link: PeerLink, hello: Hello): boolean
  /** `undefined`: no place for another sender. Closed in `onLinkClosed`. */
  openInbound(peer: NodeId, hello: Hello): Inbound | undefined
  /** False: the application has no place for it now. */
  hasRoom(envelope: LinkEnvelope): boolean
  /** To the application; a promise where its handler is not done yet. Never throws, never rejects. */
  deliver(peer: NodeId, transport: string, envelope: LinkEnvelope, payload: Uint8Array): Promise<void> | undefined
  /** Rejects with a NodeError or DialFailures. */
  dial(peer: NodeId, options: PeerDialOptions): Promise<DialledPeer>
  /** The peer was found at this address. */
  worked(peer: NodeId, address: string): void
  adoptDialled(connection: Connection): PeerLink
  onLinkClosed(link: PeerLink): void
  onChannelIdle(channel: PeerChannel): void
  /** How often the machine was found to have slept, now included. */
  sleeps(): number
  emit<Type extends NodeEventType>(type: Type, detail: NodeEventDetails[Type]): void
}
