import { describe, expect, test } from '@jest/globals'
import {
  Priority,
  TransportError,
  type Compressor,
  type Metrics,
  type NodeId,
  type TransportFactory,
} from '@aiv/transport-api'
import { World } from '@aiv/testkit'
import { createNode, type AivNode, type Message, type NodeError, type Receipt } from '../src/index.js'
import { identity, nodeIn, ways, type Overrides } from './world-nodes.js'

async function pair(overrides: { a?: Overrides; b?: Overrides } = {}) {
  const world = new World({ seed: 'pair' })
  const networks = ways(world)
  const a = await nodeIn(world, networks, 'a', overrides.a)
  const b = await nodeIn(world, networks, 'b', overrides.b)
  for (const address of b.addresses) a.addAddress(address)
  return { world, networks, a, b }
}

const code = (error: unknown): string => (error as NodeError).code

/** How a promise ends: `ok`, or the code it is rejected with. */
const ending = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: unknown) => code(error),
  )

describe('messages between two nodes', () => {
  test('arrive at the handler of their protocol, in order, and are acknowledged', async () => {
    const { world, a, b } = await pair()
    const seen: string[] = []
    b.handle('chat/1', (message) => void seen.push(`${message.text()} from ${message.from} over ${message.transport}`))
    const receipts = [await world.settled(a.send(b.id, 'one', { protocol: 'chat/1' }))]
    for (const text of ['two', 'three']) receipts.push(await world.settled(a.send(b.id, text, { protocol: 'chat/1' })))
    const delivered = await world.settled(Promise.all(receipts.map((receipt) => receipt.delivered)))
    expect(seen).toEqual(['one', 'two', 'three'].map((text) => `${text} from ${a.id} over first`))
    expect(delivered.every(({ transport, attempts }) => transport === 'first' && attempts === 1)).toBe(true)
    expect(receipts[0]).toMatchObject({ to: b.id, transport: 'first' })
  })

  test('an address is recipient enough, also one that does not name the node', async () => {
    const { world, networks } = await pair()
    const c = await nodeIn(world, networks, 'c')
    const d = await nodeIn(world, networks, 'd', { memory: { host: 'somewhere' }, onlyFirst: true })
    d.handle('echo/1', (message) => message.payload)
    const answer = await world.settled(c.request('mem://somewhere', 'echo/1', 'hello'))
    expect(new TextDecoder().decode(answer)).toBe('hello')
    expect(c.peers().find(({ connected }) => connected)?.id).toBe(d.id)
  })

  test('without a handler they wait for whoever iterates', async () => {
    const { world, a, b } = await pair()
    const receipt = await world.settled(a.send(b.id, 'for anybody'))
    await world.settled(receipt.delivered)
    const iterator = b.messages()
    const first = await world.settled(iterator.next())
    expect((first.value as Message).text()).toBe('for anybody')
    await world.settled(b.close())
    expect((await iterator.next()).done).toBe(true)
  })

  test('are not acknowledged where there is no place for them, and arrive once there is', async () => {
    const { world, a, b } = await pair({ b: { protocols: { maxUnclaimedMessages: 1 } } })
    const kept = await world.settled(a.send(b.id, 'kept'))
    await world.settled(kept.delivered)
    const refused = await world.settled(a.send(b.id, 'no place yet'))
    let acknowledged = false
    refused.delivered.then(
      () => (acknowledged = true),
      () => undefined,
    )
    await world.advance(1_000)
    expect(acknowledged).toBe(false)
    const iterator = b.messages()
    expect(((await iterator.next()).value as Message).text()).toBe('kept')
    const next = await world.settled(iterator.next())
    expect((next.value as Message).text()).toBe('no place yet')
    await world.settled(refused.delivered)
  })

  test('are compressed where both sides can, and only when it helps', async () => {
    const text = 'all work and no play '.repeat(200)
    let compressed = 0
    // undoes itself: what matters here is who asks for it and when
    const compressor: Compressor = {
      name: 'lz4',
      compress: (bytes) => {
        compressed++
        return bytes[0] === text.charCodeAt(0)
          ? Uint8Array.of(...new TextEncoder().encode(String(text.length)))
          : undefined
      },
      decompress: () => new TextEncoder().encode(text),
    }
    const { world, a, b } = await pair({ a: { compressor }, b: { compressor } })
    const seen: string[] = []
    b.handle('text/1', (message) => void seen.push(message.text()))
    const send = async (payload: string | Uint8Array): Promise<void> => {
      const receipt = await world.settled(a.send(b.id, payload, { protocol: 'text/1' }))
      await world.settled(receipt.delivered)
    }
    await send('short')
    expect(compressed).toBe(0)
    await world.advance(1_000)
    await send(text)
    expect(compressed).toBe(1)
    await send(new Uint8Array(2_000))
    await send(new Uint8Array(2_000))
    expect(compressed).toBe(2) // the second one was not tried
    expect(seen.map(({ length }) => length)).toEqual([5, text.length, 2_000, 2_000])
  })

  test('are counted under the names of the metrics', async () => {
    const values = new Map<string, number>()
    const add = (name: string, labels: object | undefined, amount: number): void => {
      const key = `${name} ${Object.values(labels ?? {}).join()}`
      values.set(key, (values.get(key) ?? 0) + amount)
    }
    const metrics: Metrics = {
      counter: (name, labels) => ({ add: (amount) => add(name, labels, amount) }),
      gauge: (name, labels) => ({
        set: (value) => void values.set(`${name} ${Object.values(labels ?? {}).join()}`, value),
      }),
      histogram: (name, labels) => ({ observe: () => add(name, labels, 1) }),
    }
    const { world, a, b } = await pair({ a: { metrics }, b: { metrics } })
    b.handle('chat/1', () => undefined)
    for (let i = 0; i < 3; i++) {
      await world.settled((await world.settled(a.send(b.id, 'x', { protocol: 'chat/1' }))).delivered)
    }
    expect(Object.fromEntries(values)).toMatchObject({
      'p2p_messages_sent_total first': 3,
      'p2p_messages_received_total first': 3,
      'p2p_message_latency_seconds first': 3,
      'p2p_active_connections first': 1,
    })
  })

  test('trySend makes no promise: now, or not at all', async () => {
    const { world, a, b } = await pair()
    expect(a.trySend(b.id, 'no connection yet')).toBeUndefined()
    await world.settled(a.connect(b.id))
    const receipt = a.trySend(b.id, 'now')
    expect(receipt?.transport).toBe('first')
    await world.settled((receipt as Receipt).delivered)
    // no more than the connection and its window take
    let taken = 0
    const big = new Uint8Array(512 * 1024)
    while (taken < 1_000 && a.trySend(b.id, big) !== undefined) taken++
    expect(taken).toBeGreaterThan(0)
    expect(taken).toBeLessThan(10)
  })
})

