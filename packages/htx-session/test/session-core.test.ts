import { describe, expect, test } from '@jest/globals'
import { decodeFrames } from '@aiv/htx-codec'
import { type Crypto, nodeCrypto } from '@aiv/security'
import { equalBytes, joinBytes, toHex } from '@aiv/transport-api'
import { SessionPair, type Side, filled } from './session-pair.js'

describe('a session', () => {
  test.each([
    ['XX', 'aes-256-gcm'],
    ['XX', 'chacha20-poly1305'],
    ['XK', 'aes-256-gcm'],
    ['XK', 'chacha20-poly1305'],
  ] as const)('is established over %s with %s and proves both sides', (pattern, suite) => {
    const pair = SessionPair.open({ pattern, suite })
    expect(pair.initiator.events).toMatchObject([
      { type: 'established', pattern, suite, remote: { nodeId: pair.responder.nodeId } },
    ])
    expect(pair.responder.events).toMatchObject([
      { type: 'established', pattern, suite, remote: { nodeId: pair.initiator.nodeId } },
    ])
    expect(pair.initiator.eventsOf('established')[0]?.remoteCapabilities.maxMessageBytes).toBe(16 * 1024 * 1024)
  })

  test('an empty message before a long silence says nothing of the round trip', () => {
    const pair = SessionPair.open({ delayMs: 5 })
    pair.send(pair.initiator, filled(1_000))
    pair.advance(1_000)
    pair.send(pair.initiator, filled(0))
    pair.advance(10_000)
    pair.send(pair.initiator, filled(1_000))
    pair.advance(1_000)
    expect(pair.initiator.session.stats(pair.now).rttMs).toBeLessThan(50)
  })

  test('carries messages of all sizes whole, in order, both ways', () => {
    const pair = SessionPair.open()
    const sizes = [0, 1, 63, 64, 1_000, 16_383, 16_384, 16_385, 65_480, 65_536, 300_000]
    for (const size of sizes) {
      pair.send(pair.initiator, filled(size))
      pair.send(pair.responder, filled(size, 5))
      pair.settle()
    }
    pair.advance(100)
    expect(pair.responder.sizes).toEqual(sizes)
    expect(pair.initiator.sizes).toEqual(sizes)
    sizes.forEach((size, i) => {
      expect(equalBytes(pair.responder.packets[i] as Uint8Array, filled(size))).toBe(true)
      expect(equalBytes(pair.initiator.packets[i] as Uint8Array, filled(size, 5))).toBe(true)
    })
  })

  test('puts small messages of one turn into one frame', () => {
    const pair = SessionPair.open()
    const before = pair.initiator.outputs.length
    for (let i = 0; i < 40; i++) pair.send(pair.initiator, filled(100, i))
    pair.settle()
    const outputs = pair.initiator.outputs.slice(before)
    expect(outputs).toHaveLength(1)
    expect(decodeFrames(outputs[0] as Uint8Array, { maxFrameBytes: 65_536 })).toHaveLength(1)
    expect(pair.responder.packets).toHaveLength(40)
  })
})

test('who aborts, also behind the other side’s CLOSE, is given nothing of what came before', () => {
  const pair = SessionPair.open()
  pair.send(pair.initiator, filled(100))
  pair.send(pair.initiator, filled(200))
  pair.initiator.session.close(pair.now)
  const { session } = pair.responder
  session.handleInput(pair.now, joinBytes(pair.initiator.session.pollOutput(pair.now) ?? []))
  const taken: Uint8Array[] = []
  const onPacket = (bytes: Uint8Array): void => {
    taken.push(bytes)
    session.abort(pair.now, new Error('enough'))
  }
  session.takePackets({ onPacket }, { delivery: 'reliable', early: false })
  expect(taken.map(({ length }) => length)).toEqual([100])
  const rest = []
  for (let event; (event = session.pollEvent()) !== undefined;) rest.push(event.type)
  expect(rest).toEqual(['closed'])
})

