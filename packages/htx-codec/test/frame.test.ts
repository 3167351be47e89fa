import { describe, expect, test } from '@jest/globals'
import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'
import fc from 'fast-check'
import {
  FrameFlag,
  FrameType,
  MAX_PAYLOAD_BYTES,
  decodeFrames,
  encodeFrame,
  readFrameHeader,
  writeFrameHeader,
} from '../src/index.js'
import { anyFrame } from './arbitraries.js'

const hello = {
  flags: 0,
  type: FrameType.Data,
  sequence: 1,
  timestamp: 1_735_689_600_000,
  payload: new TextEncoder().encode('hello'),
}

describe('HTX frame', () => {
  test('has the published bytes for DATA "hello"', () => {
    expect(toHex(encodeFrame(hello))).toBe('485811000000050000000001000001941f297c0068656c6c6f8ba357e9')
  })

  test('has the published bytes for an empty PING', () => {
    const ping = { flags: 0, type: FrameType.Ping, sequence: 0, timestamp: 0, payload: new Uint8Array(0) }
    expect(toHex(encodeFrame(ping))).toBe('48581100000000030000000000000000000000008c26a1b9')
  })

  test('writes a header in place and nothing beside it', () => {
    const target = new Uint8Array(24).fill(0xee)
    writeFrameHeader(target, 2, FrameFlag.Compressed | FrameFlag.Encrypted, 0x010203, 0xff, 0xfffefdfc, 2 ** 53 - 1)
    expect(toHex(target)).toBe('eeee' + '48581103010203ff' + 'fffefdfc' + '001fffffffffffff' + 'eeee')
    expect(readFrameHeader(target, 2)).toEqual({
      flags: 3,
      length: 0x010203,
      type: 0xff,
      sequence: 0xfffefdfc,
      timestamp: 2 ** 53 - 1,
    })
  })

  test('reads a header into an object that is handed in', () => {
    const into = { flags: 9, length: 9, type: 9, sequence: 9, timestamp: 9 }
    expect(readFrameHeader(encodeFrame(hello), 0, into)).toBe(into)
    expect(into).toEqual({ flags: 0, length: 5, type: 0, sequence: 1, timestamp: 1_735_689_600_000 })
  })

  test('a timestamp above 2^53 is read as an approximation', () => {
    const bytes = fromHex('48581100000000030000000ffffffffffffffffe')
    expect(readFrameHeader(bytes).timestamp).toBe(2 ** 64)
  })

  test('comes back as it went in', () => {
    fc.assert(
      fc.property(fc.array(anyFrame(), { maxLength: 5 }), (frames) => {
        const stream = concat(frames.map((frame) => encodeFrame(frame)))
        expect(decodeFrames(stream, { maxFrameBytes: 65_536 })).toEqual(frames)
      }),
    )
  })

  test.each([
    ['a reserved flag', { flags: 4 }],
    ['flags beyond a byte', { flags: 256 }],
    ['a type beyond a byte', { type: 256 }],
    ['a negative type', { type: -1 }],
    ['a sequence beyond 32 bits', { sequence: 2 ** 32 }],
    ['a fractional sequence', { sequence: 1.5 }],
    ['a timestamp that is no safe integer', { timestamp: 2 ** 53 }],
    ['a negative timestamp', { timestamp: -1 }],
    ['a payload beyond 24 bits', { payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) }],
  ])('refuses to encode %s', (_name, change) => {
    expect(() => encodeFrame({ ...hello, ...change })).toThrow(ArgumentError)
  })
})

function concat(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