describe('requests', () => {
  test('are answered by what the handler returns, now or later', async () => {
    const { world, a, b } = await pair()
    b.handle('now/1', (message) => `${message.text()}!`)
    b.handle('later/1', async (message) => {
      await Promise.resolve()
      return message.payload
    })
    b.handle('nothing/1', () => undefined)
    const text = async (protocol: string): Promise<string> =>
      new TextDecoder().decode(await a.request(b.id, protocol, 'x'))
    expect(await world.settled(Promise.all([text('now/1'), text('later/1'), text('nothing/1')]))).toEqual([
      'x!',
      'x',
      '',
    ])
  })

  test('fail with a code when nobody handles them, the handler throws, or no answer comes', async () => {
    const { world, a, b } = await pair()
    const errors: unknown[] = []
    b.addEventListener('handler-error', ({ detail }) => errors.push(detail.error))
    b.handle('throws/1', () => {
      throw new Error('inside')
    })
    b.handle('rejects/1', () => Promise.reject(new Error('later')))
    b.handle('silent/1', () => new Promise(() => undefined))
    const requests = ['unknown/1', 'throws/1', 'rejects/1', 'silent/1'].map((protocol) =>
      ending(a.request(b.id, protocol, '', { timeoutMs: 2_000 })),
    )
    expect(await world.settled(Promise.all(requests))).toEqual([
      'PROTOCOL_UNKNOWN',
      'REQUEST_FAILED',
      'REQUEST_FAILED',
      'REQUEST_TIMEOUT',
    ])
    expect(errors.map((error) => (error as Error).message)).toEqual(['inside', 'later'])
    expect(a.backlog().requests).toBe(0)
  })
})

