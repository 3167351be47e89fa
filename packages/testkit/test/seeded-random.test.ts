import { expect, test } from '@jest/globals'
import { SeededRandom } from '../src/index.js'

test('the same seed gives the same numbers on every machine', () => {
  const random = new SeededRandom('a seed')
  const numbers = Array.from({ length: 4 }, () => random.next())
  expect(numbers).toEqual(
    Array.from(
      { length: 4 },
      (
        (again) => () =>
          again.next()
      )(new SeededRandom('a seed')),
    ),
  )
  // kept, so that a change of the generator or of its seeding shows: every seed that is written down anywhere depends on it
  expect(numbers).toEqual([1612917563, 3019028112, 547761381, 4168268977])
})

test('seeds that differ in one character have nothing in common', () => {
  const [a, b] = [new SeededRandom('world/1'), new SeededRandom('world/2')]
  let equalBits = 0
  for (let i = 0; i < 1000; i++) {
    for (let bits = ~(a.next() ^ b.next()) >>> 0; bits !== 0; bits &= bits - 1) equalBits++
  }
  expect(equalBits / 32_000).toBeGreaterThan(0.48)
  expect(equalBits / 32_000).toBeLessThan(0.52)
})

test('uniform numbers are at least 0, below 1 and even', () => {
  const random = new SeededRandom('uniform')
  const bins = new Array<number>(10).fill(0)
  for (let i = 0; i < 100_000; i++) {
    const number = random.uniform()
    const bin = Math.floor(number * 10)
    bins[bin] = (bins[bin] ?? 0) + 1
  }
  // whatever is not in 0..1 has made an eleventh bin
  expect(bins).toHaveLength(10)
  expect(Object.keys(bins)).toHaveLength(10)
  for (const count of bins) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})

test('bytes are as many as asked for and all values come', () => {
  const random = new SeededRandom('bytes')
  for (const length of [0, 1, 3, 4, 5, 31]) expect(random.bytes(length)).toHaveLength(length)
  expect(new Set(random.bytes(10_000)).size).toBe(256)
})

test('chance 0 never happens, chance 1 always, and neither draws a number', () => {
  const [random, untouched] = [new SeededRandom('chance'), new SeededRandom('chance')]
  expect([random.chance(0), random.chance(1), random.chance(-1), random.chance(2)]).toEqual([false, true, false, true])
  expect(random.next()).toBe(untouched.next())
})
