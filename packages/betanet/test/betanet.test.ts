import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { describe, expect, test } from '@jest/globals'
import type { Identity } from '@aiv/security'
import { Keeper, TestClock, TestHost } from '@aiv/testkit'
import { parseAddress, Priority, type NodeId, type PeerRecord, type Transport } from '@aiv/transport-api'
import { betanet, type BetanetOptions } from '../src/index.js'
import { testNode, type TestNode } from './bench.js'

const reliable = { priority: Priority.Normal, delivery: 'reliable' } as const

interface Running extends TestNode {
  readonly transport: Transport
  readonly host: TestHost
  readonly address: string
}

async function up(options: BetanetOptions = {}, clock?: TestClock): Promise<Running> {
  const node = await testNode(clock)
  const transport = betanet({ listen: { host: '127.0.0.1', port: 0 }, ...options })(node.components)
  const host = new TestHost()
  await transport.start(host)
  return { ...node, transport, host, address: host.addresses[0] ?? '' }
}

const port = (of: Running): number => parseAddress(of.address).port as number

async function raw(to: Running): Promise<Socket> {
  const socket = connect(port(to), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Everything the other side sent until it closed. */
async function rest(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (!socket.closed) await once(socket, 'close')
  return Buffer.concat(chunks)
}

/** A listener that gives every socket to `onSocket`. */
async function listener(onSocket: (socket: Socket) => void): Promise<{ server: Server; address: string }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, address: `htx://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe('betanet listens', () => {
  test('a port that is taken is said to be, with what to do', async () => {
    const first = await up()
    const node = await testNode()
    const second = betanet({ listen: { host: '127.0.0.1', port: port(first) } })(node.components)
    await expect(second.start(new TestHost())).rejects.toMatchObject({
      code: 'TRANSPORT_PORT_TAKEN',
      message: expect.stringContaining('0 takes a free one') as unknown,
    })
    await second.close()
    await first.transport.close()
  })

  test('an address that is not ours cannot be listened on', async () => {
    const node = await testNode()
    const transport = betanet({ listen: { host: '192.0.2.1', port: 0 } })(node.components)
    await expect(transport.start(new TestHost())).rejects.toMatchObject({ code: 'TRANSPORT_UNAVAILABLE' })
    await transport.close()
  })

  test('on every address, it names ones that can be dialled, loopback last', async () => {
    const here = await up({ listen: { port: 0 } })
    const there = await up({ listen: false })
    expect(here.host.addresses.length).toBeGreaterThan(0)
    expect(here.host.addresses.every((one) => !one.includes('0.0.0.0') && !one.includes('[::]'))).toBe(true)
    const loopback = here.host.addresses.find((one) => one.startsWith('htx://127.0.0.1:'))
    expect(loopback).toBeDefined()
    const dialled = new Keeper(await there.transport.dial(loopback as string, { expected: undefined }))
    expect(dialled.connection.remote.nodeId).toBe(here.components.identity.nodeId)
    await there.transport.close()
    await here.transport.close()
  })

  const testIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
    ? test
    : test.skip

  testIpv6('IPv6 and IPv4 reach the same listener', async () => {
    const here = await up({ listen: { port: 0 } })
    const there = await up({ listen: false })
    const accepted = here.host.next()
    new Keeper(await there.transport.dial(`htx://[::1]:${port(here)}`, { expected: undefined }))
    expect((await accepted).connection.path.remote).toMatch(/^htx:\/\/\[::1\]:\d+$/)
    const mapped = here.host.next()
    new Keeper(await there.transport.dial(`htx://127.0.0.1:${port(here)}`, { expected: undefined }))
    expect((await mapped).connection.path.remote).toMatch(/^htx:\/\/127\.0\.0\.1:\d+$/)
    await there.transport.close()
    await here.transport.close()
  })

  test('advertised addresses are told instead, and told once', async () => {
    const here = await up({ advertise: ['htx://node.example:8888'] })
    expect(here.host.addresses).toEqual(['htx://node.example:8888'])
    here.transport.networkChanged()
    expect(here.host.announcements).toBe(1)
    await here.transport.close()
  })

  test('options that cannot be are refused at once', () => {
    expect(() => betanet({ listen: { port: 70_000 } })).toThrow('port')
    expect(() => betanet({ advertise: ['ws://example.org'] })).toThrow('htx')
    expect(() => betanet({ session: { maxFrameBytes: 1 } })).toThrow('maxFrameBytes')
  })
})

