// What an emergency waits for on a connection that is saturated with bulk, against the same connection idle. A ratio of
// two figures of one round, and the median of the rounds: what else the machine does is in both. Over the slow link the
// path decides, not the processor; loopback figures are for tools/bench/emergency.mjs to print.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emergency } from '../bench/emergency.mjs'

const LINK = '10 Mbit/s, 40 ms'
const MAX_RATIO = 10
const ROUNDS = 3

for (const adapter of ['htx', 'node']) {
  test(`an emergency overtakes bulk on a link of ${LINK}: ${adapter}`, async (context) => {
    const result = await emergency(adapter, LINK, { rounds: ROUNDS, share: 0.5 })
    const { idle, loaded, ratio, mibPerSecond, missing } = result
    context.diagnostic(
      `p99 ${idle.p99.toFixed(0)} ms idle, ${loaded.p99.toFixed(0)} ms beside ${mibPerSecond.toFixed(2)} MiB/s of bulk`,
    )
    assert.equal(missing, 0, 'emergency messages without an answer')
    assert.ok(mibPerSecond > 0.6, `only ${mibPerSecond} MiB/s of bulk: the link was not saturated`)
    assert.ok(ratio <= MAX_RATIO, `p99 is ${ratio.toFixed(1)} times that of the idle connection`)
  })
}
