import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError, priorities, Priority } from '@aiv/transport-api'
import { defaultQueueOptions, PriorityQueues, type QueueOptions } from '../src/index.js'

const { Emergency, High, Normal, Low } = Priority

function queues(options: Partial<QueueOptions> = {}) {
  const all = new PriorityQueues<string>(options)
  return {
    all,
    push: (item: string, peer: string, priority: Priority, bytes = 1, evict = false) =>
      all.push({ peer, priority, bytes, item }, { evict }),
    drain: (): string[] => {
      const out: string[] = []
      for (let item = all.shift(); item !== undefined; item = all.shift()) out.push(item)
      return out
    },
  }
}

describe('PriorityQueues', () => {
  test('the more urgent comes first, equals in the order in which they came', () => {
    const { push, drain } = queues()
    push('low', 'a', Low)
    push('normal 1', 'a', Normal)
    push('high', 'a', High)
    push('normal 2', 'a', Normal)
    push('emergency', 'a', Emergency)
    expect(drain()).toEqual(['emergency', 'high', 'normal 1', 'normal 2', 'low'])
  })

  test('peers of one priority take turns, and a newcomer waits no longer than one round', () => {
    const { all, push, drain } = queues()
    for (const item of ['a1', 'a2', 'a3']) push(item, 'a', Normal)
    push('b1', 'b', Normal)
    expect(all.shift()).toBe('a1')
    push('c1', 'c', Normal)
    expect(drain()).toEqual(['b1', 'a2', 'c1', 'a3'])
  })

  test('a peer that is not ready is passed over, also by less urgent items of others', () => {
    const { all, push } = queues()
    push('a', 'a', Emergency)
    push('b', 'b', Low)
    const ready = (peer: string): boolean => peer !== 'a'
    expect(all.peek(ready)).toBe('b')
    expect(all.shift(ready)).toBe('b')
    expect(all.shift(ready)).toBeUndefined()
    expect(all.shift()).toBe('a')
  })

  test('items of one peer can be taken alone, of one priority or the most urgent', () => {
    const { all, push } = queues()
    push('a low', 'a', Low)
    push('a high', 'a', High)
    push('b', 'b', Emergency)
    expect(all.peekFor('a')).toBe('a high')
    expect(all.peekFor('a', Low)).toBe('a low')
    expect(all.peekFor('nobody')).toBeUndefined()
    expect(all.shiftFor('a', Low)).toBe('a low')
    expect(all.shiftFor('a', Low)).toBeUndefined()
    expect(all.shiftFor('a')).toBe('a high')
    expect(all.shiftFor('a')).toBeUndefined()
    expect(all.shiftFor('nobody')).toBeUndefined()
    expect(all.size).toBe(1)
  })

  test('an item is removed from wherever it stands, and a whole peer at once', () => {
    const { all, push, drain } = queues()
    for (const item of ['1', '2', '3', '4']) push(item, 'a', Normal)
    push('x', 'b', Normal)
    push('5', 'a', Emergency)
    expect([all.remove('2'), all.remove('4'), all.remove('1'), all.remove('1')]).toEqual([true, true, true, false])
    expect(all.itemsFor('a')).toEqual(['5', '3'])
    expect(all.itemsFor('a')).toEqual(['5', '3'])
    expect(all.itemsFor('nobody')).toEqual([])
    expect(all.removePeer('a')).toEqual(['5', '3'])
    expect(all.itemsFor('a')).toEqual([])
    expect(drain()).toEqual(['x'])
  })

  test('counts items and bytes, of all and of each', () => {
    const { all, push } = queues()
    push('1', 'a', Normal, 10)
    push('2', 'a', High, 20)
    push('3', 'b', Normal, 30)
    expect([all.size, all.bytes, all.counts]).toEqual([3, 60, [0, 1, 2, 0]])
    expect([all.countFor('a'), all.countFor('a', Normal), all.countFor('c')]).toEqual([2, 1, 0])
    all.shift()
    expect([all.size, all.bytes, all.counts]).toEqual([2, 40, [0, 0, 2, 0]])
  })

  test('has 10, 50, 200 and 500 places, half of them for one peer', () => {
    for (const priority of priorities) {
      const places = defaultQueueOptions.places[priority]
      const { all } = queues()
      const numbered = new PriorityQueues<number>()
      const push = (peer: string, item: number) => numbered.push({ peer, priority, bytes: 1, item }).result
      for (let i = 0; i < places / 2; i++) expect(push('a', i)).toBe('accepted')
      expect(push('a', -1)).toBe('full')
      for (let i = 0; i < places / 2; i++) expect(push('b', 1000 + i)).toBe('accepted')
      expect(push('c', -1)).toBe('full')
      expect(numbered.hasRoom('c', priority, 0)).toBe(false)
      numbered.shiftFor('a')
      expect(push('c', -1)).toBe('accepted')
      expect(all.size).toBe(0)
    }
  })

  test('a peer always has one place and may queue one item of any size', () => {
    const { push } = queues({ places: [1, 1, 1, 1], maxBytes: 100, peerShare: 0.1 })
    expect(push('big', 'a', Normal, 100).result).toBe('accepted')
    expect(push('empty', 'a', High, 0).result).toBe('full')
  })

  test('a slow peer leaves half of the bytes to others', () => {
    const { push } = queues({ maxBytes: 100 })
    expect(push('1', 'a', Normal, 30).result).toBe('accepted')
    expect(push('2', 'a', Normal, 20).result).toBe('accepted')
    expect(push('3', 'a', Normal, 1).result).toBe('full')
    expect(push('4', 'b', Normal, 50).result).toBe('accepted')
    expect(push('5', 'c', Normal, 1).result).toBe('full')
  })

  test('only an emergency that asks for it drives anything out', () => {
    const { push } = queues({ places: [1, 1, 1, 1] })
    push('low', 'a', Low)
    expect(push('another low', 'b', Low, 1, true)).toEqual({ result: 'full' })
    push('emergency', 'a', Emergency)
    expect(push('emergency 2', 'b', Emergency)).toEqual({ result: 'full' })
    expect(push('emergency 2', 'b', Emergency, 1, true)).toEqual({ result: 'accepted', evicted: ['low'] })
  })

  test('an emergency drives out the newest item of the lowest priority there is', () => {
    const { all, push } = queues({ places: [1, 4, 4, 4], peerShare: 1 })
    push('first', 'a', Emergency)
    push('low 1', 'a', Low)
    push('low 2', 'b', Low)
    push('low 3', 'a', Low)
    push('normal', 'a', Normal)
    expect(push('e1', 'b', Emergency, 1, true).evicted).toEqual(['low 3'])
    expect(push('e2', 'b', Emergency, 1, true).evicted).toEqual(['low 2'])
    expect(push('e3', 'b', Emergency, 1, true).evicted).toEqual(['low 1'])
    expect(push('e4', 'b', Emergency, 1, true).evicted).toEqual(['normal'])
    expect(push('e5', 'b', Emergency, 1, true)).toEqual({ result: 'full' })
    expect(all.counts).toEqual([5, 0, 0, 0])
  })

  test('the place that an emergency took over comes back when it leaves', () => {
    const { all, push } = queues({ places: [1, 1, 1, 1] })
    push('e', 'a', Emergency)
    push('low', 'a', Low)
    push('e2', 'b', Emergency, 1, true)
    expect(push('low 2', 'c', Low).result).toBe('full')
    all.remove('e2')
    expect(push('low 2', 'c', Low).result).toBe('accepted')
  })

  test('a peer that has used up its share drives out its own items only', () => {
    const { push } = queues({ places: [4, 4, 4, 4] })
    push('other low', 'b', Low)
    push('own low 1', 'a', Low)
    push('own low 2', 'a', Low)
    push('other low 2', 'b', Low)
    push('e1', 'a', Emergency)
    push('e2', 'a', Emergency)
    expect(push('e3', 'a', Emergency, 1, true).evicted).toEqual(['own low 2'])
    expect(push('e4', 'a', Emergency, 1, true).evicted).toEqual(['own low 1'])
    expect(push('e5', 'a', Emergency, 1, true)).toEqual({ result: 'full' })
  })

  test('an emergency that needs bytes drives out as many as it must', () => {
    const { all, push } = queues({ maxBytes: 100, peerShare: 1 })
    push('normal', 'a', Normal, 50)
    push('low 1', 'a', Low, 20)
    push('low 2', 'b', Low, 20)
    expect(push('e', 'c', Emergency, 45, true).evicted).toEqual(['low 2', 'low 1'])
    expect(all.bytes).toBe(95)
  })

  test("an emergency over its peer's share of the bytes drives out items of that peer only", () => {
    const { push } = queues({ maxBytes: 100 })
    push('own normal', 'a', Normal, 20)
    push('own low', 'a', Low, 20)
    push('other low', 'b', Low, 10)
    expect(push('e1', 'a', Emergency, 25, true).evicted).toEqual(['own low'])
    expect(push('e2', 'a', Emergency, 25, true).evicted).toEqual(['own normal'])
    expect(push('e3', 'a', Emergency, 1, true)).toEqual({ result: 'full' })
  })

  test('an emergency drives nobody out when it would not fit even so', () => {
    const { all, push } = queues({ maxBytes: 100, peerShare: 1 })
    push('e', 'a', Emergency, 60)
    push('low', 'b', Low, 30)
    expect(push('e2', 'c', Emergency, 41, true)).toEqual({ result: 'full' })
    expect(all.size).toBe(2)
  })

  test('the caller hears of what cannot be at once', () => {
    const { push } = queues({ maxBytes: 100 })
    push('1', 'a', Normal)
    expect(() => push('1', 'a', Normal)).toThrow(ArgumentError)
    expect(() => push('2', 'a', Normal, 101)).toThrow(ArgumentError)
    expect(() => push('2', 'a', Normal, -1)).toThrow(ArgumentError)
    expect(() => push('2', 'a', Normal, NaN)).toThrow(ArgumentError)
    for (const options of [
      { places: [0, 1, 1, 1] },
      { places: [1, 1, 1, 0.5] },
      { places: [1, 1, 1] },
      { peerShare: 0 },
      { peerShare: 1.1 },
      { maxBytes: 0 },
    ]) {
      expect(() => new PriorityQueues(options as unknown as Partial<QueueOptions>)).toThrow(ArgumentError)
    }
  })

  test('the peers of the past leave nothing behind', () => {
    const { all, push } = queues()
    for (let i = 0; i < 10_000; i++) {
      push(`${i}`, `peer ${i}`, Normal)
      if (i % 3 === 0) all.remove(`${i}`)
      else all.shift()
    }
    expect([all.size, all.bytes, all.counts]).toEqual([0, 0, [0, 0, 0, 0]])
    expect(all.push({ peer: 'peer 1', priority: Normal, bytes: 1, item: 'again' }).result).toBe('accepted')
    expect(all.shift()).toBe('again')
  })
})

