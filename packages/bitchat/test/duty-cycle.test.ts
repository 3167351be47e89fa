import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError } from '@aiv/transport-api'
import { type DutyCycleInput, type DutyCyclePlan, dutyCycle, dutyCycleLevels } from '../src/duty-cycle.js'

const idle: DutyCycleInput = {
  batteryLevel: 1,
  isCharging: false,
  packetsPerSecond: 0,
  links: 2,
  policy: { dutyCycle: 1 },
}
const plan = dutyCycle()
const name = (input: Partial<DutyCycleInput>, before?: DutyCyclePlan): string =>
  plan({ ...idle, ...input }, before).level.name

describe('a duty cycle', () => {
  test.each([
    ['continuous without a battery', { batteryLevel: undefined }, 'continuous'],
    ['continuous while charging, however low', { batteryLevel: 0.02, isCharging: true }, 'continuous'],
    ['eager on a full battery', { batteryLevel: 0.9 }, 'eager'],
    ['balanced on half a battery', { batteryLevel: 0.5 }, 'balanced'],
    ['a saver on a low one', { batteryLevel: 0.2 }, 'saver'],
    ['minimal on an almost empty one', { batteryLevel: 0.1 }, 'minimal'],
    ['one level up without any neighbour', { batteryLevel: 0.5, links: 0 }, 'eager'],
    ['one level up with traffic over few links', { batteryLevel: 0.5, packetsPerSecond: 5 }, 'eager'],
    ['not more eager for traffic over enough links', { batteryLevel: 0.5, links: 4, packetsPerSecond: 5 }, 'saver'],
    ['one level down with enough neighbours', { batteryLevel: 0.9, links: 4 }, 'balanced'],
    ['two levels down in a crowd', { batteryLevel: 0.9, links: 8 }, 'saver'],
    ['minimal on an almost empty battery, even alone', { batteryLevel: 0.05, links: 0 }, 'minimal'],
  ])('is %s', (_, input, expected) => {
    expect(name(input)).toBe(expected)
  })

  test('goes from continuous to one second in sixty', () => {
    expect(dutyCycleLevels[0]).toMatchObject({ scanWindowMs: 10_000, scanIntervalMs: 10_000 })
    expect(dutyCycleLevels.at(-1)).toMatchObject({ scanWindowMs: 1_000, scanIntervalMs: 60_000 })
    // every window of every level hears an advertiser of every level: the interval and BLE's delay of up to 10 ms
    const shortest = Math.min(...dutyCycleLevels.map(({ scanWindowMs }) => scanWindowMs))
    for (const { advertiseIntervalMs } of dutyCycleLevels) expect(advertiseIntervalMs + 10).toBeLessThan(shortest)
  })

  test('never scans more than the policy allows, whatever else is true', () => {
    const inputs = fc.record({
      batteryLevel: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
      isCharging: fc.boolean(),
      packetsPerSecond: fc.double({ min: 0, max: 100, noNaN: true }),
      links: fc.nat(12),
      policy: fc.record({ dutyCycle: fc.double({ min: 0, max: 1, noNaN: true }) }),
    })
    fc.assert(
      fc.property(inputs, (input) => {
        const { scanning } = plan(input)
        const share = scanning === undefined ? 0 : scanning.windowMs / scanning.intervalMs
        expect(share).toBeLessThanOrEqual(input.policy.dutyCycle)
      }),
    )
    expect(plan({ ...idle, policy: { dutyCycle: 0.01 } }).scanning).toBeUndefined()
    expect(plan({ ...idle, policy: { dutyCycle: 0.3 } }).level.name).toBe('balanced')
  })

  test('does not flutter with a battery at a border', () => {
    const eager = plan({ ...idle, batteryLevel: 0.605 })
    // from below, 0.605 is not enough; from above it is
    expect(eager.level.name).toBe('balanced')
    const high = plan({ ...idle, batteryLevel: 0.64 }, eager)
    expect(high.level.name).toBe('eager')
    expect(name({ batteryLevel: 0.605 }, high)).toBe('eager')
    const low = plan({ ...idle, batteryLevel: 0.595 }, high)
    expect(low.level.name).toBe('balanced')
    expect(name({ batteryLevel: 0.605 }, low)).toBe('balanced')
  })

  test('takes levels and borders of one’s own', () => {
    const own = dutyCycle({ levels: dutyCycleLevels.slice(2), batteryLevels: [0.5] })
    expect(own(idle).level.name).toBe('saver')
    expect(own({ ...idle, isCharging: true }).level.name).toBe('balanced')
  })

  test.each([
    { levels: [] },
    { levels: [...dutyCycleLevels].reverse() },
    { levels: dutyCycleLevels.map((level) => ({ ...level, advertiseIntervalMs: 10 })) },
    { batteryLevels: [0.3, 0.6] },
    { batteryHysteresis: 1 },
    { enoughLinks: 5, denseLinks: 4 },
    { busyPacketsPerSecond: Number.NaN },
  ])('options %j throw', (options) => {
    expect(() => dutyCycle(options)).toThrow(ArgumentError)
  })
})
