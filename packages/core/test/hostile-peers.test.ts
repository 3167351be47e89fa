import { describe, expect, test } from '@jest/globals'
import { encodeLinkAck, decodeHello, MessageKind, PacketKind } from '@aiv/routing'
import { secureChannels } from '@aiv/security'
import { World } from '@aiv/testkit'
import { Priority, silentLogger, type Connection, type Transport } from '@aiv/transport-api'
import type { AivNode } from '../src/index.js'
import { OutgoingMessage } from '../src/outgoing-message.js'
import { SendQueue } from '../src/send-queue.js'
import { helloPacket, messagePacket } from './packets.js'
import { identity, nodeIn, ways, type Ways } from './world-nodes.js'

/** A proven node that speaks packets by hand. */
class Liar {
  readonly packets: Uint8Array[] = []
  closed: string | undefined
  constructor(
    readonly transport: Transport,
    readonly connection: Connection,
  ) {
    connection.attach({
      onPacket: (bytes) => void this.packets.push(bytes),
      onDrain: () => undefined,
      onClosed: ({ code }) => void (this.closed = code),
    })
  }

  static async dial(world: World, { first }: Ways, to: AivNode): Promise<Liar> {
    const self = identity(world, 'mallory')
    const clock = world.clock('mallory')
    const transport = first.memory({ name: 'first' })({
      identity: self,
      secure: secureChannels({ identity: self, clock }),
      clock,
      random: world.random('mallory'),
      log: silentLogger,
      metrics: undefined,
    })
    await world.settled(
      transport.start({
        admit: () => true,
        onConnection: () => undefined,
        onListening: () => undefined,
        onDown: () => undefined,
      }),
    )
    return new Liar(transport, await world.settled(transport.dial(to.addresses[0] as string, { expected: to.id })))
  }

  say(packet: Uint8Array): void {
    this.connection.send(packet, { priority: Priority.Normal, delivery: 'reliable' })
  }

  hello(epoch: string): void {
    this.say(helloPacket(epoch))
  }

  /** The epoch of the other side, as its HELLO says. */
  get epochOfOther(): string {
    const hello = this.packets.find((packet) => packet[0] === PacketKind.Hello)
    return (hello === undefined ? undefined : decodeHello(hello)?.epoch) ?? ''
  }

  envelope(counter: number, text: string): void {
    this.say(messagePacket(counter, text))
  }
}

async function three(): Promise<{ world: World; networks: Ways; a: AivNode; b: AivNode; seen: string[] }> {
  const world = new World({ seed: 'hostile' })
  const networks = ways(world)
  const a = await nodeIn(world, networks, 'a')
  const b = await nodeIn(world, networks, 'b')
  for (const address of b.addresses) a.addAddress(address)
  const seen: string[] = []
  b.handle('chat/1', (message) => void seen.push(`${message.from === a.id ? 'a' : 'other'}: ${message.text()}`))
  return { world, networks, a, b, seen }
}

describe('a proven node that lies', () => {
  test('cannot send in the name of another: what it sends is its own, whatever epoch and counters it claims', async () => {
    const { world, networks, a, b, seen } = await three()
    const one = await world.settled(a.send(b.id, 'one', { protocol: 'chat/1' }))
    await world.settled(one.delivered)
    const liar = await Liar.dial(world, networks, b)
    for (const epoch of ['0000000000000000', 'ffffffffffffffff']) liar.hello(epoch)
    await world.advance(100)
    for (let counter = 0; counter < 5; counter++) liar.envelope(counter, `forged ${counter}`)
    await world.advance(3_000)
    const two = await world.settled(a.send(b.id, 'two', { protocol: 'chat/1' }))
    await world.settled(two.delivered)
    expect(seen.filter((line) => line.startsWith('a:'))).toEqual(['a: one', 'a: two'])
    expect(seen.filter((line) => line.startsWith('other:'))).toHaveLength(5)
  })

  test('cannot confirm or refuse what was sent to another', async () => {
    const { world, networks, a, b } = await three()
    const liar = await Liar.dial(world, networks, a)
    liar.hello('1111111111111111')
    await world.advance(100)
    networks.first.link(a.id, b.id).cut()
    networks.second.link(a.id, b.id).cut()
    let ended = ''
    const sent = a.send(b.id, 'only b may say so', { protocol: 'chat/1', timeoutMs: 20_000 })
    sent
      .then(({ delivered }) => delivered)
      .then(
        () => (ended = 'delivered'),
        (error: unknown) => (ended = (error as { code: string }).code),
      )
    const all = [0, 1, 2, 3].map(() => [{ first: 0, last: Number.MAX_SAFE_INTEGER }]) as never
    const none = [[], [], [], []] as never
    for (const epoch of [liar.epochOfOther, '1111111111111111', '0000000000000000']) {
      liar.say(encodeLinkAck({ epoch, acknowledged: all, refused: none }))
      liar.say(encodeLinkAck({ epoch, acknowledged: none, refused: all }))
    }
    await world.advance(5_000)
    expect(ended).toBe('')
    expect(liar.closed).toBeUndefined()
  })

  test('is cut off for bytes that are no packet, and others notice nothing', async () => {
    for (const kind of [PacketKind.Hello, PacketKind.LinkAck, PacketKind.Ping, PacketKind.Link]) {
      const { world, networks, a, b, seen } = await three()
      const liar = await Liar.dial(world, networks, b)
      liar.hello('1111111111111111')
      await world.advance(50)
      liar.say(Uint8Array.of(kind, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
      await world.advance(100)
      expect(liar.closed).toBeDefined()
      const receipt = await world.settled(a.send(b.id, 'still here', { protocol: 'chat/1' }))
      await world.settled(receipt.delivered)
      expect(seen).toEqual(['a: still here'])
    }
  })
})

test('a message that waits in line for a place in a queue full of other priorities is not overtaken', async () => {
  const { a, b } = await three()
  const queue = new SendQueue({ queues: { maxBytes: 100, peerShare: 1 }, maxWaiting: 10, onQueued: () => undefined })
  const message = (priority: Priority): OutgoingMessage =>
    new OutgoingMessage({
      to: b.id,
      protocol: '',
      payload: new Uint8Array(10),
      priority,
      ordered: true,
      kind: MessageKind.Message,
      requestId: undefined,
      queuedAt: 0,
      deadlineAt: 1_000,
    })
  void queue.enqueue(message(Priority.Low), 'wait')
  void queue.enqueue(message(Priority.Normal), 'wait')
  expect(queue.waiting).toBe(1)
  expect(queue.has(b.id, Priority.Normal)).toBe(true)
  expect(queue.has(a.id, Priority.Normal)).toBe(false)
  expect(queue.has(b.id, Priority.High)).toBe(false)
})

test('many more messages than the queue has places for, before there is a connection, arrive once and in order', async () => {
  const { world, a, b, seen } = await three()
  const receipts = Array.from({ length: 700 }, (_, i) =>
    a.send(b.id, `${i} `.padEnd(i % 7 === 0 ? 30_000 : 100, '.'), { protocol: 'chat/1' }),
  )
  const all = Promise.all(receipts.map(async (receipt) => (await receipt).delivered))
  await world.settled(all)
  expect(seen.map((line) => Number(line.split(' ')[1]))).toEqual(receipts.map((_, i) => i))
})
