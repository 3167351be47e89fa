import { describe, expect, test } from '@jest/globals'
import { decodeFrames } from '@aiv/htx-codec'
import { type Compressor, equalBytes } from '@aiv/transport-api'
import type { HtxSessionOptions } from '../src/index.js'
import { LARGEST_FRAME_BYTES } from '../src/options.js'
import { SessionPair, filled } from './session-pair.js'

const MIB = 1024 * 1024

describe('the order in which messages go', () => {
  test('an emergency message overtakes bulk that was queued before it, even a message that is half sent', () => {
    const pair = SessionPair.open({ delayMs: 20 })
    pair.send(pair.initiator, filled(8 * MIB), 3)
    pair.send(pair.initiator, filled(1_000), 2)
    pair.settle()
    pair.advance(50)
    expect(pair.responder.sizes).toEqual([1_000])
    pair.send(pair.initiator, filled(100), 0)
    pair.send(pair.initiator, filled(200), 1)
    // the emergency asks nobody, the other waits for room on the link: one ACK
    pair.advance(21)
    expect(pair.responder.sizes.slice(0, 2)).toEqual([1_000, 100])
    pair.advance(41)
    expect(pair.responder.sizes).toEqual([1_000, 100, 200])
    pair.advance(5_000)
    expect(pair.responder.sizes).toEqual([1_000, 100, 200, 8 * MIB])
    expect(equalBytes(pair.responder.packets[3] as Uint8Array, filled(8 * MIB))).toBe(true)
  })

  test('priorities queued in one turn leave by urgency, each in order', () => {
    const pair = SessionPair.open()
    for (const [size, priority] of [
      [1, 3],
      [2, 2],
      [3, 1],
      [4, 0],
      [5, 3],
      [6, 2],
      [7, 1],
      [8, 0],
    ] as const)
      pair.send(pair.initiator, filled(size), priority)
    pair.settle()
    expect(pair.responder.sizes).toEqual([4, 8, 3, 7, 2, 6, 1, 5])
  })

  test('an emergency message finds credit where bulk has used up the rest', () => {
    const pair = SessionPair.open({ options: { maxQueuedBytes: MIB } })
    pair.responder.session.pause()
    for (let i = 0; i < 20; i++) pair.send(pair.initiator, filled(40_000), 3)
    pair.advance(1_000)
    const before = pair.responder.packets.length
    expect(before).toBeLessThan(8)
    pair.send(pair.initiator, filled(10_000), 0)
    pair.advance(10)
    expect(pair.responder.sizes.slice(before)).toEqual([10_000])
    pair.send(pair.initiator, filled(10_000), 0)
    pair.advance(1_000)
    expect(pair.responder.packets).toHaveLength(before + 1)
    pair.responder.session.resume(pair.now)
    pair.advance(1_000)
    expect(pair.responder.packets).toHaveLength(22)
  })

  test('a large message that was begun keeps moving below endless more urgent traffic, fast enough for the other side', () => {
    const pair = SessionPair.open({ delayMs: 5 })
    pair.send(pair.initiator, filled(2 * MIB), 3)
    pair.settle()
    // the queue of normal messages never runs empty at a poll
    for (let ms = 0; ms < 100_000; ms += 50) {
      for (let i = 0; i < 4; i++) pair.send(pair.initiator, filled(60_000), 2)
      pair.initiator.writable = ms % 500 === 0
      pair.advance(50)
    }
    expect(pair.initiator.closed ?? pair.responder.closed).toBeUndefined()
  })
})

