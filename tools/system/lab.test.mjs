// Two hosts in network namespaces and a link between them that is made bad: every transfer arrives whole.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNot } from '../lab/network.mjs'
import { faults, scenarios, tooSilent } from '../lab/scenarios.mjs'
import { transfer } from '../lab/transfer.mjs'

/** What else the machine does can make one run slow; it does not make three slow. Wrong bytes get no second chance. */
const TRIES = 3

test('this machine can have a lab', () => {
  assert.equal(whyNot(), undefined)
})

for (const scenario of scenarios) {
  test(`a transfer arrives complete, once and in order: ${scenario.name}`, async (context) => {
    for (let attempt = 1; ; attempt++) {
      const result = await transfer(scenario)
      context.diagnostic(
        `${result.mebibytes} MiB in ${result.seconds.toFixed(1)} s, silent for ${Math.round(result.silenceMs)} ms, ` +
          `${JSON.stringify(result.transports)}`,
      )
      assert.deepEqual(faults(scenario, result), [])
      const silence = tooSilent(scenario, result)
      if (silence === undefined) break
      assert.ok(attempt < TRIES, silence)
    }
  })
}
