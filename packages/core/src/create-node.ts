import { AivNode } from './aiv-node.js'
import type { NodeOptions } from './options.js'

/**
 * Starts the transports and returns the running node. A transport that cannot start is in {@link AivNode.transports}
 * with its error, and the node runs with the others.
 *
 * @returns rejects with ArgumentError for options that make no sense, NodeError NO_TRANSPORT when none of the transports
 * could start (its `failures` say why), or the signal's reason. Nothing is left open then.
 */
export async function createNode(options: NodeOptions): Promise<AivNode> {
  const node = new AivNode(options)
  await node.start(options.signal)
  return node
}
