import { describe, expect, test } from '@jest/globals'
import { encodePing, decodePing, PacketKind } from '@aiv/routing'
import { World } from '@aiv/testkit'
import {
  DialError,
  joinBytes,
  Priority,
  type Bytes,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type PeerIdentity,
  type SendResult,
  type Transport,
  type TransportHost,
} from '@aiv/transport-api'
import type { AivNode } from '../src/index.js'
import { helloPacket, messagePacket } from './packets.js'
import { identity, nodeIn, ways } from './world-nodes.js'

/** A transport with 0-RTT, played by hand. */
class HandTransport {
  readonly dials: DialOptions[] = []
  host: TransportHost | undefined
  /** What the next dial gives; nobody is there without it. */
  answer: HandConnection | undefined

  constructor(
    readonly name: string,
    readonly earlyDials?: 'once' | 'repeatable',
  ) {}

  get transport(): Transport {
    return {
      name: this.name,
      schemes: [this.name],
      profile: {
        reach: 'internet',
        largestPacketBytes: 65_536,
        datagrams: false,
        streams: false,
        ...(this.earlyDials === undefined ? {} : { earlyDials: this.earlyDials }),
        energy: { idleMilliwatts: 0, microjoulesPerByte: 0, millijoulesPerDial: 0 },
      },
      start: async (host) => void (this.host = host),
      dial: async (_address, options) => {
        this.dials.push(options)
        if (this.answer === undefined) throw new DialError('DIAL_REFUSED', 'nobody there')
        return this.answer
      },
      apply: () => undefined,
      networkChanged: () => undefined,
      close: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  /** The peer has come, and its handshake is confirmed or not. */
  accept(remote: PeerIdentity, early: boolean): HandConnection {
    const connection = new HandConnection(this.name, remote, early)
    this.host?.onConnection(connection)
    return connection
  }
}

class HandConnection implements Connection {
  readonly path = {
    hops: 1,
    maxPacketBytes: 65_536,
    unsegmentedBytes: 1_200,
    maxDatagramBytes: 0,
    metered: false,
    local: undefined,
    remote: undefined,
  }
  readonly sent: Uint8Array[] = []
  rttMs: number | undefined = 10
  #handler: ConnectionHandler | undefined

  constructor(
    readonly transport: string,
    readonly remote: PeerIdentity,
    public early: boolean,
    readonly direction: 'dialled' | 'accepted' = 'accepted',
  ) {}

  attach(handler: ConnectionHandler): void {
    this.#handler = handler
  }

  send(packet: Bytes): SendResult {
    this.sent.push(packet instanceof Uint8Array ? packet : joinBytes(packet))
    return 'accepted'
  }

  pause = (): void => undefined
  resume = (): void => undefined
  probe = (): void => undefined

  stats() {
    return {
      rttMs: this.rttMs,
      rttVarianceMs: undefined,
      lossRatio: undefined,
      deliveryBytesPerSecond: undefined,
      receivedBytes: 0,
      sentBytes: 0,
      onAirBytes: 0,
      queuedBytes: [0, 0, 0, 0] as const,
      unconfirmedBytes: 0,
      lastHeardAt: 0,
    }
  }

  close = async (): Promise<void> => this.abort()

  abort(): void {
    this.#handler?.onClosed({ by: 'local', code: 'ABORTED', retryable: true })
    this.#handler = undefined
  }

  [Symbol.asyncDispose] = (): Promise<void> => this.close()

  /** The other side's packet arrives, as early data while the handshake is not confirmed. */
  receive(packet: Uint8Array): void {
    this.#handler?.onPacket(packet, { delivery: 'reliable', early: this.early })
  }

  establish(): void {
    this.early = false
    this.#handler?.onEstablished?.()
  }

  kinds(): (number | undefined)[] {
    return this.sent.map((packet) => packet[0])
  }
}

/** `firstNormal`: the lowest counter that the peer may still send at normal priority. */
function hello(firstNormal = 0): Uint8Array {
  return helloPacket('0102030405060708', [0, 0, firstNormal, 0])
}

async function setup(earlyDials?: 'once' | 'repeatable') {
  const world = new World({ seed: 'early' })
  const peer = identity(world, 'peer')
  const first = new HandTransport('first', earlyDials)
  const second = new HandTransport('second')
  const node = await nodeIn(world, ways(world), 'node', {
    transports: [() => first.transport, () => second.transport],
  })
  const seen: string[] = []
  node.handle('chat/1', (received) => void seen.push(received.text()))
  return { world, node, first, second, peer, seen }
}

function sendAndForget(node: AivNode, to: PeerIdentity, priority: Priority): void {
  node.send(to.nodeId, 'text', { priority }).catch(() => undefined)
}

describe('early data, which may be a replay', () => {
  test('carries no message: one that comes early is neither taken nor acknowledged, and is taken when it is repeated', async () => {
    const { world, first, peer, seen } = await setup()
    const connection = first.accept(peer, true)
    connection.receive(hello())
    connection.receive(messagePacket(0, 'early'))
    await world.advance(100)
    expect(connection.kinds()).not.toContain(PacketKind.LinkAck)
    connection.establish()
    await world.advance(100)
    expect(seen).toEqual([])
    connection.receive(messagePacket(0, 'again'))
    await world.advance(100)
    expect(seen).toEqual(['again'])
    expect(connection.kinds()).toContain(PacketKind.LinkAck)
  })

  test('changes no counters by its HELLO unless the handshake is confirmed', async () => {
    const { world, first, peer, seen } = await setup()
    const replayed = first.accept(peer, true)
    replayed.receive(hello(1_000))
    await world.advance(100)
    replayed.abort()
    const connection = first.accept(peer, false)
    connection.receive(hello())
    connection.receive(messagePacket(0, 'the first'))
    await world.advance(100)
    expect(seen).toEqual(['the first'])
  })

  test('brings the HELLO that counts once the handshake is confirmed', async () => {
    const { world, first, peer, seen } = await setup()
    const connection = first.accept(peer, true)
    connection.receive(hello(7))
    connection.receive(hello(1_000))
    connection.establish()
    connection.receive(messagePacket(7, 'the eighth'))
    await world.advance(100)
    expect(seen).toEqual(['the eighth'])
  })

  test('may ask whether we are there', async () => {
    const { first, peer } = await setup()
    const connection = first.accept(peer, true)
    connection.receive(encodePing({ type: 'ping', opaque: new Uint8Array(8).fill(7) }))
    const pongs = connection.sent.map(decodePing).filter((ping) => ping?.type === 'pong')
    expect(pongs).toHaveLength(1)
  })
})

describe('a connection that is not confirmed', () => {
  test('carries our HELLO and what waits for the peer when there is no other', async () => {
    const { world, node, first, peer } = await setup()
    const connection = first.accept(peer, true)
    sendAndForget(node, peer, Priority.Normal)
    await world.advance(1)
    expect(connection.kinds()).toEqual([PacketKind.Hello, PacketKind.Link])
  })

  test('that is never confirmed costs a message nothing but time: it goes again over the next one', async () => {
    const { world, node, first, peer } = await setup()
    const lost = first.accept(peer, true)
    sendAndForget(node, peer, Priority.Normal)
    await world.advance(1)
    lost.abort()
    const next = first.accept(peer, false)
    await world.advance(1)
    const [before, again] = [lost, next].map(({ sent }) => sent.filter(([kind]) => kind === PacketKind.Link))
    expect(again).toHaveLength(1)
    expect(again).toEqual(before)
  })

  test('is not preferred to one that is, until it is confirmed', async () => {
    const { world, node, first, second, peer } = await setup()
    const confirmed = second.accept(peer, false)
    const early = first.accept(peer, true)
    sendAndForget(node, peer, Priority.High)
    await world.advance(1)
    expect([early.kinds(), confirmed.kinds()]).toEqual([[PacketKind.Hello], [PacketKind.Hello, PacketKind.Link]])
    early.establish()
    sendAndForget(node, peer, Priority.Normal)
    await world.advance(1)
    expect(early.kinds()).toEqual([PacketKind.Hello, PacketKind.Link])
  })
})

test('a dial offers a first flight that says nothing: a ping, for whoever has 0-RTT', async () => {
  const { world, node, first, peer } = await setup()
  const sent = node.send(`first://${peer.nodeId}@host:1`, 'text').then(
    () => 'sent',
    () => 'failed',
  )
  await world.settled(sent)
  const { firstFlight = [], early } = first.dials[0] as DialOptions
  expect(firstFlight.map((packet) => decodePing(packet)?.type)).toEqual(['ping'])
  expect(early).toBeUndefined()
})

describe('a dial where nothing that is sent can be replayed', () => {
  /** A node with something to say to a peer that it dials, whose connection is not confirmed yet. */
  async function dialling(earlyDials: 'once' | 'repeatable') {
    const all = await setup(earlyDials)
    const { world, node, first, peer } = all
    first.answer = new HandConnection('first', peer, true, 'dialled')
    const sent = node.send(`first://${peer.nodeId}@host:1`, 'text').catch(() => undefined)
    await world.advance(1)
    return { ...all, connection: first.answer, sent, dial: first.dials[0] as DialOptions }
  }

  test('is early, and what waits goes with it', async () => {
    const { connection, dial } = await dialling('once')
    expect([dial.early, dial.firstFlight]).toEqual([true, undefined])
    expect(connection.kinds()).toEqual([PacketKind.Hello, PacketKind.Link])
  })

  test('is not early where packets can be', async () => {
    const { dial } = await dialling('repeatable')
    expect([dial.early, dial.firstFlight?.length]).toEqual([undefined, 1])
  })

  test('is not early without anything to say', async () => {
    const { world, node, first, peer } = await setup('once')
    first.answer = new HandConnection('first', peer, false, 'dialled')
    await world.settled(node.connect(`first://${peer.nodeId}@host:1`))
    expect([first.dials[0]?.early, first.dials[0]?.firstFlight?.length]).toEqual([undefined, 1])
  })

  test('is a connection for connect() only when it is confirmed', async () => {
    const { world, node, peer, connection } = await dialling('once')
    let connected = false
    const connecting = node.connect(peer.nodeId).then(() => (connected = true))
    await world.advance(100)
    expect(connected).toBe(false)
    connection.establish()
    await world.settled(connecting)
    expect(connected).toBe(true)
  })

  test('that ends before it is confirmed is none, and the message goes with the next', async () => {
    const { world, node, first, peer, connection } = await dialling('once')
    const connecting = node.connect(peer.nodeId).catch((error: unknown) => error)
    await world.advance(1)
    first.answer = new HandConnection('first', peer, true, 'dialled')
    connection.abort()
    await world.advance(10_000)
    expect(first.answer.kinds()).toEqual([PacketKind.Hello, PacketKind.Link])
    // which is dialled for connect() as well, and not confirmed either
    first.answer.abort()
    expect(await world.settled(connecting)).toMatchObject({ code: 'PEER_UNREACHABLE', retryable: true })
  })

  test('is not waited for by connect() where the peer has dialled, and a confirmed connection is there', async () => {
    const { world, node, first, second, peer } = await setup('once')
    first.accept(peer, true)
    second.accept(peer, false)
    const { transport } = await world.settled(node.connect(peer.nodeId))
    expect(transport).toBe('second')
  })

  test('cannot be made to a peer without an address; one that has dialled us is waited for', async () => {
    const { world, node, first, peer } = await setup('once')
    const connection = first.accept(peer, true)
    const connecting = node.connect(peer.nodeId)
    await world.advance(100)
    connection.establish()
    expect(await world.settled(connecting)).toMatchObject({ transport: 'first', direction: 'accepted' })
  })

  test('is given two seconds before its messages go again', async () => {
    const { world, connection } = await dialling('once')
    connection.rttMs = undefined
    await world.advance(1_500)
    expect(connection.kinds()).toEqual([PacketKind.Hello, PacketKind.Link])
  })

  test('is made no haste to repeat when it has failed late', async () => {
    const { world, first, connection } = await dialling('once')
    await world.advance(5_000)
    first.answer = undefined
    connection.abort()
    await world.advance(1)
    expect(first.dials).toHaveLength(1)
    await world.advance(5_000)
    expect(first.dials.length).toBeGreaterThan(1)
  })
})
