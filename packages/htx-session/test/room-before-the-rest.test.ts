import { describe, expect, test } from '@jest/globals'
import { joinBytes } from '@aiv/transport-api'
import { FrameType, decodeFrames } from '@aiv/htx-codec'
import { SessionPair, filled } from './session-pair.js'

const reliable = { priority: 2, delivery: 'reliable' } as const

// docs/decisions/0137-room-before-the-rest.md
describe('a sender that fills the queue', () => {
  test('is told of room before the rest of it is sealed', () => {
    const pair = SessionPair.open()
    const { session } = pair.initiator
    let accepted = 0
    while (session.send(pair.now, filled(65_536), reliable) === 'accepted') accepted += 1
    expect(session.pollOutput(pair.now)).toBeDefined()
    expect(session.pollEvent()).toEqual({ type: 'drain', lowest: 3 })
    expect(session.stats(pair.now).queuedBytes[2]).toBeGreaterThan(65_536)
    expect(accepted).toBe(5)
  })

  test('gets what fills no frame into the next poll, where more may have come', () => {
    const pair = SessionPair.open()
    const { session } = pair.initiator
    session.send(pair.now, filled(20_000), reliable)
    const framesOf = (pieces: readonly Uint8Array[] | undefined) =>
      decodeFrames(joinBytes(pieces ?? []), { maxFrameBytes: 65_536 }).length
    expect(framesOf(session.pollOutput(pair.now))).toBe(1)
    session.send(pair.now, filled(5_000), reliable)
    expect(framesOf(session.pollOutput(pair.now))).toBe(1)
    expect(session.stats(pair.now).queuedBytes).toEqual([0, 0, 0, 0])
    expect(session.pollOutput(pair.now)).toBeUndefined()
  })

  test('is not told of room that its message would not fit into while something small waits', () => {
    const pair = SessionPair.open({ options: { maxQueuedBytes: 16_384 } })
    const { session } = pair.initiator
    pair.responder.session.pause()
    // all credit is used, so that what is queued now stays
    for (let i = 0; i < 100 && session.stats(pair.now).queuedBytes[2] === 0; i++) {
      session.send(pair.now, filled(8_000), reliable)
      pair.settle()
    }
    expect(session.send(pair.now, filled(16_000), reliable)).toBe('full')
    for (let i = 0; i < 10; i++) session.pollOutput(pair.now)
    for (let event; (event = session.pollEvent()) !== undefined;) expect(event.type).not.toBe('drain')
  })

  test('is told of a priority that has become empty, also while a lower one waits for credit', () => {
    const pair = SessionPair.open({ options: { maxQueuedBytes: 64 * 1024 } })
    const { initiator, responder } = pair
    responder.session.pause()
    while (pair.send(initiator, filled(20_000)) === 'accepted') pair.settle()
    pair.advance(1_000)
    initiator.writable = false
    const urgent = { priority: 0, delivery: 'reliable', expiresAt: pair.now + 100 } as const
    while (initiator.session.send(pair.now, filled(900), urgent) === 'accepted');
    pair.advance(500)
    initiator.writable = true
    expect(initiator.eventsOf('drain')).toEqual([])
    pair.advance(10)
    pair.settle()
    expect(initiator.session.stats(pair.now).queuedBytes[2]).toBeGreaterThan(0)
    expect(initiator.eventsOf('drain')).toEqual([{ type: 'drain', lowest: 1 }])
  })

  test('is told of room that came by expiry, when nothing is left to be sent', () => {
    const pair = SessionPair.open()
    const { session } = pair.initiator
    pair.initiator.writable = false
    while (session.send(pair.now, filled(65_536), { ...reliable, expiresAt: pair.now + 10 }) === 'accepted');
    pair.advance(50)
    expect(session.stats(pair.now).queuedBytes).toEqual([0, 0, 0, 0])
    session.pollOutput(pair.now)
    expect(session.pollEvent()).toEqual({ type: 'drain', lowest: 3 })
  })
})

test('credit comes back when the last packet was taken, also where another event stands behind it', () => {
  const pair = SessionPair.open()
  const { session } = pair.responder
  for (let i = 0; i < 10; i++) pair.initiator.session.send(pair.now, filled(10_000), reliable)
  for (let out; (out = pair.initiator.session.pollOutput(pair.now)) !== undefined;)
    for (const piece of out) session.handleInput(pair.now, piece)
  // what the application says in the same turn is told of behind what it has not taken yet
  session.send(pair.now, filled(10), { ...reliable, tag: 1 })
  const types: string[] = []
  const framesOf = (pieces: readonly Uint8Array[] | undefined) =>
    decodeFrames(joinBytes(pieces ?? []), { maxFrameBytes: 65_536 }).map(({ type }) => type)
  session.pollOutput(pair.now)
  for (let event; (event = session.pollEvent()) !== undefined;) types.push(event.type)
  expect(types).toEqual([...new Array<string>(10).fill('packet'), 'sent'])
  expect(framesOf(session.pollOutput(pair.now))).toContain(FrameType.WindowUpdate)
})