describe('failing over', () => {
  test('what is unacknowledged goes over the other transport, once and in order, without the sender noticing', async () => {
    const { world, networks, a, b } = await pair()
    const seen: number[] = []
    const over = new Set<string>()
    b.handle('count/1', (message) => {
      seen.push(Number(message.text()))
      over.add(message.transport)
    })
    const moved: unknown[] = []
    a.addEventListener('failover', ({ detail }) => moved.push(detail))
    const delivered: Promise<unknown>[] = []
    for (let i = 0; i < 200; i++) {
      const receipt = await world.settled(a.send(b.id, String(i), { protocol: 'count/1' }))
      delivered.push(receipt.delivered)
      await world.advance(1)
      if (i === 100) void b.closeTransport('first')
    }
    await world.settled(Promise.all(delivered))
    expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i))
    expect(over).toEqual(new Set(['first', 'second']))
    expect(moved).toHaveLength(1)
    expect(moved[0]).toMatchObject({ peer: b.id, from: 'first', to: 'second' })
    expect(networks.first.openCount).toBe(0)
  })

  test('a link that falls silent is left for another one long before it is given up', async () => {
    const { world, networks, a, b } = await pair()
    const seen: string[] = []
    b.handle('chat/1', (message) => void seen.push(message.text()))
    await world.settled((await world.settled(a.send(b.id, 'before', { protocol: 'chat/1' }))).delivered)
    networks.first.cut(a.id, b.id)
    const start = world.now()
    const receipt = await world.settled(a.send(b.id, 'after', { protocol: 'chat/1' }))
    const { transport } = await world.settled(receipt.delivered)
    expect(transport).toBe('second')
    expect(world.now() - start).toBeLessThan(2_000)
    expect(seen).toEqual(['before', 'after'])
  })

  test('a silent connection is dead after five seconds, unless the machine slept', async () => {
    const { world, networks, a, b } = await pair({ a: { onlyFirst: true }, b: { onlyFirst: true } })
    b.handle('chat/1', () => undefined)
    await world.settled((await world.settled(a.send(b.id, 'x', { protocol: 'chat/1' }))).delivered)
    const closed: string[] = []
    a.addEventListener('connection-closed', ({ detail }) => closed.push(detail.reason.by))
    networks.first.cut(a.id, b.id)
    void ending(a.send(b.id, 'into silence', { protocol: 'chat/1' }))
    await world.advance(4_000)
    expect(a.connections()[0]?.state).toBe('suspect')
    world.clock('a').stepUnix(60_000)
    await world.advance(3_000)
    expect(closed).toEqual([])
    await world.advance(6_000)
    expect(closed).toHaveLength(1)
  })

  test('a peer that comes back is found again before the deadline', async () => {
    const { world, networks, a, b } = await pair({ a: { onlyFirst: true }, b: { onlyFirst: true } })
    const seen: string[] = []
    b.handle('chat/1', (message) => void seen.push(message.text()))
    await world.settled((await world.settled(a.send(b.id, 'one', { protocol: 'chat/1' }))).delivered)
    networks.first.cut(a.id, b.id)
    networks.first.sever(a.id, b.id)
    const sent = a.send(b.id, 'two', { protocol: 'chat/1' })
    world.at(world.now() + 12_000, () => networks.first.restore(a.id, b.id))
    await world.settled((await world.settled(sent)).delivered)
    expect(seen).toEqual(['one', 'two'])
  })

  test('a message that nobody takes is given up at its deadline, and its sender is told', async () => {
    const { world, networks, a, b } = await pair()
    b.handle('chat/1', () => undefined)
    await world.settled(a.connect(b.id))
    for (const network of [networks.first, networks.second]) network.cut(a.id, b.id)
    const undelivered: string[] = []
    a.addEventListener('undelivered', ({ detail }) => undelivered.push(detail.error.code))
    const asked = await world.settled(a.send(b.id, 'x', { protocol: 'chat/1', timeoutMs: 3_000 }))
    const asking = ending(asked.delivered)
    await world.settled(a.send(b.id, 'y', { protocol: 'chat/1', timeoutMs: 3_000 }))
    await world.advance(4_000)
    expect(await asking).toBe('DELIVERY_TIMEOUT')
    expect(undelivered).toEqual(['DELIVERY_TIMEOUT'])
    expect(a.backlog()).toMatchObject({ queued: 0, unacknowledged: 0 })
  })
})

