import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ClockScheduler, EventQueue, World } from '../src/index.js'

describe('EventQueue', () => {
  test('gives events in deadline order, those of one moment in the order of their insertion', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), (times) => {
        const queue = new EventQueue()
        const happened: number[] = []
        times.forEach((at, index) => queue.add(at, () => happened.push(index)))
        for (let event; (event = queue.take(100)) !== undefined;) event.run()
        const expected = times.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at || a.index - b.index)
        expect(happened).toEqual(expected.map(({ index }) => index))
        expect(queue.size).toBe(0)
      }),
    )
  })

  test('keeps that order when events are cleared and added in between', () => {
    const step = fc.oneof(
      fc.record({ add: fc.nat(50) }),
      fc.record({ clear: fc.nat(300) }),
      fc.record({ take: fc.nat(50) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 500 }), (steps) => {
        const queue = new EventQueue()
        // the model is a plain list that is searched
        let model: { at: number; id: number }[] = []
        const timers: { clear(): void }[] = []
        let taken = -1
        for (const one of steps) {
          if ('add' in one) {
            const id = timers.length
            timers.push(queue.add(one.add, () => (taken = id)))
            model.push({ at: one.add, id })
          } else if ('clear' in one) {
            timers[one.clear]?.clear()
            model = model.filter(({ id }) => id !== one.clear)
          } else {
            const [first] = [...model].sort((a, b) => a.at - b.at || a.id - b.id)
            const event = queue.take(one.take)
            if (first === undefined || first.at > one.take) {
              expect(event).toBeUndefined()
            } else {
              event?.run()
              expect(taken).toBe(first.id)
              model = model.filter(({ id }) => id !== first.id)
            }
          }
          expect(queue.size).toBe(model.length)
        }
      }),
    )
  })

  test('timers that are set and cleared for ever leave nothing behind', () => {
    const queue = new EventQueue()
    const kept = queue.add(5, () => undefined)
    for (let i = 0; i < 100_000; i++) queue.add(1e6 + i, () => undefined).clear()
    expect(queue.size).toBe(1)
    expect(queue.nextAt()).toBe(5)
    kept.clear()
    kept.clear()
    expect(queue.size).toBe(0)
    expect(queue.nextAt()).toBeUndefined()
  })
})

describe('ClockScheduler', () => {
  test('keeps deadline order over one timer of any clock', () => {
    const world = new World({ seed: 1 })
    const clock = world.clock('a')
    const scheduler = new ClockScheduler(clock)
    const happened: string[] = []
    scheduler.schedule(30, () => happened.push(`late ${clock.now()}`))
    scheduler.schedule(10, () => happened.push(`early ${clock.now()}`))
    scheduler.schedule(20, () => happened.push('never')).clear()
    scheduler.schedule(10, () => {
      happened.push(`early too ${clock.now()}`)
      scheduler.schedule(0, () => happened.push(`as the next thing ${clock.now()}`))
    })
    expect(scheduler.size).toBe(3)
    expect(world.pendingEvents).toBe(1)
    world.runSync(100)
    expect(happened).toEqual(['early 10', 'early too 10', 'as the next thing 10', 'late 30'])
    expect(world.pendingEvents).toBe(0)
  })
})
