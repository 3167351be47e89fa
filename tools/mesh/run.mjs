// `npm run mesh`: what the Bluetooth mesh costs and delivers, in virtual time, as tables. The same simulations as
// packages/bitchat/test/simulation.test.ts, on more seeds. Compiles what it needs first.
//
//   --seeds N     seeds of each table                                               5
//   --only NAME   delivery, fragments or duty
//
// What is simulated and what is not: docs/decisions/0252-what-the-mesh-is-compared-with.md.
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const bitchat = fileURLToPath(new URL('../../packages/bitchat', import.meta.url))

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '5' }, only: { type: 'string' } },
})
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => String(i + 1))
if (seeds.length === 0) throw new Error(`--seeds ${values.seeds}: from 1`)

// the simulation is among the tests, in TypeScript
const simulation = `${bitchat}/out-tsc/simulation.js`
await build({
  entryPoints: [`${bitchat}/test/simulation/index.ts`],
  outfile: simulation,
  bundle: true,
  packages: 'external',
  format: 'esm',
  target: 'es2022',
  logLevel: 'warning',
})
const { allRules, deliver, deliveryDefaults, measureDutyCycle, sendFragments } = await import(pathToFileURL(simulation))
const { dutyCycleLevels } = await import(new URL('../../packages/bitchat/dist/index.js', import.meta.url))

const tables = { delivery, fragments, duty }
for (const [name, print] of Object.entries(tables)) if (values.only === undefined || values.only === name) await print()

function delivery() {
  const { nodes, lossRatio, messages, maxLinks } = deliveryDefaults
  console.log(
    `\nDirected messages: ${nodes} nodes at random places, at most seven hops and ${maxLinks} links each, ` +
      `${percent(lossRatio)} of packets lost per link,\n${messages} messages on each of ${seeds.length} seeds, one each ${deliveryDefaults.everyMs} ms. ` +
      'Frames on the air for each delivered message:\n',
  )
  const head = [
    'rules',
    'delivered',
    'data',
    'hop acks',
    'end acks',
    'announced',
    'all',
    'airtime ms',
    'median ms',
    'p99 ms',
  ]
  const rows = allRules.map(([name, rules]) => {
    const results = seeds.map((seed) => deliver(name, rules, { ...deliveryDefaults, seed }))
    const mean = (field) => results.reduce((sum, result) => sum + result[field], 0) / results.length
    const frames = ['dataFrames', 'hopAckFrames', 'proofFrames', 'announcementFrames'].map(mean)
    return [
      name,
      percent(mean('delivered') / messages),
      ...[...frames, frames.reduce((sum, count) => sum + count, 0)].map((count) => count.toFixed(1)),
      mean('airtimeMs').toFixed(0),
      mean('medianMs').toFixed(0),
      mean('p99Ms').toFixed(0),
    ]
  })
  print([head, ...rows])
}

function fragments() {
  console.log('\n10 KB in 62 fragments over five hops, 20.0% lost per link, by how often the mesh repeats on a link:\n')
  const head = ['repeats', 'seed', 'arrived after ms', 'fragments again', 'packets again on links', 'frames in all']
  const rows = [4, 2, 1].flatMap((hopRepeats) =>
    seeds.map((seed) => {
      const result = sendFragments({ seed, hops: 5, lossRatio: 0.2, messageBytes: 10_240, hopRepeats })
      const { arrivedAfterMs, fragmentsAgain, repeatedOnLinks, frames } = result
      return [hopRepeats, seed, arrivedAfterMs?.toFixed(0) ?? 'never', fragmentsAgain, repeatedOnLinks, frames].map(
        String,
      )
    }),
  )
  print([head, ...rows])
}

async function duty() {
  console.log(
    '\nDuty cycle: share of the time, three neighbours and nothing to say; and how long a newcomer waits for a link:\n',
  )
  const head = ['level', 'radio on', 'scanning', 'median ms', 'p90 ms', 'worst ms']
  const rows = []
  for (const level of dutyCycleLevels) {
    const { onShare, scanShare, medianMs, p90Ms, worstMs } = await measureDutyCycle(level, 20 * seeds.length)
    const waits = [medianMs, p90Ms, worstMs].map((ms) => ms.toFixed(0))
    rows.push([level.name, percent(onShare), percent(scanShare), ...waits])
  }
  print([head, ...rows])
}

function percent(share) {
  return `${(share * 100).toFixed(1)}%`
}

function print(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const row of rows) {
    console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
  }
}
