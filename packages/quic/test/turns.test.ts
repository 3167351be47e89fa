import { afterEach, describe, expect, test } from '@jest/globals'
import { TestClock } from '@aiv/testkit'
import { type PeerIdentity, Priority } from '@aiv/transport-api'
import { BufferPool } from '../src/buffer-pool.js'
import { EarlyRegister } from '../src/early-data.js'
import { KnownPeers, MAX_KNOWN_PEERS } from '../src/known-peers.node.js'
import { QuicConnection } from '../src/quic-connection.js'
import type { QuicSessionStats } from '../src/quic-engine.js'
import { SendSlots } from '../src/send-slots.js'
import { closeAll, closing, dial, dialler, listener, testNode } from './bench.js'
import { UdpProxy } from './udp-proxy.js'

afterEach(closeAll)

describe('what goes out within a turn', () => {
  test('the end of a handshake and what is said at once are one datagram', async () => {
    const b = await listener()
    const a = await dialler()
    const proxy = closing(await UdpProxy.start(b.port))
    proxy.recording = true
    const accepted = b.host.next()
    const near = await dial(a, b, proxy.port)
    near.say('hello')
    const far = await accepted
    await far.until(() => far.count === 1)
    expect(far.packets).toEqual(['hello'])
    expect(proxy.recorded.length).toBe(2)
  })

  test('the end of a handshake goes out where nothing is said', async () => {
    const b = await listener()
    const a = await dialler()
    const accepted = b.host.next()
    await a.transport.dial(`quic://127.0.0.1:${b.port}`, { expected: b.nodeId })
    expect((await accepted).connection.remote.nodeId).toBe(a.nodeId)
  })

  test('a dial that is given up at its end leaves nothing behind at the listener', async () => {
    const b = await listener()
    const a = await dialler()
    const timers = b.node.clock.timers
    const connection = await a.transport.dial(`quic://127.0.0.1:${b.port}`, { expected: b.nodeId })
    expect(b.node.clock.timers).toBeGreaterThan(timers)
    connection.abort(new Error('changed my mind'))
    while (b.node.clock.timers > timers) await new Promise(setImmediate)
    expect(b.host.accepted.filter(({ closed }) => closed === undefined)).toEqual([])
  })
})

/** An established session that only counts, and whose streams are acknowledged when the test says so. */
class CountingSession {
  readonly direction = 'dialled'
  readonly state = 'established'
  readonly local = { host: '127.0.0.1', port: 1 }
  readonly remote = { host: '127.0.0.1', port: 2 }
  readonly lastHeardAt = 0
  readonly willProgress = false
  delivered = false
  /** Of the one stream of the other side that can be read, or -1. */
  ending = -1
  readonly streams = {
    streamsLeft: () => 10,
    write: (_: number, bytes: Uint8Array) => bytes.length,
    eachReadable: (read: (stream: number) => boolean) => void (this.ending >= 0 && read(this.ending)),
    read: () => ({ length: 0, end: true, code: 0 }),
    prioritise: () => undefined,
    reset: () => undefined,
    stopReading: () => undefined,
    isDelivered: () => this.delivered,
    sendDatagram: () => false,
    receiveDatagram: () => undefined,
    maxDatagramBytes: () => 0,
  }
  attach = (): void => undefined
  peerCertificates = (): readonly Uint8Array[] => [Uint8Array.of(1)]
  ticket = (): undefined => undefined
  flush = (): void => undefined
  isAcknowledged = (): boolean => this.delivered
  ping = (): void => undefined
  stats = (): QuicSessionStats => ({ rttMs: 1, ...none })
  migrate = (): Promise<void> => Promise.resolve()
  close = (): void => undefined
}

const none = { lostPackets: 0, sentPackets: 0, sentBytes: 0, receivedBytes: 0, deliveryBytesPerSecond: undefined }

/** Over `session`, established, with a handler. */
async function connectionOver(session: CountingSession, clock?: TestClock): Promise<QuicConnection> {
  const { components } = await testNode(clock)
  const connection = new QuicConnection({
    shared: {
      transport: 'quic',
      clock: components.clock,
      random: components.random,
      maxPacketBytes: 1000,
      maxQueuedBytes: 1000,
      buffers: new BufferPool(70_000),
      scratch: new Uint8Array(70_000),
      register: new EarlyRegister(),
      identify: () => ({ nodeId: components.identity.nodeId, publicKey: new Uint8Array(32) }),
      reserve: () => true,
      release: () => undefined,
    },
    session,
    keepAliveMs: 10_000,
    maxAgeMs: 1e9,
    handOutEarly: true,
    reconnect: undefined,
    owner: {
      onIdentity: () => undefined,
      onReady: () => undefined,
      onEstablished: () => undefined,
      onTicket: () => undefined,
      onEarlyRefused: () => undefined,
      onPath: () => undefined,
      onClosed: () => undefined,
    },
  })
  closing({ close: () => connection.abort(new Error('the test is over')) })
  connection.start()
  connection.attach({ onPacket: () => undefined, onDrain: () => undefined, onClosed: () => undefined })
  return connection
}

