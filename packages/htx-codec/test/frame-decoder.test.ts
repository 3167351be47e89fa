import { describe, expect, test } from '@jest/globals'
import { ArgumentError, equalBytes, fromHex, toHex } from '@aiv/transport-api'
import fc from 'fast-check'
import {
  FRAME_OVERHEAD,
  type Frame,
  FrameDecoder,
  FrameError,
  type FrameSink,
  FrameType,
  MAX_PAYLOAD_BYTES,
  crc32,
  decodeFrames,
  encodeFrame,
} from '../src/index.js'
import { anyFrame, mutated } from './arbitraries.js'

/** Gathers frames again from whatever way they come, copying at once since views may not outlive their input. */
class Gatherer implements FrameSink {
  readonly frames: Frame[] = []
  readonly headers: string[] = []
  #pieces: number[] | undefined
  #header: Omit<Frame, 'payload'> | undefined

  onFrame(...[{ flags, type, sequence, timestamp }, headerBytes, payload]: Parameters<FrameSink['onFrame']>): void {
    expect(this.#pieces).toBeUndefined()
    this.headers.push(toHex(headerBytes))
    this.frames.push({ flags, type, sequence, timestamp, payload: payload.slice() })
  }
  onFrameStart(...[{ flags, type, sequence, timestamp }, headerBytes]: Parameters<FrameSink['onFrameStart']>): void {
    expect(this.#pieces).toBeUndefined()
    this.headers.push(toHex(headerBytes))
    this.#header = { flags, type, sequence, timestamp }
    this.#pieces = []
  }
  onFramePiece(piece: Uint8Array): void {
    expect(piece.length).toBeGreaterThan(0)
    this.#pieces?.push(...piece)
  }
  onFrameEnd(): void {
    if (this.#header === undefined || this.#pieces === undefined) throw new Error('an end without a start')
    this.frames.push({ ...this.#header, payload: Uint8Array.from(this.#pieces) })
    this.#pieces = undefined
  }
}

function feed(stream: Uint8Array, cuts: readonly number[], maxFrameBytes = 65_536): Gatherer & { code?: string } {
  const decoder = new FrameDecoder({ maxFrameBytes, crc32 })
  const sink: Gatherer & { code?: string } = new Gatherer()
  let from = 0
  try {
    for (const cut of [...cuts, stream.length]) {
      const input = stream.slice(from, cut)
      from = cut
      decoder.push(input, sink)
      input.fill(0xdd) // a shell may use its buffer again
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error
    sink.code = error.code
  }
  return sink
}

const frames: Frame[] = [
  { flags: 2, type: FrameType.Data, sequence: 1, timestamp: 7, payload: Uint8Array.from({ length: 70 }, (_, i) => i) },
  { flags: 0, type: FrameType.Ping, sequence: 0, timestamp: 8, payload: new Uint8Array(0) },
  { flags: 1, type: 0xfe, sequence: 2 ** 32 - 1, timestamp: 2 ** 52, payload: new Uint8Array(1) },
  { flags: 3, type: FrameType.Close, sequence: 4, timestamp: 9, payload: new Uint8Array(16).fill(255) },
]
const encoded = frames.map((frame) => encodeFrame(frame))
const stream = Uint8Array.from(encoded.flatMap((bytes) => [...bytes]))
const headers = encoded.map((bytes) => toHex(bytes.subarray(0, 20)))

describe('FrameDecoder', () => {
  test('hands frames that lie whole in one input out at once', () => {
    const sink = feed(stream, [])
    expect(sink.frames).toEqual(frames)
    expect(sink.headers).toEqual(headers)
  })

  test('gives the same frames and headers for a stream that is split anywhere', () => {
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second += 7) {
        const sink = feed(stream, [first, second])
        expect(sink.headers).toEqual(headers)
        expect(sink.frames.map((frame) => toHex(encodeFrame(frame))).join('')).toBe(toHex(stream))
      }
    }
  })

  test('gives the same frames when bytes come one by one', () => {
    const sink = feed(
      stream,
      Array.from(stream, (_, i) => i),
    )
    expect(sink.frames).toEqual(frames)
  })

  test('gives any frames back, however the stream is split', () => {
    fc.assert(
      fc.property(fc.array(anyFrame(), { maxLength: 4 }), fc.array(fc.nat(1200), { maxLength: 12 }), (some, cuts) => {
        const bytes = Uint8Array.from(some.flatMap((frame) => [...encodeFrame(frame)]))
        const ordered = cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b)
        expect(feed(bytes, ordered).frames).toEqual(some)
      }),
    )
  })

  test('takes frames of the largest size, whole and split', () => {
    const payload = Uint8Array.from({ length: 65_512 }, (_, i) => (i * i) >>> 3)
    const bytes = encodeFrame({ flags: 2, type: FrameType.Data, sequence: 1, timestamp: 0, payload })
    for (const cuts of [[], [1], [20], [40_000], [65_534], [20, 65_532]]) {
      const [frame] = feed(bytes, cuts).frames
      expect(equalBytes(frame?.payload ?? new Uint8Array(0), payload)).toBe(true)
      const changed = Uint8Array.from(bytes)
      changed[33_333] = 1 + (changed[33_333] as number)
      expect(feed(changed, cuts).code).toBe('HTX_BAD_CRC')
    }
  })

  test('hands out views, without a copy', () => {
    const decoder = new FrameDecoder({ maxFrameBytes: 65_536 })
    const buffers: ArrayBufferLike[] = []
    decoder.push(stream, {
      onFrame: (_header, headerBytes, payload) => buffers.push(headerBytes.buffer, payload.buffer),
      onFrameStart: () => undefined,
      onFramePiece: () => undefined,
      onFrameEnd: () => undefined,
    })
    expect(new Set(buffers)).toEqual(new Set([stream.buffer]))
  })

  test('passes the payload of a frame on as it arrives', () => {
    const decoder = new FrameDecoder({ maxFrameBytes: 65_536 })
    const told: string[] = []
    const sink: FrameSink = {
      onFrame: () => told.push('whole'),
      onFrameStart: (header) => told.push(`start ${header.length}`),
      onFramePiece: (piece) => told.push(`piece ${piece.length}`),
      onFrameEnd: () => told.push('end'),
    }
    const bytes = encoded[0] as Uint8Array
    for (const [from, to] of [
      [0, 20],
      [20, 21],
      [21, 90],
      [90, 92],
      [92, 94],
    ])
      decoder.push(bytes.subarray(from, to), sink)
    expect(told).toEqual(['start 70', 'piece 1', 'piece 69', 'end'])
  })

  test('knows whether it is inside a frame', () => {
    const decoder = new FrameDecoder({ maxFrameBytes: 65_536 })
    const sink = new Gatherer()
    expect(decoder.midFrame).toBe(false)
    for (let i = 0; i < FRAME_OVERHEAD; i++) {
      decoder.push((encoded[1] as Uint8Array).subarray(i, i + 1), sink)
      expect(decoder.midFrame).toBe(i < FRAME_OVERHEAD - 1)
    }
    decoder.push(new Uint8Array(0), sink)
    expect(decoder.midFrame).toBe(false)
  })

  test('finds every change of one byte behind the header by its CRC', () => {
    const bytes = encoded[0] as Uint8Array
    for (let at = 20; at < bytes.length; at++) {
      for (const bit of [1, 0x80]) {
        const changed = Uint8Array.from(bytes)
        changed[at] = (changed[at] as number) ^ bit
        expect(feed(changed, []).code).toBe('HTX_BAD_CRC')
        expect(feed(changed, [50]).code).toBe('HTX_BAD_CRC')
      }
    }
  })

  test('finds a changed type, sequence or timestamp by the CRC', () => {
    const bytes = encoded[0] as Uint8Array
    for (const at of [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]) {
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] as number) ^ 0x10
      expect(feed(changed, []).code).toBe('HTX_BAD_CRC')
      expect(feed(changed, [10]).code).toBe('HTX_BAD_CRC')
    }
  })

  test.each([
    ['48591100', 'HTX_BAD_MAGIC'],
    ['47', 'HTX_BAD_MAGIC'],
    ['474554202f20485454502f312e310d0a0d0a474554202f20485454502f312e310d0a', 'HTX_BAD_MAGIC'],
    ['485812', 'HTX_BAD_VERSION'],
    ['48581104', 'HTX_RESERVED_FLAGS'],
    ['48581180', 'HTX_RESERVED_FLAGS'],
    ['4858110000ffe9', 'HTX_FRAME_TOO_LARGE'],
    ['48581100ffffff', 'HTX_FRAME_TOO_LARGE'],
  ])('refuses %s as soon as it shows, with %s, however it is split', (hex, code) => {
    const bytes = fromHex(hex)
    expect(feed(bytes, []).code).toBe(code)
    for (let cut = 0; cut < bytes.length; cut++) expect(feed(bytes, [cut]).code).toBe(code)
  })

  test('takes a frame of exactly the limit and none of a byte more', () => {
    const frame = { flags: 0, type: 0, sequence: 0, timestamp: 0, payload: new Uint8Array(100) }
    const bytes = encodeFrame(frame)
    expect(feed(bytes, [], bytes.length).frames).toHaveLength(1)
    expect(feed(bytes, [], bytes.length - 1).code).toBe('HTX_FRAME_TOO_LARGE')
  })

  test('delivers the frames before a fault', () => {
    const sink = feed(Uint8Array.from([...stream, 0]), [])
    expect(sink.frames).toEqual(frames)
    expect(sink.code).toBe('HTX_BAD_MAGIC')
  })

  test('is spent after a fault', () => {
    const decoder = new FrameDecoder({ maxFrameBytes: 65_536 })
    const sink = new Gatherer()
    expect(() => decoder.push(Uint8Array.of(1), sink)).toThrow(FrameError)
    expect(() => decoder.push(stream, sink)).toThrow(ArgumentError)
    expect(sink.frames).toEqual([])
  })

  test('lets the error of a sink through and is spent', () => {
    const decoder = new FrameDecoder({ maxFrameBytes: 65_536 })
    const sink = new Gatherer()
    const fault = new Error('the sink has enough')
    sink.onFrame = () => {
      throw fault
    }
    expect(() => decoder.push(stream, sink)).toThrow(fault)
    expect(() => decoder.push(stream, sink)).toThrow(ArgumentError)
  })

  test('refuses to be called by its own sink', () => {
    const decoder = new FrameDecoder({ maxFrameBytes: 65_536 })
    const sink = new Gatherer()
    sink.onFrame = () => decoder.push(stream, sink)
    expect(() => decoder.push(stream, sink)).toThrow(ArgumentError)
  })

  test.each([0, 23, 24.5, NaN, MAX_PAYLOAD_BYTES + FRAME_OVERHEAD + 1])('refuses a limit of %s bytes', (limit) => {
    expect(() => new FrameDecoder({ maxFrameBytes: limit })).toThrow(ArgumentError)
  })

  test('survives any bytes, and ends at the same place with the same code however they are split', () => {
    fc.assert(
      fc.property(fc.oneof(mutated(stream), fc.uint8Array({ maxLength: 80 })), fc.nat(300), (bytes, cut) => {
        const whole = feed(bytes, [])
        const split = feed(bytes, [Math.min(cut, bytes.length)])
        expect(split.code).toBe(whole.code)
        expect(split.frames).toEqual(whole.frames)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('decodeFrames', () => {
  test('gives all frames of a byte string', () => {
    expect(decodeFrames(stream, { maxFrameBytes: 65_536 })).toEqual(frames)
  })

  test('tells when the last frame is cut off, wherever', () => {
    const last = stream.length - (encoded[3] as Uint8Array).length
    for (let end = last + 1; end < stream.length; end++) {
      expect(() => decodeFrames(stream.subarray(0, end), { maxFrameBytes: 65_536 })).toThrow(
        expect.objectContaining({ code: 'HTX_TRUNCATED' }),
      )
    }
  })
})
