// What QUIC is for, in figures: `node tools/bench/quic.mjs` after `npm run build`. Everything in one process, over
// loopback, through a proxy that delays, loses and changes ports; so the times are those of the network, not a speed.
import { createHash, randomFillSync } from 'node:crypto'
import { Session } from 'node:inspector/promises'
import { quic } from '@aiv/quic'
import { start } from './transport-adapter.mjs'
import { udpProxy } from './udp-proxy.mjs'

const MIB = 2 ** 20
const APPLICATION_BYTES = 100
/** How a dial goes about 0-RTT. */
const dials = { 'full handshake': {}, '0-RTT': { early: true }, 'first flight': { firstFlight: [new Uint8Array(10)] } }
const handler = (own) => ({ onPacket: () => undefined, onDrain: () => undefined, onClosed: () => undefined, ...own })
const wakes = new WeakMap()

const only = process.argv[2]?.split(',')
const parts = { early, rebinding, loss, streams, driver }
for (const [name, part] of Object.entries(parts)) if (only === undefined || only.includes(name)) await part()

/** A listener and a dialler, with what lies between. */
async function pair(network, options = {}) {
  let accepted = () => undefined
  const unvalidated = { perHostPerSecond: Infinity }
  const listener = await start(
    quic({ listen: { host: '127.0.0.1', port: 0 }, unvalidated, ...options }),
    (connection) => accepted(connection),
  )
  const dialler = await start(quic({ listen: false, ...options }))
  const target = Number(listener.addresses[0].split(':').at(-1))
  const proxy = network === undefined ? undefined : await udpProxy(target, network)
  const address = `quic://127.0.0.1:${proxy?.port ?? target}`
  return {
    proxy,
    onAccepted: (run) => (accepted = run),
    dial: (options) => dialler.transport.dial(address, { expected: listener.identity.nodeId, ...options }),
    async close() {
      await Promise.all([dialler.transport.close(), listener.transport.close()])
      proxy?.close()
    },
  }
}

/** First application data at the listener, its echo, and the listener's own first word at the dialler; 50 ms each way. */
async function early() {
  const world = await pair({ delayMs: 50 })
  console.log('\nFirst application data, round trip 100 ms; ms since the dial (median of 5)')
  for (const [kind, options] of Object.entries(dials)) {
    const all = []
    for (let round = 0; round < 6; round++) {
      // 0-RTT needs a ticket, which every connection leaves behind
      all.push(await first(world, options))
    }
    // The first one is of code that has not run before
    const [there, back, word] = ['there', 'back', 'word'].map(
      (key) =>
        all
          .slice(1)
          .map((one) => one[key])
          .sort((a, b) => a - b)[2],
    )
    const early = all.slice(1).filter((one) => one.early).length
    console.log(
      `  ${kind.padEnd(15)} listener ${there.toFixed(0)}, echo ${back.toFixed(0)}, ` +
        `listener's own word ${word.toFixed(0)}; early: ${early} of 5`,
    )
  }
  await world.close()
}

async function first(world, options) {
  const begun = performance.now()
  const times = {}
  world.onAccepted((far) => {
    far.attach(
      handler({
        onPacket(bytes, info) {
          if (bytes.length === APPLICATION_BYTES) {
            times.there ??= performance.now() - begun
            times.early ??= info.early
          }
          far.send(bytes, { priority: 2, delivery: 'reliable' })
        },
      }),
    )
    far.send(new Uint8Array(1), { priority: 2, delivery: 'reliable' })
  })
  const near = await world.dial(options)
  const echoed = new Promise((resolve) =>
    near.attach(
      handler({
        onPacket(bytes) {
          times.word ??= performance.now() - begun
          if (bytes.length === APPLICATION_BYTES) resolve()
        },
      }),
    ),
  )
  near.send(new Uint8Array(APPLICATION_BYTES), { priority: 2, delivery: 'reliable', repeatable: true })
  await echoed
  times.back = performance.now() - begun
  // The ticket for the next time comes right behind the handshake
  await new Promise((resolve) => setTimeout(resolve, 150))
  await near.close()
  return times
}

