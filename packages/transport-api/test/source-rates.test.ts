import { describe, expect, test } from '@jest/globals'
import { SourceRates } from '../src/index.js'

describe('rates per source', () => {
  test('let a burst through, then the average, whatever was refused meanwhile', () => {
    const rates = new SourceRates({ perSecond: 2, burst: 3, remembered: 10 })
    const taken = (now: number): number => Array.from({ length: 10 }, () => rates.take(now, 'a')).filter(Boolean).length
    expect([0, 499, 500, 1_500, 60_000].map(taken)).toEqual([3, 0, 1, 2, 3])
  })

  test('are apart for each source', () => {
    const rates = new SourceRates({ perSecond: 1, burst: 1, remembered: 10 })
    expect(['a', 'a', 'b'].map((source) => rates.take(0, source))).toEqual([true, false, true])
  })

  test('are remembered of a bounded number of sources: the one unseen for longest is forgotten', () => {
    const rates = new SourceRates({ perSecond: 1, burst: 1, remembered: 2 })
    expect(['a', 'b', 'a', 'c', 'a', 'b'].map((source) => rates.take(0, source))).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
    ])
    expect(rates.size).toBe(2)
  })

  test('need not be limited, and then cost no memory', () => {
    const rates = new SourceRates({ perSecond: Infinity, burst: 1, remembered: 2 })
    expect(['a', 'a', 'a'].map((source) => rates.take(0, source))).toEqual([true, true, true])
    expect(rates.size).toBe(0)
  })
})
