import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError, Priority } from '@aiv/transport-api'
import { decodeLinkAck, InboundDelivery, type InboundMessage, type InboundOptions, type LinkAck } from '../src/index.js'
import { ByteBudget } from '../src/byte-budget.js'

const from = { source: 'alice', epoch: '0102030405060708' }

function message(counter: number, overrides: Partial<InboundMessage> = {}): InboundMessage {
  return {
    priority: Priority.Normal,
    counter,
    ordered: true,
    acknowledge: true,
    payload: new Uint8Array(10),
    ...overrides,
  }
}

/** A delivery together with what the application got, in order. */
function receiver(options: Partial<InboundOptions> = {}) {
  const delivery = new InboundDelivery<InboundMessage>(from, options)
  const got: number[] = []
  const drain = (): void => {
    for (let ready = delivery.pollReady(); ready !== undefined; ready = delivery.pollReady()) got.push(ready.counter)
  }
  return {
    delivery,
    got,
    take(now: number, item: InboundMessage) {
      const result = delivery.handle(now, item)
      if (result === 'deliver') got.push(item.counter)
      drain()
      return result
    },
    timeout(now: number) {
      delivery.handleTimeout(now)
      drain()
    },
    skip(now: number, counter: number) {
      delivery.skipTo(now, Priority.Normal, counter)
      drain()
    },
  }
}

function acknowledgements(delivery: InboundDelivery<InboundMessage>): LinkAck[] {
  const out: LinkAck[] = []
  for (let packet = delivery.pollAcknowledgement(); packet !== undefined; packet = delivery.pollAcknowledgement()) {
    const ack = decodeLinkAck(packet)
    if (ack === undefined) throw new Error('no acknowledgement')
    out.push(ack)
  }
  return out
}

function counters(acks: readonly LinkAck[], kind: 'acknowledged' | 'refused', priority = Priority.Normal): number[] {
  const out: number[] = []
  for (const ack of acks) {
    for (const { first, last } of ack[kind][priority]) for (let c = first; c <= last; c++) out.push(c)
  }
  return out
}

