import { describe, expect, test } from '@jest/globals'
import { ArgumentError } from '@aiv/transport-api'
import { SessionPair, filled } from './session-pair.js'

describe('keep-alive', () => {
  test('holds an idle session open for hours', () => {
    const pair = SessionPair.open({ delayMs: 50 })
    pair.advance(3 * 3_600_000)
    expect(pair.initiator.events).toHaveLength(1)
    expect(pair.responder.events).toHaveLength(1)
    // one PING or PONG about every 15 s, and a KEY_UPDATE an hour
    expect(pair.initiator.outputs.length).toBeLessThan((3 * 3_600) / 7)
  })

  test('a silent peer is suspected 2 s after the PING at the latest and given up on after 45 s, to the millisecond', () => {
    let silent = false
    const pair = SessionPair.open({ delayMs: 50, wire: (bytes) => (silent ? [] : [bytes]) })
    silent = true
    const from = pair.initiator.session.stats(pair.now).lastHeardAt
    pair.advance(44_999 - (pair.now - from))
    expect(pair.initiator.eventsOf('liveness')).toEqual([{ type: 'liveness', state: 'suspect' }])
    expect(pair.initiator.closed).toBeUndefined()
    pair.advance(1)
    expect(pair.initiator.closed?.reason).toEqual({ by: 'timeout', code: 'IDLE_TIMEOUT', retryable: true })
  })

  test('an unacknowledged message makes the other side suspect after 200 ms, and a byte from it alive again', () => {
    let silent = false
    const pair = SessionPair.open({
      delayMs: 5,
      wire: (bytes, from) => (silent && from === 'responder' ? [] : [bytes]),
    })
    silent = true
    pair.send(pair.initiator, filled(10))
    pair.settle()
    pair.advance(199)
    expect(pair.initiator.eventsOf('liveness')).toEqual([])
    pair.advance(1)
    expect(pair.initiator.eventsOf('liveness')).toEqual([{ type: 'liveness', state: 'suspect' }])
  })

  test('suspicion ends with the next bytes', () => {
    const pair = SessionPair.open({ delayMs: 5 })
    pair.responder.writable = false
    pair.send(pair.initiator, filled(10))
    pair.advance(400)
    pair.responder.writable = true
    pair.advance(100)
    expect(pair.initiator.eventsOf('liveness').map(({ state }) => state)).toEqual(['suspect', 'alive'])
  })

  test('a long round trip is given three times its length, at most 2 s', () => {
    const pair = SessionPair.open({ delayMs: 150 })
    pair.responder.writable = false
    const at = pair.now
    pair.send(pair.initiator, filled(10))
    pair.advance(850)
    expect(pair.initiator.eventsOf('liveness')).toEqual([])
    pair.advance(100)
    expect(pair.initiator.eventsOf('liveness')).toHaveLength(1)
    expect(pair.now - at).toBe(950)
  })

  test('nothing is suspected while nothing is asked', () => {
    const pair = SessionPair.open({ delayMs: 5 })
    pair.responder.writable = false
    pair.advance(14_000)
    expect(pair.initiator.events).toHaveLength(1)
  })

  test('probe asks now: the round trip is measured, or the other side is suspect', () => {
    const pair = SessionPair.open({ delayMs: 30 })
    pair.initiator.session.probe(pair.now)
    pair.advance(200)
    expect(pair.initiator.session.stats(pair.now).rttMs).toBeCloseTo(60, 0)
    expect(pair.initiator.eventsOf('liveness').map(({ state }) => state)).toEqual(['alive'])
    pair.responder.writable = false
    pair.initiator.session.probe(pair.now)
    pair.advance(300)
    expect(pair.initiator.eventsOf('liveness').map(({ state }) => state)).toEqual(['alive', 'suspect'])
  })
})

