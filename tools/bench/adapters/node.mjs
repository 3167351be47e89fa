// The whole stack: node.send on one side to the handler on the other, acknowledged and in order, over HTX on TCP.
import { betanet } from '@aiv/betanet'
import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'

const protocol = 'b/1'

/** One peer as a message connection. `trySend` makes no promise; where it has no room, `send` waits for one. */
function connection(node, peer, close) {
  const options = { protocol }
  return {
    listener: undefined,
    send(message) {
      if (node.trySend(peer, message, options) === undefined) return node.send(peer, message, options)
    },
    onMessage(listener) {
      this.listener = listener
    },
    close,
  }
}

export async function server(onConnection) {
  const node = await createNode({
    identity: await createIdentity(),
    // all connections come from one host here
    transports: [
      betanet({ listen: { host: '127.0.0.1', port: 0 }, halfOpen: { handshakesPerSecond: Infinity, perHost: 1024 } }),
    ],
  })
  const connections = new Map()
  node.handle(protocol, (message) => {
    let peer = connections.get(message.from)
    if (peer === undefined) {
      peer = connection(node, message.from, async () => undefined)
      connections.set(message.from, peer)
      onConnection(peer)
    }
    const { payload } = message
    peer.listener?.(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength))
  })
  return { addr: { address: node.addresses[0] }, close: () => node.close() }
}

export async function client({ address }) {
  return {
    async connect() {
      const node = await createNode({ identity: await createIdentity(), transports: [betanet({ listen: false })] })
      const { peer } = await node.connect(address)
      const it = connection(node, peer, () => node.close())
      node.handle(protocol, ({ payload }) => {
        it.listener?.(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength))
      })
      return it
    },
  }
}
