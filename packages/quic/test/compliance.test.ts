import { describe, test } from '@jest/globals'
import { TestClock, transportCompliance } from '@aiv/testkit'
import { quic } from '../src/index.js'
import { testNode } from './bench.js'

transportCompliance(
  { describe, test },
  {
    create: () => {
      const clock = new TestClock()
      return {
        clock,
        deadAddress: 'quic://127.0.0.1:1',
        async node(_name, role) {
          const { components } = await testNode(clock)
          // A stranger that is not admitted gets no answer at all: the dialler finds out by its own patience
          const listen = role === 'listener' ? { host: '127.0.0.1', port: 0 } : false
          return { transport: quic({ listen, dialTimeoutMs: 1_500 })(components), nodeId: components.identity.nodeId }
        },
        // One of the clock's timers may be the suite's own patience
        openHandles: () => Math.max(0, clock.timers - 1),
        cleanup: () => undefined,
      }
    },
    patienceMs: 4_000,
  },
)