describe('close', () => {
  test('is orderly: both sides are told, once, and what was accepted arrives', () => {
    const pair = SessionPair.open({ delayMs: 10, options: { maxQueuedBytes: 1024 * 1024 } })
    for (let i = 0; i < 10; i++) pair.send(pair.initiator, filled(50_000))
    pair.send(pair.responder, filled(70_000))
    pair.initiator.session.close(pair.now, 0x1234, 'done here')
    expect(pair.send(pair.initiator, filled(1))).toBe('closed')
    pair.advance(1_000)
    expect(pair.responder.packets).toHaveLength(10)
    expect(pair.initiator.packets).toHaveLength(1)
    expect(pair.initiator.eventsOf('closed')).toEqual([
      {
        type: 'closed',
        reason: { by: 'local', code: 'CLOSED', retryable: true },
        remoteClose: { code: 0, reason: '' },
      },
    ])
    expect(pair.responder.eventsOf('closed')).toEqual([
      {
        type: 'closed',
        reason: { by: 'remote', code: 'CLOSED', retryable: true },
        remoteClose: { code: 0x1234, reason: 'done here' },
      },
    ])
    expect(pair.initiator.session.nextTimeout()).toBeUndefined()
    expect(pair.initiator.session.state).toBe('closed')
  })

  test('both at once', () => {
    const pair = SessionPair.open({ delayMs: 10 })
    pair.initiator.session.close(pair.now)
    pair.responder.session.close(pair.now)
    pair.advance(100)
    for (const side of [pair.initiator, pair.responder]) {
      expect(side.closed?.reason).toEqual({ by: 'local', code: 'CLOSED', retryable: true })
    }
  })

  test('waits 2 s for a peer that does not answer, and no longer', () => {
    const pair = SessionPair.open({ delayMs: 10 })
    pair.responder.writable = false
    pair.initiator.session.close(pair.now)
    pair.advance(1_999)
    expect(pair.initiator.closed).toBeUndefined()
    pair.advance(1)
    expect(pair.initiator.closed?.reason.code).toBe('CLOSED')
  })

  test('flushes for 2 s at most; what could not go is dropped, and the CLOSE goes nevertheless', () => {
    const pair = SessionPair.open({ delayMs: 10 })
    pair.responder.session.pause()
    pair.initiator.session.send(pair.now, filled(900_000), { priority: 2, delivery: 'reliable', tag: 5 })
    pair.initiator.session.close(pair.now)
    pair.advance(2_100)
    expect(pair.initiator.eventsOf('dropped')).toEqual([{ type: 'dropped', tag: 5, code: 'CLOSED' }])
    expect(pair.responder.closed?.reason).toMatchObject({ by: 'remote', code: 'CLOSED' })
  })

  test('an end of the stream after our CLOSE is as good as an answer', () => {
    const pair = SessionPair.open({ delayMs: 10 })
    pair.responder.writable = false
    pair.initiator.session.close(pair.now)
    pair.settle()
    pair.initiator.session.handleEnd(pair.now)
    pair.settle()
    expect(pair.initiator.closed?.reason).toEqual({ by: 'local', code: 'CLOSED', retryable: true })
  })

  test('may be called again, and after the end, without effect', () => {
    const pair = SessionPair.open()
    pair.initiator.session.close(pair.now)
    pair.initiator.session.close(pair.now)
    pair.advance(10)
    pair.initiator.session.close(pair.now)
    pair.initiator.session.abort(pair.now, new Error('late'))
    pair.initiator.session.handleEnd(pair.now)
    pair.initiator.session.handleInput(pair.now, filled(10))
    pair.initiator.session.handleTimeout(pair.now + 1e6)
    pair.settle()
    expect(pair.initiator.eventsOf('closed')).toHaveLength(1)
    expect(pair.initiator.events.at(-1)?.type).toBe('closed')
  })

  test('during the handshake it ends it', () => {
    const pair = new SessionPair({ delayMs: 10 })
    pair.settle()
    pair.initiator.session.close(pair.now)
    pair.advance(100)
    expect(pair.initiator.closed?.reason).toEqual({ by: 'local', code: 'CLOSED', retryable: true })
    expect(pair.responder.closed?.reason).toMatchObject({ by: 'remote', code: 'CLOSED' })
  })

  test('a code that is no u16 is refused', () => {
    const pair = SessionPair.open()
    for (const code of [-1, 65_536, 1.5])
      expect(() => pair.initiator.session.close(pair.now, code)).toThrow(ArgumentError)
  })

  test('abort says nothing to the other side, which finds the stream ended', () => {
    const pair = SessionPair.open()
    pair.send(pair.initiator, filled(1_000))
    const before = pair.initiator.outputs.length
    pair.initiator.session.abort(pair.now, new Error('enough'))
    pair.settle()
    expect(pair.initiator.outputs).toHaveLength(before)
    expect(pair.initiator.closed).toMatchObject({
      reason: { by: 'local', code: 'ABORTED' },
      error: { message: 'enough' },
    })
    pair.responder.session.handleEnd(pair.now)
    pair.settle()
    expect(pair.responder.closed?.reason).toMatchObject({ by: 'lost', code: 'CONNECTION_LOST' })
  })
})

