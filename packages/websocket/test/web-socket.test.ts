import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { describe, expect, test } from '@jest/globals'
import { Keeper, type TestClock, TestHost } from '@aiv/testkit'
import { WebSocket, WebSocketServer } from 'ws'
import { parseAddress, Priority, type Transport } from '@aiv/transport-api'
import { webSocket, type WebSocketOptions } from '../src/index.js'
import { verifyWebSocketOptions } from '../src/options.node.js'
import { profile } from '../src/profile.js'
import { NodeWsProvider } from '../src/ws-provider.node.js'
import { MAX_MESSAGE_BYTES, SUBPROTOCOL } from '../src/ws-socket.js'
import { cert, key } from './certificate.js'
import { testNode, type TestNode } from './bench.js'

const reliable = { priority: Priority.Normal, delivery: 'reliable' } as const

interface Running extends TestNode {
  readonly transport: Transport
  readonly host: TestHost
  readonly address: string
}

async function up(options: WebSocketOptions = {}, clock?: TestClock): Promise<Running> {
  const node = await testNode(clock)
  const listening = options.server === undefined ? { listen: { host: '127.0.0.1', port: 0 } } : {}
  const transport = webSocket({ ...listening, ...options })(node.components)
  const host = new TestHost()
  await transport.start(host)
  return { ...node, transport, host, address: host.addresses[0] ?? '' }
}

const port = (of: Running): number => parseAddress(of.address).port as number

/** How an upgrade that is refused was answered. */
async function refusal(socket: WebSocket): Promise<number | undefined> {
  socket.on('error', () => undefined)
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  socket.terminate()
  return response.statusCode
}

async function raw(to: Running): Promise<Socket> {
  const socket = connect(port(to), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

async function rest(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (!socket.closed) await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}

describe('who may upgrade', () => {
  test('web pages only from the origins that are allowed; programs without one', async () => {
    const here = await up({ origins: ['https://good.example'] })
    const bad = new WebSocket(here.address, SUBPROTOCOL, { origin: 'https://bad.example' })
    expect(await refusal(bad)).toBe(403)
    const good = new WebSocket(here.address, SUBPROTOCOL, { origin: 'https://good.example' })
    await once(good, 'open')
    const program = new WebSocket(here.address, SUBPROTOCOL)
    await once(program, 'open')
    good.terminate()
    program.terminate()
    await here.transport.close()
  })

  test('no web page at all by default, and a function may decide', async () => {
    const strict = await up()
    expect(await refusal(new WebSocket(strict.address, SUBPROTOCOL, { origin: 'https://any.example' }))).toBe(403)
    await strict.transport.close()
    const asked: string[] = []
    const lax = await up({ origins: (origin) => asked.push(origin) > 0 })
    const socket = new WebSocket(lax.address, SUBPROTOCOL, { origin: 'https://any.example' })
    await once(socket, 'open')
    expect(asked).toEqual(['https://any.example'])
    socket.terminate()
    await lax.transport.close()
  })

  test('only those who name the subprotocol', async () => {
    const here = await up()
    expect(await refusal(new WebSocket(here.address))).toBe(400)
    expect(await refusal(new WebSocket(here.address, 'chat'))).toBe(400)
    const socket = new WebSocket(here.address, ['chat', SUBPROTOCOL])
    await once(socket, 'open')
    expect(socket.protocol).toBe(SUBPROTOCOL)
    socket.terminate()
    await here.transport.close()
  })

  test('a dial to a server that does not speak the subprotocol is refused', async () => {
    const other = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => false })
    await once(other, 'listening')
    const there = await up({ listen: false })
    const dialled = there.transport.dial(`ws://127.0.0.1:${(other.address() as AddressInfo).port}`, {
      expected: undefined,
    })
    await expect(dialled).rejects.toMatchObject({ code: 'DIAL_REFUSED' })
    await there.transport.close()
    other.close()
  })
})

