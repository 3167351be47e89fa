import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ReplayWindow } from '../src/index.js'

/** What the window should do, remembering everything. */
class NaiveWindow {
  readonly #seen = new Set<number>()
  #highest = -1
  constructor(readonly size: number) {}
  check(counter: number): 'new' | 'seen' | 'too-old' {
    if (counter <= this.#highest - this.size) return 'too-old'
    return this.#seen.has(counter) ? 'seen' : 'new'
  }
  record(counter: number): boolean {
    if (this.check(counter) !== 'new') return false
    this.#seen.add(counter)
    this.#highest = Math.max(this.#highest, counter)
    return true
  }
}

describe('replay window', () => {
  test('does what remembering everything would do', () => {
    // steps from the counter before: mostly small, sometimes past the window or far away
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }) },
      { weight: 2, arbitrary: fc.integer({ min: -200, max: 200 }) },
      { weight: 1, arbitrary: fc.constantFrom(31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 1 << 20, 2 ** 40) },
    )
    fc.assert(
      fc.property(
        fc.constantFrom(32, 64, 96),
        fc.nat(1000),
        fc.array(step, { maxLength: 200 }),
        (size, start, steps) => {
          const window = new ReplayWindow(size)
          const naive = new NaiveWindow(size)
          let counter = start
          for (const step of [0, ...steps]) {
            counter = Math.max(0, counter + step)
            expect(window.check(counter)).toBe(naive.check(counter))
            expect(window.record(counter)).toBe(naive.record(counter))
            // and around it, where clearing a word too many or too few would show
            for (const near of [counter - size, counter - size + 1, counter - 1, counter + 1, counter + 32]) {
              if (near >= 0) expect([near, window.check(near)]).toEqual([near, naive.check(near)])
            }
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('takes each counter once, in any order inside the window', () => {
    const window = new ReplayWindow(64)
    const order = Array.from({ length: 64 }, (_, i) => (i * 37) % 64)
    expect(order.map((counter) => window.record(counter))).not.toContain(false)
    expect(order.map((counter) => window.record(counter))).not.toContain(true)
    expect(window.highest).toBe(63)
  })

  test('reaches exactly as far down as its size', () => {
    const window = new ReplayWindow(1024)
    window.record(5000)
    expect(window.check(5000 - 1023)).toBe('new')
    expect(window.check(5000 - 1024)).toBe('too-old')
    expect(window.record(5000 - 1024)).toBe(false)
  })

  test('asking changes nothing', () => {
    const window = new ReplayWindow()
    expect(window.check(7)).toBe('new')
    expect(window.check(7)).toBe('new')
    expect(window.highest).toBe(-1)
  })

  test('counts to 2^53 − 1, and takes no counter below 0', () => {
    const window = new ReplayWindow(32)
    expect(window.record(-1)).toBe(false)
    expect(window.record(Number.MAX_SAFE_INTEGER - 1)).toBe(true)
    expect(window.record(Number.MAX_SAFE_INTEGER)).toBe(true)
    expect(window.record(Number.MAX_SAFE_INTEGER - 1)).toBe(false)
    expect(window.check(Number.MAX_SAFE_INTEGER - 31)).toBe('new')
  })

  test.each([0, 31, 33, -32, 1.5])('a window of %d is refused', (size) => {
    expect(() => new ReplayWindow(size)).toThrow(RangeError)
  })
})
