import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, test } from '@jest/globals'
import { SocketController } from '@aiv/ble-virtual'
import { transportCompliance } from '@aiv/testkit'
import { stackNode } from '../test/stack-bench.js'
import { closeAirs, realClock, virtualAir } from '../test/virtual-radios.js'

// in real time: a dial to nobody takes all its seconds, which have to be enough for a second try at a handshake that was
// lost (after six), and a packet takes its way through two stacks
const patienceMs = 15_000
const runner = { describe, test: (name: string, body: () => Promise<void>) => test(name, body, 2 * patienceMs) }
const session = { dialTimeoutMs: 12_000, maxPacketBytes: 131_072, handshakesPerMinute: 1_000 }
const deadAddress = `ble://${'0123456789abcdef'.repeat(2)}`

describe('noble and bleno on virtual controllers, in one process', () => {
  transportCompliance(runner, {
    patienceMs,
    create() {
      // as many buffers as controllers of today have
      const air = virtualAir({ aclCount: 32 })
      return {
        node() {
          const { transport, identity } = stackNode(air.create(), { session })
          return { transport, nodeId: identity.nodeId }
        },
        clock: realClock,
        deadAddress,
        cleanup: closeAirs,
      }
    },
  })
})

describe('across three processes: the air in one, and in another a node without which the two do not hear each other', () => {
  const programs = [
    new URL('../test/air-process.mjs', import.meta.url),
    new URL('../test/relay-process.mjs', import.meta.url),
  ]
  const children: ChildProcess[] = []
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aiv-ble-'))
    for (const program of programs) {
      const child = fork(fileURLToPath(program), [join(folder, 'air')], {
        execArgv: [],
        env: { ...process.env, NODE_OPTIONS: '' },
      })
      children.push(child)
      await once(child, 'message')
    }
  })
  afterAll(async () => {
    for (const child of children) child.kill()
    await rm(folder, { recursive: true })
  })

  transportCompliance(runner, {
    patienceMs,
    create() {
      const controllers: SocketController[] = []
      return {
        async node() {
          const controller = await SocketController.open(join(folder, 'air'))
          controllers.push(controller)
          const { transport, identity } = stackNode(controller, { session })
          return { transport, nodeId: identity.nodeId }
        },
        clock: realClock,
        deadAddress,
        cleanup: () => {
          for (const controller of controllers) controller.close()
        },
      }
    },
  })
})