describe('the handshake', () => {
  test('is given 5 s to the first frame', () => {
    const pair = new SessionPair({ wire: () => [] })
    pair.settle()
    pair.advance(4_999)
    expect(pair.responder.closed).toBeUndefined()
    pair.advance(1)
    for (const side of [pair.initiator, pair.responder])
      expect(side.closed?.reason).toEqual({ by: 'timeout', code: 'HANDSHAKE_TIMEOUT', retryable: true })
  })

  test('and 10 s in all', () => {
    let sent = 0
    const pair = new SessionPair({ wire: (bytes, from) => (from === 'initiator' && sent++ > 0 ? [] : [bytes]) })
    pair.advance(9_999)
    expect(pair.initiator.session.state).toBe('open')
    expect(pair.responder.closed).toBeUndefined()
    pair.advance(1)
    expect(pair.responder.closed?.reason.code).toBe('HANDSHAKE_TIMEOUT')
  })

  test('with somebody else than expected ends with IDENTITY_MISMATCH before anything is told', () => {
    const pair = new SessionPair({ expected: 'ab'.repeat(16) as never })
    pair.advance(10)
    expect(pair.initiator.events).toMatchObject([
      { type: 'closed', reason: { by: 'protocol', code: 'IDENTITY_MISMATCH', retryable: false } },
    ])
    expect(pair.responder.events).toMatchObject([
      { type: 'closed', reason: { by: 'remote', code: 'IDENTITY_MISMATCH' } },
    ])
  })

  test('takes messages meanwhile and sends them when it is done', () => {
    const pair = new SessionPair({ delayMs: 10 })
    expect(pair.send(pair.initiator, filled(10))).toBe('accepted')
    expect(pair.send(pair.responder, filled(20))).toBe('accepted')
    pair.advance(15)
    // the responder has sent message 2 and nothing else before message 3 is verified
    expect(pair.responder.outputs).toHaveLength(1)
    pair.advance(35)
    expect(pair.responder.sizes).toEqual([10])
    expect(pair.initiator.sizes).toEqual([20])
  })

  test.each([0, 1, 2])('byte by byte changed in message %i: nobody is told of a session by mistake', (which) => {
    const lengths = new SessionPair()
    lengths.settle()
    const all = [lengths.initiator.outputs[0], lengths.responder.outputs[0], lengths.initiator.outputs[1]]
    const length = all[which]?.length as number
    for (let at = 0; at < length; at += 3) {
      let count = 0
      const pair = new SessionPair({
        wire: (bytes) => {
          if (count++ !== which) return [bytes]
          const changed = new Uint8Array(bytes)
          changed[at] = (changed[at] as number) ^ 1
          return [changed]
        },
      })
      pair.advance(20_000)
      expect(pair.responder.eventsOf('established')).toEqual([])
      if (which < 2) expect(pair.initiator.eventsOf('established')).toEqual([])
      expect(pair.responder.closed).toBeDefined()
      expect(pair.initiator.closed).toBeDefined()
    }
  })
})