describe('what is sent', () => {
  test('a text message closes with 1003', async () => {
    const here = await up()
    const socket = new WebSocket(here.address, SUBPROTOCOL)
    await once(socket, 'open')
    socket.send('hello')
    expect((await once(socket, 'close'))[0]).toBe(1003)
    await here.transport.close()
  })

  test('a message over the limit closes with 1009', async () => {
    const here = await up()
    const socket = new WebSocket(here.address, SUBPROTOCOL)
    await once(socket, 'open')
    socket.send(new Uint8Array(MAX_MESSAGE_BYTES + 1))
    expect((await once(socket, 'close'))[0]).toBe(1009)
    await here.transport.close()
  })

  test('bytes that are no HTX end the connection', async () => {
    const here = await up()
    const socket = new WebSocket(here.address, SUBPROTOCOL)
    await once(socket, 'open')
    socket.send(new Uint8Array(64))
    await once(socket, 'close')
    expect(here.host.accepted).toHaveLength(0)
    await here.transport.close()
  })

  test('permessage-deflate is not agreed on, whoever offers it', async () => {
    const here = await up()
    const socket = new WebSocket(here.address, SUBPROTOCOL, { perMessageDeflate: true })
    await once(socket, 'open')
    expect(socket.extensions).toBe('')
    socket.terminate()
    await here.transport.close()
  })

  test('every message is a run of whole frames, below the limit', async () => {
    const here = await up()
    const messages: Buffer[] = []
    const other = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => SUBPROTOCOL })
    other.on('connection', (near) => {
      const onward = new WebSocket(here.address, SUBPROTOCOL)
      const waiting: Buffer[] = []
      near.on('message', (bytes: Buffer) => {
        messages.push(bytes)
        if (onward.readyState === onward.OPEN) onward.send(bytes)
        else waiting.push(bytes)
      })
      onward.on('open', () => waiting.forEach((bytes) => onward.send(bytes)))
      onward.on('message', (bytes: Buffer) => near.send(bytes))
    })
    await once(other, 'listening')
    const there = await up({ listen: false })
    const accepted = here.host.next()
    const address = `ws://127.0.0.1:${(other.address() as AddressInfo).port}`
    const near = new Keeper(await there.transport.dial(address, { expected: undefined }))
    const far = await accepted
    near.connection.send(new Uint8Array(3_000_000), reliable)
    await far.until(() => far.packets.length === 1)
    expect(messages.length).toBeGreaterThan(3)
    for (const bytes of messages) {
      expect(bytes.length).toBeLessThanOrEqual(MAX_MESSAGE_BYTES)
      let at = 0
      while (at < bytes.length) {
        expect(bytes.readUInt16BE(at)).toBe(0x4858)
        at += 24 + bytes.readUIntBE(at + 4, 3)
      }
      expect(at).toBe(bytes.length)
    }
    await there.transport.close()
    await here.transport.close()
    for (const client of other.clients) client.terminate()
    other.close()
  })

  test('pings of the WebSocket are answered and mean nothing more', async () => {
    const here = await up()
    const socket = new WebSocket(here.address, SUBPROTOCOL)
    await once(socket, 'open')
    socket.ping('x')
    await once(socket, 'pong')
    expect(here.host.accepted).toHaveLength(0)
    socket.terminate()
    await here.transport.close()
  })
})

