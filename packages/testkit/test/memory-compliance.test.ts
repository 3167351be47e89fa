import { describe, test } from '@jest/globals'
import type { Clock } from '@aiv/transport-api'
import { type Impairment, World, memoryNetwork, transportCompliance } from '../src/index.js'
import { components } from './identities.js'

const links: readonly (readonly [string, Impairment])[] = [
  ['an ideal link', {}],
  ['a link of 20 ms with jitter', { delayMs: 20, jitterMs: 10 }],
  ['a link of 10 ms and 1 MB/s', { delayMs: 10, bytesPerSecond: 1_000_000 }],
]

for (const [name, impairment] of links) {
  describe(`memory transport in a world, over ${name}`, () => {
    transportCompliance(
      { describe, test },
      {
        create() {
          const world = new World({ seed: name })
          const network = memoryNetwork(world, { impairment })
          const made: string[] = []
          return {
            node(nodeName, role) {
              made.push(nodeName)
              const own = components(world, nodeName)
              const transport = network.memory({ host: nodeName, listen: role === 'listener' })(own)
              return { transport, nodeId: own.identity.nodeId }
            },
            clock: world.clock('suite'),
            deadAddress: 'mem://nobody',
            advance: (ms) => world.advance(ms),
            sever() {
              const ids = made.map((nodeName) => components(world, nodeName).identity.nodeId)
              for (const a of ids) for (const b of ids) if (a < b) network.sever(a, b)
            },
            openHandles: () => network.openCount,
            cleanup: () => world.end(),
          }
        },
      },
    )
  })
}

describe('memory transport in real time', () => {
  const clock: Clock = {
    now: () => performance.now(),
    unixNow: () => Date.now(),
    setTimeout(run, delayMs) {
      const timer = setTimeout(run, delayMs)
      return { clear: () => clearTimeout(timer) }
    },
  }
  transportCompliance(
    { describe, test },
    {
      create() {
        const network = memoryNetwork(clock)
        const world = new World({ seed: 'names only' })
        return {
          node(name, role) {
            const own = { ...components(world, name), clock }
            const transport = network.memory({ listen: role === 'listener' })(own)
            return { transport, nodeId: own.identity.nodeId }
          },
          clock,
          deadAddress: 'mem://nobody',
          openHandles: () => network.openCount,
          cleanup: () => undefined,
        }
      },
    },
  )
})
