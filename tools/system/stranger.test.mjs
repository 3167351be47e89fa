// A transport by somebody who has nothing but the published packages: the guide's example, in an empty folder, passes
// the compliance suite with both test runners.
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { freshEnvironment, installPacked, nodeOf, root, run, runOrThrow, temporaryFolder } from './support.mjs'

const example = join(root, 'docs/guides/unix-socket-transport')
const folder = temporaryFolder({ after }, 'stranger')
const sources = readdirSync(example).filter((name) => name.endsWith('.mjs'))

/** How many tests the suite has, by what node:test said of it. */
let suiteSize = 0

describe('the transport of the guide, with the packed packages in an empty folder', () => {
  before(async () => {
    await installPacked(folder)
    for (const name of sources) copyFileSync(join(example, name), join(folder, name))
    // what the README of the example says
    const [, manifest] = /```json\n([\s\S]*?)```/.exec(readFileSync(join(example, 'README.md'), 'utf8'))
    writeFileSync(join(folder, 'package.json'), manifest)
  })

  test('has at most 150 lines', () => {
    const lines = readFileSync(join(example, 'unix-sockets.mjs'), 'utf8').trimEnd().split('\n').length
    assert.ok(lines <= 150, `${lines} lines`)
    console.log(`unix-sockets.mjs: ${lines} lines`)
  })

  test('type-checks', async () => {
    const flags = '--noEmit --checkJs --allowJs --strict --exactOptionalPropertyTypes --target es2022 --module nodenext'
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
    const names = sources.filter((name) => name !== 'jest.test.mjs')
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await runOrThrow(process.execPath, [tsc, ...flags.split(' '), ...types, ...names], { cwd: folder })
  })

  for (const major of [20, 22, 24, 26]) {
    test(`passes the suite with node:test on Node ${major}`, async () => {
      const { status, stdout, stderr } = await run(nodeOf(major), ['--test', '--test-reporter=tap', 'node.test.mjs'], {
        cwd: folder,
      })
      assert.equal(status, 0, stdout + stderr)
      const count = (what) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(stdout)?.[1])
      assert.ok(count('pass') > 40, stdout)
      assert.deepEqual([count('fail'), count('cancelled'), count('skipped'), count('todo')], [0, 0, 0, 0])
      suiteSize = count('pass')
    })
  }

  test('passes the suite with jest', async () => {
    const jest = join(root, 'node_modules/jest/bin/jest.js')
    const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning']
    const results = join(folder, 'results.json')
    const { status, stdout, stderr } = await run(
      process.execPath,
      [...flags, jest, '--json', '--outputFile', results],
      {
        cwd: folder,
        env: freshEnvironment(),
      },
    )
    assert.equal(status, 0, stdout + stderr)
    const { numPassedTests, numTotalTests } = JSON.parse(readFileSync(results, 'utf8'))
    assert.deepEqual([numPassedTests, numTotalTests], [suiteSize, suiteSize])
    console.log(`compliance suite: ${suiteSize} tests with node:test, ${numPassedTests} with jest`)
  })
})
