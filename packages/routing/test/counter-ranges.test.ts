import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CounterRanges } from '../src/index.js'

describe('CounterRanges', () => {
  test('holds what a set holds, in as few ranges as there can be', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 60 }), { maxLength: 100 }), (counters) => {
        const ranges = new CounterRanges(1000)
        for (const counter of counters) expect(ranges.add(counter)).toBe(true)
        const taken = ranges.take(1000)
        const listed: number[] = []
        for (const { first, last } of taken) for (let c = first; c <= last; c++) listed.push(c)
        expect(listed).toEqual([...new Set(counters)].sort((a, b) => a - b))
        taken.forEach(({ first }, i) => {
          const before = taken[i - 1]
          if (before !== undefined) expect(first).toBeGreaterThan(before.last + 1)
        })
        expect(ranges.size).toBe(0)
      }),
    )
  })

  test('takes no counter that needs a range too many, but goes on to grow those it has', () => {
    const ranges = new CounterRanges(2)
    expect([0, 4, 8, 1, 3, 5].map((counter) => ranges.add(counter))).toEqual([true, true, false, true, true, true])
    expect(ranges.add(2)).toBe(true)
    expect(ranges.add(8)).toBe(true)
    expect(ranges.take(1)).toEqual([{ first: 0, last: 5 }])
    expect(ranges.take(9)).toEqual([{ first: 8, last: 8 }])
    expect(ranges.take(9)).toEqual([])
  })
})
