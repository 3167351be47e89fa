import { describe, expect, test } from '@jest/globals'
import { AckSchedule } from '../src/ack-schedule.js'
import { appendOutput } from '../src/output-pool.js'
import { SessionPair, filled } from './session-pair.js'

describe('the schedule of acknowledgements', () => {
  test('lets one ride with a message when the last one is 5 ms old', () => {
    const acks = new AckSchedule(25)
    acks.onReceived(100, 64)
    expect(acks.mayRide(100)).toBe(true)
    acks.take(100)
    expect(acks.mayRide(101)).toBe(false)
    acks.onReceived(101, 128)
    expect(acks.mayRide(104)).toBe(false)
    expect(acks.mayRide(105)).toBe(true)
  })

  test('lets none ride with the first answer', () => {
    const acks = new AckSchedule(25)
    acks.onOpen(99)
    acks.onReceived(100, 64)
    expect([acks.mayRide(100), acks.mayRide(104), acks.dueAt]).toEqual([false, true, 125])
  })

  test('waits 25 ms for a few bytes, 5 ms for some, and a millisecond at most for 32 KiB', () => {
    const due = (bytes: number): number => {
      const acks = new AckSchedule(25)
      acks.onReceived(99, 1)
      acks.take(99.5)
      acks.onReceived(100, 1 + bytes)
      return acks.dueAt
    }
    expect(due(4_095)).toBe(125)
    expect(due(4_096)).toBe(105)
    expect(due(32_768)).toBe(100.5)
  })

  test('wakes nobody while small messages go to and fro: acknowledgements go with them', () => {
    const pair = SessionPair.open()
    pair.advance(100)
    const before = pair.initiator.outputs.length + pair.responder.outputs.length
    for (let i = 0; i < 100; i++) {
      pair.send(pair.initiator, filled(64))
      pair.settle()
      pair.send(pair.responder, filled(64))
      pair.settle()
      pair.advance(1)
    }
    expect(pair.initiator.outputs.length + pair.responder.outputs.length - before).toBe(200)
    pair.advance(100)
    expect(pair.initiator.session.stats(pair.now).unconfirmedBytes).toBe(0)
    expect(pair.responder.session.stats(pair.now).unconfirmedBytes).toBe(0)
  })
})

test('output buffers that lie side by side leave as one piece, others do not', () => {
  const out: Uint8Array[] = []
  const other = new Uint8Array(3).fill(9)
  appendOutput(out, 2).fill(1)
  appendOutput(out, 3).fill(2)
  out.push(other)
  appendOutput(out, 1).fill(3)
  expect(out.map((piece) => [...piece])).toEqual([[1, 1, 2, 2, 2], [9, 9, 9], [3]])
  // a new slab begins: nothing to join it to
  appendOutput(out, 16_000)
  for (let i = 0; i < 5; i++) appendOutput(out, 16_000)
  expect(out.reduce((sum, piece) => sum + piece.length, 0)).toBe(5 + 3 + 1 + 6 * 16_000)
  expect(out.length).toBeGreaterThan(3)
})
