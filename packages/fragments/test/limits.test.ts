import { describe, expect, test } from '@jest/globals'
import { ArgumentError, joinBytes } from '@aiv/transport-api'
import { SeededRandom } from '@aiv/testkit'
import { Fragmenter, Reassembler, type ReassemblerOptions, decodeBlockAck, encodeFragment } from '../src/index.js'
import { randomBytes, sha256 } from './carrier.js'

const id = (n: number): Uint8Array => Uint8Array.from([n >>> 8, n, 0, 0, 0, 0, 0, 0])

function fragment(n: number, index: number, total: number, data = new Uint8Array(100).fill(index)): Uint8Array {
  return joinBytes(encodeFragment({ id: id(n), index, total, data }))
}

class Receiver {
  readonly core: Reassembler<string>

  constructor(options: ReassemblerOptions = {}) {
    this.core = new Reassembler({ sha256 }, options)
  }

  /** What came of it, as short words. */
  give(bytes: Uint8Array, peer = 'mallory', now = 0): string[] {
    this.core.handleInput(now, { peer, bytes })
    return this.said()
  }

  said(): string[] {
    const out: string[] = []
    for (let event = this.core.pollEvent(); event !== undefined; event = this.core.pollEvent()) {
      out.push(event.type === 'dropped' ? `${event.peer} ${event.code}` : `${event.peer} ${event.bytes.length}`)
    }
    for (let ack = this.core.pollOutput(); ack !== undefined; ack = this.core.pollOutput()) {
      out.push(`to ${ack.peer} ${decodeBlockAck(ack.bytes)?.state}`)
    }
    return out
  }
}

test('a receiver keeps copies: a Buffer that is used again for the next fragment spoils nothing', () => {
  const parts = [new Uint8Array(100).fill(1), new Uint8Array(100).fill(2)]
  const message = joinBytes(parts)
  const tail = sha256(message).subarray(0, 8)
  const core = new Reassembler<string>({ sha256 })
  const shared = Buffer.alloc(200)
  for (const [index, data] of [...parts, tail].entries()) {
    const encoded = joinBytes(encodeFragment({ id: id(1), index, total: 3, data }))
    shared.set(encoded)
    core.handleInput(0, { peer: 'bob', bytes: shared.subarray(0, encoded.length) })
  }
  expect(core.pollEvent()).toMatchObject({ type: 'message', bytes: message })
})

