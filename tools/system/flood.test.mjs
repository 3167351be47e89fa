// Ten thousand connections in the middle of a handshake, over real sockets, and an honest node that dials meanwhile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONNECTIONS, flood, floods } from '../flood/flood.mjs'

const SECONDS = 15
const MAX_DIAL_MS = 1_000
/** What a listener may take while it is flooded: pages, garbage included; and what it still uses after a collection. */
const MAX_RSS_BYTES = 160 * 2 ** 20
const MAX_USED_BYTES = 24 * 2 ** 20
/** Those of the honest dials, and the listener itself. */
const OTHER_SOCKETS = 8
/** What else the machine does can make one dial slow; it does not do so three times. All else gets no second chance. */
const TRIES = 3

const mib = (bytes) => (bytes / 2 ** 20).toFixed(1)

for (const kind of floods) {
  test(`${CONNECTIONS} half-open connections from ${kind.name}: an honest dial takes less than a second`, async (context) => {
    for (let attempt = 1; ; attempt++) {
      const { calm, dials, failed, before, most, end, opened, bytes } = await flood(kind, { seconds: SECONDS })
      const times = dials.map(({ ms }) => ms).sort((a, b) => a - b)
      const slowest = times.at(-1)
      context.diagnostic(
        `${dials.length} dials: median ${times[times.length >>> 1].toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms ` +
          `(${Math.max(...calm.map(({ ms }) => ms)).toFixed(0)} ms before); ${opened} connections, ${bytes} bytes; ` +
          `at most ${most.sockets} sockets, ${mib(most.rss - before.rss)} MiB more pages, ` +
          `${mib(end.used - before.used)} MiB more in use, a turn of ${most.longestTurnMs.toFixed(0)} ms`,
      )
      assert.deepEqual(failed, [], 'processes that ended by themselves')
      assert.ok(opened >= CONNECTIONS && bytes >= CONNECTIONS, 'that was no flood')
      assert.ok(dials.some(({ stranger }) => stranger) && dials.length >= 2 * SECONDS, `only ${dials.length} dials`)
      assert.deepEqual(
        dials.filter(({ code }) => code !== undefined),
        [],
        'dials that failed',
      )
      assert.ok(most.sockets <= kind.most + OTHER_SOCKETS, `${most.sockets} sockets held`)
      assert.ok(most.rss - before.rss <= MAX_RSS_BYTES, `${mib(most.rss - before.rss)} MiB more`)
      assert.ok(end.used - before.used <= MAX_USED_BYTES, `${mib(end.used - before.used)} MiB more in use`)
      if (slowest < MAX_DIAL_MS) break
      assert.ok(attempt < TRIES, `a dial took ${slowest} ms`)
    }
  })
}
