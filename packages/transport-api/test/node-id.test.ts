import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  compareNodeIds,
  isNodeId,
  nodeIdFromBytes,
  nodeIdToBytes,
  NODE_ID_BYTES,
  parseNodeId,
  toHex,
  xorDistance,
} from '../src/index.js'

const bytes = fc.uint8Array({ minLength: NODE_ID_BYTES, maxLength: NODE_ID_BYTES })
const id = bytes.map(nodeIdFromBytes)
const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
const number = (value: Uint8Array) => BigInt(`0x${toHex(value)}`)

describe('node id', () => {
  test('16 bytes are 32 lowercase hex characters and back', () => {
    fc.assert(
      fc.property(bytes, (raw) => {
        const text = nodeIdFromBytes(raw)
        expect(isNodeId(text)).toBe(true)
        expect(parseNodeId(text)).toBe(text)
        expect(nodeIdToBytes(text)).toEqual(raw)
      }),
    )
  })

  test.each([
    '',
    '21fe31dfa154a261626bf854046fd22',
    '21fe31dfa154a261626bf854046fd2277',
    '21FE31DFA154A261626BF854046FD227',
    '21fe31dfa154a261626bf854046fd22g',
    '21fe31dfa154a261626bf854046fd227\n',
  ])('%j is none', (text) => {
    expect(isNodeId(text)).toBe(false)
    expect(() => parseNodeId(text)).toThrow(invalid)
  })

  test('an error shows no more than the start of what it was given', () => {
    expect(() => parseNodeId('x'.repeat(1000))).toThrow(/^"x{64}" is/)
  })

  test.each([0, 15, 17, 32])('%i bytes are none', (length) => {
    expect(() => nodeIdFromBytes(new Uint8Array(length))).toThrow(invalid)
  })

  test('they are ordered as the numbers that they are', () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        const [x, y] = [number(nodeIdToBytes(a)), number(nodeIdToBytes(b))]
        expect(Math.sign(compareNodeIds(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0)
      }),
    )
  })

  test('XOR distance is symmetric, zero only to oneself, and keeps the triangle inequality', () => {
    fc.assert(
      fc.property(id, id, id, (a, b, c) => {
        expect(xorDistance(a, b)).toEqual(xorDistance(b, a))
        expect(number(xorDistance(a, a))).toBe(0n)
        if (a !== b) expect(number(xorDistance(a, b))).toBeGreaterThan(0n)
        expect(number(xorDistance(a, c)) <= number(xorDistance(a, b)) + number(xorDistance(b, c))).toBe(true)
      }),
    )
  })
})
