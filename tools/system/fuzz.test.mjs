import assert from 'node:assert'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const run = (script, ...options) =>
  spawnSync(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...options], { encoding: 'utf8' })

test('every decoder survives a few thousand bent inputs', () => {
  const { stdout, status } = run('../fuzz/run.mjs', '--inputs', '2000', '--seed', 'system')
  assert.match(stdout, /^\d+ passed, 0 failed$/m, stdout)
  assert.strictEqual(status, 0)
})

test('nodes whose connections are cut lose nothing', () => {
  const { stdout, status } = run('../soak/run.mjs', '--minutes', '0.3', '--sample', '6', '--seed', 'system')
  assert.strictEqual(status, 0, stdout)
})
