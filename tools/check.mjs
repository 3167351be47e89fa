// What `npm test` runs: builds, type-checks, lints, tests and packs every package, then looks for dead code, for files
// that are not formatted and for links that lead nowhere. Prints one line per check, what failed in full, and last
// `N passed, N failed`.
//
//   --no-skips   a skipped test counts as a failure (the project's own CI has everything that tests need)
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const noSkips = process.argv.includes('--no-skips')
/** A test run that hangs is a failure with a name, not a job that somebody has to cancel. */
const LIMIT_MS = 20 * 60_000
const TARGETS = ['build', 'typecheck', 'lint', 'test', 'pack-check']

// nx asks its tasks for colours unless told otherwise, and Node warns in each process when NO_COLOR is there as well
const env = { ...process.env, NX_DAEMON: 'false', NX_NO_CLOUD: 'true', NX_TUI: 'false', FORCE_COLOR: '0' }
delete env.NO_COLOR

const bin = (path) => join(root, 'node_modules', path)
const packages = readdirSync(join(root, 'packages')).filter((name) =>
  existsSync(join(root, 'packages', name, 'package.json')),
)
const results = packages.map((name) => ({ name, path: join(root, 'packages', name, 'test-results.json') }))

const startedAt = Date.now()
let checksPassed = 0
let checksFailed = 0
const tests = { passed: 0, failed: 0, skipped: 0 }

await runPackages()
await runTool('knip', [bin('knip/bin/knip.js')])
await runTool('prettier', [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'])
await runTool('links', [join(root, 'tools/check-links.mjs')])
countTests()

const seconds = Math.round((Date.now() - startedAt) / 1000)
const skipped = tests.skipped > 0 ? `, ${tests.skipped} skipped` : ''
console.log(`\nchecks  ${checksPassed} passed, ${checksFailed} failed`)
console.log(`tests   ${tests.passed} passed, ${tests.failed} failed${skipped}   (${seconds} s)`)
if (tests.skipped > 0) {
  console.log(
    noSkips
      ? 'A skipped test is a failure here.'
      : 'Skipped tests need the test vectors of other projects: ../shared/vectors, or the folder that AIV_VECTORS names.',
  )
}
const failed = checksFailed + tests.failed + (noSkips ? tests.skipped : 0)
console.log(`${checksPassed + tests.passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0

/** Every target of every package through nx, which knows their order and what did not change since the last time. */
async function runPackages() {
  // nx puts these back from its cache; what is left of a run that failed must not be counted
  for (const { path } of results) rmSync(path, { force: true })
  const args = ['run-many', '-t', ...TARGETS, '--parallel=2', '--output-style=static', '--nxBail=false']
  let current
  const blocks = new Map()
  const { status, timedOut, output } = await run([bin('nx/dist/bin/nx.js'), ...args], (line) => {
    const task = /^> nx run (?:@aiv\/)?([a-z0-9-]+:[a-z-]+)(.*)$/.exec(line)
    if (task !== null) {
      const [, name = '', note = ''] = task
      current = []
      blocks.set(name, current)
      console.log(`${elapsed()}  ${name}${note.includes('cache') ? '  (cached)' : ''}`)
    } else if (/^ NX {2}/.test(line)) {
      current = undefined
    } else {
      current?.push(line)
    }
  })
  const failures = new Set([...output.matchAll(/^- (?:@aiv\/)?([a-z0-9-]+:[a-z-]+)\s*$/gm)].map(([, name]) => name))
  for (const name of failures) {
    const block = blocks.get(name)?.join('\n').trim()
    if (block) console.log(`\nFAILED ${name}\n${block}`)
  }
  const notRun = [...failures].filter((name) => !blocks.has(name))
  if (notRun.length > 0) console.log(`\nNOT RUN, as what they depend on failed: ${notRun.join(', ')}`)
  checksFailed += failures.size
  checksPassed += [...blocks.keys()].filter((name) => !failures.has(name)).length
  if (timedOut || blocks.size === 0 || (status !== 0 && failures.size === 0)) {
    checksFailed++
    console.log(
      timedOut ? `\nFAILED nx: not done after ${LIMIT_MS / 60_000} minutes` : `\nFAILED nx (${status})\n${output}`,
    )
  }
}

async function runTool(name, args) {
  const { status, output } = await run(args)
  if (status === 0) {
    checksPassed++
    console.log(`${elapsed()}  ${name}`)
  } else {
    checksFailed++
    console.log(`\nFAILED ${name}\n${output.trim()}\n`)
  }
}

/** Adds up what jest wrote down; a failed test is counted here and its output was shown with its package. */
function countTests() {
  for (const { name, path } of results) {
    if (!existsSync(path)) {
      console.log(`No test results of ${name}.`)
      continue
    }
    const result = JSON.parse(readFileSync(path, 'utf8'))
    tests.passed += result.numPassedTests
    tests.failed += result.numFailedTests
    tests.skipped += result.numPendingTests + result.numTodoTests
  }
}

function elapsed() {
  return `${String(Math.round((Date.now() - startedAt) / 1000)).padStart(4)} s`
}

/** Runs a script under this Node with no input; `onLine` sees its output as it comes. */
function run(args, onLine) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let rest = ''
    let timedOut = false
    const take = (chunk) => {
      output += chunk
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine?.(line)
    }
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', take)
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGTERM')
    }, LIMIT_MS)
    child.once('error', (error) => take(`${error.message}\n`))
    child.once('close', (status) => {
      clearTimeout(timer)
      resolve({ status, output, timedOut })
    })
  })
}
