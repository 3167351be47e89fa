import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { byteLength, equalBytes, joinBytes } from '../src/index.js'

test('pieces are joined in order, and a single one is not copied', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (pieces) => {
      const joined = joinBytes(pieces)
      expect([...joined]).toEqual(pieces.flatMap((piece) => [...piece]))
      expect(byteLength(pieces)).toBe(joined.length)
    }),
  )
  const one = Uint8Array.of(1, 2)
  expect(joinBytes([one])).toBe(one)
  expect(joinBytes(one)).toBe(one)
  expect(byteLength(one)).toBe(2)
})

test('bytes are equal when they have the same content', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      expect(equalBytes(a, Uint8Array.from(a))).toBe(true)
      expect(equalBytes(a, b)).toBe(a.join() === b.join() && a.length === b.length)
    }),
  )
})
