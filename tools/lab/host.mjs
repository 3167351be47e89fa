// One node on one host of the lab: receives a transfer, or sends one. Started by transfer.mjs with its part as JSON.
import { createHash, randomBytes } from 'node:crypto'
import { betanet } from '@aiv/betanet'
import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'
import { webSocket } from '@aiv/websocket'

const PROTOCOL = 'lab/1'
const HEAD_BYTES = 8
const part = JSON.parse(process.argv[2])
const report = (message) => process.send(message)
/** The same for every process of this machine. */
const now = () => performance.timeOrigin + performance.now()

process.on('disconnect', () => process.exit(0))

async function receive({ htxPort, wsPort }) {
  const node = await createNode({
    identity: await createIdentity(),
    transports: [
      betanet({ listen: { host: '0.0.0.0', port: htxPort } }),
      webSocket({ listen: { host: '0.0.0.0', port: wsPort } }),
    ],
  })
  const seen = { messages: 0, bytes: 0, outOfPlace: 0, transports: {}, silences: [], failovers: [] }
  const hash = createHash('sha256')
  let lastAt
  node.handle(PROTOCOL, ({ payload, transport }) => {
    const at = now()
    if (lastAt !== undefined && at - lastAt > 100) seen.silences.push({ from: lastAt, to: at })
    lastAt = at
    const view = new DataView(payload.buffer, payload.byteOffset, HEAD_BYTES)
    if (view.getFloat64(0) !== seen.messages) seen.outOfPlace++
    seen.messages++
    seen.bytes += payload.length
    seen.transports[transport] = (seen.transports[transport] ?? 0) + 1
    hash.update(payload)
    if (seen.messages % 8 === 0) report({ progress: seen.messages })
  })
  process.on('message', (message) => {
    if (message === 'report') report({ received: { ...seen, hash: hash.digest('hex') } })
  })
  report({ ready: { id: node.id } })
}

async function send({ peer, addresses, standing, messages, messageBytes }) {
  const node = await createNode({
    identity: await createIdentity(),
    transports: [betanet({ listen: false }), webSocket({ listen: false })],
  })
  const failovers = []
  let opened = 0
  const log = (...what) => part.verbose && console.error(Math.round(performance.now()), ...what)
  node.addEventListener('failover', ({ detail: { from, to, messages: moved, gapMs } }) => {
    failovers.push({ from, to, moved, gapMs })
    log('failover', from, to, moved, gapMs)
  })
  node.addEventListener('connection-opened', ({ detail }) => {
    opened++
    log('opened', detail.transport, detail.remoteAddress)
  })
  node.addEventListener('connection-closed', ({ detail }) => log('closed', detail.transport, detail.reason))
  node.addEventListener('connection-liveness', ({ detail }) => log(detail.state, detail.transport))
  for (const address of addresses) node.addAddress(address)
  await node.connect(peer)
  // an address without an id is dialled whatever connections there are
  if (standing !== undefined) await node.connect(standing)
  report({ ready: { connections: node.connections().length } })
  await new Promise((resolve) => process.once('message', resolve))

  const hash = createHash('sha256')
  const failures = {}
  const undelivered = []
  const startedAt = now()
  for (let number = 0; number < messages; number++) {
    const payload = randomBytes(messageBytes)
    payload.writeDoubleBE(number, 0)
    hash.update(payload)
    const receipt = await node.send(peer, payload, { protocol: PROTOCOL, timeoutMs: 60_000 })
    undelivered.push(receipt.delivered.catch((error) => (failures[error.code] = (failures[error.code] ?? 0) + 1)))
  }
  await Promise.all(undelivered)
  report({ sent: { seconds: (now() - startedAt) / 1000, hash: hash.digest('hex'), failures, failovers, opened } })
}

try {
  await (part.role === 'receive' ? receive(part) : send(part))
} catch (error) {
  report({ error: String(error?.stack ?? error) })
}