describe('back-pressure', () => {
  test('send says full at the bound, and drain follows when there is room', () => {
    const pair = SessionPair.open()
    pair.responder.session.pause()
    pair.settle()
    let accepted = 0
    while (pair.send(pair.initiator, filled(60_000)) === 'accepted') {
      accepted += 1
      pair.settle()
    }
    // 256 KiB less the emergency reserve went out, one bound of 384 KiB is queued
    expect(accepted).toBeGreaterThanOrEqual(9)
    expect(accepted).toBeLessThanOrEqual(11)
    expect(pair.initiator.session.stats(pair.now).queuedBytes[2]).toBeLessThanOrEqual(384 * 1024)
    expect(pair.initiator.eventsOf('drain')).toEqual([])
    pair.advance(10_000)
    expect(pair.initiator.eventsOf('drain')).toEqual([])
    pair.responder.session.resume(pair.now)
    pair.advance(1_000)
    expect(pair.initiator.eventsOf('drain')).toEqual([{ type: 'drain', lowest: 3 }])
    expect(pair.responder.packets).toHaveLength(accepted)
  })

  test('a full priority leaves the others their room', () => {
    const pair = SessionPair.open()
    while (pair.send(pair.initiator, filled(10_000), 3) === 'accepted');
    expect(pair.send(pair.initiator, filled(10_000), 2)).toBe('accepted')
    expect(pair.send(pair.initiator, filled(10_000), 0)).toBe('accepted')
  })

  test('one message larger than the bound is taken when nothing is queued', () => {
    const pair = SessionPair.open()
    expect(pair.send(pair.initiator, filled(4 * MIB))).toBe('accepted')
    expect(pair.send(pair.initiator, filled(1))).toBe('full')
  })

  test('empty messages without end are bounded as well', () => {
    const pair = SessionPair.open({ options: { maxQueuedBytes: 16_384 } })
    let accepted = 0
    while (accepted < 1_000 && pair.send(pair.initiator, filled(0)) === 'accepted') accepted += 1
    expect(accepted).toBe(256)
  })

  test('a message above the limit of either side is too large, one at the limit goes', () => {
    const pair = SessionPair.open({ initiator: { maxMessageBytes: 5_000 }, responder: { maxMessageBytes: 4_000 } })
    expect(pair.send(pair.initiator, filled(4_001))).toBe('too-large')
    expect(pair.send(pair.initiator, filled(4_000))).toBe('accepted')
    expect(pair.send(pair.responder, filled(4_001))).toBe('too-large')
    pair.settle()
    expect(pair.responder.sizes).toEqual([4_000])
  })

  test('a paused receiver is sent no more than its window, and its time does not count as lack of progress', () => {
    const pair = SessionPair.open()
    pair.send(pair.initiator, filled(2 * MIB))
    pair.settle()
    pair.responder.session.pause()
    pair.advance(200_000)
    expect(pair.responder.closed).toBeUndefined()
    pair.responder.session.resume(pair.now)
    pair.advance(1_000)
    expect(pair.responder.sizes).toEqual([2 * MIB])
  })

  test('what the shell cannot send stays in the queue', () => {
    const pair = SessionPair.open({ options: { maxQueuedBytes: MIB } })
    pair.initiator.writable = false
    for (let i = 0; i < 15; i++) pair.send(pair.initiator, filled(60_000))
    pair.advance(1_000)
    expect(pair.initiator.session.stats(pair.now).queuedBytes[2]).toBe(15 * 60_064)
    pair.initiator.writable = true
    pair.advance(1_000)
    expect(pair.responder.packets).toHaveLength(15)
  })
})

describe('frames', () => {
  const framesOf = (outputs: readonly Uint8Array[]) =>
    outputs.flatMap((bytes) => decodeFrames(bytes, { maxFrameBytes: LARGEST_FRAME_BYTES }))

  test('a lone message waits for nobody: the poll after send gives it', () => {
    const pair = SessionPair.open()
    pair.send(pair.initiator, filled(256))
    const pieces = pair.initiator.session.pollOutput(pair.now)
    expect(pieces).toHaveLength(1)
    expect(pieces?.[0]?.length).toBe(256 + 3 + 16 + 24)
  })

  test('a hundred small messages of one turn are one frame, in order', () => {
    const pair = SessionPair.open()
    const before = pair.initiator.outputs.length
    for (let i = 0; i < 100; i++) pair.send(pair.initiator, filled(50, i))
    pair.settle()
    expect(framesOf(pair.initiator.outputs.slice(before))).toHaveLength(1)
    pair.responder.packets.forEach((packet, i) => expect(equalBytes(packet, filled(50, i))).toBe(true))
  })

  test('no frame is larger than what the other side takes', () => {
    const pair = SessionPair.open({ responder: { maxFrameBytes: 4_096 } })
    pair.send(pair.initiator, filled(500_000))
    pair.advance(2_000)
    expect(pair.responder.sizes).toEqual([500_000])
    for (const frame of framesOf(pair.initiator.outputs.slice(2)))
      expect(frame.payload.length).toBeLessThanOrEqual(4_072)
  })

  test.each([
    ['several frames', { maxFrameBytes: 20_000, maxOutputBytes: 100_000 }, 100_000],
    ['one frame where it is larger', { maxFrameBytes: 100_000, maxOutputBytes: 65_536 }, 100_000],
  ])('one poll gives at most what the option says: %s', (_, options, most) => {
    const pair = SessionPair.open({ options })
    pair.send(pair.initiator, filled(5 * MIB))
    pair.advance(1_000)
    // and what is no message: WINDOW_UPDATE, ACK
    for (const output of pair.initiator.outputs) expect(output.length).toBeLessThanOrEqual(most + 200)
    expect(Math.max(...pair.initiator.outputs.map(({ length }) => length))).toBeGreaterThan(most * 0.7)
  })

  test('a side that takes no large frames gets none, and one that says nothing of it 65,536 bytes at most', () => {
    const sizes = (responder: HtxSessionOptions) => {
      const pair = SessionPair.open({ responder, delayMs: 0.1 })
      for (let i = 0; i < 40; i++) {
        while (pair.send(pair.initiator, filled(MIB)) === 'accepted');
        pair.advance(1)
      }
      return Math.max(...framesOf(pair.initiator.outputs).map(({ payload }) => payload.length))
    }
    expect(sizes({})).toBeGreaterThan(150_000)
    expect(sizes({ maxFrameBytes: 65_536 })).toBeLessThanOrEqual(65_512)
  })

  test('what is compressed stays in frames that a compressed one may stand for', () => {
    const packed: Uint8Array[] = []
    const compressor: Compressor = {
      name: 'lz4',
      compress: (bytes) => Uint8Array.of(packed.push(bytes.slice())),
      decompress: ([place]) => packed[(place as number) - 1],
    }
    const pair = SessionPair.open({ options: { compression: true }, compressor, delayMs: 0.1 })
    for (let i = 0; i < 10; i++) {
      while (packed.length < 200 && pair.send(pair.initiator, filled(MIB)) === 'accepted');
      pair.advance(1)
    }
    // but for those in which one message ends and the next begins
    expect(packed.length).toBeGreaterThan(100)
    for (const { payload } of framesOf(pair.initiator.outputs)) expect(payload.length).toBeLessThanOrEqual(65_512)
    expect(Math.max(...packed.map(({ length }) => length))).toBe(65_512)
    expect(pair.initiator.closed ?? pair.responder.closed).toBeUndefined()
  })

  test('the message may be given in pieces, which are sent one after another', () => {
    const pair = SessionPair.open()
    const whole = filled(200_000)
    const pieces = [whole.subarray(0, 3), new Uint8Array(0), whole.subarray(3, 40_000), whole.subarray(40_000)]
    pair.initiator.session.send(pair.now, pieces, { priority: 2, delivery: 'reliable' })
    pair.initiator.session.send(pair.now, [whole.subarray(0, 10), whole.subarray(10, 12)], {
      priority: 2,
      delivery: 'reliable',
    })
    pair.advance(1_000)
    expect(equalBytes(pair.responder.packets[0] as Uint8Array, whole)).toBe(true)
    expect(equalBytes(pair.responder.packets[1] as Uint8Array, whole.subarray(0, 12))).toBe(true)
  })
})

