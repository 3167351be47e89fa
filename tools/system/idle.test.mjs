// Ten thousand connections that have been used once and are silent since: what each costs the one that accepted them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idle } from '../bench/idle.mjs'

const CONNECTIONS = 10_000
const MAX_BYTES = 60 * 1_024

test(`${CONNECTIONS} idle connections take at most 60 KiB each`, { timeout: 300_000 }, async (context) => {
  const { connections, rss, heap, external } = await idle({ connections: CONNECTIONS })
  const kib = (bytes) => (bytes / 1_024).toFixed(1)
  context.diagnostic(`${kib(rss)} KiB each (heap ${kib(heap)}, buffers ${kib(external)})`)
  assert.equal(connections, CONNECTIONS)
  assert.ok(rss <= MAX_BYTES, `${kib(rss)} KiB each`)
})
