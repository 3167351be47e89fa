// Other libraries beside ours: the harness of ../shared/bench, with our adapters among its own. Its dependencies are
// large, so it is copied to tools/bench/cache and installed there once.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { npmOrThrow } from '../npm.mjs'
import { summarise } from './compare.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const source = process.env.AIV_PEER_BENCH ?? join(root, '../shared/bench')
/** Where the other libraries are, once {@link prepare} has been there. */
export const copy = join(root, 'tools/bench/cache/peers')

/** True when the harness of other libraries lies beside the checkout. */
export const havePeers = () => existsSync(join(source, 'run.mjs'))

/** Rows as those of `compare`; `ours` are `{ name, path }`. */
export function compareWithPeers(peers, ours, { tests, rounds, base, work }) {
  prepare()
  const out = join(copy, 'results/aiv.json')
  const { status } = spawnSync(
    process.execPath,
    [
      join(copy, 'run.mjs'),
      ...['--peers', [...peers, ...ours.map(({ path }) => path)].join(','), '--base', base],
      ...['--tests', tests.join(','), '--rounds', String(rounds), '--cap-s', String(work.limitMs / 1000)],
      ...['--bulk-mib', String(work.bulkBytes / 2 ** 20), '--small', String(work.smallMessages)],
      ...['--rtt', String(work.roundTrips), '--setup', String(work.setups), '--out', out],
    ],
    // its table and progress are ours to print: standard output may be wanted as JSON
    { cwd: copy, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  if (status !== 0) throw new Error(`the peers' harness ended with ${status}`)
  const { raw } = JSON.parse(readFileSync(out, 'utf8'))
  const measured = raw.map(({ round, test, peer, result, error }) => ({
    round,
    test,
    name: peer,
    error,
    ...renamed(result),
  }))
  const names = [...peers, ...ours.map(({ name }) => name)]
  return tests.flatMap((test) => names.map((name) => summarise(measured, test, name, base)))
}

/** The figures of that harness under the names of ours. */
const fields = {
  mibPerSecond: ({ mibs }) => mibs,
  cpuSecondsPerGiB: ({ cpuMsPerGiB }) => cpuMsPerGiB / 1000,
  senderPeakMiB: ({ rssSenderMiB }) => rssSenderMiB,
  messagesPerSecond: ({ msgs }) => msgs,
  cpuMicrosPerMessage: ({ cpuMs, n }) => (cpuMs * 1000) / n,
  medianMicros: ({ medianUs }) => medianUs,
  p99Micros: ({ p99Us }) => p99Us,
  medianMillis: ({ medianMs }) => medianMs,
  p99Millis: ({ p99Ms }) => p99Ms,
}

/** `{ result }` with the fields that it has, or nothing for a measurement that failed. */
function renamed(result) {
  if (!result) return {}
  return { result: Object.fromEntries(Object.entries(fields).map(([name, from]) => [name, from(result)])) }
}

export function prepare() {
  const done = join(copy, '.done')
  if (existsSync(done)) return
  console.error(`Installing the other libraries into ${copy}; this takes a while and some 170 MB.`)
  mkdirSync(copy, { recursive: true })
  cpSync(source, copy, { recursive: true, force: true, mode: 0 })
  npmOrThrow(['install', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: copy })
  writeFileSync(done, '')
}
