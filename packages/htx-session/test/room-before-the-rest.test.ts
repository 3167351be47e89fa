import { describe, expect, test } from '@jest/globals'
import { joinBytes } from '@aiv/transport-api'
import { decodeFrames } from '@aiv/htx-codec'
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
    expect(accepted).toBe(3)
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
})
