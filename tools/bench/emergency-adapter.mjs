// One HTX connection for the emergency benchmark, with the priorities that urgent messages and bulk are given.
import { betanet } from '@aiv/betanet'
import { start } from './transport-adapter.mjs'

/** First byte of a message: to be answered, or only to be carried. */
const URGENT = 1

export function emergencyAdapter({ urgent, bulk }) {
  return {
    async server({ host }) {
      const { addresses, identity } = await start(betanet({ listen: { host, port: 0 } }), (connection) =>
        connection.attach({
          onPacket: (bytes) => {
            // a copy: the view may be into a buffer of several messages
            if (bytes[0] === URGENT) connection.send(bytes.slice(), { priority: urgent, delivery: 'reliable' })
          },
          onDrain: () => undefined,
          onClosed: () => undefined,
        }),
      )
      return { addr: { addresses, nodeId: identity.nodeId } }
    },
    async client({ address: { addresses, nodeId }, host }) {
      const { transport } = await start(betanet({ listen: false }))
      const address = addresses.find((text) => text.includes(host))
      const connection = await transport.dial(address, { expected: nodeId })
      const waiting = { urgent: [], bulk: [] }
      let answered
      connection.attach({
        onPacket: (bytes) => answered(bytes.subarray(1)),
        onDrain: () => {
          for (const wake of [...waiting.urgent.splice(0), ...waiting.bulk.splice(0)]) wake()
        },
        onClosed: () => undefined,
      })
      /** Waits for its turn when the queue is full, as an urgent message in a naive queue has to. */
      const send = async (kind, message, priority) => {
        for (;;) {
          const result = connection.send(message, { priority, delivery: 'reliable' })
          if (result === 'accepted') return
          if (result !== 'full') throw new Error(`send: ${result}`)
          await new Promise((resolve) => waiting[kind].push(resolve))
        }
      }
      const head = (kind, payload) => {
        const message = new Uint8Array(1 + payload.length)
        message[0] = kind
        message.set(payload, 1)
        return message
      }
      return {
        stats: () => connection.stats(),
        urgent: (payload) => void send('urgent', head(URGENT, payload), urgent),
        onAnswer: (listener) => (answered = listener),
        bulk: (payload) => {
          const message = head(0, payload)
          const result = connection.send(message, { priority: bulk, delivery: 'reliable' })
          return result === 'accepted' ? undefined : send('bulk', message, bulk)
        },
      }
    },
  }
}