test('the middle of a frame brings nothing that would have to be polled, its end does', () => {
  const pair = SessionPair.open()
  pair.send(pair.initiator, filled(10_000))
  const frame = joinBytes(pair.initiator.session.pollOutput(pair.now) ?? [])
  const cuts = [0, 10, 5_000, frame.length - 1, frame.length]
  const told = cuts.slice(1).map((end, i) => {
    return pair.responder.session.handleInput(pair.now, frame.subarray(cuts[i], end))
  })
  expect(told).toEqual([false, false, false, true])
  pair.settle()
  expect(pair.responder.sizes).toEqual([10_000])
})

describe('the order of a set-up', () => {
  /** Hands over what one side has to say, once. */
  function pass(pair: SessionPair, from: Side): void {
    const pieces = from.session.pollOutput(pair.now)
    if (pieces !== undefined) pair.other(from).session.handleInput(pair.now, joinBytes(pieces))
  }

  function untilMessage3(pair: SessionPair): void {
    pass(pair, pair.initiator)
    pass(pair, pair.responder)
    pass(pair, pair.initiator)
  }

  test('the keys of the initiator are derived behind its last message', () => {
    let keys = 0
    const keyInfo = toHex(new TextEncoder().encode('aiv-htx/1.1 key'))
    const crypto: Crypto = {
      ...nodeCrypto,
      hkdfExpand: (key, info, length) => {
        if (toHex(info as Uint8Array) === keyInfo) keys += 1
        return nodeCrypto.hkdfExpand(key, info, length)
      },
    }
    const pair = new SessionPair({ crypto })
    pass(pair, pair.initiator)
    pass(pair, pair.responder)
    const message3 = pair.initiator.session.pollOutput(0)
    expect([message3?.length, keys, pair.initiator.session.state]).toEqual([1, 0, 'handshaking'])
    expect(pair.initiator.session.pollOutput(0)).toBeUndefined()
    expect([keys, pair.initiator.session.state]).toEqual([2, 'open'])
    expect(pair.initiator.session.pollEvent()?.type).toBe('established')
  })

  test('what was sent during the handshake goes out behind it', () => {
    const pair = new SessionPair()
    pair.send(pair.initiator, filled(100))
    untilMessage3(pair)
    pair.settle()
    expect(pair.responder.sizes).toEqual([100])
  })

  test('an initiator whose link takes no more behind message 3 reads what comes', () => {
    const pair = new SessionPair()
    untilMessage3(pair)
    pair.send(pair.responder, filled(100))
    pass(pair, pair.responder)
    expect(pair.initiator.session.state).toBe('open')
    pair.settle()
    expect(pair.initiator.sizes).toEqual([100])
  })

  test('an initiator that is closed just behind message 3 closes in order', () => {
    const pair = new SessionPair()
    untilMessage3(pair)
    pair.initiator.session.close(pair.now)
    pair.settle()
    for (const side of [pair.initiator, pair.responder]) expect(side.closed?.reason.code).toBe('CLOSED')
  })

  test('the time for a handshake begins with the link, which may come later than the session', () => {
    const pair = new SessionPair()
    pair.now = 60_000
    pair.initiator.session.pollOutput(pair.now)
    expect(pair.initiator.session.nextTimeout()).toBe(65_000)
    pair.initiator.session.handleTimeout(64_999)
    expect(pair.initiator.session.state).toBe('handshaking')
    pair.initiator.session.handleTimeout(65_000)
    expect(pair.initiator.session.state).toBe('closed')
  })

  test('the first round trip of a responder begins with its message, not with the link', () => {
    const pair = new SessionPair()
    pair.drain(pair.responder)
    pair.now = 3_000
    pass(pair, pair.initiator)
    pass(pair, pair.responder)
    pair.now = 3_040
    pass(pair, pair.initiator)
    expect(pair.responder.session.stats(pair.now).rttMs).toBe(40)
  })
})
