// Tests of packages that need what a plain checkout does not have, or more time than `npm test` has: the optional native
// accelerators, built for this Node, against our own code; the compliance suite over noble and bleno, in real time.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { cache, freshEnvironment, root, run } from './support.mjs'

/** Packages with tests that need something which a plain checkout does not have. */
for (const name of ['htx-codec', 'security', 'bitchat']) {
  test(`${name}: test-system`, async () => {
    const cwd = join(root, 'packages', name)
    assert.ok(existsSync(join(cwd, 'test-system')), 'the tests are gone')
    const results = join(mkdtempSync(join(tmpdir(), 'aiv-native-')), 'jest.json')
    const { status, stdout, stderr } = await run(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        join(root, 'node_modules/jest/bin/jest.js'),
        '--testMatch',
        '<rootDir>/test-system/**/*.test.ts',
        '--json',
        `--outputFile=${results}`,
      ],
      { cwd, env: freshEnvironment({ AIV_NATIVE_MODULES: cache }), limitMs: 900_000 },
    )
    assert.equal(status, 0, stdout + stderr)
    const { numPassedTests, numPendingTests } = JSON.parse(readFileSync(results, 'utf8'))
    assert.ok(numPassedTests > 0, 'nothing was tested')
    assert.equal(numPendingTests, 0, 'a skipped test is a failure here')
    console.log(`${name}: ${numPassedTests} tests`)
  })
}