describe('an acknowledgement may make room for what the engine could not send', () => {
  test('so it is not kept waiting while a packet is not acknowledged', async () => {
    const session = new CountingSession()
    const connection = await connectionOver(session)
    expect(connection.onProgress()).toBe(false)
    connection.send(new Uint8Array(10), { priority: Priority.Normal, delivery: 'reliable' })
    expect(connection.onProgress()).toBe(true)
    expect(connection.onProgress()).toBe(true)
    session.delivered = true
    expect(connection.onProgress()).toBe(false)
  })

  test('nor while a stream is open, or is over here and not acknowledged', async () => {
    const session = new CountingSession()
    const connection = await connectionOver(session)
    const stream = connection.openStream({ priority: Priority.Normal })
    const handler = { onData: () => undefined, onDrain: () => undefined, onReset: () => undefined }
    let ended = false
    stream.attach({ ...handler, onEnd: () => (ended = true) })
    stream.write(new Uint8Array(10), { end: true })
    expect(connection.onProgress()).toBe(true)
    session.ending = 0
    expect(connection.onProgress()).toBe(true)
    expect(ended).toBe(true)
    session.ending = -1
    expect(connection.onProgress()).toBe(true)
    session.delivered = true
    expect(connection.onProgress()).toBe(false)
  })
})

test('a connection that is closed within a turn says so in it', async () => {
  const connection = await connectionOver(new CountingSession())
  connection.abort(new Error('no more'))
  expect(connection.onProgress()).toBe(true)
})

test('a close waits for the bytes of a stream, for two seconds at most', async () => {
  const clock = new TestClock()
  const connection = await connectionOver(new CountingSession(), clock)
  connection.openStream({ priority: Priority.Normal }).write(new Uint8Array(10))
  const down = connection.close()
  const state = (): Promise<string> =>
    Promise.race([down.then(() => 'down'), new Promise(setImmediate).then(() => 'up')])
  expect(await state()).toBe('up')
  clock.skip(1_000)
  expect(await state()).toBe('up')
  clock.skip(1_000)
  expect(await state()).toBe('down')
})

describe('a dial where the system opens no path', () => {
  test.each(['255.255.255.255', '[fe80::1%nowhere]'])('to %s fails at once', async (host) => {
    const a = await dialler()
    const timers = a.node.clock.timers
    await expect(a.transport.dial(`quic://${host}:9`, { expected: undefined })).rejects.toMatchObject({
      code: 'DIAL_REFUSED',
    })
    expect(a.node.clock.timers).toBe(timers)
  })
})

describe('buffers to send from', () => {
  test('are used again when they are free, and left to the kernel when not', () => {
    const slots = new SendSlots(100)
    const first = slots.current
    expect(slots.take(40).buffer).toBe(first.buffer)
    const second = slots.current
    expect(second).not.toBe(first)
    slots.rewind()
    expect(slots.current).toBe(first)
    slots.take(100)
    slots.abandon()
    expect(slots.current).toBe(second)
    slots.take(100)
    expect([first, second]).not.toContain(slots.current)
  })

  test('are 64 until the first is free', () => {
    const slots = new SendSlots(10)
    for (let i = 0; i < 64; i++) {
      expect(slots.isFull).toBe(false)
      expect(slots.current.length).toBe(10)
      slots.take(10)
    }
    expect(slots.isFull).toBe(true)
  })
})

describe('peers that come again', () => {
  const peerOf = (chain: readonly Uint8Array[]): PeerIdentity | undefined =>
    chain[0]?.[0] === 0 ? undefined : ({ nodeId: 'a', publicKey: chain[0] } as unknown as PeerIdentity)

  test('are looked at once, unless a byte is another one', () => {
    let looked = 0
    const known = new KnownPeers((chain) => (looked++, peerOf(chain)))
    const first = known.identify([Uint8Array.of(1, 2)])
    expect(known.identify([Uint8Array.of(1, 2)])).toBe(first)
    expect(looked).toBe(1)
    expect(known.identify([Uint8Array.of(1, 3)])).not.toBe(first)
    expect(known.identify([Uint8Array.of(0)])).toBeUndefined()
    expect(known.identify([Uint8Array.of(0)])).toBeUndefined()
    expect(looked).toBe(4)
    expect(known.identify([Uint8Array.of(1, 2), Uint8Array.of(1)])).toBeUndefined()
    expect(known.identify([])).toBeUndefined()
    expect(known.size).toBe(2)
  })

  test('are forgotten above the limit, the one unused for longest first', () => {
    let looked = 0
    const known = new KnownPeers((chain) => (looked++, peerOf(chain)))
    const nth = (n: number): Uint8Array[] => [Uint8Array.of(1, n >> 8, n & 255)]
    for (let n = 0; n < MAX_KNOWN_PEERS; n++) known.identify(nth(n))
    known.identify(nth(0))
    known.identify(nth(MAX_KNOWN_PEERS))
    expect(known.size).toBe(MAX_KNOWN_PEERS)
    looked = 0
    known.identify(nth(0))
    expect(looked).toBe(0)
    known.identify(nth(1))
    expect(looked).toBe(1)
  })
})