describe('InboundDelivery', () => {
  test('delivers what comes in order at once and acknowledges it as one range', () => {
    const { delivery, take, got } = receiver()
    for (let counter = 0; counter < 5; counter++) expect(take(0, message(counter))).toBe('deliver')
    expect(got).toEqual([0, 1, 2, 3, 4])
    expect(delivery.nextTimeout()).toBeUndefined()
    const [ack, ...more] = acknowledgements(delivery)
    expect(ack?.acknowledged).toEqual([[], [], [{ first: 0, last: 4 }], []])
    expect(ack?.epoch).toBe(from.epoch)
    expect(more).toEqual([])
    expect(delivery.hasAcknowledgement).toBe(false)
  })

  test('holds what comes too early until the gap is filled, and acknowledges it only then', () => {
    const { delivery, take, got } = receiver()
    expect(take(0, message(2))).toBe('held')
    expect(take(0, message(1))).toBe('held')
    expect(delivery.pollAcknowledgement()).toBeUndefined()
    expect(delivery.heldMessages).toBe(2)
    expect(take(1, message(0))).toBe('deliver')
    expect(got).toEqual([0, 1, 2])
    expect(counters(acknowledgements(delivery), 'acknowledged')).toEqual([0, 1, 2])
    expect(delivery.heldMessages).toBe(0)
    expect(delivery.heldBytes).toBe(0)
    expect(delivery.nextTimeout()).toBeUndefined()
  })

  test('a duplicate is not delivered but acknowledged again; one of a held message is not', () => {
    const { delivery, take, got } = receiver()
    take(0, message(0))
    acknowledgements(delivery)
    expect(take(0, message(0))).toBe('duplicate')
    expect(counters(acknowledgements(delivery), 'acknowledged')).toEqual([0])
    take(0, message(5))
    expect(take(0, message(5))).toBe('duplicate')
    expect(acknowledgements(delivery)).toEqual([])
    expect(got).toEqual([0])
  })

  test('says nothing about messages that want no acknowledgement', () => {
    const { delivery, take } = receiver()
    take(0, message(0, { acknowledge: false }))
    take(0, message(0, { acknowledge: false }))
    expect(delivery.hasAcknowledgement).toBe(false)
  })

  test('unordered messages wait for nothing, and ordered ones do not wait for them once they came', () => {
    const { take, got } = receiver()
    expect(take(0, message(2, { ordered: false }))).toBe('deliver')
    expect(take(0, message(3))).toBe('held')
    expect(take(0, message(0))).toBe('deliver')
    expect(take(0, message(1))).toBe('deliver')
    expect(got).toEqual([2, 0, 1, 3])
    expect(take(0, message(2, { ordered: false }))).toBe('duplicate')
  })

  test('gives a gap up two seconds after it was noticed, and refuses what was in it ever after', () => {
    const { delivery, take, timeout, got } = receiver()
    take(0, message(0))
    acknowledgements(delivery)
    expect(take(1000, message(3))).toBe('held')
    expect(delivery.nextTimeout()).toBe(3000)
    timeout(2999)
    expect(got).toEqual([0])
    timeout(3000)
    expect(got).toEqual([0, 3])
    expect(delivery.nextTimeout()).toBeUndefined()
    expect(take(3001, message(1))).toBe('late')
    expect(take(3002, message(1))).toBe('late')
    expect(take(3003, message(4))).toBe('deliver')
    const acks = acknowledgements(delivery)
    expect(counters(acks, 'acknowledged')).toEqual([3, 4])
    expect(counters(acks, 'refused')).toEqual([1])
    expect(got).toEqual([0, 3, 4])
  })

  test('an unordered message is delivered even when its place was given up, but once', () => {
    const { take, timeout, got } = receiver()
    take(0, message(1))
    timeout(2000)
    expect(take(2001, message(0, { ordered: false }))).toBe('deliver')
    expect(take(2002, message(0, { ordered: false }))).toBe('duplicate')
    expect(got).toEqual([1, 0])
  })

  test('each gap has its own two seconds, counted from the message that showed it', () => {
    const { delivery, take, timeout, got } = receiver()
    take(0, message(1))
    take(500, message(3))
    timeout(2000)
    expect(got).toEqual([1])
    expect(delivery.nextTimeout()).toBe(2500)
    timeout(2500)
    expect(got).toEqual([1, 3])
  })

  test('one late call of handleTimeout gives up all gaps whose time is over', () => {
    const { take, timeout, got } = receiver()
    take(0, message(1))
    take(500, message(3))
    timeout(10_000)
    expect(got).toEqual([1, 3])
  })

  test('takes nothing further ahead than the window, and forgets nothing for it', () => {
    const { delivery, take, got } = receiver({ windowCounters: 64 })
    expect(take(0, message(64))).toBe('too-far')
    expect(take(0, message(63))).toBe('held')
    expect(acknowledgements(delivery)).toEqual([])
    for (let counter = 0; counter < 63; counter++) take(0, message(counter))
    expect(take(0, message(64))).toBe('deliver')
    expect(got).toEqual(Array.from({ length: 65 }, (_, i) => i))
  })

  test('does not wait for ever for a sender that gave up more than a window while it was cut off', () => {
    const { delivery, take, timeout, got } = receiver({ windowCounters: 64 })
    take(0, message(0))
    expect(take(1000, message(5000))).toBe('too-far')
    expect(take(1100, message(5001))).toBe('too-far')
    expect(delivery.nextTimeout()).toBe(3000)
    timeout(3000)
    expect(take(3100, message(5001))).toBe('held')
    expect(take(3200, message(5000))).toBe('deliver')
    expect(got).toEqual([0, 5000, 5001])
  })

  test('what is older than the window is refused, since nobody can tell whether it was delivered', () => {
    const { delivery, take, got } = receiver({ windowCounters: 64 })
    for (let counter = 0; counter < 100; counter++) take(0, message(counter))
    acknowledgements(delivery)
    expect(take(0, message(3))).toBe('late')
    expect(take(0, message(3, { ordered: false }))).toBe('late')
    expect(counters(acknowledgements(delivery), 'refused')).toEqual([3])
    expect(got).toHaveLength(100)
  })

  test('holds at most as many messages as it may; the one that fills the gap is always taken', () => {
    const { delivery, take, got } = receiver({ maxHeldMessages: 2 })
    expect(take(0, message(1))).toBe('held')
    expect(take(0, message(2))).toBe('held')
    expect(take(0, message(3))).toBe('full')
    expect(take(0, message(9, { priority: Priority.High }))).toBe('full')
    expect(delivery.heldMessages).toBe(2)
    expect(take(0, message(0))).toBe('deliver')
    expect(take(0, message(3))).toBe('deliver')
    expect(got).toEqual([0, 1, 2, 3])
    expect(counters(acknowledgements(delivery), 'acknowledged')).toEqual([0, 1, 2, 3])
  })

  test('holds at most as many bytes as it may', () => {
    const { delivery, take } = receiver({ maxHeldBytes: 100 })
    expect(take(0, message(1, { payload: new Uint8Array(60) }))).toBe('held')
    expect(take(0, message(2, { payload: new Uint8Array(41) }))).toBe('full')
    expect(take(0, message(3, { payload: new Uint8Array(40) }))).toBe('held')
    expect(delivery.heldBytes).toBe(100)
  })

  test('a priority that found no room to hold anything still gives its gap up in time', () => {
    const { delivery, take, timeout } = receiver({ maxHeldMessages: 1 })
    take(0, message(1))
    expect(take(100, message(7, { priority: Priority.Low }))).toBe('full')
    timeout(2000)
    expect(delivery.nextTimeout()).toBe(2100)
    timeout(2100)
    expect(take(2200, message(7, { priority: Priority.Low }))).toBe('deliver')
    expect(take(2300, message(6, { priority: Priority.Low }))).toBe('late')
  })

  test('holds within a budget that several sources share, and gives it back', () => {
    const budget = new ByteBudget(15)
    const one = new InboundDelivery<InboundMessage>(from, {}, { budget })
    const other = new InboundDelivery<InboundMessage>({ ...from, source: 'bob' }, {}, { budget })
    expect(one.handle(0, message(1))).toBe('held')
    expect(other.handle(0, message(1))).toBe('full')
    one.handle(0, message(0))
    one.pollReady()
    expect(budget.used).toBe(0)
    expect(other.handle(0, message(1))).toBe('held')
    other.release()
    expect(budget.used).toBe(0)
  })

  test('a held message does not keep a large received buffer alive', () => {
    const delivery = new InboundDelivery<InboundMessage>(from)
    const received = new Uint8Array(65_536).fill(7)
    delivery.handle(0, message(1, { payload: received.subarray(100, 110) }))
    delivery.handle(0, message(0))
    const payload = delivery.pollReady()?.payload
    expect(payload).toEqual(new Uint8Array(10).fill(7))
    expect(payload?.buffer.byteLength).toBe(10)
  })

  test('priorities have counters of their own, and the most urgent is ready first', () => {
    const delivery = new InboundDelivery<InboundMessage>(from)
    delivery.handle(0, message(1, { priority: Priority.Low }))
    delivery.handle(0, message(1, { priority: Priority.Emergency }))
    delivery.handleTimeout(2000)
    expect(delivery.pollReady()?.priority).toBe(Priority.Emergency)
    expect(delivery.pollReady()?.priority).toBe(Priority.Low)
    expect(delivery.pollReady()).toBeUndefined()
  })

  test('what comes in order stays behind what was released and not yet taken', () => {
    const delivery = new InboundDelivery<InboundMessage>(from)
    delivery.handle(0, message(1))
    delivery.handleTimeout(2000)
    expect(delivery.handle(2001, message(2))).toBe('held')
    expect(delivery.handle(2001, message(1))).toBe('duplicate')
    expect(delivery.pollReady()?.counter).toBe(1)
    expect(delivery.pollReady()?.counter).toBe(2)
    expect(delivery.pollReady()).toBeUndefined()
    expect(delivery.nextTimeout()).toBeUndefined()
  })

  test('skipTo gives up at once what the sender will never send, and releases what was held for it', () => {
    const { delivery, take, skip, got } = receiver()
    take(0, message(3))
    take(0, message(7))
    skip(0, 5)
    expect(got).toEqual([3])
    expect(take(0, message(5))).toBe('deliver')
    skip(0, 2)
    expect(take(0, message(6))).toBe('deliver')
    expect(got).toEqual([3, 5, 6, 7])
    expect(take(0, message(4))).toBe('late')
    expect(delivery.nextTimeout()).toBeUndefined()
    skip(0, 1_000_000)
    expect(take(0, message(1_000_000))).toBe('deliver')
  })

  test('acknowledges at most 256 ranges in one packet and the rest in the next', () => {
    const { delivery, take } = receiver()
    for (let counter = 0; counter < 1200; counter += 2) take(0, message(counter, { ordered: false }))
    const acks = acknowledgements(delivery)
    expect(acks.map((ack) => ack.acknowledged[Priority.Normal].length)).toEqual([256, 256, 88])
    expect(counters(acks, 'acknowledged')).toHaveLength(600)
  })

  test('ranges beyond the bound are not acknowledged, so that the sender asks again', () => {
    const { delivery, take } = receiver({ maxPendingRanges: 3 })
    for (const counter of [0, 2, 4, 6]) expect(take(0, message(counter, { ordered: false }))).toBe('deliver')
    expect(counters(acknowledgements(delivery), 'acknowledged')).toEqual([0, 2, 4])
    expect(take(0, message(6, { ordered: false }))).toBe('duplicate')
    expect(counters(acknowledgements(delivery), 'acknowledged')).toEqual([6])
  })

  test('refuses an epoch that is none and options that cannot be', () => {
    expect(() => new InboundDelivery({ source: 'a', epoch: 'xyz' })).toThrow(ArgumentError)
    for (const options of [
      { gapTimeoutMs: 0 },
      { windowCounters: 100 },
      { maxHeldMessages: 0 },
      { maxHeldBytes: -1 },
    ]) {
      expect(() => new InboundDelivery(from, options)).toThrow(ArgumentError)
    }
  })
})

