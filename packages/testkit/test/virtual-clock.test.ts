import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { World } from '../src/index.js'

test('a skewed clock runs fast or slow by parts per million', () => {
  const world = new World({ seed: 0 })
  const fast = world.clock('fast', { skewPpm: 100 })
  const slow = world.clock('slow', { skewPpm: -100, offsetMs: 5000 })
  world.runSync(1_000_000)
  expect(fast.now()).toBeCloseTo(1_000_100, 6)
  expect(slow.now()).toBeCloseTo(999_900 + 5000, 6)
})

test('no timer fires before its time on its own clock, whatever the skew, and none late', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -500_000, max: 500_000 }),
      fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { minLength: 1, maxLength: 30 }),
      (skewPpm, delays) => {
        const world = new World({ seed: 0 })
        const clock = world.clock('a', { skewPpm, offsetMs: 12.3456789 })
        let fired = 0
        for (const delay of delays) {
          const deadline = clock.now() + delay
          clock.setTimeout(() => {
            expect(clock.now()).toBeGreaterThanOrEqual(deadline)
            expect(clock.now() - deadline).toBeLessThan(0.001)
            fired++
          }, delay)
        }
        world.runSync(1e8)
        expect(fired).toBe(delays.length)
      },
    ),
  )
})

test('a timer never runs inside setTimeout, not even without a delay', () => {
  const world = new World({ seed: 0 })
  let ran = false
  const timer = world.clock('a').setTimeout(() => (ran = true), -5)
  expect(ran).toBe(false)
  world.runSync(0)
  expect(ran).toBe(true)
  timer.clear()
})

test('a cleared timer does not run', () => {
  const world = new World({ seed: 0 })
  const timer = world.clock('a').setTimeout(() => expect('it').toBe('cleared'), 5)
  timer.clear()
  timer.clear()
  world.runSync(100)
  expect(world.pendingEvents).toBe(0)
})

test('a step changes Unix time only, and is told', () => {
  const world = new World({ seed: 0, unixStartMs: 1000 })
  const clock = world.clock('a', { unixOffsetMs: 50 })
  const jumps: number[] = []
  clock.onJump(() => jumps.push(clock.unixNow() - clock.now()))
  world.runSync(10)
  clock.stepUnix(-500)
  expect([clock.now(), clock.unixNow()]).toEqual([10, 1000 + 50 + 10 - 500])
  expect(jumps).toEqual([550])
})

test('a sleeping machine runs no timer, and its monotonic clock stands still', () => {
  const world = new World({ seed: 0, unixStartMs: 0 })
  const clock = world.clock('a')
  const fired: string[] = []
  clock.setTimeout(() => fired.push(`early ${clock.now()}`), 50)
  clock.setTimeout(() => fired.push(`late ${clock.now()}`), 300)
  clock.setTimeout(() => fired.push('cleared'), 250).clear()
  world.at(100, () => world.suspend('a', 1000))
  world.at(600, () => {
    expect(clock.isSuspended).toBe(true)
    expect([clock.now(), clock.unixNow()]).toEqual([100, 600])
    expect(clock.whenAwake(() => fired.push(`held ${clock.now()}`))).toBe(true)
    clock.setTimeout(() => fired.push(`set asleep ${clock.now()}`), 10)
  })
  world.runSync(1000)
  expect(fired).toEqual(['early 50'])
  world.runSync(5000)
  expect(clock.isSuspended).toBe(false)
  expect(fired).toEqual(['early 50', 'held 100', 'set asleep 110', 'late 300'])
  expect(clock.now()).toBe(4000)
  expect(clock.unixNow()).toBe(5000)
})

test('where the monotonic clock goes on asleep, what was due runs at once on waking, oldest first', () => {
  const world = new World({ seed: 0 })
  const clock = world.clock('a', { runsAsleep: true })
  const fired: string[] = []
  clock.setTimeout(() => fired.push(`second ${clock.now()}`), 300)
  clock.setTimeout(() => fired.push(`first ${clock.now()}`), 200)
  world.suspend('a', 1000)
  world.suspend('a', 400)
  world.runSync(2000)
  expect(fired).toEqual(['first 1000', 'second 1000'])
})

test('a sleeping machine holds back a bounded number of things', () => {
  const world = new World({ seed: 0 })
  const clock = world.clock('a')
  clock.suspend(10)
  let held = 0
  let ran = 0
  while (held < 20_000 && clock.whenAwake(() => void ran++)) held++
  expect(held).toBe(10_000)
  world.runSync(20)
  expect(ran).toBe(10_000)
})

test('a clock that would stand still is refused', () => {
  const world = new World({ seed: 0 })
  expect(() => world.clock('a', { skewPpm: -1e6 })).toThrow(/skewPpm/)
})
