import { describe, expect, test } from '@jest/globals'
import { dutyCycleLevels } from '../src/index.js'
import {
  type DutyCycleResult,
  allRules,
  deliver,
  deliveryDefaults,
  measureDutyCycle,
  sendFragments,
} from './simulation/index.js'

// `npm run mesh` prints the same on many seeds, in tables

describe('a hundred nodes, seven hops wide, with a fifth of all packets lost on each link', () => {
  const short = { messages: 100, warmUpMs: 100_000 }
  const results = new Map(
    allRules.map(([name, rules]) => [name, deliver(name, rules, { ...deliveryDefaults, ...short, seed: 'test' })]),
  )
  const of = (name: string) => {
    const result = results.get(name)
    if (result === undefined) throw new Error(name)
    const { dataFrames, hopAckFrames, proofFrames, announcementFrames } = result
    return { ...result, frames: dataFrames + hopAckFrames + proofFrames + announcementFrames }
  }

  test('99 of 100 directed messages arrive', () => {
    const { delivered, messages } = of('ours, over links')
    expect(delivered / messages).toBeGreaterThanOrEqual(0.99)
  })

  test('a delivered message costs less than a third of flooding, announcements and acknowledgements included', () => {
    expect(of('ours, over links').frames).toBeLessThan(of('flooding, over links').frames / 3)
  })

  test('without announcements it costs less than what anybody else puts on the air', () => {
    const { frames, announcementFrames } = of('ours, over links')
    for (const [name] of allRules.slice(0, 4)) expect(frames - announcementFrames).toBeLessThan(of(name).frames)
  })
})

test.each(['1', '2', '3'])('10 KB cross five lossy hops, and few fragments are sent again (seed %s)', (seed) => {
  const result = sendFragments({ seed, hops: 5, lossRatio: 0.2, messageBytes: 10_240, hopRepeats: 4 })
  expect(result.arrivedAfterMs).toBeLessThan(30_000)
  expect(result.fragments).toBe(62)
  expect(result.fragmentsAgain).toBeLessThan(10)
})

test('each level of the duty cycle keeps the radio on for less time, and a newcomer waiting for longer', async () => {
  const results: DutyCycleResult[] = []
  for (const level of dutyCycleLevels) results.push(await measureDutyCycle(level, 10))
  results.forEach(({ onShare, scanShare, medianMs }, i) => {
    const before = results[i - 1]
    if (before === undefined) return
    expect(onShare).toBeLessThan(before.onShare)
    expect(scanShare).toBeLessThan(before.scanShare)
    expect(medianMs).toBeGreaterThan(before.medianMs)
  })
  expect(results.at(-1)?.onShare).toBeLessThan(0.05)
})
