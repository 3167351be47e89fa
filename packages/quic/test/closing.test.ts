import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from '@jest/globals'
import { type ByteStream, type ByteStreamHandler, Priority } from '@aiv/transport-api'
import { type Keeper } from '@aiv/testkit'
import { closeAll, closing, connect, dialler, listener } from './bench.js'
import { UdpProxy } from './udp-proxy.js'

afterEach(closeAll)

/** What came of a stream. */
class Collector implements ByteStreamHandler {
  readonly #pieces: Uint8Array[] = []
  ended = false
  constructor(
    readonly stream: ByteStream,
    readonly onceEnded: () => void = () => undefined,
  ) {
    stream.attach(this)
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces)
  }

  onData(bytes: Uint8Array): void {
    this.#pieces.push(bytes)
  }

  onEnd(): void {
    this.ended = true
    this.onceEnded()
  }

  onDrain(): void {}
  onReset(): void {}
}

/** Both ends of a connection over a network that loses the next four datagrams, and some of those that `length` bytes need. */
async function connected(length: number): Promise<[Keeper, Keeper]> {
  const b = await listener()
  const a = await dialler()
  let passed = Infinity
  const random = (): number => (++passed <= 4 || (passed <= length / 1_500 && passed % 20 === 0) ? 0 : 1)
  const proxy = closing(await UdpProxy.start(b.port, { delayMs: 10, loss: 0.5, random }))
  const ends = await connect(a, b, proxy.port)
  passed = 0
  return ends
}

function open({ connection }: Keeper): ByteStream {
  if (connection.openStream === undefined) throw new Error('QUIC has streams')
  return connection.openStream({ priority: Priority.Normal })
}

describe('what was written to a byte stream arrives before the close', () => {
  test.each([
    ['with its end', 300_000, true],
    ['with its end, in one datagram', 500, true],
    ['without an end', 300_000, false],
    ['without an end, in one datagram', 500, false],
  ])('%s', async (_, length, end) => {
    const [near, far] = await connected(length)
    const sent = randomBytes(length)
    const taken: Collector[] = []
    far.onStreamOpen = (stream) => taken.push(new Collector(stream))
    open(near).write(sent, { end })
    await near.connection.close()
    await far.end()
    expect(taken.map(({ bytes, ended }) => [bytes.equals(sent), ended])).toEqual([[true, end]])
  })

  test.each([300_000, 500])('as an answer of %i bytes, where the question has ended before', async (length) => {
    const [near, far] = await connected(length)
    const sent = randomBytes(length)
    far.onStreamOpen = (stream) => {
      new Collector(stream, () => {
        stream.write(sent, { end: true })
        void far.connection.close()
      })
    }
    const stream = open(near)
    const answer = new Collector(stream)
    stream.write(new TextEncoder().encode('?'), { end: true })
    await near.end()
    expect(answer.bytes.equals(sent)).toBe(true)
    expect(answer.ended).toBe(true)
  })
  test('to a reader that has paused', async () => {
    const [near, far] = await connected(500)
    const taken: Collector[] = []
    far.onStreamOpen = (stream) => {
      taken.push(new Collector(stream))
      stream.pause()
    }
    const sent = randomBytes(500)
    open(near).write(sent)
    await near.connection.close()
    await far.end()
    expect(taken.map(({ bytes }) => bytes.equals(sent))).toEqual([true])
  })

  test('on more streams than the other side lets us open at once', async () => {
    const b = await listener({ maxStreams: 16 })
    const [near, far] = await connect(await dialler(), b)
    const taken: Collector[] = []
    far.onStreamOpen = (stream) => taken.push(new Collector(stream, () => void stream.write([], { end: true })))
    for (let i = 0; i < 40; i++) open(near).write(Uint8Array.of(i), { end: true })
    await near.connection.close()
    await far.end()
    // streams have no order among each other
    const got = taken.map(({ bytes }) => [...bytes]).sort(([a = -1], [b = -1]) => a - b)
    expect(got).toEqual(Array.from({ length: 40 }, (_, i) => [i]))
  })
})
