import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Priority, priorities } from '@aiv/transport-api'
import { OutboundDelivery, type OutboundMessage } from '../src/outbound-delivery.js'

interface Message extends OutboundMessage {
  readonly name: number
}

function message(name: number, options: { priority?: Priority; bytes?: number; deadlineAt?: number } = {}): Message {
  const { priority = Priority.Normal, bytes = 10, deadlineAt = 30_000 } = options
  return { name, priority, bytes, deadlineAt, counter: -1, link: -1, dueAt: Infinity, timeouts: 0 }
}

function setup(options = {}) {
  const told: string[] = []
  const delivery = new OutboundDelivery<Message>(
    {
      onDelivered: (m) => told.push(`delivered ${m.name}`),
      onFailed: (m, code) => told.push(`${code} ${m.name}`),
    },
    () => 0,
    options,
  )
  return { delivery, told }
}

describe('outbound delivery', () => {
  test('counts per priority from 0 and forgets what is acknowledged', () => {
    const { delivery, told } = setup()
    const [a, b, urgent] = [message(1), message(2), message(3, { priority: Priority.Emergency })]
    for (const m of [a, b, urgent]) delivery.add(m, 7)
    expect([a.counter, b.counter, urgent.counter]).toEqual([0, 1, 0])
    delivery.acknowledge(Priority.Normal, 0, 2)
    delivery.acknowledge(Priority.Normal, 0, 2)
    expect(told).toEqual(['delivered 1', 'delivered 2'])
    expect(delivery.size).toBe(1)
    expect(delivery.bytes).toBe(10)
  })

  test('repeats in the order of the counters what a failed connection had not confirmed, and nothing else', () => {
    const { delivery } = setup()
    const all = [0, 1, 2, 3].map((name) => message(name))
    for (const m of all) delivery.add(m, m.name === 2 ? 9 : 7)
    delivery.acknowledge(Priority.Normal, 1, 1)
    delivery.linkFailed(7)
    expect(delivery.hasRoom(Priority.Normal, 1)).toBe(false)
    const repeated: number[] = []
    for (let m; (m = delivery.nextRepeat(Priority.Normal)) !== undefined;) {
      repeated.push(m.name)
      delivery.repeated(m, 9)
    }
    expect(repeated).toEqual([0, 3])
    expect(delivery.hasRoom(Priority.Normal, 1)).toBe(true)
  })

  test('waits for the expected time and a doubling back-off, then gives up after the allowed tries', () => {
    const { delivery, told } = setup({ tries: 3 })
    const m = message(1, { deadlineAt: 1e9 })
    delivery.add(m, 1)
    expect(delivery.nextTimeout()).toBe(1e9)
    const repeats: number[] = []
    let now = 0
    delivery.sent(now, m.priority, m.counter, 50)
    for (let at; told.length === 0 && (at = delivery.nextTimeout()) !== undefined;) {
      now = at
      delivery.handleTimeout(now)
      if (delivery.nextRepeat(m.priority) === undefined) continue
      repeats.push(now)
      delivery.repeated(m, 1)
      delivery.sent(now, m.priority, m.counter, 50)
    }
    expect(repeats).toEqual([250, 250 + 450])
    expect(now).toBe(250 + 450 + 850)
    expect(told).toEqual(['DELIVERY_TRIES 1'])
    expect(delivery.nextTimeout()).toBeUndefined()
  })

  test('gives a message up at its deadline even while it waits in a queue', () => {
    const { delivery, told } = setup()
    delivery.add(message(1, { deadlineAt: 500 }), 1)
    delivery.handleTimeout(499)
    expect(told).toEqual([])
    delivery.handleTimeout(500)
    expect(told).toEqual(['DELIVERY_TIMEOUT 1'])
  })

  test('has room for so many messages and bytes, and always for one', () => {
    const { delivery } = setup({ maxMessages: 2, maxBytes: 100 })
    expect(delivery.hasRoom(Priority.Normal, 1_000)).toBe(true)
    delivery.add(message(1, { bytes: 60 }), 1)
    expect(delivery.hasRoom(Priority.Low, 41)).toBe(false)
    expect(delivery.hasRoom(Priority.Normal, 40)).toBe(true)
    delivery.add(message(2, { bytes: 10 }), 1)
    expect(delivery.hasRoom(Priority.Normal, 1)).toBe(false)
    expect(delivery.hasRoom(Priority.High, 1)).toBe(true)
  })

  test('a refused message fails once; a dropped one is repeated', () => {
    const { delivery, told } = setup()
    const [a, b] = [message(1), message(2)]
    delivery.add(a, 1)
    delivery.add(b, 1)
    delivery.refuse(Priority.Normal, 0)
    delivery.refuse(Priority.Normal, 0)
    delivery.dropped(Priority.Normal, 1)
    expect(told).toEqual(['DELIVERY_ORDER 1'])
    expect(delivery.nextRepeat(Priority.Normal)?.name).toBe(2)
  })

  test('ranges that nobody can have sent cost nothing', () => {
    const { delivery, told } = setup()
    delivery.add(message(1), 1)
    delivery.refuse(Priority.Normal, 0, Number.MAX_SAFE_INTEGER)
    delivery.acknowledge(Priority.Normal, 0, Number.MAX_SAFE_INTEGER)
    delivery.refuse(Priority.Low, 0, Number.MAX_SAFE_INTEGER)
    expect(told).toEqual(['DELIVERY_ORDER 1'])
  })

  test('repeats a bounded number at once after a time-out', () => {
    const { delivery } = setup({ maxRepeatsAtOnce: 3 })
    for (let i = 0; i < 10; i++) {
      const m = message(i)
      delivery.add(m, 1)
      delivery.sent(0, m.priority, m.counter, 0)
    }
    delivery.handleTimeout(1_000)
    let repeats = 0
    for (let m; (m = delivery.nextRepeat(Priority.Normal)) !== undefined; repeats++) delivery.repeated(m, 1)
    expect(repeats).toBe(3)
  })

  test('whatever happens, each message ends exactly once and the counts add up', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), priority: fc.constantFrom(...priorities), link: fc.nat(2) }),
      fc.record({
        do: fc.constant('ack' as const),
        priority: fc.constantFrom(...priorities),
        first: fc.nat(20),
        count: fc.nat(5),
      }),
      fc.record({ do: fc.constant('fail' as const), link: fc.nat(2) }),
      fc.record({ do: fc.constant('repeat' as const), priority: fc.constantFrom(...priorities), link: fc.nat(2) }),
      fc.record({ do: fc.constant('time' as const), ms: fc.nat(2_000) }),
      fc.record({ do: fc.constant('sent' as const), priority: fc.constantFrom(...priorities), counter: fc.nat(20) }),
      fc.record({ do: fc.constant('refuse' as const), priority: fc.constantFrom(...priorities), counter: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { delivery, told } = setup({ maxMessages: 8, maxBytes: 200 })
        let now = 0
        let added = 0
        for (const s of steps) {
          if (s.do === 'add') {
            if (!delivery.hasRoom(s.priority, 10)) continue
            delivery.add(message(added++, { priority: s.priority, deadlineAt: now + 5_000 }), s.link)
          } else if (s.do === 'ack') delivery.acknowledge(s.priority, s.first, s.count)
          else if (s.do === 'fail') delivery.linkFailed(s.link)
          else if (s.do === 'sent') delivery.sent(now, s.priority, s.counter, 20)
          else if (s.do === 'refuse') delivery.refuse(s.priority, s.counter)
          else if (s.do === 'repeat') {
            const m = delivery.nextRepeat(s.priority)
            if (m !== undefined) delivery.repeated(m, s.link)
          } else delivery.handleTimeout((now += s.ms))
          expect(delivery.size).toBe(added - told.length)
          expect(delivery.bytes).toBe(delivery.size * 10)
        }
        delivery.handleTimeout(now + 10_000)
        expect(delivery.size).toBe(0)
        expect(new Set(told.map((line) => line.split(' ')[1])).size).toBe(added)
        expect(told).toHaveLength(added)
      }),
    )
  })
})