describe('reaching a peer', () => {
  test('fails with a code that says why', async () => {
    const { world, networks, a, b } = await pair({ a: { dialing: { backOffMs: 50 } } })
    const nobody = '0123456789abcdef0123456789abcdef' as NodeId
    expect(await world.settled(ending(a.send(nobody, 'x')))).toBe('PEER_UNKNOWN')
    const refused = a.send(`mem://${nobody}`, 'x')
    const error = await world.settled(
      refused.then(
        () => undefined,
        (reason: unknown) => reason as NodeError,
      ),
    )
    expect(error?.code).toBe('PEER_UNREACHABLE')
    expect(error?.failures.map(code)).toEqual(['DIAL_REFUSED'])
    expect(await world.settled(ending(a.send(a.id, 'x')))).toBe('PEER_DENIED')
    const strict = await nodeIn(world, networks, 'strict', { deny: [b.id] })
    expect(await world.settled(ending(strict.send(b.addresses[0] as string, 'x')))).toBe('PEER_DENIED')
    const elsewhere = `mem://${a.id}`
    const c = await nodeIn(world, networks, 'c')
    expect(await world.settled(ending(c.connect(elsewhere)))).toBe('ok')
    await expect(a.send('not an address', 'x')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    expect(a.backlog()).toMatchObject({ queued: 0, waitingSends: 0, unacknowledged: 0 })
  })

  test('dials once, however many ask', async () => {
    const { world, networks, a, b } = await pair()
    b.handle('chat/1', () => undefined)
    await world.settled(Promise.all(Array.from({ length: 50 }, () => a.send(b.id, 'x', { protocol: 'chat/1' }))))
    expect(a.connections()).toHaveLength(1)
    expect(networks.first.openCount).toBe(2)
  })

  test('a peer that is not admitted gets no connection', async () => {
    const world = new World({ seed: 'admission' })
    const networks = ways(world)
    const friend = identity(world, 'friend').nodeId
    const guarded = await nodeIn(world, networks, 'guarded', { allow: [friend] })
    const stranger = await nodeIn(world, networks, 'stranger')
    // the dialler has its connection a moment before the other side says no
    await world.settled(ending(stranger.connect(guarded.addresses[0] as string)))
    await world.advance(1_000)
    expect(stranger.connections()).toEqual([])
    expect(guarded.connections()).toEqual([])
    const admitted = await nodeIn(world, networks, 'friend')
    await world.settled(admitted.connect(guarded.addresses[0] as string))
    await world.advance(1_000)
    expect(guarded.connections()).toHaveLength(1)
  })

  test('a connection that has lived for long is replaced without losing a message', async () => {
    const { world, a, b } = await pair({ a: { pool: { maxAgeMs: 60_000 } } })
    const seen: number[] = []
    b.handle('count/1', (message) => void seen.push(Number(message.text())))
    const receipts: Receipt[] = []
    const firstId = (await world.settled(a.connect(b.id))).id
    for (let i = 0; i < 100; i++) {
      receipts.push(await world.settled(a.send(b.id, String(i), { protocol: 'count/1' })))
      await world.advance(1_000)
    }
    await world.settled(Promise.all(receipts.map((receipt) => receipt.delivered)))
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(a.connections()).toHaveLength(1)
    expect(a.connections()[0]?.id).not.toBe(firstId)
  })

  test('a connection that is being replaced still serves when the fresh one fails', async () => {
    const { world, networks, a, b } = await pair({
      a: { pool: { maxAgeMs: 60_000, spareTimeoutMs: 600_000 } },
      b: { memory: { maxConnections: 1 } },
    })
    b.handle('chat/1', () => undefined)
    await world.settled(a.connect(b.id))
    await world.advance(65_000)
    expect(a.connections().map(({ transport }) => transport)).toEqual(['first', 'second'])
    networks.second.cut(a.id, b.id)
    const receipt = await world.settled(a.send(b.id, 'x', { protocol: 'chat/1' }))
    const { transport, elapsedMs } = await world.settled(receipt.delivered)
    expect(transport).toBe('first')
    expect(elapsedMs).toBeLessThan(2_000)
  })

  test('crossing connections become one', async () => {
    const { world, a, b } = await pair()
    for (const node of [a, b]) node.handle('chat/1', () => undefined)
    for (const address of a.addresses) b.addAddress(address)
    await world.settled(Promise.all([a.connect(b.id), b.connect(a.id)]))
    await world.advance(100)
    expect(a.connections()).toHaveLength(2)
    await world.advance(20_000)
    expect(a.connections()).toHaveLength(1)
    expect(b.connections()).toHaveLength(1)
    const smaller = a.id < b.id ? a : b
    expect(smaller.connections()[0]?.direction).toBe('dialled')
  })
})

describe('limits', () => {
  test('an idle connection gives way to a new one; without an idle one the dial fails', async () => {
    const world = new World({ seed: 'pool' })
    const networks = ways(world)
    const hub = await nodeIn(world, networks, 'hub', { pool: { maxDialled: 2 }, onlyFirst: true })
    const peers: AivNode[] = []
    for (const name of ['p', 'q', 'r']) peers.push(await nodeIn(world, networks, name, { onlyFirst: true }))
    for (const peer of peers) {
      await world.settled(hub.connect(peer.addresses[0] as string))
      await world.advance(100)
    }
    await world.advance(1_000)
    expect(hub.connections().map(({ peer }) => peer)).toEqual([peers[1]?.id, peers[2]?.id])
    for (const peer of peers.slice(1)) {
      peer.handle('slow/1', () => undefined)
      networks.first.cut(hub.id, peer.id)
      void ending(hub.send(peer.id, 'pending', { protocol: 'slow/1' }))
    }
    expect(await world.settled(ending(hub.connect(peers[0]?.id as NodeId)))).toBe('POOL_FULL')
  })

  test('accepted connections over the limit are refused', async () => {
    const world = new World({ seed: 'accepted' })
    const networks = ways(world)
    const hub = await nodeIn(world, networks, 'hub', { pool: { maxAccepted: 1 }, onlyFirst: true })
    const p = await nodeIn(world, networks, 'p', { onlyFirst: true })
    const q = await nodeIn(world, networks, 'q', { onlyFirst: true, dialing: { tries: 1 } })
    await world.settled(p.connect(hub.addresses[0] as string))
    expect(await world.settled(ending(q.connect(hub.addresses[0] as string)))).toBe('PEER_UNREACHABLE')
    expect(hub.connections()).toHaveLength(1)
  })

  test('a full queue makes send wait or fail, and an emergency finds a place in it', async () => {
    const { world, networks, a, b } = await pair({ a: { maxWaitingSends: 3, dialing: { tries: 100 } } })
    for (const network of [networks.first, networks.second]) network.cut(a.id, b.id)
    const endings: Promise<string>[] = []
    const low = { priority: Priority.Low, timeoutMs: 5_000 }
    for (let i = 0; i < 250; i++) endings.push(ending(a.send(b.id, 'x', low)))
    await world.advance(10)
    expect(a.backlog()).toMatchObject({ queued: 250, waitingSends: 0 })
    expect(await ending(a.send(b.id, 'no', { ...low, whenFull: 'fail' }))).toBe('QUEUE_FULL')
    for (let i = 0; i < 3; i++) endings.push(ending(a.send(b.id, 'waits', low)))
    await world.advance(10)
    expect(a.backlog().waitingSends).toBe(3)
    expect(await ending(a.send(b.id, 'one too many', low))).toBe('QUEUE_FULL')
    const urgent = Array.from({ length: 6 }, () =>
      ending(a.send(b.id, 'urgent', { priority: Priority.Emergency, timeoutMs: 5_000 })),
    )
    await world.advance(10)
    const dropped = (await Promise.race([Promise.all(endings), Promise.resolve([])])) as string[]
    expect(dropped).toEqual([])
    await world.advance(6_000)
    const all = await Promise.all(endings)
    expect(all.filter((result) => result === 'QUEUE_DROPPED')).toHaveLength(1)
    expect(all.filter((result) => result === 'DELIVERY_TIMEOUT')).toHaveLength(252)
    expect(new Set(await Promise.all(urgent))).toEqual(new Set(['DELIVERY_TIMEOUT']))
    expect(a.backlog()).toMatchObject({ queued: 0, waitingSends: 0, unacknowledged: 0 })
  })

  test('a signal takes a waiting message back', async () => {
    const { world, networks, a, b } = await pair()
    networks.first.cut(a.id, b.id)
    networks.second.cut(a.id, b.id)
    const controller = new AbortController()
    const sent = a.send(b.id, 'x', { signal: controller.signal })
    await world.advance(10)
    const reason = new Error('changed my mind')
    controller.abort(reason)
    await expect(sent).rejects.toBe(reason)
    expect(a.backlog().queued).toBe(0)
    await expect(a.send(b.id, 'x', { signal: controller.signal })).rejects.toBe(reason)
  })

  test('a message over 16 MiB is refused at once', async () => {
    const { a, b } = await pair()
    await expect(a.send(b.id, new Uint8Array(16 * 1024 * 1024))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
  })

  test('handlers that do not keep up slow the sender down instead of filling memory', async () => {
    const { world, a, b } = await pair()
    let started = 0
    const finish: (() => void)[] = []
    b.handle('slow/1', () => {
      started++
      return new Promise<void>((resolve) => finish.push(resolve))
    })
    let handed = 0
    const payload = new Uint8Array(64 * 1024)
    const sending = (async () => {
      for (let i = 0; i < 1_000; i++, handed++) await a.send(b.id, payload, { protocol: 'slow/1', timeoutMs: 300_000 })
    })()
    await world.advance(20_000)
    expect(started).toBeLessThan(400)
    expect(handed).toBeLessThan(500)
    const pump = world.every(1, () => {
      for (const done of finish.splice(0)) done()
    })
    await world.settled(sending)
    await world.advance(1_000)
    pump.clear()
    expect(started).toBe(1_000)
  })
})

describe('the life of a node', () => {
  test('a transport that cannot start is reported, and the node runs with the others', async () => {
    const world = new World({ seed: 'start' })
    const { first } = ways(world)
    const broken: TransportFactory = (components) => {
      const transport = first.memory({ name: 'broken' })(components)
      transport.start = () => Promise.reject(new TransportError('TRANSPORT_UNAVAILABLE', 'no adapter'))
      return transport
    }
    const options = { identity: identity(world, 'a'), clock: world.clock('a'), random: world.random('a') }
    const node = await createNode({ ...options, transports: [broken, first.memory()] })
    expect(node.transports.map(({ name, state }) => [name, state])).toEqual([
      ['broken', 'failed'],
      ['memory', 'up'],
    ])
    expect(node.transports[0]?.error).toMatchObject({ code: 'TRANSPORT_UNAVAILABLE' })
    await node.close()
    await expect(createNode({ ...options, transports: [broken] })).rejects.toMatchObject({ code: 'NO_TRANSPORT' })
    await expect(
      createNode({ ...options, transports: [first.memory()], signal: AbortSignal.abort() }),
    ).rejects.toThrow()
    await expect(createNode({ ...options, transports: [], deliveryTimeoutMs: 0 })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })

  test('close ends everything, leaves nothing open and may be called twice', async () => {
    const { world, networks, a, b } = await pair()
    b.handle('silent/1', () => new Promise(() => undefined))
    const request = ending(a.request(b.id, 'silent/1', 'x'))
    await world.advance(1_000)
    const unreachable = ending(a.send('mem://nowhere', 'x'))
    const [first, second] = [a.close(), a.close()]
    await world.settled(Promise.all([first, second, b[Symbol.asyncDispose]()]))
    expect(await world.settled(request)).toBe('NODE_CLOSED')
    expect(await world.settled(unreachable)).not.toBe('ok')
    expect(await ending(a.send(b.id, 'x'))).toBe('NODE_CLOSED')
    expect(a.trySend(b.id, 'x')).toBeUndefined()
    expect(networks.first.openCount + networks.second.openCount).toBe(0)
    await world.advance(600_000)
    expect(world.pendingEvents).toBe(0)
  })

  test('events tell who came and went', async () => {
    const { world, a, b } = await pair()
    const told: string[] = []
    for (const type of ['peer-connected', 'connection-opened', 'connection-closed', 'peer-disconnected'] as const) {
      a.addEventListener(type, () => told.push(type))
    }
    await world.settled(a.connect(b.id))
    await world.advance(100)
    await world.settled(b.close())
    await world.advance(1_000)
    expect(told).toEqual(['connection-opened', 'peer-connected', 'connection-closed', 'peer-disconnected'])
  })
})