const arrival = fc.record({
  counter: fc.nat({ max: 40 }),
  ordered: fc.boolean(),
  waitMs: fc.constantFrom(0, 0, 0, 1, 50, 700, 2100),
})

describe('InboundDelivery under arbitrary loss, duplication, reordering and repeats', () => {
  test('while no gap is given up it does exactly what a list of all messages would do', () => {
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 120 }), (arrivals) => {
        const { take, got } = receiver({ gapTimeoutMs: 1e9 })
        // the model: a set of what was delivered, a set of what came, no window and no memory to save
        const came = new Set<number>()
        const delivered: number[] = []
        const sentOrdered = new Map<number, boolean>()
        for (const { counter, ordered } of arrivals) {
          const isOrdered = sentOrdered.get(counter) ?? ordered
          sentOrdered.set(counter, isOrdered)
          const before = delivered.length
          const known = came.has(counter)
          came.add(counter)
          if (!known && !isOrdered) delivered.push(counter)
          for (let next = 0; came.has(next); next++) if (!delivered.includes(next)) delivered.push(next)
          const result = take(0, message(counter, { ordered: isOrdered }))
          expect(result).toBe(known ? 'duplicate' : delivered.length > before ? 'deliver' : 'held')
          expect(got).toEqual(delivered)
        }
      }),
    )
  })

  test('every message is delivered at most once, ordered ones in order, and acknowledged only when delivered', () => {
    const options = fc.record({
      windowCounters: fc.constantFrom(32, 4096),
      maxHeldMessages: fc.constantFrom(1, 3, 256),
      maxPendingRanges: fc.constantFrom(1, 1024),
    })
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 150 }), options, (arrivals, chosen) => {
        const { delivery, take, timeout, got } = receiver(chosen)
        const orderedOnes = new Map<number, boolean>()
        const acknowledged = new Set<number>()
        const refused = new Set<number>()
        let now = 0
        let base = 0
        for (const { counter, ordered, waitMs } of arrivals) {
          now += waitMs
          // as every sender does: no more than a window above the lowest one that has no answer
          while (acknowledged.has(base) || refused.has(base)) base++
          if (counter >= base + chosen.windowCounters) continue
          const due = delivery.nextTimeout()
          if (due !== undefined && due <= now) timeout(now)
          const isOrdered = orderedOnes.get(counter) ?? ordered
          orderedOnes.set(counter, isOrdered)
          const before = got.length
          const result = take(now, message(counter, { ordered: isOrdered }))
          if (result !== 'deliver' && result !== 'held') expect(got).toHaveLength(before)
          expect(delivery.heldMessages).toBeLessThanOrEqual(chosen.maxHeldMessages)
          const acks = acknowledgements(delivery)
          for (const c of counters(acks, 'acknowledged')) acknowledged.add(c)
          for (const c of counters(acks, 'refused')) if (!acknowledged.has(c)) refused.add(c)
          for (const c of acknowledged) expect(got).toContain(c)
        }
        for (let i = 0; i < 50 && delivery.nextTimeout() !== undefined; i++)
          timeout((now = delivery.nextTimeout() ?? now))
        expect(delivery.nextTimeout()).toBeUndefined()
        expect(delivery.heldMessages).toBe(0)
        expect(new Set(got).size).toBe(got.length)
        const inOrder = got.filter((counter) => orderedOnes.get(counter))
        expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b))
        for (const c of refused) expect(got).not.toContain(c)
      }),
      { numRuns: 400 },
    )
  })

  test('with a sender that repeats, everything ends either delivered and acknowledged, or refused', () => {
    const plan = fc.record({
      total: fc.integer({ min: 1, max: 60 }),
      // for each packet in its turn: lost, doubled, or so many milliseconds under way
      fates: fc.array(
        fc.record({ lost: fc.boolean(), doubled: fc.boolean(), delayMs: fc.integer({ min: 1, max: 400 }) }),
        { minLength: 1, maxLength: 200 },
      ),
      gapTimeoutMs: fc.constantFrom(100, 2000, 1e9),
    })
    fc.assert(
      fc.property(plan, ({ total, fates, gapTimeoutMs }) => {
        const { delivery, take, timeout, got } = receiver({ gapTimeoutMs, maxHeldMessages: 8 })
        const open = new Set(Array.from({ length: total }, (_, i) => i))
        const refused = new Set<number>()
        let underWay: { readonly at: number; readonly counter: number }[] = []
        let turn = 0
        for (let now = 0; now < 60_000 && open.size > 0; now += 10) {
          if (now % 200 === 0) {
            for (const counter of open) {
              const fate = fates[turn++ % fates.length]
              // after the plan has been played once the network only delays, so that it can come to an end
              const kind = turn > fates.length ? { lost: false, doubled: false } : fate
              if (kind?.lost) continue
              underWay.push({ at: now + (fate?.delayMs ?? 1), counter })
              if (kind?.doubled) underWay.push({ at: now + 450, counter })
            }
          }
          const arriving = underWay.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)
          underWay = underWay.filter(({ at }) => at > now)
          const due = delivery.nextTimeout()
          if (due !== undefined && due <= now) timeout(now)
          for (const { counter } of arriving) take(now, message(counter))
          const acks = acknowledgements(delivery)
          for (const counter of counters(acks, 'acknowledged')) open.delete(counter)
          for (const counter of counters(acks, 'refused')) if (open.delete(counter)) refused.add(counter)
        }
        expect(open.size).toBe(0)
        expect(got).toEqual([...got].sort((a, b) => a - b))
        expect(new Set(got).size).toBe(got.length)
        expect(got.length + refused.size).toBe(total)
        if (gapTimeoutMs === 1e9) expect(refused.size).toBe(0)
      }),
    )
  })
})
