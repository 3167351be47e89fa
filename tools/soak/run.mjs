// `npm run soak`: two nodes talk over betanet and WebSocket for as long as you like, while connections are cut, other
// nodes come and go, and keys are changed all the time. Every message is accounted for, and memory and handles are
// looked at once a while, when all is quiet. Fails when a message is lost or doubled, or when something grows.
// Needs `npm run build`. What it found so far: docs/security-tests.md
//
//   --minutes N   how long                     10
//   --seed TEXT   chance of sizes and cuts     the date
//   --sample N    seconds from sample to sample  10
import { createHash } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parseArgs } from 'node:util'
import { betanet } from '@aiv/betanet'
import { createNode } from '@aiv/core'
import { lz4Compressor } from '@aiv/htx-codec'
import { createIdentity } from '@aiv/security'
import { SeededRandom } from '@aiv/testkit'
import { webSocket } from '@aiv/websocket'
import { cuttableWay } from './cuttable-way.mjs'
import { growth } from './growth.mjs'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: new Date().toISOString() },
    sample: { type: 'string', default: '10' },
  },
})
const durationMs = Number(values.minutes) * 60_000
const sampleMs = Number(values.sample) * 1_000
if (!(durationMs > 0 && sampleMs > 0)) {
  console.error('--minutes and --sample take numbers above 0')
  process.exit(2)
}
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const random = new SeededRandom(values.seed)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Keys change every 1,100 frames, every MiB and every second, whichever comes first. */
const session = { rekeyAfterFrames: 1_100, rekeyAfterBytes: 2 ** 20, rekeyAfterMs: 1_000, compression: true }
const options = { listen: { host: '127.0.0.1', port: 0 }, session, compressor: lz4Compressor() }
/** Messages on their way at the same time, and their bytes. */
const MAX_UNDERWAY = 128
const MAX_UNDERWAY_BYTES = 8 * 2 ** 20
/** Cuts are that far apart, in ms: at least, at most. */
const CUT_EVERY_MS = [400, 4_000]

const newNode = async (extra = {}) =>
  createNode({
    identity: await createIdentity(),
    transports: [betanet(options), webSocket(options)],
    compressor: lz4Compressor(),
    deliveryTimeoutMs: 60_000,
    ...extra,
  })

const counts = { delivered: 0, failed: 0, bytes: 0, cuts: 0, visitors: 0, failovers: 0, opened: 0 }
const faults = []
const fault = (text) => {
  if (faults.length < 20) console.log(`FAULT ${text}`)
  faults.push(text)
}

/** Messages of one direction: what was sent with which number, and what has arrived. */
class Ledger {
  constructor(name) {
    this.name = name
    this.sent = [0, 0, 0, 0]
    this.last = [-1, -1, -1, -1]
    /** Numbers that were jumped over: lost, unless their sender knows that they failed. */
    this.missing = new Set()
    this.failed = new Set()
    this.underway = 0
    this.underwayBytes = 0
  }

  /** A message says its priority, its number and the hash of what follows. */
  make(priority, length) {
    const payload = Buffer.alloc(16 + length, random.next() & 0xff)
    payload.writeUInt32BE(priority, 0)
    payload.writeUInt32BE(this.sent[priority]++, 4)
    if (random.chance(0.5)) random.bytes(Math.min(length, 4_096)).forEach((byte, i) => (payload[16 + i] = byte))
    createHash('sha256').update(payload.subarray(16)).digest().copy(payload, 8, 0, 8)
    return payload
  }

  arrived(bytes) {
    const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const priority = payload.readUInt32BE(0)
    const number = payload.readUInt32BE(4)
    const hash = createHash('sha256').update(payload.subarray(16)).digest()
    if (!hash.subarray(0, 8).equals(payload.subarray(8, 16)))
      return fault(`${this.name} ${priority}/${number} is damaged`)
    if (number <= this.last[priority]) return fault(`${this.name} ${priority}/${number} doubled, or out of order`)
    for (let lost = this.last[priority] + 1; lost < number; lost++) this.missing.add(`${priority}/${lost}`)
    this.last[priority] = number
  }

  /** When nothing is under way: every message has arrived, or its sender was told that it did not. */
  settle() {
    for (let priority = 0; priority < 4; priority++) {
      for (let lost = this.last[priority] + 1; lost < this.sent[priority]; lost++)
        this.missing.add(`${priority}/${lost}`)
      this.last[priority] = this.sent[priority] - 1
    }
    for (const one of this.missing) if (!this.failed.has(one)) fault(`${this.name} ${one} is lost`)
    this.missing.clear()
    this.failed.clear()
  }
}

