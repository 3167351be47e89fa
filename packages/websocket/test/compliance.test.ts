import { createServer } from 'node:http'
import { once } from 'node:events'
import { describe, test } from '@jest/globals'
import { WebSocket } from 'ws'
import type { TransportFactory } from '@aiv/transport-api'
import { TestClock, transportCompliance } from '@aiv/testkit'
import { webSocket } from '../src/index.js'
import { webSocket as browserWebSocket, type PlatformWebSocketConstructor } from '../src/index.browser.js'
import { cert, key } from './certificate.js'
import { testNode } from './bench.js'

interface Sides {
  readonly dialler: () => TransportFactory
  readonly listener: () => TransportFactory | Promise<TransportFactory>
  readonly cleanup?: () => Promise<void>
}

const own = { host: '127.0.0.1', port: 0 }

function suite(name: string, sides: () => Sides): void {
  describe(name, () =>
    transportCompliance(
      { describe, test },
      {
        create: () => {
          const clock = new TestClock()
          const { dialler, listener, cleanup } = sides()
          return {
            clock,
            deadAddress: 'ws://127.0.0.1:1',
            async node(_name, role) {
              const { components } = await testNode(clock)
              const factory = role === 'listener' ? await listener() : dialler()
              return { transport: factory(components), nodeId: components.identity.nodeId }
            },
            // One of the clock's timers may be the suite's own patience
            openHandles: () => Math.max(0, clock.timers - 1),
            cleanup: () => cleanup?.(),
          }
        },
        patienceMs: 4_000,
      },
    ),
  )
}

suite('ws on a port of its own', () => ({
  dialler: () => webSocket({ listen: false }),
  listener: () => webSocket({ listen: own }),
}))

suite('ws with random masks', () => ({
  dialler: () => webSocket({ listen: false, randomMasks: true }),
  listener: () => webSocket({ listen: own }),
}))

suite('wss with a certificate of the user', () => ({
  dialler: () => webSocket({ listen: false, tls: { ca: cert } }),
  listener: () => webSocket({ listen: own, tls: { cert, key, ca: cert } }),
}))

suite('ws attached to an HTTP server', () => {
  const server = createServer((_, response) => response.writeHead(404).end())
  return {
    dialler: () => webSocket({ listen: false }),
    listener: async () => {
      if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
      return webSocket({ server, path: '/p2p' })
    },
    cleanup: async () => {
      if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
})

// Node's own from version 22 on; below, the one of `ws`, which has the same members
const Platform = (globalThis as { WebSocket?: PlatformWebSocketConstructor }).WebSocket

suite('the browser shell over the WebSocket of ws', () => ({
  dialler: () => browserWebSocket({ WebSocket: WebSocket as unknown as PlatformWebSocketConstructor }),
  listener: () => webSocket({ listen: own }),
}))

if (Platform !== undefined) {
  suite('the browser shell over the global WebSocket', () => ({
    dialler: () => browserWebSocket(),
    listener: () => webSocket({ listen: own }),
  }))
}
