import { describe, expect, test } from '@jest/globals'
import { FrameType, encodeFrame } from '@aiv/htx-codec'
import { protocolCoreCompliance } from '@aiv/testkit'
import { HtxSession, ReassemblyBudget, htxSessionOptions } from '../src/index.js'
import { SessionPair, filled, testChannels } from './session-pair.js'

const plain = (type: number, payload: Uint8Array): Uint8Array =>
  encodeFrame({ flags: 0, type, sequence: 0, timestamp: 0, payload })

describe.each(['initiator', 'responder'] as const)('an HTX session as %s', (role) => {
  protocolCoreCompliance(
    { describe, test },
    {
      create: (now) =>
        new HtxSession(now, {
          role,
          secure: testChannels(1).secure,
          expected: undefined,
          remoteStatic: undefined,
          options: htxSessionOptions(),
          budget: new ReassemblyBudget(),
          compressor: undefined,
        }),
      exercise: (core, now) => {
        ;(core as HtxSession).send(now, filled(100), { priority: 2, delivery: 'reliable', tag: 1 })
      },
      garbage: () => [
        new Uint8Array(0),
        Uint8Array.of(0xff),
        Uint8Array.of(0x48, 0x58, 0x11),
        new Uint8Array(100_000),
        plain(FrameType.Handshake, new Uint8Array(0)),
        plain(FrameType.Handshake, Uint8Array.of(1, 1, 1, 0)),
        plain(FrameType.Handshake, filled(96)),
        plain(FrameType.Close, new Uint8Array(0)),
        plain(FrameType.Close, Uint8Array.of(0, 0)),
        plain(FrameType.Data, filled(20)),
      ],
    },
  )
})

describe('an established HTX session', () => {
  const open: (now: number) => HtxSession = (now) => SessionPair.open({ startAt: now }).initiator.session
  protocolCoreCompliance(
    { describe, test },
    {
      create: open,
      exercise: (core, now) => {
        const session = core as HtxSession
        session.send(now, filled(100), { priority: 2, delivery: 'reliable', tag: 1, expiresAt: now + 7 })
        session.send(now, filled(700_000), { priority: 3, delivery: 'reliable' })
        session.probe(now)
      },
      garbage: () => [
        new Uint8Array(0),
        Uint8Array.of(0xff),
        new Uint8Array(100_000),
        plain(FrameType.Ping, filled(8)),
      ],
    },
  )

  test('with a socket that takes nothing, no deadline stays in the past', () => {
    const pair = SessionPair.open({ delayMs: 3 })
    pair.send(pair.initiator, filled(100_000))
    pair.responder.writable = false
    pair.advance(44_000)
    expect(pair.responder.session.nextTimeout()).toBeGreaterThan(pair.now)
  })
})