describe('betanet dials', () => {
  test('a record with the right static key makes the handshake XK, and a wrong one falls back to XX', async () => {
    const here = await up()
    const there = await up({ listen: false })
    const expected = here.components.identity.nodeId
    for (const noiseKey of [here.noiseKey, there.noiseKey]) {
      const record = { noiseKey } as PeerRecord
      const accepted = here.host.next()
      const dialled = new Keeper(await there.transport.dial(here.address, { expected, record }))
      expect(dialled.connection.remote.nodeId).toBe(expected)
      dialled.connection.send(Uint8Array.of(1), reliable)
      const far = await accepted
      await far.until(() => far.packets.length === 1)
    }
    await there.transport.close()
    await here.transport.close()
  })

  test('an address that names another node than the caller expects is refused without a dial', async () => {
    const there = await up({ listen: false })
    const expected = 'ab'.repeat(16) as NodeId
    const address = `htx://${'cd'.repeat(16)}@127.0.0.1:1`
    await expect(there.transport.dial(address, { expected })).rejects.toMatchObject({ code: 'ADDRESS_INVALID' })
    const own = `htx://${there.components.identity.nodeId}@127.0.0.1:1`
    await expect(there.transport.dial(own, { expected: undefined })).rejects.toMatchObject({ code: 'IDENTITY_OWN' })
    await there.transport.close()
  })

  test('the node id in an address is the one expected', async () => {
    const here = await up()
    const there = await up({ listen: false })
    const address = `htx://${'ab'.repeat(16)}@127.0.0.1:${port(here)}`
    await expect(there.transport.dial(address, { expected: undefined })).rejects.toMatchObject({
      code: 'IDENTITY_MISMATCH',
      retryable: false,
    })
    expect(here.host.accepted).toHaveLength(0)
    await there.transport.close()
    await here.transport.close()
  })

  test('a host that says nothing is given up on at the dial timeout', async () => {
    const silent = await listener(() => undefined)
    const there = await up({ listen: false, dialTimeoutMs: 3_000 })
    const dialled = there.transport.dial(silent.address, { expected: undefined })
    const outcome = expect(dialled).rejects.toMatchObject({ code: 'DIAL_TIMEOUT', retryable: true })
    await once(silent.server, 'connection')
    there.clock.skip(3_000)
    await outcome
    expect(there.clock.timers).toBe(0)
    await there.transport.close()
    silent.server.close()
  })

  test('a peer that answers in another language fails the handshake', async () => {
    const http = await listener((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const there = await up({ listen: false })
    await expect(there.transport.dial(http.address, { expected: undefined })).rejects.toMatchObject({
      code: 'HANDSHAKE_FAILED',
    })
    await there.transport.close()
    http.server.close()
  })

  test('a dialler whose certificate is refused learns why, although it was through by then', async () => {
    const there = await up()
    const here = await up({ listen: false })
    const identity = here.components.identity as Identity
    const old = identity.certificate(Date.now() - 30 * 86_400_000)
    Object.defineProperty(identity, 'certificate', { value: () => old })
    const connection = new Keeper(await here.transport.dial(there.address, { expected: undefined }))
    expect(await connection.end()).toEqual({ by: 'remote', code: 'CERTIFICATE_EXPIRED', retryable: true })
    expect(there.host.accepted).toEqual([])
    await Promise.all([here.transport.close(), there.transport.close()])
  })

  test('a dial that is aborted while it connects, and while it shakes hands, leaves no socket', async () => {
    const silent = await listener(() => undefined)
    const there = await up({ listen: false })
    const reason = new Error('changed my mind')
    const early = new AbortController()
    const first = there.transport.dial(silent.address, { expected: undefined, signal: early.signal })
    early.abort(reason)
    await expect(first).rejects.toBe(reason)
    const late = new AbortController()
    const second = there.transport.dial(silent.address, { expected: undefined, signal: late.signal })
    const outcome = expect(second).rejects.toBe(reason)
    const [socket] = (await once(silent.server, 'connection')) as [Socket]
    if (socket.bytesRead === 0) await once(socket, 'data')
    late.abort(reason)
    await outcome
    if (!socket.closed) await once(socket.resume(), 'close')
    await there.transport.close()
    silent.server.close()
  })

  test('a dial with a record whose static key is of low order leaves no socket', async () => {
    const silent = await listener(() => undefined)
    const there = await up({ listen: false })
    const record = { noiseKey: new Uint8Array(32) } as PeerRecord
    const expected = 'ab'.repeat(16) as NodeId
    const arrived = once(silent.server, 'connection')
    await expect(there.transport.dial(silent.address, { expected, record })).rejects.toMatchObject({
      cause: { code: 'KEY_INVALID' },
    })
    const [socket] = (await arrived) as [Socket]
    if (!socket.closed) await once(socket.resume(), 'close')
    await there.transport.close()
    silent.server.close()
  })

  test('own admission rules hold for dials', async () => {
    const here = await up()
    const there = await up({ listen: false })
    there.host.admits = ({ node }) => node !== here.components.identity.nodeId
    await expect(there.transport.dial(here.address, { expected: undefined })).rejects.toMatchObject({
      code: 'DIAL_DENIED',
    })
    const expected = here.components.identity.nodeId
    await expect(there.transport.dial(here.address, { expected })).rejects.toMatchObject({ code: 'DIAL_DENIED' })
    await there.transport.close()
    await here.transport.close()
  })
})

describe('betanet among strangers', () => {
  test('bytes that are no HTX end the connection, and others are undisturbed', async () => {
    const here = await up()
    const there = await up({ listen: false })
    const accepted = here.host.next()
    const near = new Keeper(await there.transport.dial(here.address, { expected: undefined }))
    const far = await accepted
    const socket = await raw(here)
    socket.write('GET / HTTP/1.1\r\n\r\nand so on, and so on')
    await rest(socket)
    near.connection.send(Uint8Array.of(1), reliable)
    await far.until(() => far.packets.length === 1)
    expect(here.host.accepted).toHaveLength(1)
    await there.transport.close()
    await here.transport.close()
  })

  test('half a handshake and then silence is cut off at the time limit', async () => {
    const here = await up()
    const socket = await raw(here)
    socket.write(Uint8Array.of(0x48, 0x58, 0x11, 0, 0, 0))
    // A round trip through the same loop: the listener has seen it
    const other = await raw(here)
    other.end()
    await rest(other)
    here.clock.skip(5_000)
    await rest(socket)
    expect(here.host.accepted).toHaveLength(0)
    await here.transport.close()
    expect(here.clock.timers).toBe(0)
  })

  test('the seventeenth unfinished handshake of one address ends the first, and an honest dial still succeeds', async () => {
    const here = await up()
    const there = await up({ listen: false })
    const first = await raw(here)
    const sockets = [first]
    while (sockets.length < 16) sockets.push(await raw(here))
    const firstEnd = rest(first)
    const near = new Keeper(await there.transport.dial(here.address, { expected: undefined }))
    await firstEnd
    expect(near.closed).toBeUndefined()
    expect(sockets.slice(1).every((socket) => !socket.closed)).toBe(true)
    await there.transport.close()
    await here.transport.close()
  })

  test('whoever opens handshakes too fast is cut off without a word', async () => {
    const here = await up({ halfOpen: { handshakeBurst: 2, handshakesPerSecond: 0.001 } })
    const one = await raw(here)
    const two = await raw(here)
    const three = await raw(here)
    expect(await rest(three)).toHaveLength(0)
    expect([one.closed, two.closed]).toEqual([false, false])
    await here.transport.close()
  })

  test('a stream that ends in the middle of a message is a lost connection', async () => {
    const here = await up()
    const there = await up({ listen: false })
    // An in-path relay that cuts both ways after a while
    const sockets: Socket[] = []
    let through = 0
    const relay = await listener((socket) => {
      const onward = connect(port(here), '127.0.0.1')
      onward.on('error', () => undefined)
      sockets.push(socket, onward)
      onward.on('data', (bytes) => socket.write(bytes))
      socket.on('data', (bytes: Buffer) => {
        through += bytes.length
        if (through > 300_000) onward.end()
        else onward.write(bytes)
      })
    })
    const accepted = here.host.next()
    const near = new Keeper(await there.transport.dial(relay.address, { expected: undefined }))
    const far = await accepted
    near.connection.send(new Uint8Array(4_000_000), reliable)
    expect(await far.end()).toMatchObject({ by: 'lost', code: 'CONNECTION_LOST', retryable: true })
    expect(far.packets).toHaveLength(0)
    for (const socket of sockets) socket.destroy()
    expect(await near.end()).toMatchObject({ by: 'lost' })
    await there.transport.close()
    await here.transport.close()
    relay.server.close()
  })

  test('a reset is a lost connection at both ends', async () => {
    const here = await up()
    const there = await up({ listen: false })
    const sockets: Socket[] = []
    const relay = await listener((socket) => {
      const onward = connect(port(here), '127.0.0.1')
      onward.on('error', () => undefined)
      sockets.push(socket, onward)
      socket.pipe(onward)
      onward.pipe(socket)
    })
    const accepted = here.host.next()
    const near = new Keeper(await there.transport.dial(relay.address, { expected: undefined }))
    const far = await accepted
    for (const socket of sockets) socket.resetAndDestroy()
    expect((await near.end()).by).toBe('lost')
    expect((await far.end()).by).toBe('lost')
    await there.transport.close()
    await here.transport.close()
    relay.server.close()
  })

  test('a flipped bit ends the connection with the code of what it broke', async () => {
    const here = await up()
    const there = await up({ listen: false })
    let spoil = false
    const relay = await listener((socket) => {
      const onward = connect(port(here), '127.0.0.1')
      onward.on('error', () => undefined)
      onward.on('close', () => socket.destroy())
      onward.on('data', (bytes) => socket.write(bytes))
      socket.on('data', (bytes: Buffer) => {
        if (spoil) bytes[bytes.length - 10] = (bytes[bytes.length - 10] as number) ^ 1
        onward.write(bytes)
      })
    })
    const accepted = here.host.next()
    const near = new Keeper(await there.transport.dial(relay.address, { expected: undefined }))
    const far = await accepted
    near.connection.send(Uint8Array.of(1), reliable)
    await far.until(() => far.packets.length === 1)
    spoil = true
    near.connection.send(Uint8Array.of(2), reliable)
    expect(await far.end()).toMatchObject({ by: 'protocol', code: 'HTX_BAD_CRC' })
    expect((await near.end()).by).not.toBe('local')
    await there.transport.close()
    await here.transport.close()
    relay.server.close()
  })

  test('a reader that stops holds its sender back, and gets everything once it goes on', async () => {
    const here = await up()
    const there = await up({ listen: false })
    const accepted = here.host.next()
    const near = new Keeper(await there.transport.dial(here.address, { expected: undefined }))
    const far = await accepted
    far.connection.pause()
    const packet = new Uint8Array(65_536)
    let sent = 0
    // Full, and drained no more: the window of the paused reader is used up
    for (let drains = -1; drains !== near.drains;) {
      drains = near.drains
      while (near.connection.send(packet, reliable) === 'accepted') sent++
      const other = await raw(here)
      other.end()
      await rest(other)
    }
    expect(sent * packet.length).toBeLessThan(32 * 1_048_576)
    far.connection.resume()
    await far.until(() => far.packets.length === sent)
    await there.transport.close()
    await here.transport.close()
  })

  test('a keep-alive interval from the policy holds for new sessions', async () => {
    const here = await up()
    const there = await up({ listen: false }, new TestClock())
    there.transport.apply({
      heartbeatIntervalMs: 1_000,
      maxConnections: 10,
      dutyCycle: 1,
      maxBytesPerSecond: Infinity,
      transmitPowerDbm: undefined,
    })
    const accepted = here.host.next()
    const near = new Keeper(await there.transport.dial(here.address, { expected: undefined }))
    const far = await accepted
    near.connection.send(Uint8Array.of(1), reliable)
    await far.until(() => far.packets.length === 1)
    const before = near.connection.stats().onAirBytes
    there.clock.skip(3_000)
    expect(near.connection.stats().onAirBytes).toBeGreaterThan(before)
    await there.transport.close()
    await here.transport.close()
  })
})
