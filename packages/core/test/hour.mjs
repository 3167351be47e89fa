// Three nodes for a simulated hour over links that lose, double and reorder, and that are cut, restored and reset.
// Run as a program it prints what happened as JSON: `node hour.mjs <seed>`.
import { createNode } from '@aiv/core'
import { identityFromSeed, nodeCrypto, seededCrypto } from '@aiv/security'
import { memoryNetwork, World } from '@aiv/testkit'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const names = ['a', 'b', 'c']
const impairment = {
  delayMs: 20,
  jitterMs: 10,
  lossRatio: 0.2,
  duplicateRatio: 0.05,
  reorderRatio: 0.2,
  reorderMs: 60,
}

/** What every node promises to hold at most. */
const bounds = { queued: 760, waitingSends: 1024, unacknowledged: 3 * 4 * 4096, unclaimedMessages: 256, connections: 8 }

/** Watches from outside: an acknowledged message was delivered, once, and in the order of its kind. */
class Ledger {
  name = 'each once and in order'
  sent = 0
  delivered = new Map()
  acknowledged = []
  last = new Map()

  onEvent({ type, detail }) {
    if (type === 'delivered') {
      const { kind, number } = detail
      const key = `${kind} ${number}`
      if (this.delivered.has(key)) return `${key} was delivered twice`
      this.delivered.set(key, true)
      if (number <= (this.last.get(kind) ?? -1)) return `${key} came after ${this.last.get(kind)}`
      this.last.set(kind, number)
    } else if (type === 'acknowledged') {
      this.acknowledged.push(`${detail.kind} ${detail.number}`)
    }
  }

  onEnd() {
    const missing = this.acknowledged.filter((key) => !this.delivered.has(key))
    if (missing.length > 0) return `acknowledged but not delivered: ${missing.slice(0, 5).join(', ')}`
  }
}

export async function playHour(seed) {
  const world = new World({ seed, keepEvents: 100 })
  const ledger = new Ledger()
  world.check(ledger)
  const first = memoryNetwork(world, { impairment })
  const second = memoryNetwork(world, { scheme: 'alt', impairment })
  const nodes = []
  for (const name of names) {
    const crypto = seededCrypto(nodeCrypto, world.random(`${name} crypto`))
    nodes.push(
      await createNode({
        identity: identityFromSeed(crypto, world.seedBytes(name, 32)),
        transports: [first.memory({ name: 'first' }), second.memory({ name: 'second' })],
        clock: world.clock(name, { skewPpm: name === 'b' ? 100 : 0 }),
        random: world.random(name),
      }),
    )
  }
  for (const node of nodes)
    for (const other of nodes) if (node !== other) for (const it of other.addresses) node.addAddress(it)

  const outcomes = {}
  const peak = {}
  nodes.forEach((node, i) => {
    node.handle('count/1', (message) => {
      const [kind, number] = message.text().split('#')
      world.record(names[i], 'delivered', { kind, number: Number(number) })
    })
    const chance = world.random(`${names[i]} traffic`)
    const counts = new Map()
    const next = () => {
      const peers = nodes.filter((other) => other !== node)
      const to = peers[Math.floor(chance.uniform() * peers.length)]
      const priority = Math.floor(chance.uniform() * 4)
      const kind = `${names[i]}>${names[nodes.indexOf(to)]}/${priority}`
      const number = counts.get(kind) ?? 0
      counts.set(kind, number + 1)
      ledger.sent++
      const outcome = (code) => (outcomes[code] = (outcomes[code] ?? 0) + 1)
      node
        .send(to.id, `${kind}#${number}`, { protocol: 'count/1', priority })
        .then((receipt) => receipt.delivered)
        .then(
          () => {
            outcome('delivered')
            world.record(names[i], 'acknowledged', { kind, number })
          },
          (error) => outcome(error.code),
        )
      const backlog = node.backlog()
      for (const [what, most] of Object.entries(bounds)) {
        peak[what] = Math.max(peak[what] ?? 0, backlog[what])
        if (backlog[what] > most) world.violate('bounds', `${names[i]} holds ${backlog[what]} ${what}`)
      }
      world.at(world.now() + 1_000 * chance.uniform() * 2, next)
    }
    world.at(chance.uniform() * 1_000, next)
  })

  // every minute something happens to a way between two nodes; the last five minutes are left to recover
  const fate = world.random('fate')
  for (let at = MINUTE_MS; at < HOUR_MS - 5 * MINUTE_MS; at += MINUTE_MS) {
    world.at(at, () => {
      const [x, y] = [0, 1, 2].sort(() => fate.uniform() - 0.5).map((i) => nodes[i].id)
      const network = fate.uniform() < 0.5 ? first : second
      const what = fate.uniform()
      if (what < 0.4) network.sever(x, y)
      else {
        const both = what > 0.8
        for (const it of both ? [first, second] : [network]) it.cut(x, y)
        world.at(world.now() + 30_000 * fate.uniform(), () => {
          for (const it of [first, second]) it.restore(x, y)
        })
      }
    })
  }
  await world.run(HOUR_MS)
  for (const node of nodes) await world.settled(node.close())
  world.end()
  return { hash: world.hash, events: world.eventCount, sent: ledger.sent, outcomes, peak }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  console.log(JSON.stringify(await playHour(process.argv[2] ?? 'hour')))
}
