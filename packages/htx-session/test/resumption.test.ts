import { describe, expect, test } from '@jest/globals'
import { decodeFrames, encodeFrame, FrameType } from '@aiv/htx-codec'
import { withCrc } from './raw-peer.js'
import { type PairOptions, SessionPair, filled } from './session-pair.js'

const framesOf = (outputs: readonly Uint8Array[]) =>
  outputs.flatMap((bytes) => decodeFrames(bytes, { maxFrameBytes: 65_536 }))

/** Two nodes that met, in their second session; nothing has happened in it. */
function again(options: PairOptions = {}): SessionPair {
  return new SessionPair({ ...options, after: SessionPair.open() })
}

describe('two nodes that met before', () => {
  test('are through after one message each, and the first message of the dialler proves it', () => {
    const pair = again({ delayMs: 10 })
    pair.send(pair.initiator, filled(100))
    pair.advance(29)
    const [established] = pair.initiator.eventsOf('established')
    expect(established).toMatchObject({ resumed: true, pattern: 'XX' })
    expect(pair.responder.eventsOf('established')).toEqual([])
    pair.advance(1)
    expect(pair.responder.eventsOf('established')).toMatchObject([{ resumed: true }])
    expect(pair.responder.sizes).toEqual([100])
    const types = framesOf(pair.initiator.outputs).map(({ type }) => type)
    expect(types).toEqual([FrameType.Handshake, FrameType.Data])
    pair.send(pair.responder, filled(200))
    pair.advance(20)
    expect(pair.initiator.sizes).toEqual([200])
  })

  test('with nothing to say the dialler shows after a millisecond that it is there', () => {
    const pair = again({ delayMs: 10 })
    pair.advance(20)
    expect(pair.initiator.eventsOf('established')).toHaveLength(1)
    expect(framesOf(pair.initiator.outputs)).toHaveLength(1)
    pair.advance(1)
    const [, proof] = framesOf(pair.initiator.outputs)
    expect([proof?.type, proof?.payload.length]).toEqual([FrameType.Data, 16])
    pair.advance(10)
    expect(pair.responder.eventsOf('established')).toHaveLength(1)
    expect(pair.responder.packets).toEqual([])
    pair.advance(1_000)
    expect(framesOf(pair.initiator.outputs)).toHaveLength(2)
  })

  test('the proof waits for a link that takes nothing, without a deadline that has passed', () => {
    const pair = again({ delayMs: 10 })
    pair.advance(19)
    pair.initiator.writable = false
    pair.advance(100)
    expect(pair.initiator.session.nextTimeout()).toBeGreaterThan(pair.now)
    expect(framesOf(pair.initiator.outputs)).toHaveLength(1)
    pair.initiator.writable = true
    pair.advance(10)
    expect(pair.responder.eventsOf('established')).toHaveLength(1)
  })

  test('a dialler that closes at once is heard, and so is a listener that does', () => {
    const quick = again()
    quick.initiator.session.close(0)
    quick.advance(100)
    expect(quick.responder.closed?.reason.code).toBe('CLOSED')
    const early = again({ delayMs: 10 })
    early.advance(15)
    early.responder.session.close(early.now, 0x1000, 'not today')
    early.advance(100)
    expect(early.initiator.closed?.reason.by).toBe('remote')
    expect(early.responder.eventsOf('established')).toEqual([])
  })

  test('XX with what was kept goes before XK; without it XK is what it was', () => {
    const pair = again({ pattern: 'XK' })
    pair.advance(10)
    expect(pair.initiator.eventsOf('established')).toMatchObject([{ resumed: true, pattern: 'XX' }])
    const first = SessionPair.open({ pattern: 'XK' })
    expect(first.initiator.eventsOf('established')).toMatchObject([{ resumed: false, pattern: 'XK' }])
  })
})

describe('somebody in between', () => {
  test.each([
    ['closes', (pair: SessionPair) => pair.initiator.session.close(pair.now), 'CLOSED'],
    ['gives up', (pair: SessionPair) => pair.advance(11_000), 'HANDSHAKE_TIMEOUT'],
  ])('a dialler that %s before message 2 has come is heard as what it is', (_, end, code) => {
    const pair = again({ delayMs: 10, wire: (bytes, from) => (from === 'responder' ? [] : [bytes]) })
    pair.advance(15)
    end(pair)
    pair.advance(100)
    expect(pair.responder.closed?.reason.code).toBe(code)
    expect(pair.responder.eventsOf('established')).toEqual([])
  })

  test('who sends an unsealed CLOSE ends no session: the listener has had its keys all along', () => {
    const pair = again({ delayMs: 10 })
    pair.advance(20)
    expect(pair.initiator.eventsOf('established')).toHaveLength(1)
    const close = encodeFrame({
      flags: 0,
      type: FrameType.Close,
      sequence: 0,
      timestamp: 0,
      payload: new Uint8Array(2),
    })
    pair.deliver(pair.initiator, close)
    pair.advance(100)
    expect(pair.initiator.closed?.reason.code).toBe('PLAINTEXT_FRAME')
  })

  test('who holds the first message back and repeats it later gets no session, only a timeout', () => {
    const first = SessionPair.open()
    const held = new SessionPair({ after: first, wire: () => [] })
    held.advance(0)
    const [offer] = held.initiator.outputs
    const later = new SessionPair({ after: first, wire: (bytes, from) => (from === 'initiator' ? [] : [bytes]) })
    later.deliver(later.responder, offer as Uint8Array)
    later.advance(9_000)
    expect(framesOf(later.responder.outputs)).toHaveLength(1)
    expect(later.responder.eventsOf('established')).toEqual([])
    later.advance(2_000)
    expect(later.responder.closed?.reason.code).toBe('HANDSHAKE_TIMEOUT')
    // and who was robbed of the ticket like that comes in with a full handshake
    const next = new SessionPair({ after: first })
    next.advance(10)
    expect(next.responder.eventsOf('established')).toMatchObject([{ resumed: false }])
  })

  test('who changes the first sealed frame ends it before anything is established', () => {
    let frames = 0
    const pair = again({
      wire: (bytes, from) => {
        if (from !== 'initiator' || frames++ === 0) return [bytes]
        const bent = bytes.slice()
        bent[30] = (bent[30] as number) ^ 1
        return [withCrc(bent)]
      },
    })
    pair.send(pair.initiator, filled(100))
    pair.advance(10)
    expect(pair.responder.eventsOf('established')).toEqual([])
    expect(pair.responder.packets).toEqual([])
    expect(pair.responder.closed?.reason.code).toBe('FORGED')
  })

  test('who refuses in the name of the listener ends a dial, and no more', () => {
    const pair = again()
    pair.responder.session.close(0, 0x1000, 'gone')
    pair.advance(10)
    expect(pair.initiator.closed).toBeDefined()
    expect(pair.initiator.eventsOf('established')).toEqual([])
  })
})
