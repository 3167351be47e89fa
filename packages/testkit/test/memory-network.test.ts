import { describe, expect, test } from '@jest/globals'
import {
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type NodeId,
  Priority,
  type Transport,
} from '@aiv/transport-api'
import { type MemoryNetworkOptions, type MemoryOptions, World, memoryNetwork } from '../src/index.js'
import { components } from './identities.js'

interface Told {
  readonly packets: number[]
  readonly liveness: string[]
  readonly dropped: { tag: number; code: string; at: number }[]
  closed: (CloseReason & { at: number }) | undefined
}

/** Two nodes in a world, with a connection between them. */
async function meet(networkOptions: MemoryNetworkOptions = {}, options: MemoryOptions = {}) {
  const world = new World({ seed: 'memory' })
  const network = memoryNetwork(world, networkOptions)
  const node = async (name: string) => {
    const own = components(world, name)
    const transport = network.memory(options)(own)
    const accepted: Connection[] = []
    const told: Told = { packets: [], liveness: [], dropped: [], closed: undefined }
    const handler: ConnectionHandler = {
      onPacket: (bytes) => void told.packets.push(new DataView(bytes.slice().buffer).getUint32(0)),
      onDrain: () => undefined,
      onLiveness: (state) => void told.liveness.push(`${state} ${Math.round(world.now())}`),
      onDropped: (tag, code) => void told.dropped.push({ tag, code, at: world.now() }),
      onClosed: (reason) => (told.closed = { ...reason, at: world.now() }),
    }
    await transport.start({
      admit: () => true,
      onConnection(connection) {
        accepted.push(connection)
        connection.attach(handler)
      },
      onListening: () => undefined,
      onDown: () => undefined,
    })
    return { transport, id: own.identity.nodeId, accepted, told, handler }
  }
  const [a, b] = [await node('a'), await node('b')]
  const dial = (from: Transport, to: NodeId): Promise<Connection> => from.dial(`mem://${to}`, { expected: to })
  const near = await world.settled(dial(a.transport, b.id))
  near.attach(a.handler)
  await world.until(() => b.accepted.length > 0)
  const far = b.accepted[0] as Connection
  return { world, network, a, b, near, far, dial }
}

