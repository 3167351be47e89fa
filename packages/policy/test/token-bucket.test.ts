import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError } from '@aiv/transport-api'
import { EmergencyLimit, TokenBucket } from '../src/index.js'

describe('TokenBucket', () => {
  test('is full at first, and fills again at its rate up to its burst', () => {
    const bucket = new TokenBucket({ ratePerSecond: 2, burst: 4 })
    expect(bucket.take(1000, 4)).toBe(true)
    expect(bucket.take(1000)).toBe(false)
    expect(bucket.take(1499)).toBe(false)
    expect(bucket.take(1500)).toBe(true)
    expect(bucket.available(60_000)).toBe(4)
  })

  test('says when there will be enough, or that there never will', () => {
    const bucket = new TokenBucket({ ratePerSecond: 10, burst: 5 })
    expect(bucket.availableAt(0, 5)).toBe(0)
    bucket.take(0, 5)
    expect(bucket.availableAt(0, 2)).toBe(200)
    expect(bucket.availableAt(0, 6)).toBeUndefined()
    expect(bucket.take(200, 2)).toBe(true)
  })

  test('a clock that stands still or goes back fills nothing', () => {
    const bucket = new TokenBucket({ ratePerSecond: 1000, burst: 1 })
    expect(bucket.take(500)).toBe(true)
    expect(bucket.take(500)).toBe(false)
    expect(bucket.take(400)).toBe(false)
  })

  test('never lets through more than the burst and what came in meanwhile', () => {
    const step = fc.record({ waitMs: fc.nat({ max: 500 }), count: fc.integer({ min: 1, max: 5 }) })
    fc.assert(
      fc.property(
        fc.array(step),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 10 }),
        (steps, rate, burst) => {
          const bucket = new TokenBucket({ ratePerSecond: rate, burst })
          let now = 0
          let taken = 0
          for (const { waitMs, count } of steps) {
            now += waitMs
            if (bucket.take(now, count)) taken += count
            expect(taken).toBeLessThanOrEqual(burst + (now * rate) / 1000 + 1e-6)
            expect(bucket.available(now)).toBeGreaterThanOrEqual(-1e-9)
          }
        },
      ),
    )
  })

  test('refuses options that cannot be', () => {
    expect(() => new TokenBucket({ ratePerSecond: 0, burst: 1 })).toThrow(ArgumentError)
    expect(() => new TokenBucket({ ratePerSecond: 1, burst: NaN })).toThrow(ArgumentError)
  })
})

describe('EmergencyLimit', () => {
  test('takes one message a second from each neighbour for an emergency', () => {
    const limit = new EmergencyLimit()
    expect(limit.admit(0, 'a', 100)).toBe(true)
    expect(limit.admit(999, 'a', 100)).toBe(false)
    expect(limit.admit(999, 'b', 100)).toBe(true)
    expect(limit.admit(1000, 'a', 100)).toBe(true)
  })

  test('takes 16 KiB a second, and nothing larger at all', () => {
    const limit = new EmergencyLimit({ messagesPerSecond: 10 })
    expect(limit.admit(0, 'a', 16 * 1024 + 1)).toBe(false)
    expect(limit.admit(0, 'a', 16 * 1024)).toBe(true)
    expect(limit.admit(499, 'a', 8 * 1024)).toBe(false)
    expect(limit.admit(500, 'a', 8 * 1024)).toBe(true)
  })

  test('what is not admitted is not counted', () => {
    const limit = new EmergencyLimit({ messagesPerSecond: 1 })
    limit.admit(0, 'a', 1)
    for (let now = 1; now < 1000; now += 100) limit.admit(now, 'a', 1)
    expect(limit.admit(1000, 'a', 1)).toBe(true)
  })

  test('tells only so many neighbours apart; one more has no emergencies until another was silent', () => {
    const limit = new EmergencyLimit({ maxNeighbours: 2 })
    limit.admit(0, 'a', 1)
    limit.admit(500, 'b', 1)
    expect(limit.admit(600, 'c', 1)).toBe(false)
    expect(limit.admit(1000, 'c', 1)).toBe(true)
    expect(limit.size).toBe(2)
    expect(limit.admit(1000, 'a', 1)).toBe(false)
    expect(limit.admit(1500, 'a', 1)).toBe(true)
  })

  test('refuses options that cannot be', () => {
    for (const options of [{ messagesPerSecond: 0 }, { bytesPerSecond: -1 }, { maxNeighbours: 1.5 }]) {
      expect(() => new EmergencyLimit(options)).toThrow(ArgumentError)
    }
  })
})
