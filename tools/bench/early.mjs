// What an early dial saves, in figures: `node tools/bench/early.mjs` after `npm run build`. Both nodes in one process,
// over TCP through a proxy that delays; so the times are those of the network, not a speed.
import { createServer, connect } from 'node:net'
import { betanet } from '@aiv/betanet'
import { start } from './transport-adapter.mjs'

const DELAY_MS = 50
const ROUNDS = 6
const reliable = { priority: 2, delivery: 'reliable' }
const handler = (onPacket) => ({ onPacket, onDrain: () => undefined, onClosed: () => undefined })

let accepted = () => undefined
const listener = await start(betanet({ listen: { host: '127.0.0.1', port: 0 } }), (connection) => accepted(connection))
const dialler = await start(betanet({ listen: false }))
const proxy = await delaying(Number(listener.addresses[0].split(':').at(-1)))
const address = `htx://127.0.0.1:${proxy.address().port}`

console.log(
  `First message over TCP between nodes that met before, round trip ${2 * DELAY_MS} ms; ms since the dial (median of ${ROUNDS - 1})`,
)
for (const [name, options] of [
  ['with certificates', { expected: undefined }],
  ['resumed', { expected: listener.identity.nodeId }],
  ['resumed, early', { expected: listener.identity.nodeId, early: true }],
]) {
  const all = []
  for (let round = 0; round < ROUNDS; round++) all.push(await first(options))
  const median = (key) =>
    all
      .slice(1)
      .map((one) => one[key])
      .sort((a, b) => a - b)
      [(ROUNDS - 1) >> 1].toFixed(0)
  console.log(`  ${name.padEnd(18)} at the listener ${median('there')}, its answer ${median('back')}`)
}
await Promise.all([dialler.transport.close(), listener.transport.close()])
proxy.close()

async function first(options) {
  const begun = performance.now()
  const times = {}
  accepted = (far) =>
    far.attach(
      handler((bytes) => {
        times.there = performance.now() - begun
        far.send(bytes, reliable)
      }),
    )
  const near = await dialler.transport.dial(address, options)
  await new Promise((resolve) => {
    near.attach(handler(resolve))
    near.send(new Uint8Array(64), reliable)
  })
  times.back = performance.now() - begun
  await near.close()
  return times
}

/** Delays what passes, and first of all as long as TCP's own handshake would take: the kernel says at once that it is done. */
async function delaying(port) {
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    const open = performance.now() + 2 * DELAY_MS
    const pass = (from, to) => {
      const later = (run) => setTimeout(run, Math.max(0, open - performance.now()) + DELAY_MS)
      from.on('data', (bytes) => later(() => to.write(bytes)))
      from.on('end', () => later(() => to.end()))
      from.on('error', () => to.destroy())
    }
    pass(near, far)
    pass(far, near)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
