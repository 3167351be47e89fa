import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { fromHex, MAX_VARINT, readVarint, toHex, varintLength, varintLengthFrom, writeVarint } from '../src/index.js'

const value = fc.oneof(
  fc.maxSafeNat(),
  fc.integer({ min: 0, max: 0x40000000 }),
  fc.constantFrom(0, 63, 64, 16_383, 16_384, 2 ** 30 - 1, 2 ** 30, 2 ** 32, MAX_VARINT),
)

function write(number: number): Uint8Array {
  const target = new Uint8Array(8)
  return target.subarray(0, writeVarint(target, 0, number))
}

describe('varint', () => {
  test.each([
    ['25', 37],
    ['7bbd', 15_293],
    ['9d7f3e7d', 494_878_333],
  ])('RFC 9000 A.1: %s is %i', (hex, number) => {
    expect(readVarint(fromHex(hex), 0)).toBe(number)
    expect(toHex(write(number))).toBe(hex)
  })

  test('RFC 9000 A.1: two bytes where one would do are taken', () => {
    expect(readVarint(fromHex('4025'), 0)).toBe(37)
  })

  test('RFC 9000 A.1: c2197c5eff14e88c is 151288809941952652, more than counts here, and refused', () => {
    expect(readVarint(fromHex('c2197c5eff14e88c'), 0)).toBe(-1)
    expect(readVarint(fromHex('c01fffffffffffff'), 0)).toBe(MAX_VARINT)
    expect(readVarint(fromHex('c020000000000000'), 0)).toBe(-1)
    expect(readVarint(fromHex('ffffffffffffffff'), 0)).toBe(-1)
  })

  test('what was written is read again, at any offset, in the shortest form', () => {
    fc.assert(
      fc.property(value, fc.integer({ min: 0, max: 9 }), (number, offset) => {
        const target = new Uint8Array(20).fill(0xff)
        const end = writeVarint(target, offset, number)
        expect(end - offset).toBe(varintLength(number))
        expect(varintLengthFrom(target[offset] as number)).toBe(end - offset)
        expect(readVarint(target, offset)).toBe(number)
        expect(target.subarray(end).every((byte) => byte === 0xff)).toBe(true)
        const limits = { 1: 64, 2: 16_384, 4: 2 ** 30, 8: Infinity }
        expect(number).toBeLessThan(limits[varintLength(number)])
      }),
    )
  })

  test('cut off anywhere it is refused', () => {
    fc.assert(
      fc.property(value, (number) => {
        const bytes = write(number)
        for (let length = 0; length < bytes.length; length++) {
          expect(readVarint(bytes.subarray(0, length), 0)).toBe(-1)
        }
      }),
    )
  })

  test('any bytes give a number in range or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 10 }), (bytes) => {
        const number = readVarint(bytes, 0)
        expect(number === -1 || (Number.isSafeInteger(number) && number >= 0)).toBe(true)
      }),
    )
  })

  test.each([-1, 1.5, NaN, Infinity, MAX_VARINT + 1])('%d cannot be written', (number) => {
    expect(() => writeVarint(new Uint8Array(8), 0, number)).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
    )
  })
})
