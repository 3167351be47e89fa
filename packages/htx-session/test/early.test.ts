import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { FrameType, decodeFrames, encodeFrame } from '@aiv/htx-codec'
import { type Handshake, MAX_EARLY_BYTES, joinBytes } from '@aiv/transport-api'
import { encodeCapabilities } from '../src/capabilities.js'
import { type PairOptions, SessionPair, filled } from './session-pair.js'

const framesOf = (outputs: readonly Uint8Array[]) =>
  outputs.flatMap((bytes) => decodeFrames(bytes, { maxFrameBytes: 65_536 }))

/** Two nodes that met, 10 ms apart, in a second session whose first message waits for something to carry. */
function again(options: PairOptions = {}): SessionPair {
  return new SessionPair({ delayMs: 10, early: true, ...options, after: SessionPair.open() })
}

describe('what is sent early', () => {
  test('is there after half a round trip, and answered after a whole one', () => {
    const pair = again()
    const { initiator, responder } = pair
    expect(initiator.session.earlyRemote?.nodeId).toBe(responder.nodeId)
    pair.send(initiator, filled(100))
    pair.advance(10)
    expect(responder.sizes).toEqual([100])
    expect(responder.eventsOf('established')).toMatchObject([{ resumed: true, early: true }])
    expect(responder.eventsOf('confirmed')).toEqual([])
    pair.send(responder, filled(200))
    pair.advance(10)
    expect(initiator.sizes).toEqual([200])
    expect(initiator.eventsOf('established')).toMatchObject([{ resumed: true, early: false }])
    pair.advance(11)
    expect(responder.eventsOf('confirmed')).toHaveLength(1)
    expect(responder.sizes).toEqual([100])
  })

  test('and what answers it share one run of bytes', () => {
    const pair = again({ delayMs: 0 })
    pair.send(pair.initiator, filled(100))
    pair.settle()
    const [answer = new Uint8Array(0)] = pair.responder.outputs
    expect(framesOf([answer]).map(({ type }) => type)).toContain(FrameType.Handshake)
    expect(pair.initiator.session.state).toBe('open')
  })

  test('waits a millisecond for company, and no longer', () => {
    const pair = again()
    pair.advance(0)
    expect(pair.initiator.outputs).toEqual([])
    pair.advance(1)
    expect(framesOf(pair.initiator.outputs).map(({ type }) => type)).toEqual([FrameType.Handshake])
    pair.advance(50)
    expect(pair.responder.eventsOf('established')).toMatchObject([{ resumed: true, early: false }])
    expect(pair.responder.eventsOf('confirmed')).toEqual([])
  })

  test('is what is most urgent, and the rest follows in order', () => {
    const pair = again()
    const { initiator, responder } = pair
    for (let i = 1; i <= 8; i++) pair.send(initiator, filled(300, i), 2)
    pair.send(initiator, filled(50), 0)
    pair.advance(10)
    expect(responder.sizes).toEqual([50, 300])
    pair.advance(40)
    expect(responder.packets.slice(1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((i) => filled(300, i)))
    expect(responder.closed).toBeUndefined()
  })

  test('may be the beginning of a large message', () => {
    const pair = again()
    pair.send(pair.initiator, filled(100_000))
    pair.advance(0)
    expect(pair.initiator.outputs[0]?.length).toBeLessThan(MAX_EARLY_BYTES + 200)
    pair.advance(200)
    expect(pair.responder.packets).toEqual([filled(100_000)])
    expect(pair.initiator.session.stats(pair.now).unconfirmedBytes).toBe(0)
  })

  test('is not for two that never met, nor where it is not asked for', () => {
    const strangers = new SessionPair({ early: true })
    expect(strangers.initiator.session.earlyRemote).toBeUndefined()
    strangers.settle()
    expect(strangers.initiator.eventsOf('established')).toHaveLength(1)
    const ordinary = again({ early: false })
    expect(ordinary.initiator.session.earlyRemote).toBeUndefined()
    ordinary.send(ordinary.initiator, filled(100))
    ordinary.advance(10)
    expect(ordinary.responder.packets).toEqual([])
  })

  test('is acknowledged as everything is', () => {
    const pair = again()
    pair.send(pair.initiator, filled(100))
    pair.advance(0)
    expect(pair.initiator.session.stats(pair.now).unconfirmedBytes).toBe(0)
    pair.advance(20)
    expect(pair.initiator.session.stats(pair.now).unconfirmedBytes).toBe(100)
    pair.advance(200)
    expect(pair.initiator.session.stats(pair.now).unconfirmedBytes).toBe(0)
  })
})

describe('a listener that was started again', () => {
  test('gets it behind the handshake, once and first', () => {
    const pair = again({ forgetful: true })
    const { initiator, responder } = pair
    pair.send(initiator, filled(100))
    pair.advance(5)
    pair.send(initiator, filled(200))
    pair.advance(200)
    expect(responder.sizes).toEqual([100, 200])
    expect(responder.eventsOf('established')).toMatchObject([{ resumed: false, early: false }])
    expect(initiator.eventsOf('established')).toMatchObject([{ resumed: false, early: false }])
    expect(initiator.session.stats(pair.now).unconfirmedBytes).toBe(0)
  })

  test.each([false, true])('or not, everything arrives once and in order: forgetful %s', (forgetful) => {
    const met = SessionPair.open()
    fc.assert(
      fc.property(
        fc.array(fc.record({ size: fc.integer({ min: 0, max: 3_000 }), priority: fc.nat(3), at: fc.nat(60) }), {
          maxLength: 20,
        }),
        (messages) => {
          // a session that shows certificates leaves a ticket for this one
          new SessionPair({ after: met }).advance(5)
          const pair = new SessionPair({ after: met, delayMs: 10, early: true, forgetful })
          const sorted = messages.map((message, id) => ({ ...message, id })).sort((a, b) => a.at - b.at)
          const sent: number[][] = [[], [], [], []]
          for (const { size, priority, at, id } of sorted) {
            pair.advance(at - pair.now)
            const packet = filled(size + 2)
            packet.set([id, priority])
            expect(pair.send(pair.initiator, packet, priority as 0 | 1 | 2 | 3)).toBe('accepted')
            sent[priority]?.push(id)
          }
          pair.advance(500)
          const got: number[][] = [[], [], [], []]
          for (const packet of pair.responder.packets) got[packet[1] as number]?.push(packet[0] as number)
          expect(got).toEqual(sent)
          expect(pair.responder.closed ?? pair.initiator.closed).toBeUndefined()
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('what the other side could do when they met', () => {
  test('holds for what is sent early: too large is said at once, and not by an end of the session', () => {
    const options = { responder: { maxMessageBytes: 16_384 } }
    const met = SessionPair.open(options)
    const pair = new SessionPair({ ...options, after: met, delayMs: 10, early: true })
    expect(pair.send(pair.initiator, filled(16_385))).toBe('too-large')
    expect(pair.send(pair.initiator, filled(16_384))).toBe('accepted')
    pair.advance(100)
    expect(pair.responder.sizes).toEqual([16_384])
    expect(pair.responder.closed).toBeUndefined()
  })

  test('may be less by now: one session ends with that, and the next knows it', () => {
    const met = SessionPair.open()
    const small = { delayMs: 10, early: true, responder: { maxMessageBytes: 16_384 } }
    const pair = new SessionPair({ ...small, after: met })
    expect(pair.send(pair.initiator, filled(100_000))).toBe('accepted')
    pair.advance(100)
    expect(pair.responder.closed?.reason.code).toBe('MESSAGE_TOO_LARGE')
    const next = new SessionPair({ ...small, after: pair })
    expect(next.send(next.initiator, filled(100_000))).toBe('too-large')
  })
})

describe('closing a session that was early', () => {
  test('sends what was accepted first', () => {
    for (const forgetful of [false, true]) {
      const pair = again({ forgetful })
      pair.send(pair.initiator, filled(100))
      pair.initiator.session.close(pair.now)
      pair.advance(200)
      expect(pair.responder.sizes).toEqual([100])
      expect(pair.responder.closed?.reason).toMatchObject({ by: 'remote', code: 'CLOSED' })
      expect(pair.initiator.closed?.reason).toMatchObject({ by: 'local', code: 'CLOSED' })
    }
  })

  test('sends also what was accepted after the first message had gone', () => {
    for (const forgetful of [false, true]) {
      const pair = again({ forgetful })
      pair.advance(5)
      pair.send(pair.initiator, filled(100))
      pair.initiator.session.close(pair.now)
      pair.advance(200)
      expect(pair.responder.sizes).toEqual([100])
      expect(pair.initiator.closed?.reason).toMatchObject({ by: 'local', code: 'CLOSED' })
    }
  })

  test('is told sealed, where the keys are there and nobody asked for them yet', () => {
    const pair = again({ forgetful: true })
    pair.send(pair.initiator, filled(100))
    pair.advance(15)
    pair.initiator.session.close(pair.now)
    pair.advance(4)
    // message 2 is read, and message 3 does not get out
    pair.initiator.writable = false
    pair.advance(2_500)
    expect(pair.initiator.closed?.reason.code).toBe('CLOSED')
    pair.initiator.writable = true
    pair.advance(100)
    expect(pair.responder.closed?.reason).toMatchObject({ by: 'remote', code: 'CLOSED' })
  })

  test('with nothing accepted says so and is over', () => {
    const pair = again()
    pair.initiator.session.close(pair.now)
    pair.advance(0)
    expect(pair.initiator.closed?.reason).toMatchObject({ by: 'local', code: 'CLOSED' })
    expect(framesOf(pair.initiator.outputs).map(({ type }) => type)).toEqual([FrameType.Close])
  })

  test('is over after the time for it where nobody answers', () => {
    const pair = again({ wire: () => [] })
    pair.send(pair.initiator, filled(100))
    pair.advance(5)
    pair.initiator.session.close(pair.now)
    expect(pair.send(pair.initiator, filled(100))).toBe('closed')
    pair.advance(1_999)
    expect(pair.initiator.closed).toBeUndefined()
    pair.advance(1)
    expect(pair.initiator.closed?.reason).toMatchObject({ by: 'local', code: 'CLOSED' })
    expect(framesOf(pair.initiator.outputs).map(({ type }) => type)).toEqual([FrameType.Handshake, FrameType.Close])
  })

  test('by the listener, before the other side has shown that it is there, is orderly too', () => {
    const pair = again()
    pair.send(pair.initiator, filled(100))
    pair.advance(10)
    pair.send(pair.responder, filled(50))
    pair.responder.session.close(pair.now, 0x1000, 'enough')
    pair.advance(100)
    expect(pair.initiator.sizes).toEqual([50])
    expect(pair.initiator.closed?.remoteClose).toEqual({ code: 0x1000, reason: 'enough' })
    expect(pair.responder.closed?.reason.by).toBe('local')
  })
})

describe('a listener that takes connections and does not answer', () => {
  test('is suspected as one that fell silent, by the time that making the link took', () => {
    for (const [linkMs, patienceMs] of [
      [0, 200],
      [100, 300],
      [5_000, 2_000],
    ] as const) {
      const pair = again({ wire: () => [] })
      pair.now += linkMs
      pair.send(pair.initiator, filled(100))
      pair.advance(patienceMs - 1)
      expect(pair.initiator.eventsOf('liveness')).toEqual([])
      pair.advance(1)
      expect(pair.initiator.eventsOf('liveness')).toMatchObject([{ state: 'suspect' }])
      pair.advance(1_000)
      expect(pair.initiator.eventsOf('liveness')).toHaveLength(1)
    }
  })

  test('suspects nobody itself before the other side can have answered', () => {
    const pair = again({ delayMs: 150 })
    pair.send(pair.initiator, filled(100))
    pair.advance(150)
    pair.send(pair.responder, filled(200))
    pair.advance(1_000)
    expect(pair.responder.eventsOf('liveness')).toEqual([])
    expect(pair.responder.session.stats(pair.now).rttMs).toBeGreaterThanOrEqual(290)
  })

  test('is not suspected over an empty message, which nobody acknowledges', () => {
    const pair = again()
    pair.send(pair.initiator, new Uint8Array(0))
    pair.advance(3_000)
    expect(pair.responder.sizes).toEqual([0])
    expect(pair.initiator.eventsOf('liveness')).toEqual([])
  })

  test('is alive again when it does', () => {
    const pair = again({ delayMs: 150 })
    pair.send(pair.initiator, filled(100))
    pair.advance(300)
    expect(pair.initiator.eventsOf('liveness')).toMatchObject([{ state: 'suspect' }, { state: 'alive' }])
  })

  test('is waited for as ever where nothing was sent early', () => {
    const pair = again({ wire: () => [] })
    pair.advance(4_000)
    expect(pair.initiator.eventsOf('liveness')).toEqual([])
    pair.advance(2_000)
    expect(pair.initiator.closed?.reason.code).toBe('HANDSHAKE_TIMEOUT')
  })
})

describe('a link that takes nothing', () => {
  test('leaves no deadline behind that has passed', () => {
    const pair = again()
    pair.initiator.writable = false
    pair.advance(0)
    pair.initiator.session.pollOutput(0)
    pair.advance(100)
    expect(pair.initiator.session.nextTimeout()).toBeGreaterThan(pair.now)
    pair.initiator.writable = true
    pair.advance(100)
    expect(pair.responder.eventsOf('established')).toHaveLength(1)
  })
})

describe('somebody in between', () => {
  test('who gives a second copy of the first message to the listener does not get its words said twice', () => {
    const met = SessionPair.open()
    const heard: Uint8Array[] = []
    const dialling = new SessionPair({ after: met, delayMs: 10, early: true, wire: (bytes) => (heard.push(bytes), []) })
    dialling.send(dialling.initiator, filled(100))
    dialling.advance(0)
    const [offer = new Uint8Array(0)] = heard
    // the first copy is read, its answer kept back
    const first = new SessionPair({ after: met, wire: () => [] })
    first.deliver(first.responder, offer)
    first.advance(0)
    expect(first.responder.sizes).toEqual([100])
    // the answer to the second one goes to the dialler, and from here on everything in both directions
    const second = new SessionPair({ after: met, wire: () => [] })
    second.deliver(second.responder, offer)
    for (let turn = 0; turn < 5; turn++) {
      second.advance(0)
      for (const answer of second.responder.outputs.splice(0)) dialling.deliver(dialling.initiator, answer)
      dialling.advance(10)
      for (const word of dialling.initiator.outputs.splice(0))
        if (word !== offer) second.deliver(second.responder, word)
    }
    expect(second.responder.closed?.reason.code).toBe('HANDSHAKE_REPLAYED')
    expect(second.responder.packets).toEqual([])
    expect(dialling.initiator.closed?.reason.code).toBe('HANDSHAKE_REPLAYED')
  })

  test('who repeats the first message brings nothing a second time', () => {
    const pair = again()
    pair.send(pair.initiator, filled(100))
    pair.advance(100)
    expect(pair.responder.sizes).toEqual([100])
    const [offer] = pair.initiator.outputs
    const later = new SessionPair({ after: pair, wire: (bytes, from) => (from === 'initiator' ? [] : [bytes]) })
    later.deliver(later.responder, offer as Uint8Array)
    later.advance(11_000)
    expect(later.responder.packets).toEqual([])
    expect(later.responder.eventsOf('established')).toEqual([])
    expect(later.responder.closed?.reason.code).toBe('HANDSHAKE_REPLAYED')
  })

  test('who delivers it in place of a dialler that has gone is believed for ten seconds', () => {
    const first = SessionPair.open()
    const held = new SessionPair({ after: first, early: true, wire: () => [] })
    held.send(held.initiator, filled(100))
    held.advance(0)
    const [offer] = held.initiator.outputs
    const later = new SessionPair({ after: first, wire: (bytes, from) => (from === 'initiator' ? [] : [bytes]) })
    later.deliver(later.responder, offer as Uint8Array)
    later.advance(9_000)
    expect(later.responder.sizes).toEqual([100])
    expect(later.responder.eventsOf('confirmed')).toEqual([])
    later.advance(1_000)
    expect(later.responder.closed?.reason.code).toBe('HANDSHAKE_TIMEOUT')
  })

  test('who changes the answer ends the dial with its code, and nothing was delivered twice', () => {
    const pair = again({
      wire: (bytes, from) => {
        if (from === 'initiator') return [bytes]
        const [{ payload } = { payload: new Uint8Array(0) }] = framesOf([bytes])
        const bent = payload.slice()
        bent[40] = (bent[40] as number) ^ 1
        return [encodeFrame({ flags: 0, type: FrameType.Handshake, sequence: 0, timestamp: 0, payload: bent })]
      },
    })
    pair.send(pair.initiator, filled(100))
    pair.advance(100)
    expect(pair.initiator.closed?.reason.code).toBe('HANDSHAKE_DECRYPT')
    expect(pair.initiator.eventsOf('established')).toEqual([])
    expect(pair.responder.sizes).toEqual([100])
    expect(pair.responder.closed?.reason.by).toBe('remote')
  })
})

describe('a dialler that is not one of ours', () => {
  /** Message 1 with such early bytes, to a listener that knows the ticket. */
  function offering(early: Uint8Array): SessionPair {
    const met = SessionPair.open()
    const [{ secure }] = met.parties
    const head = Uint8Array.of(1, 1, 1, 0)
    const capabilities = encodeCapabilities({
      versions: [0x11],
      patterns: ['XX', 'XK'],
      suites: ['aes-256-gcm'],
      maxFrameBytes: 65_536,
      maxMessageBytes: 16 * 1024 * 1024,
      lz4: false,
    })
    const handshake: Handshake = secure.start({
      role: 'initiator',
      pattern: 'XX',
      suite: 'aes-256-gcm',
      label: 'aiv-htx/1.1',
      prologue: joinBytes([new TextEncoder().encode('aiv-htx/1.1'), Uint8Array.of(0), head]),
      payload: capabilities,
      expected: met.responder.nodeId,
      remoteStatic: undefined,
      resume: true,
    })
    const payload = joinBytes([head, handshake.pollMessage(early) as Uint8Array])
    const pair = new SessionPair({ after: met, wire: () => [] })
    const frame = encodeFrame({ flags: 0, type: FrameType.Handshake, sequence: 0, timestamp: 0, payload })
    pair.deliver(pair.responder, frame)
    pair.advance(0)
    return pair
  }

  test.each([
    ['chunks that are none', Uint8Array.of(0xff), 'CHUNK_MALFORMED'],
    ['an empty chunk that is not the last', Uint8Array.of(2, 0, 5), 'CHUNK_MALFORMED'],
    ['a message above the limit', Uint8Array.of(2, 1, 0xc0, 0, 0, 0xff, 0, 0, 0, 0, 7), 'MESSAGE_TOO_LARGE'],
  ])('may send %s: it ends that session', (_, early, code) => {
    const { responder } = offering(early)
    expect(responder.packets).toEqual([])
    expect(responder.closed?.reason).toMatchObject({ by: 'protocol', code })
  })

  test('may send nothing early', () => {
    const { responder } = offering(new Uint8Array(0))
    expect(responder.eventsOf('established')).toMatchObject([{ early: true }])
    expect(responder.closed).toBeUndefined()
  })
})
