import { describe, expect, test } from '@jest/globals'
import { ArgumentError, type Bytes, fromHex, toHex } from '@aiv/transport-api'
import fc from 'fast-check'
import {
  ChunkError,
  type ChunkHead,
  type ChunkSink,
  type MessageRun,
  MAX_CHUNK_HEADER_BYTES,
  MAX_MESSAGE_NUMBER,
  chunkHeaderLength,
  readChunks,
  writeChunkHeader,
} from '../src/index.js'
import { mutated } from './arbitraries.js'

/** A chunk as it is told, whichever callbacks told it; `total` as the wire has it. */
type Told = { number: number; final: boolean; total: number | undefined; bytes: string } | { padding: number }

/** Tells what it hears and keeps track of which messages are open, as a session does. */
class Listener implements ChunkSink {
  readonly told: Told[] = []
  readonly open = new Set<number>()
  /** How many messages came in one call. */
  atOnce = 0
  #parts: number[] | undefined
  #left = 0

  isOpen(number: number): boolean {
    return this.open.has(number)
  }
  onMessage(number: number, bytes: Uint8Array, start: number, end: number): void {
    expect(this.#parts).toBeUndefined()
    expect(end).toBeLessThanOrEqual(bytes.length)
    this.atOnce += 1
    this.told.push({ number, final: true, total: undefined, bytes: toHex(bytes.subarray(start, end)) })
  }
  onChunkStart(number: number, final: boolean, length: number, total: number | undefined): void {
    expect(this.#parts).toBeUndefined()
    expect(total === undefined).toBe(this.open.has(number))
    if (final && total !== undefined) expect(total).toBe(length)
    this.#parts = []
    this.#left = length
    this.told.push({ number, final, total: final ? undefined : total, bytes: '' })
    if (final) this.open.delete(number)
    else this.open.add(number)
  }
  onChunkBytes(bytes: Uint8Array): void {
    expect(bytes.length).toBeGreaterThan(0)
    this.#left -= bytes.length
    this.#parts?.push(...bytes)
  }
  onChunkEnd(): void {
    expect(this.#left).toBe(0)
    const last = this.told.at(-1) as { bytes: string }
    last.bytes = toHex(Uint8Array.from(this.#parts ?? []))
    this.#parts = undefined
  }
  onPadding(length: number): void {
    this.told.push({ padding: length })
  }
}

/** The same, that takes runs of whole messages within such limits. */
class RunningListener extends Listener {
  runs = 0
  #run = { next: 1, leftBytes: 0, maxMessageBytes: 0, costBytes: 16 }

  constructor(limits: { readonly leftBytes: number; readonly maxMessageBytes: number }) {
    super()
    this.#run = { ...this.#run, ...limits }
  }
  beginRun(): MessageRun {
    return { ...this.#run, messages: [] }
  }
  endRun({ messages, ...run }: MessageRun): void {
    const bytes = messages.reduce((sum, { length }) => sum + length + run.costBytes, 0)
    expect(run.next).toBe(this.#run.next + messages.length)
    expect(run.leftBytes).toBe(this.#run.leftBytes - bytes)
    expect(messages.every(({ length }) => length <= run.maxMessageBytes)).toBe(true)
    messages.forEach((message, i) => {
      const number = this.#run.next + i
      this.told.push({ number, final: true, total: undefined, bytes: toHex(message) })
    })
    if (messages.length > 0) this.runs += 1
    this.#run = run
  }
  override onMessage(number: number, bytes: Uint8Array, start: number, end: number): void {
    super.onMessage(number, bytes, start, end)
    this.#run.next = Math.max(this.#run.next, number + 1)
  }
  override onChunkStart(number: number, final: boolean, length: number, total: number | undefined): void {
    super.onChunkStart(number, final, length, total)
    if (total !== undefined) this.#run.next = Math.max(this.#run.next, number + 1)
  }
}

function read(payload: Bytes, open: Iterable<number> = []): Listener & { code?: string } {
  const listener: Listener & { code?: string } = new Listener()
  for (const number of open) listener.open.add(number)
  try {
    readChunks(payload, listener)
  } catch (error) {
    if (!(error instanceof ChunkError)) throw error
    listener.code = error.code
  }
  return listener
}

function write(heads: readonly (ChunkHead & { bytes: Uint8Array })[]): Uint8Array {
  const out = new Uint8Array(heads.reduce((sum, { bytes }) => sum + MAX_CHUNK_HEADER_BYTES + bytes.length, 0))
  let at = 0
  for (const { bytes, ...head } of heads) {
    const next = writeChunkHeader(out, at, head)
    expect(next - at).toBe(chunkHeaderLength(head))
    out.set(bytes, next)
    at = next + bytes.length
  }
  return out.slice(0, at)
}

function piecesOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((to, i) => bytes.slice(places[i], to))
}

/** Chunks of several messages, interleaved, with padding between them. */
const anyChunks = fc
  .array(
    fc.record({
      number: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: MAX_MESSAGE_NUMBER })),
      parts: fc.array(fc.uint8Array({ minLength: 1, maxLength: 90 }), { minLength: 1, maxLength: 4 }),
      emptyEnd: fc.boolean(),
    }),
    { maxLength: 8 },
  )
  .chain((messages) => {
    const unique = [...new Map(messages.map((message) => [message.number, message])).values()]
    const queues = unique.map(({ number, parts, emptyEnd }) => chunksOf(number, parts, emptyEnd))
    const turns = queues.flatMap((queue, i) => queue.map(() => i))
    const order = fc.shuffledSubarray(turns, { minLength: turns.length })
    return fc.record({ queues: fc.constant(queues), order, padding: fc.nat(3) })
  })
  .map(({ queues, order, padding }) => {
    const left = queues.map((queue) => [...queue])
    const pad = { number: 0, final: true, length: padding, total: undefined, bytes: new Uint8Array(padding) }
    return order.flatMap((i) => [left[i]?.shift() ?? [], padding > 0 ? pad : []].flat())
  })

/** A message in chunks, its last one empty on request. */
function chunksOf(number: number, parts: Uint8Array[], emptyEnd: boolean): (ChunkHead & { bytes: Uint8Array })[] {
  const nothing = new Uint8Array(0)
  const all = !emptyEnd ? parts : parts.length === 1 ? [nothing] : [...parts, nothing]
  const total = all.reduce((sum, part) => sum + part.length, 0)
  return all.map((bytes, i) => {
    const final = i === all.length - 1
    return { number, final, length: bytes.length, total: i === 0 && !final ? total : undefined, bytes }
  })
}

function toldOf(heads: readonly (ChunkHead & { bytes: Uint8Array })[]): Told[] {
  return heads.map(({ number, final, length, total, bytes }) =>
    number === 0 ? { padding: length } : { number, final, total, bytes: toHex(bytes) },
  )
}

describe('chunks', () => {
  test('have these bytes', () => {
    const hello = new TextEncoder().encode('hello')
    const payload = write([
      { number: 1, final: true, length: 5, bytes: hello },
      { number: 2, final: false, length: 5, total: 300, bytes: hello },
      { number: 0, final: true, length: 2, bytes: new Uint8Array(2) },
      { number: 40, final: true, length: 0, bytes: new Uint8Array(0) },
    ])
    expect(toHex(payload)).toBe('030568656c6c6f' + '0405412c68656c6c6f' + '01020000' + '405100')
  })

  test('of one message each come in one call', () => {
    const listener = read(fromHex('030568656c6c6f' + '0500' + '0701ff'))
    expect(listener.atOnce).toBe(3)
    expect(listener.told).toEqual([
      { number: 1, final: true, total: undefined, bytes: '68656c6c6f' },
      { number: 2, final: true, total: undefined, bytes: '' },
      { number: 3, final: true, total: undefined, bytes: 'ff' },
    ])
  })

  test('of a message that is open carry no total length, and the empty last one ends it', () => {
    const listener = read(fromHex('0401aa' + '0500'), [2])
    expect(listener.atOnce).toBe(0)
    expect(listener.told).toEqual([
      { number: 2, final: false, total: undefined, bytes: 'aa' },
      { number: 2, final: true, total: undefined, bytes: '' },
    ])
  })

  test('come back as they went in, from one piece and from any pieces', () => {
    fc.assert(
      fc.property(anyChunks, fc.array(fc.nat(600), { maxLength: 9 }), (heads, cuts) => {
        const payload = write(heads)
        expect(read(payload).told).toEqual(toldOf(heads))
        expect(read(piecesOf(payload, cuts)).told).toEqual(toldOf(heads))
      }),
    )
  })

  test('are the same wherever the payload is split', () => {
    const heads = [
      { number: 70, final: false, length: 3, total: 70_000, bytes: Uint8Array.of(1, 2, 3) },
      { number: 2 ** 40, final: true, length: 70, bytes: new Uint8Array(70).fill(9) },
      { number: 0, final: true, length: 5, bytes: new Uint8Array(5) },
      { number: 70, final: true, length: 0, bytes: new Uint8Array(0) },
      { number: MAX_MESSAGE_NUMBER, final: true, length: 1, bytes: Uint8Array.of(7) },
    ]
    const payload = write(heads)
    const whole = JSON.stringify(toldOf(heads))
    for (let first = 0; first <= payload.length; first++) {
      for (let second = first; second <= payload.length; second++) {
        const { told } = read(piecesOf(payload, [first, second]))
        if (JSON.stringify(told) !== whole) expect({ first, second, told }).toEqual(toldOf(heads))
      }
    }
    expect(read(Array.from(payload, (byte) => Uint8Array.of(byte))).told).toEqual(toldOf(heads))
  })

  test('of no bytes at all are none', () => {
    expect(read(new Uint8Array(0)).told).toEqual([])
    expect(read([]).told).toEqual([])
    expect(read([new Uint8Array(0), new Uint8Array(0)]).told).toEqual([])
  })

  test.each([
    ['a chunk that goes beyond the payload', '030668656c6c6f'],
    ['a number cut off', '0300' + '40'],
    ['a length missing', '0300' + '03'],
    ['a length cut off', '0300' + '0380'],
    ['a total missing', '0400'.replace('00', '01')],
    ['a total cut off', '040180'],
    ['an empty chunk that is not final', '0400'],
    ['padding that is not final', '0001aa'],
    ['two zero bytes', '0000'],
    ['a total equal to the first chunk', '040101aa'],
    ['a total below the first chunk', '040201aaaa'],
    ['a number above 2^53 - 1', 'ffffffffffffffff00'],
    ['a length of 2^53 - 1', '03c01fffffffffffff'],
    ['padding that goes beyond the payload', '010200'],
  ])('refuses %s', (_name, hex) => {
    const payload = fromHex(hex)
    expect(read(payload).code).toBe('CHUNK_MALFORMED')
    expect(read(Array.from(payload, (byte) => Uint8Array.of(byte))).code).toBe('CHUNK_MALFORMED')
  })

  test('refuses an empty chunk that is not final of an open message too', () => {
    expect(read(fromHex('0400'), [2]).code).toBe('CHUNK_MALFORMED')
    expect(read([fromHex('04'), fromHex('00')], [2]).code).toBe('CHUNK_MALFORMED')
  })

  test('are delivered up to the fault', () => {
    const listener = read(fromHex('030568656c6c6f' + '0400'))
    expect(listener.told).toHaveLength(1)
    expect(listener.code).toBe('CHUNK_MALFORMED')
  })

  test('let the error of a sink through', () => {
    const listener = new Listener()
    listener.onMessage = () => {
      throw new RangeError('enough')
    }
    expect(() => readChunks(fromHex('0300'), listener)).toThrow(RangeError)
    expect(read([fromHex('03'), fromHex('0161')]).told).toHaveLength(1)
  })

  test('are read while others are, by a sink that does so', () => {
    const outer = new Listener()
    const inner = new Listener()
    const tell = outer.onMessage.bind(outer)
    outer.onMessage = (...message) => {
      tell(...message)
      readChunks([fromHex('1301'), fromHex('78')], inner)
    }
    readChunks([fromHex('0301'), fromHex('610501'), fromHex('62')], outer)
    expect(outer.told.map((message) => ('bytes' in message ? message.bytes : ''))).toEqual(['61', '62'])
    expect(inner.told).toHaveLength(2)
  })

  test('survive any bytes, with the same verdict and chunks however they are split', () => {
    const valid = fromHex('030568656c6c6f0405412c68656c6c6f01020000405100040568656c6c6f05016f')
    fc.assert(
      fc.property(
        fc.oneof(mutated(valid), fc.uint8Array({ maxLength: 60 })),
        fc.array(fc.nat(60), { maxLength: 4 }),
        (payload, cuts) => {
          const whole = read(payload)
          const split = read(piecesOf(payload, cuts))
          expect(split.code).toBe(whole.code)
          expect(split.told).toEqual(whole.told)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test.each([
    { number: MAX_MESSAGE_NUMBER + 1, final: false, length: 1 },
    { number: -1, final: true, length: 1 },
    { number: 1.25, final: true, length: 1 },
    { number: 1, final: true, length: -1 },
  ])('refuse to be written as %p', (head) => {
    expect(() => writeChunkHeader(new Uint8Array(MAX_CHUNK_HEADER_BYTES), 0, head)).toThrow(ArgumentError)
  })
})

describe('a run of whole messages', () => {
  const messages = (sizes: readonly number[], first = 1) =>
    write(
      sizes.map((size, i) => ({
        number: first + i,
        final: true,
        length: size,
        bytes: new Uint8Array(size).fill(first + i),
      })),
    )
  const toldBy = (listener: Listener, payload: Bytes): string => {
    let code = 'none'
    try {
      readChunks(payload, listener)
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error
      code = error.code
    }
    return JSON.stringify([listener.told, code])
  }

  test('is read in one, and what follows that is something else the way of single chunks', () => {
    const open = { number: 4, final: false, length: 5, total: 9, bytes: new Uint8Array(5) }
    const rest = { number: 4, final: true, length: 4, bytes: new Uint8Array(4) }
    const payload = Uint8Array.of(...messages([1, 0, 70]), ...write([open, rest]), ...messages([3, 300], 5))
    const listener = new RunningListener({ leftBytes: 10_000, maxMessageBytes: 1_000 })
    readChunks(payload, listener)
    expect([listener.runs, listener.atOnce]).toEqual([2, 0])
    expect(JSON.stringify(listener.told)).toBe(JSON.stringify(read(payload).told))
  })

  test.each([
    ['a message above the limit', { leftBytes: 10_000, maxMessageBytes: 9 }, [9, 10, 1]],
    ['more bytes than may come', { leftBytes: 40, maxMessageBytes: 100 }, [4, 5, 0]],
  ])('ends before %s, which is told by itself', (_, limits, sizes) => {
    const listener = new RunningListener(limits)
    readChunks(messages(sizes), listener)
    expect(listener.atOnce).toBeGreaterThan(0)
    expect(listener.told).toHaveLength(sizes.length)
  })

  test('tells the same as single chunks, of anything, split anywhere', () => {
    const limits = fc.record({ leftBytes: fc.nat(2_000), maxMessageBytes: fc.nat(200) })
    const sizes = fc.array(fc.nat(120), { maxLength: 30 })
    const valid = fc.oneof(
      sizes.map((all) => messages(all)),
      anyChunks.map(write),
    )
    const cuts = fc.array(fc.nat(2_000), { maxLength: 5 })
    fc.assert(
      fc.property(fc.oneof(valid, valid.chain(mutated)), limits, cuts, (payload, limit, places) => {
        const expected = toldBy(new Listener(), payload)
        expect(toldBy(new RunningListener(limit), payload)).toBe(expected)
        expect(toldBy(new RunningListener(limit), piecesOf(payload, places))).toBe(expected)
      }),
      { numRuns: 500 },
    )
  })
})