interface ModelItem {
  readonly id: number
  readonly peer: string
  readonly priority: Priority
  readonly bytes: number
}

const peerNames = ['a', 'b', 'c']
const push = fc.record({
  type: fc.constant('push' as const),
  peer: fc.constantFrom(...peerNames),
  priority: fc.constantFrom<Priority>(0, 1, 2, 3),
  bytes: fc.nat({ max: 30 }),
  evict: fc.boolean(),
})
const shift = fc.record({ type: fc.constant('shift' as const), busy: fc.constantFrom(undefined, ...peerNames) })
const shiftFor = fc.record({
  type: fc.constant('shiftFor' as const),
  peer: fc.constantFrom(...peerNames),
  priority: fc.constantFrom<Priority | undefined>(undefined, 0, 1, 2, 3),
})
const remove = fc.record({ type: fc.constant('remove' as const), pick: fc.nat() })
const actions = fc.array(fc.oneof({ weight: 4, arbitrary: push }, shift, shiftFor, remove), { maxLength: 200 })

describe('PriorityQueues under any sequence of calls', () => {
  test('lose and double nothing, pass no limit, and keep the order of each peer', () => {
    const options = fc.record({
      places: fc.tuple(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 8 }),
      ),
      peerShare: fc.constantFrom(0.3, 0.5, 1),
      maxBytes: fc.constantFrom(40, 120, 1000),
    })
    fc.assert(
      fc.property(actions, options, (sequence, chosen) => {
        const all = new PriorityQueues<ModelItem>(chosen)
        // the model: one list in the order of arrival
        let list: ModelItem[] = []
        let id = 0
        const drop = (item: ModelItem | undefined): void => {
          if (item !== undefined) expect(list).toContain(item)
          list = list.filter((one) => one !== item)
        }
        const firstOf = (item: ModelItem): ModelItem | undefined =>
          list.find(({ peer, priority }) => peer === item.peer && priority === item.priority)
        const total = chosen.places.reduce((sum, count) => sum + count, 0)
        for (const action of sequence) {
          if (action.type === 'push') {
            const { peer, priority, bytes, evict } = action
            const item = { id: id++, peer, priority, bytes }
            const room = all.hasRoom(peer, priority, bytes)
            const { result, evicted } = { evicted: undefined, ...all.push({ ...item, item }, { evict }) }
            if (room) expect({ result, evicted }).toEqual({ result: 'accepted', evicted: undefined })
            if (!room && !(evict && priority === Emergency)) expect(result).toBe('full')
            for (const victim of evicted ?? []) {
              // the newest of its peer and priority, and never an emergency
              expect(victim.priority).not.toBe(Emergency)
              expect(list.filter((one) => one.peer === victim.peer && one.priority === victim.priority).at(-1)).toBe(
                victim,
              )
              drop(victim)
            }
            if (result === 'accepted') list.push(item)
          } else if (action.type === 'shift') {
            const open = list.filter(({ peer }) => peer !== action.busy)
            const item = all.shift()
            if (item !== undefined) {
              expect(item.priority).toBe(Math.min(...list.map(({ priority }) => priority)))
              expect(firstOf(item)).toBe(item)
            } else {
              expect(list).toEqual([])
            }
            drop(item)
            const next = all.peek((peer) => peer !== action.busy)
            const left = open.filter((one) => one !== item)
            if (next === undefined) expect(left).toEqual([])
            else expect(next.priority).toBe(Math.min(...left.map(({ priority }) => priority)))
          } else if (action.type === 'shiftFor') {
            const { peer, priority } = action
            const mine = list.filter(
              (one) => one.peer === peer && (priority === undefined || one.priority === priority),
            )
            const expected = mine.sort((one, other) => one.priority - other.priority || one.id - other.id)[0]
            expect(all.shiftFor(peer, priority)).toBe(expected)
            drop(expected)
          } else if (list.length > 0) {
            const item = list[action.pick % list.length] as ModelItem
            expect(all.remove(item)).toBe(true)
            drop(item)
          }
          expect(all.size).toBe(list.length)
          expect(all.bytes).toBe(list.reduce((sum, { bytes }) => sum + bytes, 0))
          expect(all.bytes).toBeLessThanOrEqual(chosen.maxBytes)
          expect(list.length).toBeLessThanOrEqual(total)
          for (const priority of [High, Normal, Low]) {
            expect(all.counts[priority]).toBe(list.filter((one) => one.priority === priority).length)
            expect(all.counts[priority]).toBeLessThanOrEqual(chosen.places[priority])
          }
          for (const peer of peerNames) {
            let shares = 0
            for (const priority of priorities) {
              const share = Math.max(1, Math.floor(chosen.places[priority] * chosen.peerShare))
              shares += share
              if (priority !== Emergency) expect(all.countFor(peer, priority)).toBeLessThanOrEqual(share)
            }
            expect(all.countFor(peer)).toBeLessThanOrEqual(shares)
            const own = list.filter((one) => one.peer === peer)
            const bytes = own.reduce((sum, one) => sum + one.bytes, 0)
            if (bytes > chosen.maxBytes * chosen.peerShare) {
              // only what was queued as the first item may be over the share, and then nothing but empty items beside it
              expect(own.filter((one) => one.bytes > 0)).toHaveLength(1)
            }
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('within one priority nobody waits longer than one turn of each other peer', () => {
    const perPeer = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(perPeer, (counts) => {
        const all = new PriorityQueues<string>()
        counts.forEach((count, peer) => {
          for (let i = 0; i < count; i++)
            all.push({ peer: `${peer}`, priority: Normal, bytes: 1, item: `${peer}/${i}` })
        })
        const turns: string[] = []
        for (let item = all.shift(); item !== undefined; item = all.shift()) turns.push(item.split('/')[0] as string)
        counts.forEach((_, peer) => {
          const own = turns.flatMap((one, at) => (one === `${peer}` ? [at] : []))
          own.forEach((at, i) =>
            expect(at - (i === 0 ? -1 : (own[i - 1] as number))).toBeLessThanOrEqual(counts.length),
          )
        })
      }),
    )
  })
})
