// `npm run lab`: every scenario once, and a table. `npm run lab -- partition` runs those whose name has that in it,
// `--verbose` tells what happens to connections.
import { faults, scenarios, tooSilent } from './scenarios.mjs'
import { transfer } from './transfer.mjs'
import { whyNot } from './network.mjs'

const words = process.argv.slice(2)
const verbose = words.includes('--verbose')
const only = words.find((word) => !word.startsWith('-')) ?? ''
const reason = whyNot()
if (reason !== undefined) {
  console.error(reason)
  process.exit(1)
}

const columns = [
  'scenario',
  'MiB',
  's',
  'MiB/s',
  'silence ms',
  'gap ms',
  'conns',
  'messages by transport',
  '',
  'frames',
]
const rows = [columns]
for (const scenario of scenarios.filter(({ name }) => name.includes(only))) {
  console.error(scenario.name)
  const result = await transfer(scenario, { verbose })
  const wrong = [...faults(scenario, result), tooSilent(scenario, result)].filter((line) => line !== undefined)
  if (wrong.length > 0) process.exitCode = 1
  rows.push([
    scenario.name,
    result.mebibytes.toFixed(0),
    result.seconds.toFixed(1),
    (result.mebibytes / result.seconds).toFixed(1),
    scenario.fault === undefined && result.silenceMs === 0 ? '-' : result.silenceMs.toFixed(0),
    result.noticedGapMs?.toFixed(0) ?? '-',
    String(result.connections),
    Object.entries(result.transports)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
    wrong.join('; ') || 'complete, once, in order',
    result.frames === undefined ? '' : frameCounts(result.frames),
  ])
}
const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column].length)))
const isText = (column) => [0, 7, 8, 9].includes(column)
for (const row of rows) {
  const cells = row.map((cell, column) =>
    isText(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
  )
  console.log(cells.join('  ').trimEnd())
}
console.log(`
silence: longest time without a message at the receiver after the fault, when above 100 ms: detection, dialling and
repeating together. gap: from the sender's noticing to its first message over another connection.`)

function frameCounts({ carried, lost, duplicated, overtaken }) {
  const bad = Object.entries({ lost, twice: duplicated, overtaken }).filter(([, count]) => count > 0)
  return [`${carried}`, ...bad.map(([what, count]) => `${count} ${what}`)].join(', ')
}
