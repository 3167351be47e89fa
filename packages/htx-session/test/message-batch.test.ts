import { describe, expect, test } from '@jest/globals'
import {
  BATCHED_MESSAGE_BYTES,
  KEY_BYTES,
  LAST_BATCHED_NUMBER,
  MessageBatch,
  SLAB_BYTES,
} from '../src/message-batch.js'
import { MIN_FRAME_BYTES } from '../src/delivery-rate.js'
import { SendQueues } from '../src/send-queues.js'
import { SessionPair, filled } from './session-pair.js'

describe('small messages that wait together', () => {
  test('are laid out until the slab is full', () => {
    const queues = new SendQueues(2 ** 20, { onSent: () => undefined, onDropped: () => undefined })
    const most = Math.floor(SLAB_BYTES / (1_000 + KEY_BYTES + 2))
    // the first one is alone when it comes, and stays so
    for (let i = 0; i < 1 + most + 1; i++) queues.push(filled(1_000), 1_000, 2, undefined, Infinity)
    queues.finished(1_000, 2)
    const batch = queues.peek(0, 2) as MessageBatch
    expect(batch.messages).toBe(most)
    expect(batch.messageBytes).toBe(most * 1_000)
    expect(batch.number).toBe(2)
    queues.movedFromBatch(Object.assign(batch, { messages: 0 }), most, most * 1_000, 2)
    expect(queues.peek(0, 2)).toMatchObject({ messages: 1, number: 2 + most })
  })

  test('fit the smallest frame, each of them', () => {
    expect(BATCHED_MESSAGE_BYTES + KEY_BYTES + 2).toBeLessThanOrEqual(MIN_FRAME_BYTES - 24 - 16)
  })

  test('have numbers that fit their four bytes, whatever is queued when batching ends', () => {
    const mostQueued = (4 * 256 * 1024 * 1024) / 64
    expect((LAST_BATCHED_NUMBER + mostQueued) * 2 + 1).toBeLessThan(2 ** 30)
    const queues = new SendQueues(2 ** 20, { onSent: () => undefined, onDropped: () => undefined })
    queues.endBatching()
    for (let i = 0; i < 3; i++) queues.push(filled(10), 10, 2, undefined, Infinity)
    expect(queues.peek(0, 2)).not.toBeInstanceOf(MessageBatch)
    queues.finished(10, 2)
    expect(queues.peek(0, 2)).not.toBeInstanceOf(MessageBatch)
  })

  test('keep their order among large, tagged and expiring ones, and arrive as they were when they were sent', () => {
    const pair = SessionPair.open()
    const reused = new Uint8Array(10)
    for (let i = 0; i < 100; i++) {
      const options = { priority: 2, delivery: 'reliable' } as const
      if (i % 10 === 3) pair.initiator.session.send(0, filled(3_000, i), options)
      else if (i % 10 === 5) pair.initiator.session.send(0, filled(20, i), { ...options, tag: i })
      else if (i % 10 === 7) pair.initiator.session.send(0, filled(30, i), { ...options, expiresAt: 9 })
      else if (i % 10 === 0) pair.initiator.session.send(0, [Uint8Array.of(i)], options)
      else {
        reused.fill(i)
        pair.initiator.session.send(0, i % 10 === 1 ? reused.slice() : reused, options)
      }
    }
    pair.advance(50)
    const sizes = [1, 10, 10, 3_000, 10, 20, 10, 30, 10, 10]
    expect(pair.responder.sizes).toEqual(Array.from({ length: 100 }, (_, i) => sizes[i % 10]))
    pair.responder.packets.forEach((packet, i) => {
      if (packet.length === 10 && i % 10 === 9) expect([...packet]).toEqual(new Array(10).fill(i))
    })
    expect(pair.initiator.eventsOf('sent').map(({ tag }) => tag)).toEqual([5, 15, 25, 35, 45, 55, 65, 75, 85, 95])
  })

  test('that are tagged, expire or come in pieces wait together as well, and each is told of', () => {
    const pair = SessionPair.open()
    const { session } = pair.initiator
    pair.initiator.writable = false
    for (let i = 0; i < 300; i++) {
      const packet = i % 3 === 0 ? [Uint8Array.of(i), filled(i % 50, i)] : filled((i % 50) + 1, i)
      const options = { priority: 2, delivery: 'reliable', ...(i % 5 === 0 ? {} : { tag: i }) } as const
      session.send(pair.now, packet, i % 7 === 0 ? { ...options, expiresAt: pair.now + 100 } : options)
    }
    pair.advance(200)
    const expired = Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 7 === 0)
    const told = (type: 'sent' | 'dropped') => pair.initiator.eventsOf(type).map(({ tag }) => tag)
    expect(told('dropped')).toEqual(expired.filter((i) => i % 5 !== 0))
    expect(session.stats(pair.now).queuedBytes[2]).toBeGreaterThan(0)
    pair.initiator.writable = true
    pair.advance(200)
    const kept = Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 7 !== 0)
    expect(pair.responder.sizes).toEqual(kept.map((i) => (i % 50) + 1))
    expect(told('sent')).toEqual(kept.filter((i) => i % 5 !== 0))
    expect(session.stats(pair.now).queuedBytes).toEqual([0, 0, 0, 0])
  })

  test('are told of as dropped when the session ends first', () => {
    const pair = SessionPair.open()
    pair.initiator.writable = false
    for (let tag = 0; tag < 10; tag++)
      pair.initiator.session.send(0, filled(20), { priority: 1, delivery: 'reliable', tag })
    pair.initiator.session.abort(0, new Error('enough'))
    pair.advance(1)
    expect(pair.initiator.eventsOf('dropped').map(({ tag, code }) => `${tag} ${code}`)).toEqual(
      Array.from({ length: 10 }, (_, tag) => `${tag} CLOSED`),
    )
  })

  test('go out under the numbers that more urgent ones leave them', () => {
    const pair = SessionPair.open()
    pair.initiator.writable = false
    for (let i = 0; i < 50; i++) pair.send(pair.initiator, filled(20, i))
    for (let i = 0; i < 50; i++) pair.initiator.session.send(0, filled(30, i), { priority: 0, delivery: 'reliable' })
    for (let i = 0; i < 50; i++) pair.send(pair.initiator, filled(20, 50 + i))
    pair.initiator.writable = true
    pair.advance(50)
    expect(pair.responder.sizes).toEqual([...new Array<number>(50).fill(30), ...new Array<number>(100).fill(20)])
    expect(pair.responder.packets.slice(50).map((packet) => packet[0])).toEqual(
      Array.from({ length: 100 }, (_, i) => filled(1, i)[0]),
    )
  })

  test('are counted as queued until they are sent, and dropped with the session', () => {
    const pair = SessionPair.open()
    pair.initiator.writable = false
    for (let i = 0; i < 100; i++) pair.send(pair.initiator, filled(50))
    expect(pair.initiator.session.stats(0).queuedBytes).toEqual([0, 0, 100 * 114, 0])
    pair.initiator.session.abort(0, new Error('enough'))
    expect(pair.initiator.session.stats(0).queuedBytes).toEqual([0, 0, 0, 0])
  })
})
