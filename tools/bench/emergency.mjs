// `npm run bench:emergency`: how long a small emergency message takes on a connection that is saturated with bulk,
// against the same connection idle: over loopback, and over a link of 10 Mbit/s and 40 ms between two network
// namespaces (root; tools/lab). Beside it one queue for everything, and js-libp2p where ../shared/bench is present.
import { fork } from 'node:child_process'
import { copyFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { Network, whyNot } from '../lab/network.mjs'
import { median } from './compare.mjs'
import { copy, havePeers, prepare } from './peers.mjs'

const side = fileURLToPath(new URL('emergency-side.mjs', import.meta.url))
const ours = ['htx', 'node', 'naive']

/** What a message crosses: nothing but this machine, or a slow link with the queue of an ordinary router. */
export const links = {
  loopback: { count: 500, gapMs: 4, warmMs: 1_000, limitMs: 20_000 },
  '10 Mbit/s, 40 ms': {
    count: 200,
    gapMs: 20,
    warmMs: 4_000,
    limitMs: 20_000,
    network: { rateMbit: 10, delayMs: 20, queueMs: 100 },
  },
}

/**
 * One adapter over one link, a few rounds: the medians of the rounds.
 * @returns `{ idle: { p50, p99 }, loaded: { p50, p99 }, ratio, mibPerSecond, missing }`; times in ms, `ratio` is the
 * median of p99 loaded to p99 idle of the same round.
 */
export async function emergency(adapter, link, { rounds = 3, share = 1 } = {}) {
  const { network: shape, ...work } = links[link]
  const results = []
  for (let round = 0; round < rounds; round++) {
    results.push(await measure(adapterUrl(adapter), shape, { ...work, count: Math.ceil(work.count * share) }))
  }
  const of = (pick) => median(results.map(pick))
  return {
    idle: { p50: of(({ idle }) => idle.p50), p99: of(({ idle }) => idle.p99) },
    loaded: { p50: of(({ loaded }) => loaded.p50), p99: of(({ loaded }) => loaded.p99) },
    ratio: of(({ idle, loaded }) => loaded.p99 / idle.p99),
    mibPerSecond: of(({ mibPerSecond }) => mibPerSecond),
    missing: Math.max(...results.map(({ loaded }) => loaded.missing)),
  }
}

function adapterUrl(name) {
  const file = fileURLToPath(new URL(`emergency/${name}.mjs`, import.meta.url))
  if (ours.includes(name)) return pathToFileURL(file).href
  prepare()
  const copied = join(copy, 'adapters', `emergency-${name}.mjs`)
  copyFileSync(file, copied)
  return pathToFileURL(copied).href
}

async function measure(adapter, shape, work) {
  const network = shape === undefined ? undefined : await Network.open(shape)
  const children = []
  const start = (host, role, options) => {
    const part = JSON.stringify({ role, adapterUrl: adapter, options })
    const child =
      network?.fork(host, side, [part]) ?? fork(side, [part], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    children.push(child)
    return new Promise((resolve, reject) => {
      child.once('message', (message) =>
        message.error === undefined ? resolve(message) : reject(new Error(message.error)),
      )
      child.once('exit', (status) => reject(new Error(`${role} ended with ${status}`)))
    })
  }
  const { count, gapMs, warmMs, limitMs } = work
  let timer
  const late = new Promise((_, reject) => {
    const limit = 30_000 + 2 * (2 * count * gapMs + warmMs + 2 * limitMs)
    timer = setTimeout(() => reject(new Error(`no result in ${limit / 1000} s`)), limit)
  })
  try {
    const host = network?.addresses.b ?? '127.0.0.1'
    const { addr } = await Promise.race([start('b', 'server', { host }), late])
    const { result } = await Promise.race([start('a', 'client', { ...work, address: addr, host }), late])
    return result
  } finally {
    clearTimeout(timer)
    for (const child of children) child.kill('SIGKILL')
    await network?.close()
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      link: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
    },
  })
  const adapters = values.only?.split(',') ?? [...ours, 'libp2p']
  if (adapters.includes('libp2p') && !havePeers()) {
    console.error('js-libp2p is left out: ../shared/bench is not there')
    adapters.splice(adapters.indexOf('libp2p'), 1)
  }
  const rows = []
  for (const link of Object.keys(links).filter((name) => name.includes(values.link))) {
    const reason = links[link].network === undefined ? undefined : whyNot()
    if (reason !== undefined) {
      console.error(`${link} is left out: ${reason}`)
      continue
    }
    for (const adapter of adapters) {
      console.error(`${link}: ${adapter}`)
      rows.push({ link, adapter, ...(await emergency(adapter, link, { rounds: Number(values.rounds) })) })
    }
  }
  if (values.json) return console.log(JSON.stringify(rows, undefined, 2))
  const ms = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(0))
  const columns = ['idle p50', 'idle p99', 'loaded p50', 'loaded p99', '× idle p99', 'bulk MiB/s']
  for (const link of new Set(rows.map((row) => row.link))) {
    console.log(
      `\nEmergency round trips in ms, ${link}\n\n${' '.repeat(8)}${columns.map((c) => c.padStart(12)).join('')}`,
    )
    for (const row of rows.filter((each) => each.link === link)) {
      const { idle, loaded, ratio, mibPerSecond } = row
      const cells = [
        ms(idle.p50),
        ms(idle.p99),
        ms(loaded.p50),
        ms(loaded.p99),
        ratio.toFixed(1),
        mibPerSecond.toFixed(1),
      ]
      console.log(row.adapter.padEnd(8) + cells.map((cell) => cell.padStart(12)).join(''))
    }
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main()
