import { createSocket } from 'node:dgram'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { QuicOptions } from '../src/index.js'
import { Keeper } from '@aiv/testkit'
import { Priority } from '@aiv/transport-api'
import { closeAll, closing, connect, dial, dialler, listener, type Station, testNode } from './bench.js'
import { UdpProxy } from './udp-proxy.js'

afterEach(closeAll)

const repeatable = { repeatable: true }

/** Two stations that have met through a proxy, so that the dialler has a ticket. */
async function acquainted(options: QuicOptions = {}): Promise<{ a: Station; b: Station; proxy: UdpProxy }> {
  const b = await listener(options)
  const a = await dialler()
  const proxy = closing(await UdpProxy.start(b.port))
  const [near, far] = await connect(a, b, proxy.port)
  near.say('hello')
  await far.until(() => far.count === 1)
  far.say('hello')
  await near.until(() => near.count === 1)
  await near.connection.close()
  await far.end()
  return { a, b, proxy }
}

describe('0-RTT', () => {
  test('a packet that may be repeated arrives before the handshake is done, and is said to be early', async () => {
    const { a, b, proxy } = await acquainted()
    const accepted = b.host.next()
    const near = await dial(a, b, proxy.port, true)
    expect(near.established).toBe(false)
    near.say('query', repeatable)
    const far = await accepted
    await far.until(() => far.count === 1)
    expect(far.packets).toEqual(['query'])
    expect(far.early).toEqual([true])
    expect(far.established).toBe(false)
    expect(far.connection.remote.nodeId).toBe(a.nodeId)
    await Promise.all([near.until(() => near.established), far.until(() => far.established)])
    near.say('later')
    await far.until(() => far.count === 2)
    expect(far.early).toEqual([true, false])
  })

  test('an answer to an early packet needs no finished handshake either', async () => {
    const { a, b, proxy } = await acquainted()
    b.host.whenAccepted = (far) => {
      far.onEach = () => void far.say(far.established ? 'late' : 'at once')
    }
    const near = await dial(a, b, proxy.port, true)
    near.say('query', repeatable)
    await near.until(() => near.count === 1)
    expect(near.packets).toEqual(['at once'])
  })

  test('a packet that may not be repeated waits for the handshake', async () => {
    const { a, b, proxy } = await acquainted()
    const [near, far] = await connect(a, b, proxy.port, true)
    near.say('secret')
    near.say('query', repeatable)
    await far.until(() => far.count === 2)
    expect(far.packets).toEqual(['secret', 'query'])
    expect(far.early).toEqual([false, false])
  })

  test('a ticket is used once: a second dial without a new one is an ordinary handshake', async () => {
    const { a, b, proxy } = await acquainted()
    b.host.whenAccepted = (far) => {
      far.onEach = () => void far.say(far.early.at(-1) === true ? 'early' : 'late')
    }
    const first = await dial(a, b, proxy.port, true)
    first.say('query', repeatable)
    // The first one has not had an answer, and so no new ticket
    const second = await dial(a, b, proxy.port, true)
    second.say('query', repeatable)
    await Promise.all([first.until(() => first.count === 1), second.until(() => second.count === 1)])
    expect([first.packets, second.packets]).toEqual([['early'], ['late']])
  })

  test('a replayed first flight is refused, while the first connection lives and after it', async () => {
    const { a, b, proxy } = await acquainted()
    proxy.recording = true
    const [near, far] = await connectEarly(a, b, proxy)
    proxy.recording = false
    const flight = proxy.recorded.slice(0, 4)
    const connections = b.host.accepted.length
    await replay(flight, b.port)
    await near.connection.close()
    await far.end()
    await replay(flight, b.port)
    // Another connection, so that everything before it has been looked at
    await connect(a, b)
    expect(b.host.accepted.length).toBe(connections + 1)
    expect(b.host.accepted.flatMap(({ packets }) => packets).filter((text) => text === 'query')).toEqual(['query'])
  })

  test('after a restart of the listener no ticket is taken: early data comes in 1-RTT and replays are refused', async () => {
    const { a, b, proxy } = await acquainted()
    proxy.recording = true
    await connectEarly(a, b, proxy)
    proxy.recording = false
    const { port } = b
    await b.transport.close()
    const again = await listener({ listen: { host: '127.0.0.1', port } }, b.node)
    await replay(proxy.recorded.slice(0, 4), port)
    const [near, far] = await connect(a, again, proxy.port, true)
    near.say('query', repeatable)
    await far.until(() => far.count === 1)
    expect(far.early).toEqual([false])
    expect(again.host.accepted.length).toBe(1)
  })

  test('early data that the listener refuses is sent again in 1-RTT, and the dialler does not notice', async () => {
    const { a, b, proxy } = await acquainted()
    b.node.clock.unixErrorMs = 31_000
    const accepted = b.host.next()
    const near = await dial(a, b, proxy.port, true)
    near.say('one', { ...repeatable, tag: 1 })
    near.say('two', { ...repeatable, tag: 2 })
    near.say('three', { tag: 3 })
    const far = await accepted
    await far.until(() => far.count === 3)
    expect(far.packets).toEqual(['one', 'two', 'three'])
    expect(far.early).toEqual([false, false, false])
    await near.until(() => near.sent.length === 3)
    expect(near.sent).toEqual([1, 2, 3])
    expect(near.closed).toBeUndefined()
    expect(b.host.accepted.length).toBe(2)
  })

  test('a node that answers where another one was met before is refused, ticket or not', async () => {
    const { a, b, proxy } = await acquainted()
    const { port } = b
    await b.transport.close()
    const other = await listener({ listen: { host: '127.0.0.1', port } }, await testNode())
    const near = await dial(a, b, proxy.port, true)
    near.say('query', repeatable)
    const reason = await near.end()
    expect(reason).toMatchObject({ by: 'protocol', code: 'IDENTITY_MISMATCH' })
    expect(other.host.accepted.flatMap(({ packets }) => packets)).toEqual([])
  })

  test('a dial with a first flight resolves when the handshake is confirmed; the listener has answered it by then', async () => {
    const { a, b, proxy } = await acquainted()
    const accepted = b.host.next()
    b.host.whenAccepted = (far) => void far.say('before the handshake ends')
    const near = await dialWithFirstFlight(a, b, proxy.port)
    expect(near.connection.early).toBe(false)
    const far = await accepted
    await far.until(() => far.established)
    expect([far.packets, far.early]).toEqual([['anybody?'], [true]])
    await near.until(() => near.count === 1)
    expect(near.packets).toEqual(['before the handshake ends'])
    expect(near.established).toBe(false) // was so from the start
  })

  test('a first flight is not sent where it cannot be early', async () => {
    const b = await listener()
    const a = await dialler()
    const accepted = b.host.next()
    const near = await dialWithFirstFlight(a, b, b.port)
    near.say('first')
    const far = await accepted
    await far.until(() => far.count === 1)
    expect([far.packets, far.early, far.connection.early]).toEqual([['first'], [false], false])
  })

  test('a first flight that the listener refuses costs a handshake and not the dial', async () => {
    const { a, b, proxy } = await acquainted()
    b.node.clock.unixErrorMs = 31_000
    const accepted = b.host.next()
    const near = await dialWithFirstFlight(a, b, proxy.port)
    const far = await accepted
    await far.until(() => far.count === 1)
    expect([far.packets, far.early]).toEqual([['anybody?'], [false]])
    expect(near.closed).toBeUndefined()
  })

  test('a first flight that comes behind an ordinary packet, since no ticket was taken, is waited for', async () => {
    const { a, b, proxy } = await acquainted()
    const { port } = b
    await b.transport.close()
    const again = await listener({ listen: { host: '127.0.0.1', port } }, b.node)
    const accepted = again.host.next()
    const near = await dialWithFirstFlight(a, again, proxy.port)
    near.say('later')
    const far = await accepted
    await far.until(() => far.count === 2)
    expect([...far.packets].sort()).toEqual(['anybody?', 'later'])
    expect(far.early).toEqual([false, false])
    expect([near.closed, far.closed]).toEqual([undefined, undefined])
  })

  test('early packets of two priorities arrive when their datagrams come in swapped order', async () => {
    const { a, b, proxy } = await acquainted()
    const held: (() => void)[] = (proxy.held = [])
    const accepted = b.host.next()
    const near = await dial(a, b, proxy.port, true)
    // The first one fills a datagram, so that the other's stream begins in the next
    const long = 'x'.repeat(1_500)
    near.say(long, { ...repeatable, priority: Priority.Emergency })
    near.say('short', { ...repeatable, priority: Priority.Low })
    while (held.length < 3) await new Promise(setImmediate)
    const [hello, first, second] = held as [() => void, () => void, () => void]
    // Each has been looked at when it is answered, by several datagrams of one turn
    for (const pass of [hello, second]) {
      const answered = proxy.answer()
      pass()
      await answered
      await new Promise(setImmediate)
    }
    expect(b.host.accepted.length).toBe(1) // the one before: without an opening nobody is there
    first()
    const far = await accepted
    await far.until(() => far.count === 2)
    expect([...far.packets].sort()).toEqual(['short', long])
    expect(far.early).toEqual([true, true])
    proxy.held = undefined
    for (const pass of held.slice(3)) pass()
    await Promise.all([near.until(() => near.established), far.until(() => far.established)])
    expect([near.closed, far.closed]).toEqual([undefined, undefined])
  })

  test('a first flight to a port where nobody listens any more is refused at once', async () => {
    const b = await listener()
    const a = await dialler()
    const [near, far] = await connect(a, b)
    far.say('hello')
    await near.until(() => near.count === 1)
    await near.connection.close()
    await far.end()
    await b.transport.close()
    await expect(dialWithFirstFlight(a, b, b.port)).rejects.toMatchObject({ code: 'DIAL_REFUSED' })
  })

  test('an early connection that takes the last place keeps it when it is confirmed', async () => {
    const { a, b, proxy } = await acquainted({ maxConnections: 1 })
    const [near, far] = await connectEarly(a, b, proxy)
    await Promise.all([near.until(() => near.established), far.until(() => far.established)])
    near.say('later')
    await far.until(() => far.count === 2)
    expect([near.closed, far.closed]).toEqual([undefined, undefined])
  })

  test('a dial during which own admission rules throw rejects with that and leaves nothing behind', async () => {
    const { a, b, proxy } = await acquainted()
    while (a.node.clock.timers > 0) await new Promise(setImmediate)
    const broken = new Error('the rules are broken')
    let asked = 0
    a.host.admits = () => {
      // before anything is sent, and when it is known who answers
      if (++asked === 2) throw broken
      return true
    }
    await expect(dial(a, b, proxy.port, true)).rejects.toBe(broken)
    while (a.node.clock.timers > 0) await new Promise(setImmediate)
    expect(asked).toBe(2)
    expect(b.host.accepted.filter(({ closed }) => closed === undefined)).toEqual([])
  })

  test('without an early dial a ticket is not used', async () => {
    const { a, b, proxy } = await acquainted()
    const [near, far] = await connect(a, b, proxy.port)
    near.say('query', repeatable)
    await far.until(() => far.count === 1)
    expect(far.early).toEqual([false])
  })
})

async function dialWithFirstFlight(from: Station, to: Station, port: number): Promise<Keeper> {
  const firstFlight = [new TextEncoder().encode('anybody?')]
  return new Keeper(await from.transport.dial(`quic://127.0.0.1:${port}`, { expected: to.nodeId, firstFlight }))
}

async function connectEarly(a: Station, b: Station, proxy: UdpProxy) {
  const accepted = b.host.next()
  const near = await dial(a, b, proxy.port, true)
  near.say('query', repeatable)
  const far = await accepted
  await far.until(() => far.count === 1)
  expect(far.early).toEqual([true])
  await near.until(() => near.established)
  return [near, far] as const
}

/** From a socket of its own, and until the kernel has taken it. */
async function replay(flight: readonly Uint8Array[], port: number): Promise<void> {
  const socket = createSocket('udp4')
  for (const bytes of flight) {
    await new Promise((resolve) => socket.send(Uint8Array.from(bytes), port, '127.0.0.1', resolve))
  }
  await new Promise<void>((resolve) => socket.close(() => resolve()))
}