describe('tags and expiry', () => {
  const send = (pair: SessionPair, size: number, options: { tag: number; expiresAt?: number }) =>
    pair.initiator.session.send(pair.now, filled(size), { priority: 2, delivery: 'reliable', ...options })

  test('sent comes when the last chunk left', () => {
    const pair = SessionPair.open()
    send(pair, 100, { tag: 7 })
    expect(pair.initiator.eventsOf('sent')).toEqual([])
    pair.settle()
    expect(pair.initiator.eventsOf('sent')).toEqual([{ type: 'sent', tag: 7 }])
    pair.responder.session.pause()
    send(pair, MIB, { tag: 8 })
    pair.advance(100)
    expect(pair.initiator.eventsOf('sent')).toHaveLength(1)
    pair.responder.session.resume(pair.now)
    pair.advance(1_000)
    expect(pair.initiator.eventsOf('sent')).toHaveLength(2)
  })

  test('a message that expires unsent is dropped on time, wherever it stands in the queue', () => {
    const pair = SessionPair.open()
    pair.initiator.writable = false
    send(pair, 10, { tag: 1 })
    send(pair, 20, { tag: 2, expiresAt: pair.now + 500 })
    send(pair, 30, { tag: 3, expiresAt: pair.now + 5_000 })
    pair.advance(499)
    expect(pair.initiator.eventsOf('dropped')).toEqual([])
    pair.advance(2)
    expect(pair.initiator.eventsOf('dropped')).toEqual([{ type: 'dropped', tag: 2, code: 'EXPIRED' }])
    pair.initiator.writable = true
    pair.advance(1)
    expect(pair.responder.sizes).toEqual([10, 30])
  })

  test('a message that was begun is finished, expired or not', () => {
    const pair = SessionPair.open()
    pair.responder.session.pause()
    send(pair, MIB, { tag: 1, expiresAt: pair.now + 10 })
    pair.advance(1_000)
    pair.responder.session.resume(pair.now)
    pair.advance(1_000)
    expect(pair.responder.sizes).toEqual([MIB])
  })

  test('what is queued when the session ends is named as dropped, before closed', () => {
    const pair = SessionPair.open()
    pair.initiator.writable = false
    send(pair, 10, { tag: 1 })
    pair.initiator.session.abort(pair.now, new Error('enough'))
    pair.settle()
    expect(pair.initiator.events.slice(-2)).toMatchObject([
      { type: 'dropped', tag: 1, code: 'CLOSED' },
      { type: 'closed', reason: { by: 'local', code: 'ABORTED' } },
    ])
  })
})
