// The whole stack: an emergency request beside normal messages, to one peer.
import { betanet } from '@aiv/betanet'
import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'
import { Priority } from '@aiv/transport-api'

export async function server({ host }) {
  const node = await createNode({
    identity: await createIdentity(),
    transports: [betanet({ listen: { host, port: 0 } })],
  })
  node.handle('bulk', () => undefined)
  node.handle('urgent', ({ payload }) => payload)
  return { addr: node.addresses }
}

export async function client({ address: addresses }) {
  const node = await createNode({ identity: await createIdentity(), transports: [betanet({ listen: false })] })
  for (const address of addresses) node.addAddress(address)
  const { peer } = await node.connect(addresses[0])
  let answered
  return {
    urgent: (payload) =>
      void node
        .request(peer, 'urgent', payload, { priority: Priority.Emergency, timeoutMs: 60_000 })
        .then((answer) => answered(answer)),
    onAnswer: (listener) => (answered = listener),
    bulk: (payload) => {
      if (node.trySend(peer, payload, { protocol: 'bulk', timeoutMs: 300_000 }) !== undefined) return undefined
      return node.send(peer, payload, { protocol: 'bulk', timeoutMs: 300_000 })
    },
  }
}
