// The benchmarks run, all of them, on a small share of their work. Says nothing about speed.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { runOrThrow } from './support.mjs'

test('every benchmark gives figures', async () => {
  const { stdout } = await runOrThrow(
    process.execPath,
    ['tools/bench/run.mjs', '--json', '--rounds', '1', '--scale', '0.01', '--peers', 'none'],
    { limitMs: 300_000 },
  )
  const { micro, comparison } = JSON.parse(stdout)
  assert.ok(micro.length > 0)
  for (const { group, name, value } of micro) assert.ok(value > 0, `${group}: ${name}`)
  const measuredNames = new Set(comparison.map(({ name }) => name))
  const adapters = readdirSync('tools/bench/adapters').map((file) => file.replace(/\.mjs$/, ''))
  assert.deepEqual([...measuredNames].sort(), adapters.sort())
  for (const { test: measured, name, value, errors } of comparison) {
    assert.deepEqual(errors, [], `${measured} ${name}`)
    assert.ok(value > 0, `${measured} ${name}`)
  }
})