/** 16 MiB while the source port changes thirty times. */
async function rebinding() {
  const world = await pair({})
  const [sent, received] = [createHash('sha256'), createHash('sha256')]
  const total = 16 * MIB
  let [got, connections, changes, rebound] = [0, 0, 0, 0]
  let done
  const finished = new Promise((resolve) => (done = resolve))
  world.onAccepted((far) => {
    connections++
    far.attach(
      handler({
        onPacket(bytes) {
          received.update(bytes)
          got += bytes.length
          if (got > ((changes + 1) * total) / 31 && changes < 30) {
            changes++
            world.proxy.rebind()
          }
          if (got === total) done()
        },
        onPath: () => rebound++,
      }),
    )
  })
  const near = await world.dial()
  await send(near, total, 65_536, (bytes) => sent.update(bytes))
  await finished
  const same = sent.digest('hex') === received.digest('hex')
  console.log(`\n16 MiB through ${changes} changes of the source port: ${same ? 'the same bytes' : 'OTHER BYTES'},`)
  console.log(`  ${connections} connection, ${connections - 1} reconnects, ${rebound} changes seen by the listener`)
  await world.close()
}

/** 8 MiB with a round trip of 20 ms, by congestion control and loss each way. */
async function loss() {
  console.log(
    '\n8 MiB, round trip 20 ms, loss each way: MiB/s (median of 3, cut off after 8 s) | behind a bottleneck of 4 MiB/s',
  )
  for (const congestionControl of ['reno', 'cubic', 'bbr']) {
    const cells = []
    for (const bytesPerSecond of [Infinity, 4 * MIB]) {
      for (const share of [0, 0.01, 0.05]) {
        const rates = []
        for (let round = 0; round < 3; round++) rates.push(await transfer(congestionControl, share, bytesPerSecond))
        rates.sort((a, b) => a - b)
        cells.push(`${share * 100} %: ${rates[1].toFixed(2)}`)
      }
    }
    console.log(`  ${congestionControl.padEnd(6)} ${cells.slice(0, 3).join('  ')}   |   ${cells.slice(3).join('  ')}`)
  }
}

async function transfer(congestionControl, share, bytesPerSecond) {
  const world = await pair({ delayMs: 10, loss: share, bytesPerSecond }, { congestionControl })
  const total = 8 * MIB
  let got = 0
  let done
  const finished = new Promise((resolve) => (done = resolve))
  world.onAccepted((far) => far.attach(handler({ onPacket: (bytes) => (got += bytes.length) === total && done() })))
  const near = await world.dial()
  const begun = performance.now()
  void send(near, total, 65_536)
  const limit = setTimeout(done, 8_000)
  await finished
  clearTimeout(limit)
  const seconds = (performance.now() - begun) / 1000
  await world.close()
  return got / MIB / seconds
}

/** Opening and echoing on many streams; an emergency beside bulk. */
async function streams() {
  const world = await pair(undefined)
  world.onAccepted((far) =>
    far.attach(
      handler({
        onStream: (stream) =>
          stream.attach({
            onData: (bytes) => stream.write(bytes),
            onEnd: () => stream.write([], { end: true }),
            onDrain: () => undefined,
            onReset: () => undefined,
          }),
      }),
    ),
  )
  const near = await world.dial()
  near.attach(handler({}))
  console.log('\nOpen n streams and have 5 bytes echoed on each, ms (median of 9)')
  for (const count of [1, 10, 100]) {
    const times = []
    for (let round = 0; round < 9; round++) {
      const begun = performance.now()
      await Promise.all(Array.from({ length: count }, () => echo(near.openStream({ priority: 2 }))))
      times.push(performance.now() - begun)
    }
    times.sort((a, b) => a - b)
    console.log(`  ${String(count).padStart(3)}  ${times[4].toFixed(2)}`)
  }
  await world.close()
  await emergency()
}

function echo(stream) {
  return new Promise((resolve) => {
    stream.attach({ onData: resolve, onEnd: () => undefined, onDrain: () => undefined, onReset: () => undefined })
    stream.write(new Uint8Array(5), { end: true })
  })
}

