import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type CipherSuite, equalBytes } from '@aiv/transport-api'
import { SessionPair, type SideName, filled } from './session-pair.js'

describe('over any split of the stream', () => {
  test('the same events come, wherever one run of bytes is cut', () => {
    const whole = SessionPair.open()
    const talk = (pair: SessionPair): void => {
      pair.send(pair.initiator, filled(30))
      pair.send(pair.initiator, filled(200, 2))
      pair.settle()
      pair.initiator.session.probe(pair.now)
      pair.settle()
      pair.initiator.session.close(pair.now)
      pair.settle()
    }
    talk(whole)
    const bytes = [...whole.initiator.outputs, ...whole.responder.outputs]
    const longest = Math.max(...bytes.map((run) => run.length))
    const events = (pair: SessionPair) => pair.responder.events.map((event) => event.type)
    for (let cut = 0; cut <= longest; cut++) {
      const pair = new SessionPair({ wire: (run) => [run.subarray(0, cut), run.subarray(cut)] })
      pair.settle()
      talk(pair)
      expect(events(pair)).toEqual(events(whole))
      expect(pair.responder.sizes).toEqual([30, 200])
    }
  })

  test('byte by byte', () => {
    const pair = new SessionPair({ wire: (run) => Array.from(run, (byte) => Uint8Array.of(byte)) })
    pair.settle()
    pair.send(pair.initiator, filled(5_000))
    pair.advance(100)
    expect(pair.responder.packets.map((packet) => equalBytes(packet, filled(5_000)))).toEqual([true])
  })
})

describe('whatever is sent', () => {
  const message = fc.record({
    from: fc.constantFrom<SideName>('initiator', 'responder'),
    priority: fc.constantFrom(0, 1, 2, 3),
    size: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 70_000 }), fc.constant(400_000)),
    /** What happens before it is sent: time passes, or somebody stops or takes up reading. */
    first: fc.constantFrom('nothing', 'settle', 'advance', 'pause', 'resume', 'block', 'unblock'),
  })

  test('arrives whole, once and in order per priority, over any splits, pauses and delays', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom<CipherSuite>('aes-256-gcm', 'chacha20-poly1305'),
        fc.constantFrom(0, 7),
        (messages, cuts, suite, delayMs) => {
          let runs = 0
          const pair = SessionPair.open({
            suite,
            delayMs,
            options: { maxQueuedBytes: 64 * 2 ** 20, rekeyAfterFrames: 1_100 },
            wire: (bytes) => {
              // at most 64 pieces: cutting megabytes into single bytes takes minutes and shows nothing more
              const size = Math.max(cuts[runs++ % cuts.length] as number, Math.ceil(bytes.length / 64))
              return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
                bytes.subarray(i * size, (i + 1) * size),
              )
            },
          })
          const sent = { initiator: [[], [], [], []] as string[][], responder: [[], [], [], []] as string[][] }
          messages.forEach(({ from, priority, size, first }, index) => {
            const side = pair[from]
            if (first === 'settle') pair.settle()
            else if (first === 'advance') pair.advance(3)
            else if (first === 'pause') side.session.pause()
            else if (first === 'resume') side.session.resume(pair.now)
            else if (first === 'block') side.writable = false
            else if (first === 'unblock') side.writable = true
            const bytes = filled(size + 3, index)
            bytes[0] = priority
            bytes[1] = index
            bytes[2] = size
            expect(pair.send(side, bytes, priority as 0)).toBe('accepted')
            sent[from][priority]?.push(`${index}:${bytes.length}`)
          })
          for (const side of [pair.initiator, pair.responder]) {
            side.writable = true
            side.session.resume(pair.now)
          }
          pair.advance(5_000)
          for (const side of [pair.initiator, pair.responder]) {
            const got: string[][] = [[], [], [], []]
            for (const bytes of pair.other(side).packets) {
              const index = bytes[1] as number
              const expected = filled(bytes.length, index)
              expected.set(bytes.subarray(0, 3))
              expect(equalBytes(bytes, expected)).toBe(true)
              got[bytes[0] as number]?.push(`${index}:${bytes.length}`)
            }
            expect(got).toEqual(sent[side.name])
            expect(side.closed).toBeUndefined()
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('any bytes after the handshake end the session with a code or are waited on, and never throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (inputs) => {
        const pair = SessionPair.open()
        for (const input of inputs) pair.deliver(pair.responder, input)
        pair.advance(100)
        expect(pair.responder.packets).toEqual([])
      }),
      { numRuns: 100 },
    )
  })
})
