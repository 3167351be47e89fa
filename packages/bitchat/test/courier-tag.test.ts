import { expect, test } from '@jest/globals'
import { nodeCrypto } from '@aiv/security'
import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'
import { compatible } from '../src/index.js'

/** RFC 7748 section 6.1. */
const alice = fromHex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')

test("a courier's tag is that of the deployed protocol: RFC 7748's Alice on day 20000", () => {
  expect(toHex(compatible.courierTag(nodeCrypto, alice, 20_000))).toBe('7d7f39017f6762abf2388cafbd702227')
})

test('the tag is another one the next day, and a day is 86,400 s', () => {
  const day = compatible.courierDay(20_000 * 86_400_000 + 1)
  expect(day).toBe(20_000)
  expect(compatible.courierDay(20_000 * 86_400_000 - 1)).toBe(19_999)
  expect(compatible.courierTag(nodeCrypto, alice, day + 1)).not.toEqual(compatible.courierTag(nodeCrypto, alice, day))
})

test('a key of another size and a day that is no u32 are refused', () => {
  expect(() => compatible.courierTag(nodeCrypto, alice.subarray(1), 1)).toThrow(ArgumentError)
  for (const day of [-1, 1.5, 2 ** 32, NaN])
    expect(() => compatible.courierTag(nodeCrypto, alice, day)).toThrow(ArgumentError)
})
