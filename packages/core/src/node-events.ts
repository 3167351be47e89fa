import type { AivError, CloseReason, NodeId } from '@aiv/transport-api'
import type { ConnectionInfo } from './connection-info.js'
import type { Receipt } from './outgoing-message.js'

/** What a node tells, by event type; each event has it as its `detail`. */
export interface NodeEventDetails {
  /** First connection to a peer. It may be early, with nothing heard of the peer yet; one that is nobody ends soon. */
  'peer-connected': { readonly peer: NodeId }
  /** Last connection to a peer is gone. */
  'peer-disconnected': { readonly peer: NodeId }
  'connection-opened': ConnectionInfo
  'connection-closed': ConnectionInfo & { readonly reason: CloseReason }
  /** A connection is suspect, or alive again. */
  'connection-liveness': ConnectionInfo
  /** Messages moved from a connection that failed to another one, `gapMs` after the failure was noticed. */
  failover: {
    readonly peer: NodeId
    readonly from: string
    readonly to: string
    readonly messages: number
    readonly gapMs: number
  }
  /** A message was given up and nobody waits for its `delivered`. */
  undelivered: { readonly receipt: Receipt; readonly error: AivError }
  /** A handler threw, or its promise rejected. */
  'handler-error': { readonly protocol: string; readonly error: unknown }
  'transport-down': { readonly transport: string; readonly error: AivError | Error }
  /** Our own addresses changed. */
  addresses: { readonly addresses: readonly string[] }
}

export type NodeEventType = keyof NodeEventDetails

/** An event of a node. */
export class NodeEvent<Type extends NodeEventType> extends Event {
  constructor(
    type: Type,
    readonly detail: NodeEventDetails[Type],
  ) {
    super(type)
  }
}

/** `addEventListener` of the platform with our types. A listener that throws is reported by the platform. */
export class NodeEvents {
  readonly #target = new EventTarget()

  addEventListener<Type extends NodeEventType>(
    type: Type,
    listener: (event: NodeEvent<Type>) => void,
    options?: { readonly once?: boolean; readonly signal?: AbortSignal },
  ): void {
    this.#target.addEventListener(type, listener as unknown as (event: Event) => void, options)
  }

  removeEventListener<Type extends NodeEventType>(type: Type, listener: (event: NodeEvent<Type>) => void): void {
    this.#target.removeEventListener(type, listener as unknown as (event: Event) => void)
  }

  /** @internal */
  emit<Type extends NodeEventType>(type: Type, detail: NodeEventDetails[Type]): void {
    this.#target.dispatchEvent(new NodeEvent(type, detail))
  }
}
