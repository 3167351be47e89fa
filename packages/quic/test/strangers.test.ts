import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from '@jest/globals'
import { closeAll, closing, connect, dial, dialler, listener, type Station } from './bench.js'
import { UdpProxy } from './udp-proxy.js'

afterEach(closeAll)

/** Mutants and garbage sent; a million by `AIV_QUIC_MUTANTS=1000000 npx jest test/strangers.test.ts`. */
const MUTANTS = Number(process.env.AIV_QUIC_MUTANTS ?? 4_000)

/** A socket of somebody without manners. */
async function stranger(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return closing(socket)
}

/** The first datagram of a dial. */
async function firstFlight(b: Station): Promise<Uint8Array> {
  const proxy = closing(await UdpProxy.start(b.port))
  const a = await dialler()
  proxy.recording = true
  const [near] = await connect(a, b, proxy.port)
  await near.connection.close()
  return proxy.recorded[0] as Uint8Array
}

/** Another connection id, so that it belongs to nobody; the rest is as it was. */
function restamped(initial: Uint8Array, number: number): Uint8Array {
  const copy = Uint8Array.from(initial)
  new DataView(copy.buffer).setUint32(6, number)
  return copy
}

function send(socket: Socket, bytes: Uint8Array, port: number): Promise<void> {
  return new Promise((resolve) => socket.send(bytes, port, '127.0.0.1', () => resolve()))
}

