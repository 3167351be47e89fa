import type { NodeId } from '@aiv/transport-api'
import type { PeerId } from './peer-id.js'
import type { CompatiblePeer } from './peer-table.js'

/**
 * Which node a bitchat peer is, and back: the node id of a peer follows from its Ed25519 key. A node is found only once
 * that key is {@link CompatiblePeer.proven} from both sides: the key signed the announcement with the Noise key, and the
 * owner of the Noise key named it inside a session. One peer for each node: the one that was proven last.
 */
export class PeerBridge {
  readonly #maxPeers: number
  readonly #nodes = new Map<PeerId, NodeId>()
  readonly #peers = new Map<NodeId, PeerId>()

  /** @param maxPeers - pairs that are kept; beyond, the oldest goes. */
  constructor(maxPeers = 1_024) {
    this.#maxPeers = maxPeers
  }

  /** Tells it of each `peer` event of the mesh. True when there is something new. */
  learn({ id, nodeId, proven }: CompatiblePeer): boolean {
    if (!proven || (this.#nodes.get(id) === nodeId && this.#peers.get(nodeId) === id)) return false
    this.#forget(id)
    const before = this.#peers.get(nodeId)
    if (before !== undefined) this.#forget(before)
    this.#nodes.set(id, nodeId)
    this.#peers.set(nodeId, id)
    for (const oldest of this.#nodes.keys()) {
      if (this.#nodes.size <= this.#maxPeers) break
      this.#forget(oldest)
    }
    return true
  }

  nodeOf(peer: PeerId): NodeId | undefined {
    return this.#nodes.get(peer)
  }

  peerOf(node: NodeId): PeerId | undefined {
    return this.#peers.get(node)
  }

  #forget(peer: PeerId): void {
    const node = this.#nodes.get(peer)
    this.#nodes.delete(peer)
    if (node !== undefined && this.#peers.get(node) === peer) this.#peers.delete(node)
  }
}
