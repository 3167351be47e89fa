import { describe, expect, test } from '@jest/globals'
import { equalBytes, fromHex, toHex } from '@aiv/transport-api'
import fc from 'fast-check'
import { loadNativeLz4, lz4Compressor } from '../src/index.js'
import { loadNativeLz4 as loadInBrowser } from '../src/index.browser.js'
import { Lz4BlockEncoder, decodeLz4Block } from '../src/lz4-block.js'
import { compressible, mutated } from './arbitraries.js'

function block(bytes: Uint8Array, encoder = new Lz4BlockEncoder()): Uint8Array {
  const target = new Uint8Array(bytes.length + Math.floor(bytes.length / 255) + 16)
  return target.slice(0, encoder.encode(bytes, target, 0))
}

function decode(hex: string, size: number): string | undefined {
  const target = new Uint8Array(size)
  return decodeLz4Block(fromHex(hex), 0, target) ? toHex(target) : undefined
}

const nothing = new Uint8Array(0)
const prose = new TextEncoder().encode(
  Array.from(
    { length: 60 },
    (_, i) => `{"id":${i * 7919},"kind":"reading","node":"n${i % 9}","value":${i * i}}`,
  ).join(),
)

describe('LZ4 block', () => {
  test('of "hello" is its literals', () => {
    expect(toHex(block(new TextEncoder().encode('hello')))).toBe('5068656c6c6f')
  })

  test('of nothing is one token', () => {
    expect(toHex(block(new Uint8Array(0)))).toBe('00')
    expect(decode('00', 0)).toBe('')
  })

  test('decodes a match that overlaps itself', () => {
    // one literal "a", a match of 19 at distance 1, five literals "bcdef"
    expect(decode('1f61010000506263646566', 25)).toBe('61'.repeat(20) + '6263646566')
  })

  test('comes back as it went in', () => {
    fc.assert(
      fc.property(compressible(), (bytes) => {
        const target = new Uint8Array(bytes.length)
        expect(decodeLz4Block(block(bytes), 0, target)).toBe(true)
        expect(equalBytes(target, bytes)).toBe(true)
      }),
    )
  })

  test('comes back over distances near and beyond 65,535', () => {
    for (const distance of [65_534, 65_535, 65_536, 70_000]) {
      const bytes = Uint8Array.from({ length: distance + 64 }, (_, i) => (i < 64 ? 3 * i + 1 : (i * i * 31) >>> 7))
      bytes.copyWithin(distance, 0, 64)
      const target = new Uint8Array(bytes.length)
      expect(decodeLz4Block(block(bytes), 0, target)).toBe(true)
      expect(equalBytes(target, bytes)).toBe(true)
    }
  })

  test('comes back at every length around the end rules', () => {
    for (let length = 0; length < 300; length++) {
      for (const period of [1, 3, 4, 17]) {
        const bytes = Uint8Array.from({ length }, (_, i) => i % period)
        const target = new Uint8Array(length)
        expect(decodeLz4Block(block(bytes), 0, target)).toBe(true)
        expect(equalBytes(target, bytes)).toBe(true)
      }
    }
  })

  test('depends on its input alone, not on what was encoded before', () => {
    const encoder = new Lz4BlockEncoder()
    fc.assert(
      fc.property(compressible(12), (bytes) => {
        expect(equalBytes(block(bytes, encoder), block(bytes))).toBe(true)
      }),
    )
  })

  test('is the same after an encoder has seen more than 2 GiB', () => {
    const encoder = new Lz4BlockEncoder()
    const large = new Uint8Array(2 ** 24)
    large.set(new TextEncoder().encode('abcdabcdX')) // a match at once, for which there is no room
    for (let i = 0; i < 2 ** 7 + 1; i++) {
      expect(encoder.encode(large, nothing, 0)).toBe(-1)
      if (i > 2 ** 7 - 3) expect(toHex(block(prose, encoder))).toBe(toHex(block(prose)))
    }
  })

  test('is refused by the encoder when the target is a byte too small, and never written beyond it', () => {
    fc.assert(
      fc.property(compressible(8), fc.nat(), (bytes, cut) => {
        const whole = block(bytes)
        const room = cut % whole.length
        const memory = new Uint8Array(room + 64).fill(0xee)
        expect(new Lz4BlockEncoder().encode(bytes, memory.subarray(0, room), 0)).toBe(-1)
        expect(memory.subarray(room).every((byte) => byte === 0xee)).toBe(true)
        expect(new Lz4BlockEncoder().encode(bytes, new Uint8Array(whole.length), 0)).toBe(whole.length)
      }),
    )
  })

  test.each([
    ['an empty block', '', 0],
    ['a literal missing', '5068656c6c', 5],
    ['a literal length missing', 'f0', 15],
    ['a literal length cut off', 'f0ff', 300],
    ['an offset missing', '1061', 30],
    ['an offset cut off', '106101', 30],
    ['an offset of 0', '1f61000000506263646566', 25],
    ['an offset before the beginning', '1f61020000506263646566', 25],
    ['a match length missing', '1f610100', 25],
    ['no literals after the last match', '1f61010000', 20],
    ['a match into the last five bytes', '1f610100014062636465', 25],
    ['a match that begins in the last twelve bytes', '10610100506263646566', 10],
    ['fewer bytes than expected', '5068656c6c6f', 6],
    ['more bytes than expected', '5068656c6c6f', 4],
  ])('is refused: %s', (_name, hex, size) => {
    expect(decode(hex, size)).toBeUndefined()
  })

  test('decoding survives any bytes and never writes outside its target', () => {
    const valid = block(prose)
    const anyBlock = fc.oneof(mutated(valid), fc.uint8Array({ maxLength: 80 }))
    fc.assert(
      fc.property(anyBlock, fc.nat(prose.length + 40), (bytes, size) => {
        const memory = new Uint8Array(size + 128).fill(0xee)
        decodeLz4Block(bytes, 0, memory.subarray(64, 64 + size))
        expect(memory.subarray(0, 64).every((byte) => byte === 0xee)).toBe(true)
        expect(memory.subarray(64 + size).every((byte) => byte === 0xee)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('lz4 compressor', () => {
  const compressor = lz4Compressor()

  test('puts the original size before the block', () => {
    const packed = compressor.compress(new Uint8Array(300))
    expect(compressor.name).toBe('lz4')
    expect(toHex(packed as Uint8Array)).toBe('0000012c' + '1f000100ff14' + '500000000000')
  })

  test('gives back what it packed, within the limit and not beyond it', () => {
    fc.assert(
      fc.property(compressible(), (bytes) => {
        const packed = compressor.compress(bytes)
        if (packed === undefined) return
        expect(packed.length).toBeLessThanOrEqual(0.95 * bytes.length)
        expect(equalBytes(compressor.decompress(packed, bytes.length) ?? nothing, bytes)).toBe(true)
        expect(compressor.decompress(packed, bytes.length - 1)).toBeUndefined()
      }),
    )
  })

  test('reads a buffer that lies inside another', () => {
    const packed = compressor.compress(prose) as Uint8Array
    const memory = new Uint8Array(packed.length + 20).fill(0xee)
    memory.set(packed, 7)
    expect(compressor.decompress(memory.subarray(7, 7 + packed.length), prose.length)).toEqual(prose)
    const input = new Uint8Array(prose.length + 9)
    input.set(prose, 5)
    expect(compressor.compress(input.subarray(5, 5 + prose.length))).toEqual(packed)
  })

  test('leaves alone what does not become 5 % smaller', () => {
    let state = 1
    const noise = Uint8Array.from({ length: 4096 }, () => (state = Math.imul(state, 1_103_515_245) + 12_345) >>> 16)
    expect(compressor.compress(noise)).toBeUndefined()
    expect(compressor.compress(new Uint8Array(0))).toBeUndefined()
    expect(compressor.compress(new Uint8Array(8))).toBeUndefined()
    const barely = Uint8Array.from(noise)
    barely.fill(0, 0, 150)
    expect(compressor.compress(barely)).toBeUndefined()
    barely.fill(0, 0, 400)
    expect(compressor.compress(barely)).toBeDefined()
  })

  test.each([
    ['less than a size', '000000'],
    ['a size and nothing', '00000000'],
    ['a size above the limit', '00010001' + 'ff'],
    ['a size of 4 GiB', 'ffffffff' + '1f0001ffffffff'],
    ['a size that so few bytes cannot stand for', '00008000' + '1f0001ff50'],
    ['another size', '00000004' + '5068656c6c6f'],
  ])('refuses %s', (_name, hex) => {
    expect(compressor.decompress(fromHex(hex), 65_536)).toBeUndefined()
  })

  test('decompressing survives any bytes, within its limit', () => {
    const packed = compressor.compress(prose) as Uint8Array
    fc.assert(
      fc.property(fc.oneof(mutated(packed), fc.uint8Array({ maxLength: 60 })), fc.nat(8192), (bytes, limit) => {
        const out = compressor.decompress(bytes, limit)
        expect(out === undefined || out.length <= limit).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('native lz4', () => {
  test('is undefined where it cannot be loaded, or is something else', async () => {
    expect(await loadNativeLz4(() => Promise.reject(new Error('not installed')))).toBeUndefined()
    expect(await loadNativeLz4(() => Promise.resolve(undefined))).toBeUndefined()
    expect(await loadNativeLz4(() => Promise.resolve({ default: { encodeBlock: 1 } }))).toBeUndefined()
  })

  test('is undefined in a browser', async () => {
    expect(await loadInBrowser()).toBeUndefined()
  })
})
