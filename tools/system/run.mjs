// `npm run test:system`: what needs Debian packages, root, another Node version or a fresh clone. Fetches those things
// (tools/ci/install), builds, runs the tests beside this file, and prints last `N passed, N failed`. A skipped test is
// a failure. `node tools/system/run.mjs command-line` runs only the files whose name has that in it.
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const root = join(folder, '../..')
const only = process.argv[2] ?? ''

const must = (what, command, args) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status === 0) return
  console.log(`${what} failed\n0 passed, 1 failed`)
  process.exit(1)
}
must('bootstrap', process.execPath, [join(root, 'tools/bootstrap.mjs')])
must('tools/ci/install', 'bash', [join(root, 'tools/ci/install')])
must('build', process.execPath, [
  join(root, 'node_modules/nx/dist/bin/nx.js'),
  'run-many',
  '-t',
  'build',
  '--output-style=static',
])

const files = readdirSync(folder).filter((name) => name.endsWith('.test.mjs') && name.includes(only))
const counts = { pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 }
// one file after another: they start many processes each, and measure how long things take
const child = spawn(
  process.execPath,
  ['--test', '--test-concurrency=1', '--test-reporter=tap', ...files.map((name) => join(folder, name))],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
)
let rest = ''
child.stdout.setEncoding('utf8').on('data', (chunk) => {
  process.stdout.write(chunk)
  const lines = (rest + chunk).split('\n')
  rest = lines.pop() ?? ''
  for (const line of lines) {
    const match = /^# (pass|fail|cancelled|skipped|todo) (\d+)$/.exec(line)
    if (match !== null) counts[match[1]] = Number(match[2])
  }
})
child.once('close', (status) => {
  const failed = counts.fail + counts.cancelled + counts.skipped + counts.todo
  // a file that cannot be loaded, or no file at all, fails without a test to its name
  const passed = failed === 0 && (status !== 0 || counts.pass === 0) ? 0 : counts.pass
  const missing = failed === 0 && passed === 0 ? 1 : 0
  console.log(`\n${passed} passed, ${failed + missing} failed`)
  process.exitCode = failed + missing > 0 ? 1 : 0
})
