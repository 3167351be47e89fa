import { describe, test } from '@jest/globals'
import { transportCompliance } from '@aiv/testkit'
import { BitchatBench } from './bitchat-bench.js'

// a link that is fast enough for packets of a mebibyte, and rates that allow it
const air = { bytesPerSecond: 1_000_000, connectionIntervalMs: 7.5, windowPackets: 64 }
const mesh = { linkPacketsPerSecond: 5_000, linkBurst: 1_000 }

describe('over radios in memory', () => {
  transportCompliance(
    { describe, test },
    {
      create() {
        const bench = new BitchatBench('compliance', air, { mesh })
        return {
          node(name) {
            const { transport, identity } = bench.node(name)
            return { transport, nodeId: identity.nodeId }
          },
          clock: bench.world.clock('suite'),
          deadAddress: `ble://${'0123456789abcdef'.repeat(2)}`,
          advance: (ms) => bench.world.advance(ms),
          cleanup: () => bench.world.end(),
        }
      },
    },
  )
})