/** Delay of an emergency packet over 20 ms, on an idle connection and beside bulk that fills it. */
async function emergency() {
  for (const busy of [false, true]) {
    const world = await pair({ delayMs: 10, bytesPerSecond: 4 * MIB })
    const delays = []
    world.onAccepted((far) =>
      far.attach(
        handler({
          onPacket(bytes) {
            if (bytes.length === 8) delays.push(performance.now() - new Float64Array(bytes.slice().buffer)[0])
          },
        }),
      ),
    )
    const near = await world.dial()
    let running = true
    if (busy)
      void send(
        near,
        64 * MIB,
        65_536,
        () => undefined,
        3,
        () => running,
      )
    else near.attach(handler({}))
    for (let i = 0; i < 200; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      near.send(new Uint8Array(Float64Array.of(performance.now()).buffer), { priority: 0, delivery: 'reliable' })
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    running = false
    delays.sort((a, b) => a - b)
    const at = (share) => delays[Math.floor(delays.length * share)]?.toFixed(0)
    const where = busy ? 'beside low-priority bulk' : 'on an idle connection'
    console.log(
      `  emergency ${where}, 10 ms and a queue of up to 100 ms away: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${delays.length} of 200)`,
    )
    near.abort(new Error('done'))
    await world.close()
  }
}

/** Whose processor time a bulk transfer is: the engine's, Node's sockets', or ours. */
async function driver() {
  const world = await pair(undefined)
  const total = 64 * MIB
  let got = 0
  let done
  world.onAccepted((far) => far.attach(handler({ onPacket: (bytes) => (got += bytes.length) >= total && done() })))
  const near = await world.dial()
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  for (const measured of [false, true]) {
    got = 0
    const finished = new Promise((resolve) => (done = resolve))
    if (measured) await session.post('Profiler.start')
    if (measured) for (let left = total; left > 0; left -= 65_536) await push(near, new Uint8Array(65_536), 2)
    else await send(near, total, 65_536)
    await finished
  }
  const { profile } = await session.post('Profiler.stop')
  const shares = { engine: 0, sockets: 0, 'this package': 0, 'garbage collector': 0, other: 0 }
  const byId = new Map(profile.nodes.map((node) => [node.id, node]))
  const parent = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node])))
  let sum = 0
  profile.samples.forEach((id, index) => {
    const whose = owner(byId.get(id), parent)
    if (whose === undefined) return
    shares[whose] += profile.timeDeltas[index]
    sum += profile.timeDeltas[index]
  })
  console.log('\nProcessor time of a bulk transfer, both ends')
  for (const [name, time] of Object.entries(shares))
    console.log(`  ${name.padEnd(18)} ${((time / sum) * 100).toFixed(0)} %`)
  await world.close()
}

/** A native function has no file: it belongs to whatever called it. */
function owner(node, parent) {
  const { functionName, url } = node.callFrame
  if (functionName === '(idle)') return undefined
  if (functionName === '(garbage collector)') return 'garbage collector'
  if (functionName.startsWith('(')) return 'other'
  if (url === '') {
    const caller = parent.get(node.id)?.callFrame.url ?? ''
    return caller.includes('engine-quiche') ? 'engine' : caller.startsWith('node:') ? 'sockets' : 'other'
  }
  if (url.includes('engine-quiche')) return 'engine'
  if (url.startsWith('node:')) return 'sockets'
  return url.includes('/packages/quic/') ? 'this package' : 'other'
}

/** Sends `total` random bytes in packets. */
async function send(connection, total, size, onPacket = () => undefined, priority = 2, goOn = () => true) {
  connection.attach(handler({ onDrain: () => wakes.get(connection)?.(), onClosed: () => wakes.get(connection)?.() }))
  for (let left = total; left > 0 && goOn(); left -= size) {
    const bytes = randomFillSync(new Uint8Array(size))
    onPacket(bytes)
    if (!(await push(connection, bytes, priority))) return
  }
}

async function push(connection, bytes, priority) {
  for (;;) {
    const result = connection.send(bytes, { priority, delivery: 'reliable' })
    if (result !== 'full') return result === 'accepted'
    await new Promise((resolve) => wakes.set(connection, resolve))
  }
}
