import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { fromHex, toHex } from '../src/index.js'

test('hex is lowercase, two digits a byte, and read again in either case', () => {
  expect(toHex(Uint8Array.of(0, 1, 0xab, 0xff))).toBe('0001abff')
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(toHex(bytes)).toMatch(/^([0-9a-f]{2})*$/)
      expect(fromHex(toHex(bytes))).toEqual(bytes)
      expect(fromHex(toHex(bytes).toUpperCase())).toEqual(bytes)
    }),
  )
})

test.each(['0', '0x', ' 00', '00\n', '0g', '000', '-1', 'é0'])('%j is not hexadecimal', (text) => {
  expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }))
})