test('the golden bytes of docs/wire/websocket.md go out', async () => {
  const ping = Buffer.from('48581100000000030000000000000000000000008c26a1b9', 'hex')
  const doc = readFileSync(new URL('../../../docs/wire/websocket.md', import.meta.url), 'utf8').replace(/[` ]/g, '')
  const client = `829800000000${ping.toString('hex')}`
  const server = `8218${ping.toString('hex')}`
  expect(doc).toContain(client)
  expect(doc).toContain(server)
  // Frames as `ws` writes them, once as a client that this package made and once as a server
  const bare = createServer()
  bare.on('upgrade', (request, socket) => {
    const key = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${key.digest('base64')}\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
    )
  })
  await once(bare.listen(0, '127.0.0.1'), 'listening')
  const options = verifyWebSocketOptions({})
  const provider = new NodeWsProvider(options, profile({}))
  const upgraded = once(bare, 'upgrade')
  const address = parseAddress(`ws://127.0.0.1:${(bare.address() as AddressInfo).port}`)
  const link = await provider.dial(address, new AbortController().signal)
  const [, socket] = (await upgraded) as [IncomingMessage, Socket]
  link.write([ping.subarray(0, 20), ping.subarray(20)])
  expect(((await once(socket, 'data')) as [Buffer])[0].toString('hex')).toBe(client)
  socket.write(Buffer.from(server, 'hex'))
  const input = await new Promise<Uint8Array>((resolve) =>
    link.attach({ onInput: resolve, onWritable: () => undefined, onClosed: () => undefined }),
  )
  expect(Buffer.from(input).toString('hex')).toBe(ping.toString('hex'))
  link.destroy()
  socket.destroy()
  bare.close()
})

describe('listening', () => {
  test('an attached server keeps its own requests, other upgrades and its life', async () => {
    const server = createServer((_, response) => response.end('mine'))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const others = new WebSocketServer({ noServer: true })
    server.on('upgrade', (request, socket, head) => {
      if (request.url === '/other') others.handleUpgrade(request, socket, head, (own) => own.send('other'))
    })
    const here = await up({ server, path: '/p2p' })
    const base = `127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(here.host.addresses).toEqual([`ws://${base}/p2p`])
    const other = new WebSocket(`ws://${base}/other`)
    const [message] = (await once(other, 'message')) as [Buffer]
    expect(message.toString()).toBe('other')
    other.terminate()
    const there = await up({ listen: false })
    new Keeper(await there.transport.dial(here.address, { expected: undefined }))
    await there.transport.close()
    await here.transport.close()
    expect(server.listening).toBe(true)
    expect(server.listenerCount('upgrade')).toBe(1)
    const [response] = (await once(get(`http://${base}/`), 'response')) as [IncomingMessage]
    expect(response.resume().statusCode).toBe(200)
    await new Promise<void>((resolve) => server.close(() => resolve()))
  })

  test('an attached server that begins to listen later is announced then', async () => {
    const server = createServer()
    const here = await up({ server })
    expect(here.host.addresses).toEqual([])
    await once(server.listen(0, '127.0.0.1'), 'listening')
    expect(here.host.addresses).toEqual([`ws://127.0.0.1:${(server.address() as AddressInfo).port}`])
    const lost = new WebSocket(`${here.host.addresses[0]}/elsewhere`, SUBPROTOCOL)
    expect(await refusal(lost)).toBe(404)
    await here.transport.close()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  })

  test('requests that are no upgrade are told so', async () => {
    const here = await up({ path: '/p2p' })
    for (const [path, status] of [
      ['/p2p', 426],
      ['/', 404],
    ] as const) {
      const [response] = (await once(get(`http://127.0.0.1:${port(here)}${path}`), 'response')) as [IncomingMessage]
      expect(response.resume().statusCode).toBe(status)
    }
    await here.transport.close()
  })

  test('a port that is taken is said to be', async () => {
    const first = await up()
    const node = await testNode()
    const second = webSocket({ listen: { host: '127.0.0.1', port: port(first) } })(node.components)
    await expect(second.start(new TestHost())).rejects.toMatchObject({ code: 'TRANSPORT_PORT_TAKEN' })
    await second.close()
    await first.transport.close()
  })

  test('options that contradict one another are refused', () => {
    expect(() => webSocket({ server: createServer(), listen: { port: 0 } })).toThrow('exclude')
    expect(() => webSocket({ path: 'p2p' })).toThrow('path')
    expect(() => webSocket({ tls: { cert } })).toThrow('cert and key')
    expect(() => webSocket({ advertise: ['htx://example.org:1'] })).toThrow('ws')
    expect(() => webSocket({ listen: { port: -1 } })).toThrow('port')
  })

  test('a certificate that nobody vouches for is refused when dialling', async () => {
    const here = await up({ tls: { cert, key } })
    expect(here.address).toMatch(/^wss:/)
    const there = await up({ listen: false })
    await expect(there.transport.dial(here.address, { expected: undefined })).rejects.toMatchObject({
      code: 'DIAL_REFUSED',
    })
    await there.transport.close()
    await here.transport.close()
  })
})

describe('strangers', () => {
  test('sockets that never ask for anything count as unfinished handshakes: the seventeenth ends the first', async () => {
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
    await Promise.all(sockets.map(rest))
  })

  test('an upgrade and then silence is cut off at the time limit', async () => {
    const here = await up()
    const socket = new WebSocket(here.address, SUBPROTOCOL)
    await once(socket, 'open')
    const closed = once(socket, 'close')
    here.clock.skip(5_000)
    await closed
    await here.transport.close()
    expect(here.clock.timers).toBe(0)
  })

  test('whoever is too fast is cut off before HTTP', async () => {
    const here = await up({ halfOpen: { handshakeBurst: 1, handshakesPerSecond: 0.001 } })
    const one = await raw(here)
    const two = await raw(here)
    expect(await rest(two)).toBe('')
    expect(one.closed).toBe(false)
    await here.transport.close()
  })

  test('a reader that stops holds its sender back', async () => {
    const here = await up()
    const there = await up({ listen: false })
    const accepted = here.host.next()
    const near = new Keeper(await there.transport.dial(here.address, { expected: undefined }))
    const far = await accepted
    far.connection.pause()
    const packet = new Uint8Array(65_536)
    let sent = 0
    for (let drains = -1; drains !== near.drains;) {
      drains = near.drains
      while (near.connection.send(packet, reliable) === 'accepted') sent++
      // A request through the same loop gives everybody a turn
      const [response] = (await once(get(`http://127.0.0.1:${port(here)}/`), 'response')) as [IncomingMessage]
      response.resume()
    }
    expect(sent * packet.length).toBeLessThan(32 * 1_048_576)
    far.connection.resume()
    await far.until(() => far.packets.length === sent)
    await there.transport.close()
    await here.transport.close()
  })
})
