// `npm run bench`: builds, runs the micro-benchmarks of tools/bench/micro, then the adapters of tools/bench/adapters
// over loopback beside node:tls, and beside other libraries where ../shared/bench lies next to the checkout.
// `npm run bench -- --help` says what can be chosen.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { makeCertificates } from './certificates.mjs'
import { compare } from './compare.mjs'
import { compareWithPeers, havePeers } from './peers.mjs'
import { haveNative } from './native.mjs'
import { defaults, figures } from './work.mjs'

/** Adapters that need an optional native package, by its name in native.mjs. */
const accelerated = { 'htx-sodium.mjs': 'sodium', 'htx-crc32.mjs': 'crc32' }

const help = `npm run bench -- [options]
  --rounds n        rounds of the comparison (3); medians are shown
  --tests a,b       of ${Object.keys(figures).join(', ')}
  --only a,b        our adapters (all that are in tools/bench/adapters)
  --peers a,b       other libraries (tls,secret-stream,libp2p-tcp where ../shared/bench is present); "none" for tls alone
  --scale x         share of the work per figure, above 0 and at most 1 (1)
  --no-micro        only the comparison
  --micro           only the micro-benchmarks
  --json            JSON on standard output instead of tables`

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    tests: { type: 'string', default: Object.keys(figures).join(',') },
    only: { type: 'string' },
    peers: { type: 'string' },
    scale: { type: 'string', default: '1' },
    micro: { type: 'boolean', default: false },
    'no-micro': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const progress = (line) => console.error(line)
const report = {
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  micro: [],
  comparison: [],
}

build()
if (!values['no-micro']) await runMicro()
if (!values.micro) await runComparison()
if (values.json) console.log(JSON.stringify(report, undefined, 2))
else print(report)
const errors = report.comparison.filter((row) => row.errors.length > 0)
process.exitCode = errors.length > 0 ? 1 : 0

function build() {
  const nx = join(root, 'node_modules/nx/dist/bin/nx.js')
  const { status } = spawnSync(process.execPath, [nx, 'run-many', '-t', 'build', '--output-style=static'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error('the build failed: npm run build says why')
}

async function runMicro() {
  const folder = join(here, 'micro')
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.mjs')) : []
  for (const name of files.sort()) {
    progress(`micro ${name}`)
    const { default: bench } = await import(pathToFileURL(join(folder, name)).href)
    const group = name.replace(/\.mjs$/, '')
    report.micro.push(...(await bench()).map((row) => ({ group, ...row })))
  }
}

async function runComparison() {
  const rounds = Number(values.rounds)
  const tests = values.tests.split(',')
  const scale = Number(values.scale)
  if (!(rounds >= 1) || !(scale > 0 && scale <= 1) || tests.some((test) => !(test in figures))) throw new Error(help)
  const scaled = (count) => Math.max(30, Math.round(count * scale))
  const work = {
    ...defaults,
    bulkBytes: Math.max(1, Math.round((defaults.bulkBytes * scale) / 2 ** 20)) * 2 ** 20,
    smallMessages: scaled(defaults.smallMessages),
    roundTrips: scaled(defaults.roundTrips),
    setups: scaled(defaults.setups),
  }
  const folder = join(here, 'adapters')
  const ours = (values.only?.split(',') ?? adapterNames(folder)).map((name) => {
    const path = join(folder, `${name}.mjs`)
    if (!existsSync(path)) throw new Error(`there is no adapter ${path}`)
    return { name, path, url: pathToFileURL(path).href }
  })

  const peers = values.peers ?? (havePeers() ? 'tls,secret-stream,libp2p-tcp' : 'none')
  if (peers !== 'none') {
    if (!havePeers()) throw new Error('other libraries are measured with ../shared/bench, which is not there')
    const list = peers.split(',')
    const base = list.includes('tls') ? 'tls' : list[0]
    report.comparison = compareWithPeers(list, ours, { tests, rounds, base, work })
    report.base = base
    return
  }
  const certDir = makeCertificates()
  if (certDir === undefined) progress('No openssl here, so node:tls is left out: ratios are to the first adapter.')
  const tls = { name: 'tls', url: pathToFileURL(join(folder, 'tls.mjs')).href }
  const adapters = certDir === undefined ? ours : [tls, ...ours]
  report.base = adapters[0].name
  report.comparison = await compare(adapters, {
    tests,
    rounds,
    base: report.base,
    work: { ...work, certDir },
    onResult: ({ round, test, name, result, error }) =>
      progress(
        `round ${round + 1}  ${test.padEnd(6)} ${name.padEnd(14)} ${error ?? number(result[figures[test].key])}`,
      ),
  })
}

/** Ours, without the yardstick. */
function adapterNames(folder) {
  return readdirSync(folder)
    .filter(
      (name) =>
        name.endsWith('.mjs') && name !== 'tls.mjs' && (!(name in accelerated) || haveNative(accelerated[name])),
    )
    .map((name) => name.replace(/\.mjs$/, ''))
    .sort()
}

function print({ node, cpu, micro, comparison, base }) {
  console.log(`Node ${node.slice(1)}, ${cpu}`)
  if (micro.length > 0) {
    console.log('\nmicro-benchmarks')
    table(micro.map(({ group, name, value, unit }) => [group, name, number(value), unit]))
  }
  for (const test of new Set(comparison.map((row) => row.test))) {
    const rows = comparison.filter((row) => row.test === test)
    const { unit, more } = figures[test]
    console.log(
      `\n${test}: ${more ? 'more' : 'less'} is better; ×${base} is the median of the ratios within each round`,
    )
    const labels = Object.keys(rows[0].others)
    table([
      ['', unit, `×${base}`, ...labels],
      ...rows.map((row) => [
        row.name,
        number(row.value),
        row.ratio?.toFixed(2) ?? '-',
        ...labels.map((label) => number(row.others[label])),
      ]),
    ])
    for (const { name, errors } of rows) for (const error of errors) console.log(`${name} FAILED: ${error}`)
  }
}

/** Text left, numbers right. */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const isNumber = (cell) => /^[-\d.,]+$/.test(cell)
  const right = rows[0].map((_, column) => rows.slice(1).every((row) => isNumber(row[column])) && rows.length > 1)
  for (const row of rows) {
    const cells = row.map((cell, i) => (right[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
    console.log(`  ${cells.join('  ')}`.trimEnd())
  }
}

function number(value) {
  if (value === undefined || !Number.isFinite(value)) return '-'
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
