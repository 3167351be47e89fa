import type { ConnectionStats, NodeId } from '@aiv/transport-api'

/** A connection as one may show it. */
export interface ConnectionInfo {
  /** Unique in this node. */
  readonly id: number
  readonly peer: NodeId
  readonly transport: string
  readonly direction: 'dialled' | 'accepted'
  readonly remoteAddress: string | undefined
  readonly hops: number
  readonly state: 'alive' | 'suspect'
  readonly stats: ConnectionStats
}
