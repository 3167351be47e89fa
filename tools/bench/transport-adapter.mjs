// One transport as a benchmark adapter: the interface of ../shared/bench/README.md over one Connection.
import { randomBytes } from 'node:crypto'
import { silentLogger } from '@aiv/transport-api'
import { createIdentity, generateIdentity, secureChannels } from '@aiv/security'

const clock = {
  now: () => performance.now(),
  unixNow: () => Date.now(),
  setTimeout: (run, delayMs) => {
    const handle = setTimeout(run, delayMs)
    return { clear: () => clearTimeout(handle) }
  },
}

const reliable = Object.freeze({ priority: 2, delivery: 'reliable' })

/** Set-up is measured from one address, faster than strangers may come. */
export const unhurried = Object.freeze({ handshakesPerSecond: Infinity })

/** A running transport of a fresh identity. */
export async function start(factory, onConnection = () => undefined, crypto) {
  const identity = await (crypto === undefined ? createIdentity() : generateIdentity(crypto))
  const transport = factory({
    identity,
    secure: secureChannels({ identity, clock }),
    clock,
    random: { bytes: (length) => randomBytes(length), uniform: Math.random },
    log: silentLogger,
    metrics: undefined,
  })
  let addresses = []
  await transport.start({
    admit: () => true,
    onConnection,
    onListening: (now) => (addresses = now),
    onDown: (error) => {
      throw error
    },
  })
  return { transport, addresses, identity }
}

/** A Connection as the harness wants it: a promise only when the sender has to wait. */
function wrap(connection) {
  let deliver = () => undefined
  let wake
  connection.attach({
    onPacket: (bytes) => deliver(bytes),
    onDrain: () => wake?.(),
    onClosed: () => wake?.(),
  })
  const wait = async (message) => {
    for (;;) {
      await new Promise((resolve) => (wake = resolve))
      const result = connection.send(message, reliable)
      if (result === 'full') continue
      if (result !== 'accepted') throw new Error(`send: ${result}`)
      return
    }
  }
  return {
    send(message) {
      const result = connection.send(message, reliable)
      if (result === 'full') return wait(message)
      if (result !== 'accepted') throw new Error(`send: ${result}`)
    },
    onMessage: (callback) => (deliver = callback),
    close: () => connection.close(),
  }
}

/** `listening` and `dialling` are transport factories; `crypto`: other than the default one; `options` for every dial. */
export function transportAdapter(listening, dialling, crypto, options) {
  return {
    async server(onConnection) {
      const { transport, addresses, identity } = await start(
        listening,
        (connection) => onConnection(wrap(connection)),
        crypto,
      )
      return { addr: { address: addresses[0], nodeId: identity.nodeId }, close: () => transport.close() }
    },
    async client({ address, nodeId }) {
      const { transport } = await start(dialling, undefined, crypto)
      return { connect: async () => wrap(await transport.dial(address, { expected: nodeId, ...options })) }
    },
  }
}