/** Bytes and handles when all is quiet. */
async function measure() {
  for (let i = 0; i < 4; i++) {
    gc()
    await sleep(20)
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  const handles = process.getActiveResourcesInfo()
  const kinds = new Map()
  for (const kind of handles) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  return { bytes: heapUsed + external, rss, handles: handles.length, kinds }
}

const a = await newNode()
const b = await newNode()
const ways = []
for (const [from, to] of [
  [a, b],
  [b, a],
]) {
  for (const address of to.addresses) {
    const way = await cuttableWay(address)
    ways.push(way)
    from.addAddress(way.address)
  }
}
const ledgers = [new Ledger('a→b'), new Ledger('b→a')]
const directions = [
  { from: a, to: b, ledger: ledgers[0] },
  { from: b, to: a, ledger: ledgers[1] },
]
for (const { to, from, ledger } of directions) {
  to.handle('soak/1', (message) => {
    if (message.from === from.id) ledger.arrived(message.payload)
  })
  to.handle('visit/1', (message) => message.payload)
  from.addEventListener('failover', () => counts.failovers++)
  from.addEventListener('connection-opened', () => counts.opened++)
}

let quiet = false
let over = false

/** Sizes as they come in practice: mostly small, some large, a few very large. */
function size() {
  const roll = random.uniform()
  if (roll < 0.7) return random.below(400)
  if (roll < 0.95) return random.below(20_000)
  return random.below(roll < 0.995 ? 300_000 : 3_000_000)
}

async function talk({ from, to, ledger }) {
  while (!over) {
    if (quiet || ledger.underway >= MAX_UNDERWAY || ledger.underwayBytes >= MAX_UNDERWAY_BYTES) {
      await sleep(5)
      continue
    }
    const priority = random.chance(0.01) ? 0 : 1 + random.below(3)
    const payload = ledger.make(priority, size())
    const name = `${priority}/${payload.readUInt32BE(4)}`
    const { length } = payload
    ledger.underway++
    ledger.underwayBytes += length
    const ended = () => {
      ledger.underway--
      ledger.underwayBytes -= length
    }
    from
      .send(to.id, payload, { protocol: 'soak/1', priority })
      .then(({ delivered }) => delivered)
      .then(
        () => {
          counts.delivered++
          counts.bytes += length
          ended()
        },
        (error) => {
          counts.failed++
          ledger.failed.add(name)
          if (!/^(DELIVERY_|PEER_)/.test(error.code ?? '')) fault(`${ledger.name} ${name}: ${error.stack}`)
          ended()
        },
      )
    if (random.chance(0.2)) await sleep(random.below(10))
  }
}

async function cutter() {
  const [least, most] = CUT_EVERY_MS
  while (!over) {
    await sleep(least + random.below(most - least))
    if (quiet || over) continue
    counts.cuts += ways[random.below(ways.length)].cut(random.chance(0.5))
  }
}

/**
 * Nodes that come, ask something and go: half of them in good order. The same few again and again, since a node remembers
 * whom it met, up to a bound that an hour of strangers does not reach.
 */
async function visitors() {
  const identities = await Promise.all(Array.from({ length: 8 }, () => createIdentity()))
  while (!over) {
    await sleep(500 + random.below(1_500))
    if (quiet || over) continue
    busy++
    const visitor = await newNode({ identity: identities[random.below(identities.length)] })
    try {
      const question = random.bytes(1 + random.below(50_000))
      const [address] = random.chance(0.5) ? b.addresses : [b.addresses.at(-1)]
      const answer = await visitor.request(address, 'visit/1', question)
      if (Buffer.compare(answer, question) !== 0) fault('a visitor got another answer')
      counts.visitors++
    } catch (error) {
      fault(`a visitor got none: ${error.code ?? error.stack}`)
    }
    await visitor.close()
    busy--
  }
}
let busy = 0

async function untilQuiet() {
  quiet = true
  const until = Date.now() + 90_000
  while (busy > 0 || ledgers.some(({ underway }) => underway > 0)) {
    if (Date.now() > until) {
      fault(`not quiet after 90 s: ${ledgers.map(({ name, underway }) => `${name} ${underway}`).join(', ')}`)
      return
    }
    await sleep(20)
  }
  await sleep(2_500) // a link that closes has two seconds for it
  for (const ledger of ledgers) ledger.settle()
}

console.log(`seed ${values.seed}   ${values.minutes} minutes`)
console.log('     s  delivered   failed      MiB   cuts  failovers  opened  visitors   heap MiB   rss MiB  handles')
const startedAt = Date.now()
const samples = []
const tasks = [...directions.map(talk), cutter(), visitors()]
const elapsed = () => Date.now() - startedAt
while (elapsed() < durationMs) {
  quiet = false
  await sleep(Math.min(sampleMs, durationMs - elapsed() + 50))
  await untilQuiet()
  const { bytes, rss, handles, kinds } = await measure()
  samples.push({ at: elapsed(), bytes, handles, kinds })
  const cells = [
    [(elapsed() / 1_000).toFixed(0), 6],
    [counts.delivered, 11],
    [counts.failed, 9],
    [(counts.bytes / 2 ** 20).toFixed(0), 9],
    [counts.cuts, 7],
    [counts.failovers, 11],
    [counts.opened, 8],
    [counts.visitors, 10],
    [(bytes / 2 ** 20).toFixed(2), 11],
    [(rss / 2 ** 20).toFixed(0), 10],
    [handles, 9],
  ]
  console.log(cells.map(([text, width]) => String(text).padStart(width)).join(''))
}
over = true
await Promise.all(tasks)
await Promise.all([a.close(), b.close()])
await Promise.all(ways.map((way) => way.close()))
await sleep(200)
const left = await measure()
console.log(`after close: ${left.handles} handles (${[...left.kinds].map(([kind, n]) => `${n} ${kind}`).join(', ')})`)

for (const verdict of [
  growth('heap', samples, ({ bytes }) => bytes, { share: 0.1, least: 2 * 2 ** 20 }),
  // each standing connection between the two is four sockets and some timers, and there may be one to four of them
  growth('handles', samples, ({ handles }) => handles, { share: 0.25, least: 12 }),
]) {
  console.log(verdict.text)
  if (verdict.grows) faults.push(verdict.text)
}
const shown = (kinds) => [...kinds].map(([kind, n]) => `${n} ${kind}`).join(', ')
console.log(`handles at first: ${shown(samples[0].kinds)}; at last: ${shown(samples.at(-1).kinds)}`)
if (left.kinds.has('TCPSocketWrap') || left.kinds.has('TCPServerWrap')) faults.push('sockets are left')
console.log(faults.length === 0 ? '1 passed, 0 failed' : `${faults.length} faults\n0 passed, 1 failed`)
process.exit(faults.length === 0 ? 0 : 1)