describe('what a receiver refuses', () => {
  test.each([
    ['a changed total', fragment(1, 1, 4)],
    ['a differing duplicate', fragment(1, 0, 3, new Uint8Array(100).fill(9))],
    ['another length', fragment(1, 1, 3, new Uint8Array(99))],
    ['a last fragment longer than the others', fragment(1, 2, 3, new Uint8Array(101))],
  ])('%s drops the message, and says so', (_, bytes) => {
    const receiver = new Receiver()
    expect(receiver.give(fragment(1, 0, 3))).toEqual([])
    expect(receiver.give(bytes)).toEqual(['mallory FRAGMENTS_CONFLICT', 'to mallory refused'])
    expect(receiver.core.load).toEqual({ assemblies: 0, bytes: 0 })
    // what is still on its way begins nothing anew
    expect(receiver.give(fragment(1, 1, 3))).toEqual([])
    expect(receiver.give(fragment(1, 1, 3), 'mallory', 1_000)).toEqual(['to mallory refused'])
    expect(receiver.core.load.assemblies).toBe(0)
  })

  test('tiny fragments, of which a message would need many', () => {
    expect(new Receiver().give(fragment(1, 0, 9, new Uint8Array(51)))).toContain('mallory FRAGMENTS_CONFLICT')
  })

  test('a digest that does not fit the whole', () => {
    const receiver = new Receiver()
    receiver.give(fragment(1, 0, 2))
    expect(receiver.give(fragment(1, 1, 2))).toEqual(['mallory FRAGMENTS_DIGEST', 'to mallory refused'])
  })

  test('a total that no message of the largest size has', () => {
    expect(new Receiver().give(fragment(1, 0, 65_535))).toContain('mallory FRAGMENTS_TOO_LARGE')
    const receiver = new Receiver({ maxMessageBytes: 250 })
    expect(receiver.give(fragment(1, 0, 4))).toContain('mallory FRAGMENTS_TOO_LARGE')
    expect(receiver.give(fragment(2, 2, 3))).toEqual([])
    expect(receiver.give(fragment(2, 0, 3))).toContain('mallory FRAGMENTS_TOO_LARGE')
  })

  test('the same id from two peers is two messages', () => {
    const receiver = new Receiver()
    receiver.give(fragment(1, 0, 3), 'alice')
    expect(receiver.give(fragment(1, 0, 5), 'bob')).toEqual([])
    expect(receiver.core.load.assemblies).toBe(2)
    receiver.core.forget('bob')
    expect(receiver.core.load).toEqual({ assemblies: 1, bytes: 164 })
  })

  test('more unfinished messages of one peer than its share', () => {
    const receiver = new Receiver({ maxAssembliesPerPeer: 2 })
    receiver.give(fragment(1, 0, 3))
    receiver.give(fragment(2, 0, 3))
    expect(receiver.give(fragment(3, 0, 3))).toEqual(['mallory FRAGMENTS_QUOTA', 'to mallory refused'])
    expect(receiver.core.load.assemblies).toBe(2)
  })

  test('more bytes of one peer than its share', () => {
    const receiver = new Receiver({ maxBytesPerPeer: 400 })
    receiver.give(fragment(1, 0, 9))
    receiver.give(fragment(1, 1, 9))
    expect(receiver.give(fragment(1, 2, 9))).toContain('mallory FRAGMENTS_QUOTA')
    expect(receiver.core.load).toEqual({ assemblies: 0, bytes: 0 })
  })

  test.each([{ maxAssemblies: 4 }, { maxBytes: 4 * 164 }])(
    'with %j the oldest of whoever holds most gives way to a newcomer, and a flooder only to itself',
    (options) => {
      const receiver = new Receiver(options)
      for (let n = 0; n < 4; n++) receiver.give(fragment(n, 0, 3))
      expect(receiver.give(fragment(4, 0, 3))).toContain('mallory FRAGMENTS_QUOTA')
      expect(receiver.core.load.assemblies).toBe(4)
      expect(receiver.give(fragment(0, 0, 3), 'alice')).toEqual(['mallory FRAGMENTS_QUOTA', 'to mallory refused'])
      expect(receiver.core.load.assemblies).toBe(4)
      // her one message stays, whatever comes
      for (let n = 10; n < 60; n++) receiver.give(fragment(n, 0, 3))
      receiver.give(fragment(0, 1, 3), 'alice')
      expect(receiver.said()).toEqual([])
      expect(receiver.core.load.assemblies).toBeLessThanOrEqual(4)
    },
  )

  test('a message to which nothing is added for 30 s expires', () => {
    const receiver = new Receiver()
    receiver.give(fragment(1, 0, 3), 'bob', 0)
    receiver.give(fragment(1, 1, 3), 'bob', 29_000)
    receiver.core.handleTimeout(58_999)
    expect(receiver.said()).toEqual(['to bob arriving'])
    receiver.core.handleTimeout(59_000)
    expect(receiver.said()).toEqual(['bob FRAGMENTS_EXPIRED', 'to bob refused'])
    expect(receiver.core.load).toEqual({ assemblies: 0, bytes: 0 })
    receiver.core.handleTimeout(89_000)
    expect(receiver.core.nextTimeout()).toBeUndefined()
  })

  test('ids of finished messages are kept for 30 s, and no more of them than allowed', () => {
    const receiver = new Receiver({ maxFinished: 3 })
    for (let n = 0; n < 10; n++) receiver.give(fragment(n, 0, 65_535))
    // the first is forgotten: it is judged again
    expect(receiver.give(fragment(0, 0, 65_535), 'mallory', 1_000)).toContain('mallory FRAGMENTS_TOO_LARGE')
    expect(receiver.give(fragment(9, 0, 65_535), 'mallory', 1_000)).toEqual(['to mallory refused'])
  })
})

describe('what a sender refuses', () => {
  const make = (options = {}): Fragmenter => new Fragmenter({ sha256, random: new SeededRandom('a') }, options)

  test('an empty message, and one over the limit, throw', () => {
    expect(() => make().send(new Uint8Array(0))).toThrow(ArgumentError)
    expect(() => make({ maxMessageBytes: 100 }).send(new Uint8Array(101))).toThrow(ArgumentError)
  })

  test('more messages, or more bytes, than the queue holds are not taken', () => {
    const few = make({ maxMessages: 2 })
    expect([few.send(new Uint8Array(1)), few.send(new Uint8Array(1)), few.send(new Uint8Array(1))]).toEqual([
      0,
      1,
      undefined,
    ])
    const small = make({ maxQueuedBytes: 100 })
    expect(small.send(new Uint8Array(200))).toBe(0)
    expect(small.send(new Uint8Array(1))).toBeUndefined()
    small.cancel(0)
    expect(small.queuedBytes).toBe(0)
    expect(small.send(new Uint8Array(1))).toBe(1)
  })

  test('no more fragments are unconfirmed than the window allows', () => {
    const fragmenter = make({ maxInFlight: 5 })
    fragmenter.send(randomBytes('message', 10_000))
    let out = 0
    while (fragmenter.pollOutput(0) !== undefined) out++
    expect(out).toBe(5)
  })

  test.each([
    { fragmentBytes: 63 },
    { fragmentBytes: 65_537 },
    { maxInFlight: 257 },
    { maxMessageBytes: 11_000_000 },
    { maxTimeoutMs: 1 },
    { maxTimeouts: 0.5 },
  ])('options %j throw', (options) => {
    expect(() => make(options)).toThrow(ArgumentError)
  })

  test.each([{ assemblyTimeoutMs: 1 }, { ackEvery: 0 }, { maxAssemblies: Number.NaN }])(
    'a receiver with %j throws',
    (options) => {
      expect(() => new Reassembler({ sha256 }, options)).toThrow(ArgumentError)
    },
  )
})
