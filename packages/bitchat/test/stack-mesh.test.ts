import { afterEach, describe, expect, test } from '@jest/globals'
import { type Connection, Priority } from '@aiv/transport-api'
import type { VirtualAir, VirtualController } from '@aiv/ble-virtual'
import { Host, Inbox } from './bitchat-bench.js'
import { stackNode, type StackNode } from './stack-bench.js'
import { closeAirs, until, virtualAir } from './virtual-radios.js'

interface Node extends StackNode {
  readonly host: Host
  readonly controller: VirtualController
}

const nodes: Node[] = []
afterEach(async () => {
  await Promise.all(nodes.splice(0).map(({ transport }) => transport.close()))
  closeAirs()
})

/** The last byte of an address counts the controllers, from 1. */
const position = (address: string): number => parseInt(address.slice(-2), 16) - 1

/** Starts nodes of which each hears the next one, and those two that `also` says; resolves when all have their links. */
async function line(count: number, also: (a: number, b: number) => boolean = () => false): Promise<VirtualAir> {
  const inReach = (a: number, b: number): boolean => Math.abs(a - b) === 1 || also(a, b) || also(b, a)
  const air = virtualAir({ signal: (from, to) => (inReach(position(from), position(to)) ? -60 : undefined) })
  for (let n = 0; n < count; n++) {
    const controller = air.create()
    const { identity, transport } = stackNode(controller, { session: { dialTimeoutMs: 5_000 } })
    const host = new Host()
    nodes.push({ identity, transport, host, controller })
    await transport.start(host)
  }
  await until(() => nodes.every(({ transport }, n) => transport.links >= (n === 0 || n === count - 1 ? 1 : 2)))
  return air
}

const at = (n: number): Node => nodes[n] as Node

async function dial(from: Node, to: Node): Promise<{ readonly connection: Connection; readonly inbox: Inbox }> {
  const { nodeId } = to.identity
  const connection = await from.transport.dial(`ble://${nodeId}`, { expected: nodeId })
  const inbox = new Inbox()
  connection.attach(inbox)
  await until(() => to.host.accepted.length > 0)
  return { connection, inbox }
}

function say(connection: Connection, text: string): void {
  const packet = new TextEncoder().encode(text)
  expect(connection.send(packet, { priority: Priority.Normal, delivery: 'reliable' })).toBe('accepted')
}

const heard = (node: Node): readonly string[] => node.host.accepted[0]?.inbox.texts ?? []

describe('a mesh on the real stacks', () => {
  test('eight nodes in a line: a message crosses seven hops, its acknowledgement the same ones back, an eighth is refused', async () => {
    await line(9)
    const [first, eighth, ninth] = [at(0), at(7), at(8)]
    await until(() => first.transport.peers().some(({ hops }) => hops === 7))
    const { connection } = await dial(first, eighth)
    expect(connection.path.hops).toBe(7)
    const before = nodes.map(({ transport }) => transport.counters.relayed)
    say(connection, 'across seven hops')
    await until(() => heard(eighth).length === 1 && connection.stats().unconfirmedBytes === 0)
    expect(heard(eighth)).toEqual(['across seven hops'])
    // the message and its acknowledgement, over each of the six between them
    for (let n = 1; n <= 6; n++) {
      expect(at(n).transport.counters.relayed - (before[n] as number)).toBeGreaterThanOrEqual(2)
    }
    const { nodeId } = ninth.identity
    await expect(first.transport.dial(`ble://${nodeId}`, { expected: nodeId })).rejects.toMatchObject({
      code: 'DIAL_TIMEOUT',
    })
    expect(ninth.host.accepted).toEqual([])
  }, 30_000)

  test('a node in the middle is switched off, and the connection goes on over another path', async () => {
    // 0 1 2 3 4 in a line, and 5 beside 2: between 1 and 3
    const air = await line(6, (a, b) => b === 5 && (a === 1 || a === 3))
    air.cut(at(4).controller, at(5).controller)
    await until(() => [1, 3].every((n) => at(n).transport.links === 3))
    const { connection } = await dial(at(0), at(4))
    say(connection, 'before')
    await until(() => heard(at(4)).length === 1)
    for (const n of [1, 3]) air.cut(at(2).controller, at(n).controller)
    say(connection, 'after')
    await until(() => heard(at(4)).length === 2)
    expect(heard(at(4))).toEqual(['before', 'after'])
    expect(at(5).transport.counters.relayed).toBeGreaterThan(0)
  }, 60_000)

  test('a node that was away gets what was sent meanwhile', async () => {
    const air = await line(4)
    const { connection, inbox } = await dial(at(0), at(3))
    air.cut(at(2).controller, at(3).controller)
    await until(() => at(3).transport.links === 0 && at(2).transport.links === 1)
    for (let n = 0; n < 5; n++) say(connection, `message ${n}`)
    // nobody answers for it
    await until(() => inbox.liveness.includes('suspect'))
    expect(heard(at(3))).toEqual([])
    air.heal(at(2).controller, at(3).controller)
    await until(() => heard(at(3)).length === 5)
    expect(heard(at(3))).toEqual([0, 1, 2, 3, 4].map((n) => `message ${n}`))
  }, 60_000)
})