function numbered(number: number, size = 4): Uint8Array {
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

const reliable = { priority: Priority.Normal, delivery: 'reliable' } as const

describe('over an impaired link', () => {
  test('packets are lost, doubled and reordered, and nothing repairs them', async () => {
    const { world, near, b } = await meet({
      impairment: { delayMs: 5, lossRatio: 0.2, duplicateRatio: 0.1, reorderRatio: 0.2 },
    })
    for (let i = 0; i < 1000; i++) {
      near.send(numbered(i), reliable)
      await world.advance(1)
    }
    await world.advance(1000)
    const { packets } = b.told
    const distinct = new Set(packets).size
    expect(distinct).toBeGreaterThan(700)
    expect(distinct).toBeLessThan(870)
    expect(packets.length).toBeGreaterThan(distinct + 30)
    expect(packets.some((number, at) => number < (packets[at - 1] ?? 0))).toBe(true)
  })

  test('credit of lost packets comes back, so that loss does not end in a full connection', async () => {
    const { world, near } = await meet({ impairment: { delayMs: 5, lossRatio: 0.5 } })
    for (let i = 0; i < 200; i++) {
      expect(near.send(numbered(i, 60_000), reliable)).toBe('accepted')
      await world.advance(20)
    }
    expect(near.stats().queuedBytes).toEqual([0, 0, 0, 0])
    expect(near.stats().unconfirmedBytes).toBe(0)
  })

  test('a dial gets through in spite of loss, in both ends once', async () => {
    const { world, a, b, dial } = await meet({ impairment: { delayMs: 5, lossRatio: 0.3 } })
    const before = b.accepted.length
    let made = 0
    for (let i = 0; i < 30; i++) {
      const connection = await world.settled(dial(a.transport, b.id).catch(() => undefined))
      if (connection !== undefined) made++
    }
    await world.advance(11_000)
    expect(made).toBeGreaterThan(25)
    expect(b.accepted.length - before).toBe(made)
  })

  test('the same seed gives the same story', async () => {
    const tell = async (): Promise<unknown> => {
      const { world, near, a, b } = await meet({
        impairment: { delayMs: 5, jitterMs: 9, lossRatio: 0.2, reorderRatio: 0.2 },
      })
      for (let i = 0; i < 300; i++) near.send(numbered(i, 500), { ...reliable, tag: i })
      await world.advance(60_000)
      return [a.told, b.told, world.eventCount]
    }
    expect(await tell()).toEqual(await tell())
  })
})

describe('over a link that is cut', () => {
  test('a probe ends in suspect after 200 ms, and in alive when the link is back', async () => {
    const { world, network, near, a, b } = await meet({ impairment: { delayMs: 10 } })
    await world.run(1000)
    network.cut(a.id, b.id)
    near.probe()
    await world.run(3000)
    expect(a.told.liveness).toEqual(['suspect 1200'])
    expect(b.told.liveness).toEqual([])
    network.restore(a.id, b.id)
    await world.run(4000)
    expect(a.told.liveness).toHaveLength(2)
    expect(a.told.liveness[1]).toMatch(/^alive 3/)
  })

  test('suspicion takes three round trips where they are long', async () => {
    const { world, network, near, a, b } = await meet({ impairment: { delayMs: 100 } })
    await world.run(1000)
    expect(near.stats().rttMs).toBeCloseTo(200, 0)
    network.cut(a.id, b.id)
    near.probe()
    await world.run(1599)
    expect(a.told.liveness).toEqual([])
    await world.run(1601)
    expect(a.told.liveness).toEqual(['suspect 1600'])
  })

  test('a packet that nobody confirms is suspicious without a probe', async () => {
    const { world, network, near, a, b } = await meet({ impairment: { delayMs: 10 } })
    near.send(numbered(1), reliable)
    await world.run(1000)
    network.cut(a.id, b.id)
    expect(near.send(numbered(2), reliable)).toBe('accepted')
    await world.run(1500)
    expect(a.told.liveness).toHaveLength(1)
    expect(b.told.packets).toEqual([1])
  })

  test('both ends are lost after the idle timeout', async () => {
    const { world, network, a, b } = await meet({ impairment: { delayMs: 10 } }, { idleTimeoutMs: 20_000 })
    await world.run(1000)
    network.cut(a.id, b.id)
    await world.run(30_000)
    for (const { told } of [a, b]) {
      expect(told.closed).toMatchObject({ by: 'lost', code: 'IDLE_TIMEOUT', retryable: true })
      expect(told.closed?.at).toBeLessThan(21_000)
    }
    expect(network.openCount).toBe(0)
  })

  test('keep-alives hold an idle connection for an hour', async () => {
    const { world, network, a, b } = await meet({ impairment: { delayMs: 10 } })
    await world.run(3_600_000)
    expect([a.told.closed, b.told.closed]).toEqual([undefined, undefined])
    expect(network.openCount).toBe(2)
  })

  test('an end that closed meanwhile resets the other when it hears of it again', async () => {
    const { world, network, near, a, b } = await meet({ impairment: { delayMs: 10 } })
    network.cut(a.id, b.id)
    await world.settled(near.close())
    expect(a.told.closed).toMatchObject({ by: 'local', code: 'CLOSED' })
    network.restore(a.id, b.id)
    await world.run(30_000)
    expect(b.told.closed).toMatchObject({ by: 'lost', code: 'CONNECTION_RESET' })
  })

  test('a dial ends in DIAL_TIMEOUT', async () => {
    const { world, network, a, b, dial } = await meet()
    network.cut(a.id, b.id)
    await expect(world.settled(dial(a.transport, b.id))).rejects.toMatchObject({
      code: 'DIAL_TIMEOUT',
      retryable: true,
    })
    expect(world.now()).toBe(10_000)
  })
})

describe('limits', () => {
  test('a packet is dropped when its time comes while it waits', async () => {
    const { world, near, a, b } = await meet({ impairment: { bytesPerSecond: 10_000 } })
    const begun = world.now()
    for (let i = 0; i < 20; i++) near.send(numbered(i, 960), { ...reliable, tag: i, expiresAt: begun + 1000 })
    await world.advance(5000)
    // 1,000 bytes each with what a packet costs: ten of them in a second, beside the pings
    expect(b.told.packets.length).toBeLessThan(11)
    expect(b.told.packets.length).toBeGreaterThan(7)
    expect(b.told.packets.length + a.told.dropped.length).toBe(20)
    for (const { code, at } of a.told.dropped) expect([code, at - begun]).toEqual(['EXPIRED', 1000])
    expect(near.stats().queuedBytes).toEqual([0, 0, 0, 0])
  })

  test('a queue is full at its limit, per priority, and one packet always fits', async () => {
    const { near, far } = await meet({}, { maxQueuedBytes: 10_000, windowBytes: 1000, maxPacketBytes: 100_000 })
    far.pause()
    expect(near.send(numbered(0, 50_000), reliable)).toBe('accepted')
    expect(near.send(numbered(1, 50_000), reliable)).toBe('accepted')
    expect(near.send(numbered(2, 4), reliable)).toBe('full')
    expect(near.send(numbered(2, 4), { ...reliable, priority: Priority.Low })).toBe('accepted')
    expect(near.send(numbered(3, 100_001), reliable)).toBe('too-large')
  })

  test('dials over maxConnections are denied, and what is accepted over it refused', async () => {
    const { world, a, b, dial } = await meet({}, { maxConnections: 2 })
    await world.settled(dial(a.transport, b.id))
    await expect(world.settled(dial(a.transport, b.id))).rejects.toMatchObject({ code: 'DIAL_DENIED' })
  })

  test('a policy slows a transport down', async () => {
    const { world, near, a, b } = await meet()
    a.transport.apply({
      heartbeatIntervalMs: 15_000,
      maxConnections: 100,
      dutyCycle: 1,
      maxBytesPerSecond: 10_000,
      transmitPowerDbm: undefined,
    })
    for (let i = 0; i < 30; i++) near.send(numbered(i, 960), reliable)
    const begun = world.now()
    await world.until(() => b.told.packets.length === 30)
    expect(world.now() - begun).toBeCloseTo(2900, -1)
  })

  test('options out of range and names that are none are refused', () => {
    const world = new World({ seed: 0 })
    expect(() => memoryNetwork(world).memory({ windowBytes: 0 })).toThrow(/windowBytes/)
    expect(() => memoryNetwork(world, { scheme: 'No Scheme' })).toThrow(/no scheme/)
  })
})

describe('faults', () => {
  test('sever resets every connection between two nodes at once', async () => {
    const { network, a, b } = await meet()
    expect(network.sever(a.id, b.id)).toBe(2)
    expect(a.told.closed).toMatchObject({ by: 'lost', code: 'CONNECTION_RESET', retryable: true })
    expect(b.told.closed).toMatchObject({ by: 'lost', code: 'CONNECTION_RESET', retryable: true })
  })

  test('a partition cuts what goes across, and heals', async () => {
    const { world, network, near, a, b } = await meet({ impairment: { delayMs: 1 } })
    network.partition([a.id], [b.id])
    near.send(numbered(1), reliable)
    await world.advance(100)
    network.heal()
    near.send(numbered(2), reliable)
    await world.advance(100)
    expect(b.told.packets).toEqual([2])
  })

  test('a node that sleeps receives when it wakes, and is suspect meanwhile', async () => {
    const { world, near, a, b } = await meet({ impairment: { delayMs: 1 } })
    world.suspend('b', 5000)
    near.send(numbered(1), reliable)
    await world.advance(4000)
    expect(b.told.packets).toEqual([])
    expect(a.told.liveness).toHaveLength(1)
    await world.advance(2000)
    expect(b.told.packets).toEqual([1])
    expect(a.told.liveness).toHaveLength(2)
  })

  test('two networks are two ways between the same nodes', async () => {
    const world = new World({ seed: 0 })
    const [first, second] = [memoryNetwork(world), memoryNetwork(world, { scheme: 'alt' })]
    const [a, b] = [components(world, 'a').identity.nodeId, components(world, 'b').identity.nodeId]
    first.cut(a, b)
    expect([first.link(a, b).isCut, second.link(a, b).isCut]).toEqual([true, false])
    expect(second.memory({ name: 'other' })(components(world, 'a')).schemes).toEqual(['alt'])
  })

  test('a name is taken once', async () => {
    const world = new World({ seed: 0 })
    const network = memoryNetwork(world)
    const host = {
      admit: () => true,
      onConnection: () => undefined,
      onListening: () => undefined,
      onDown: () => undefined,
    }
    await network.memory({ host: 'here' })(components(world, 'a')).start(host)
    const second = network.memory({ host: 'here' })(components(world, 'b'))
    await expect(second.start(host)).rejects.toMatchObject({ code: 'TRANSPORT_PORT_TAKEN' })
  })
})
