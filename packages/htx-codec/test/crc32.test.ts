import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { crc32, loadNativeCrc32, portableCrc32 } from '../src/index.js'
import { crc32 as browserCrc32, loadNativeCrc32 as loadInBrowser } from '../src/index.browser.js'

const check = new TextEncoder().encode('123456789')

describe.each([
  ['of the platform', crc32],
  ['in JavaScript', portableCrc32],
  ['of a browser', browserCrc32],
])('CRC-32 %s', (_name, sum) => {
  test('gives the published check value', () => {
    expect(sum(check)).toBe(0xcbf43926)
  })

  test('of nothing is 0, or what it was before', () => {
    expect(sum(new Uint8Array(0))).toBe(0)
    expect(sum(new Uint8Array(0), 0xcbf43926)).toBe(0xcbf43926)
  })

  test('can be taken in pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600, size: 'max' }), fc.nat(600), (bytes, cut) => {
        expect(sum(bytes.subarray(cut), sum(bytes.subarray(0, cut)))).toBe(sum(bytes))
      }),
    )
  })

  test('agrees with the sum taken bit by bit', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600, size: 'max' }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (bytes, seed) => {
          expect(sum(bytes, seed)).toBe(bitByBit(bytes, seed))
        },
      ),
    )
  })
})

describe('native CRC-32', () => {
  test('is undefined where it cannot be loaded, is something else, or sums otherwise', async () => {
    expect(await loadNativeCrc32(() => Promise.reject(new Error('not installed')))).toBeUndefined()
    expect(await loadNativeCrc32(() => Promise.resolve(undefined))).toBeUndefined()
    expect(await loadNativeCrc32(() => Promise.resolve({ crc32: 1 }))).toBeUndefined()
    expect(await loadNativeCrc32(() => Promise.resolve({ crc32: () => 1 }))).toBeUndefined()
    const throwing = () => {
      throw new Error('no')
    }
    expect(await loadNativeCrc32(() => Promise.resolve({ crc32: throwing }))).toBeUndefined()
    const withoutSeed = (bytes: Uint8Array) => portableCrc32(bytes)
    expect(await loadNativeCrc32(() => Promise.resolve({ crc32: withoutSeed }))).toBeUndefined()
  })

  test('is asked for large inputs and not for small ones', async () => {
    const lengths: number[] = []
    const counting = (bytes: Uint8Array, seed = 0) => {
      lengths.push(bytes.length)
      return portableCrc32(bytes, seed)
    }
    const sum = await loadNativeCrc32(() => Promise.resolve({ default: { crc32: counting } }))
    lengths.length = 0
    const bytes = Uint8Array.from({ length: 1_000 }, (_, i) => i)
    expect(sum?.(bytes, 5)).toBe(portableCrc32(bytes, 5))
    expect(sum?.(bytes.subarray(0, 100))).toBe(portableCrc32(bytes.subarray(0, 100)))
    expect(lengths).toEqual([1_000])
  })

  test('is undefined in a browser', async () => {
    expect(await loadInBrowser()).toBeUndefined()
  })
})

function bitByBit(bytes: Uint8Array, seed: number): number {
  let register = ~seed
  for (const byte of bytes) {
    register ^= byte
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? 0xedb88320 : 0)
  }
  return ~register >>> 0
}