describe('strangers', () => {
  test('a peer is asked to show its address when there are many unfinished handshakes, and gets in', async () => {
    const b = await listener({ unvalidated: { retryAbove: 0 } })
    const proxy = closing(await UdpProxy.start(b.port))
    proxy.recording = true
    const a = await dialler()
    const [near, far] = await connect(a, b, proxy.port)
    near.say('through')
    await far.until(() => far.count === 1)
    const tokens = proxy.recorded.filter((bytes) => ((bytes[0] as number) & 0xf0) === 0xc0).map(tokenLength)
    expect(tokens[0]).toBe(0)
    expect(tokens[1]).toBeGreaterThan(16)
  })

  test('an unknown version is answered with those that there are, once per datagram and no longer than it', async () => {
    const b = await listener()
    const socket = await stranger()
    const bytes = new Uint8Array(1200)
    bytes.set([0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0])
    const answered = once(socket, 'message')
    await send(socket, bytes, b.port)
    const [answer] = (await answered) as [Uint8Array]
    expect(answer.length).toBeLessThan(100)
    expect([...answer.subarray(1, 5)]).toEqual([0, 0, 0, 0])
  })

  test('datagrams for connections that are not there get no answer and leave nothing behind', async () => {
    const b = await listener()
    const socket = await stranger()
    let answers = 0
    socket.on('message', () => answers++)
    for (let i = 0; i < 500; i++) {
      const bytes = new Uint8Array(100 + i)
      for (let j = 0; j < bytes.length; j++) bytes[j] = (i * 31 + j * 7) & 0xff
      bytes[0] = 0x40 | (i & 0x3f)
      await send(socket, bytes, b.port)
    }
    await connect(await dialler(), b)
    expect(answers).toBe(0)
    expect(b.node.clock.timers).toBeLessThan(10)
  })

  test('ten thousand first datagrams that cannot be decrypted hold nothing, and others get in', async () => {
    const b = await listener({ unvalidated: { perHostPerSecond: Infinity } })
    const initial = await firstFlight(b)
    const timers = b.node.clock.timers
    const socket = await stranger()
    for (let i = 0; i < 10_000; i++) await send(socket, restamped(initial, i), b.port)
    const [near, far] = await connect(await dialler(), b)
    near.say('still here')
    await far.until(() => far.count === 1)
    // One timer for each unfinished handshake; those of the connection that got in are not more than four
    expect(b.node.clock.timers - timers).toBeLessThanOrEqual(4)
    expect(b.host.accepted.length).toBe(2)
  })

  test('ten thousand half-open handshakes from one address: a bound on them, and others go on and get in', async () => {
    const elsewhere = await listener()
    const initials: Uint8Array[] = []
    for (let i = 0; i < 30; i++) initials.push(await firstFlight(elsewhere))
    const b = await listener({ unvalidated: { retryAbove: Infinity } })
    const other = closing(await UdpProxy.start(b.port, { from: '127.0.0.2' }))
    const [old, far] = await connect(await dialler(), b, other.port)
    const timers = b.node.clock.timers
    const socket = await stranger()
    for (let i = 0; i < 10_000; i++) await send(socket, initials[i % 30] as Uint8Array, b.port)
    const [near, fresh] = await connect(await dialler(), b, other.port)
    old.say('still here')
    near.say('let in')
    await Promise.all([far.until(() => far.count === 1), fresh.until(() => fresh.count === 1)])
    // A timer for each unfinished handshake, and what the fresh connection has
    expect(b.node.clock.timers - timers).toBeLessThanOrEqual(16 + 4)
    expect(b.host.accepted.length).toBe(2)
  })

  test('strangers are accepted no faster than the rate of their address', async () => {
    const b = await listener({ unvalidated: { perHostPerSecond: 1e-3, perHostBurst: 3 } })
    const a = await dialler({ dialTimeoutMs: 300 })
    for (let i = 0; i < 3; i++) await connect(a, b)
    await expect(dial(a, b)).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' })
  })

  test('a cap on connections from one address holds, and ends with them', async () => {
    const b = await listener({ maxConnectionsPerAddress: 2 })
    const a = await dialler({ dialTimeoutMs: 300 })
    const [first] = await connect(a, b)
    await connect(a, b)
    await expect(dial(a, b)).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' })
    await first.connection.close()
    await b.host.accepted[0]?.end()
    await connect(a, b)
  })

  test('an unfinished handshake is given up after its time', async () => {
    const initial = await firstFlight(await listener())
    const b = await listener({ unvalidated: { timeoutMs: 50 } })
    const socket = await stranger()
    const answered = once(socket, 'message')
    await send(socket, initial, b.port)
    await answered
    const timers = b.node.clock.timers
    b.node.clock.skip(60)
    expect(b.node.clock.timers).toBe(timers - 1)
  })

  test('forged retries do not stop a dial', async () => {
    const b = await listener()
    const port = b.port
    const front = await stranger()
    const back = await stranger()
    let dialledFrom = 0
    let forged = 0
    front.on('message', (bytes, { port: from }) => {
      dialledFrom = from
      if (((bytes[0] as number) & 0xf0) === 0xc0 && forged < 20) {
        forged++
        // The dialler's ids are right, the integrity tag is not
        const source = 6 + (bytes[5] as number) + 1
        const sourceId = bytes.subarray(source, source + (bytes[source - 1] as number))
        const tail = new Uint8Array(60).fill(forged)
        front.send(
          Buffer.concat([Uint8Array.of(0xf0, 0, 0, 0, 1, sourceId.length), sourceId, Uint8Array.of(8), tail]),
          from,
          '127.0.0.1',
        )
      }
      back.send(bytes, port, '127.0.0.1')
    })
    back.on('message', (bytes) => front.send(bytes, dialledFrom, '127.0.0.1'))
    const [near, far] = await connect(await dialler(), b, front.address().port)
    near.say('through')
    await far.until(() => far.count === 1)
    expect(forged).toBeGreaterThan(0)
  })

  test('a connection goes on while garbage is sent to its port, and to its own id from many addresses', async () => {
    const b = await listener()
    const proxy = closing(await UdpProxy.start(b.port))
    proxy.recording = true
    const [near, far] = await connect(await dialler(), b, proxy.port)
    near.say('before')
    await far.until(() => far.count === 1)
    const short = proxy.recorded.find((bytes) => ((bytes[0] as number) & 0x80) === 0) as Uint8Array
    for (let i = 0; i < 50; i++) {
      const socket = await stranger()
      for (let j = 0; j < 10; j++) {
        const bytes = Uint8Array.from(short)
        bytes[bytes.length - 1 - j] = (bytes[bytes.length - 1 - j] as number) ^ 0xff
        await send(socket, bytes, b.port)
      }
    }
    near.say('after')
    await far.until(() => far.count === 2)
    expect(far.paths).toEqual([])
    expect(far.closed).toBeUndefined()
  })

  test(`${MUTANTS} mutated and truncated first datagrams leave a listener that works`, async () => {
    const b = await listener({ unvalidated: { perHostPerSecond: Infinity } })
    const initial = await firstFlight(b)
    const socket = await stranger()
    const before = process.memoryUsage().rss
    let state = 1
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    for (let i = 0; i < MUTANTS; i++) {
      let bytes = Uint8Array.from(initial)
      for (let flips = random(8); flips >= 0; flips--) bytes[random(i % 3 === 0 ? 60 : bytes.length)] = random(256)
      if (i % 5 === 0) bytes = bytes.slice(0, random(bytes.length))
      if (i % 7 === 0) bytes = Uint8Array.from({ length: random(1500) }, () => random(256))
      if (i % 64 === 0) await send(socket, bytes, b.port)
      else socket.send(bytes, b.port, '127.0.0.1')
    }
    const [near, far] = await connect(await dialler(), b)
    near.say('still here')
    await far.until(() => far.count === 1)
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024)
  }, 600_000)
})

/** Of an Initial packet, whose token has less than 16 KiB. */
function tokenLength(bytes: Uint8Array): number {
  const source = 6 + (bytes[5] as number)
  const at = source + 1 + (bytes[source] as number)
  const first = bytes[at] as number
  return first < 0x40 ? first : ((first & 0x3f) << 8) | (bytes[at + 1] as number)
}
