import { describe, expect, test } from '@jest/globals'
import { fromHex } from '@aiv/transport-api'
import fc from 'fast-check'
import { FrameFlag, FrameType, encodeFrame, inspectFrame } from '../src/index.js'
import { anyFrame, mutated } from './arbitraries.js'

const hello = fromHex('485811000000050000000001000001941f297c0068656c6c6f8ba357e9')
const noteOf = (bytes: Uint8Array, name: string): string | undefined =>
  inspectFrame(bytes).fields.find((field) => field.name === name)?.note

describe('inspectFrame', () => {
  test('names the fields of the published DATA frame', () => {
    const { fields, bytes, error } = inspectFrame(hello)
    expect(error).toBeUndefined()
    expect(bytes).toBe(29)
    expect(fields).toEqual([
      { offset: 0, length: 2, name: 'magic', value: '4858', note: '"HX"' },
      { offset: 2, length: 1, name: 'version', value: '11', note: 'HTX 1.1' },
      { offset: 3, length: 1, name: 'flags', value: '00', note: '' },
      { offset: 4, length: 3, name: 'length', value: '5', note: '' },
      { offset: 7, length: 1, name: 'type', value: '00', note: 'DATA' },
      { offset: 8, length: 4, name: 'sequence', value: '1', note: '' },
      { offset: 12, length: 8, name: 'timestamp', value: '1735689600000', note: 'ms' },
      { offset: 20, length: 5, name: 'payload', value: '"hello"', note: 'not readable as chunks by itself' },
      { offset: 25, length: 4, name: 'crc32', value: '8ba357e9', note: 'right' },
    ])
  })

  test('gives every change of one byte the code that a decoder gives it', () => {
    const codeAt = [
      ...['HTX_BAD_MAGIC', 'HTX_BAD_MAGIC', 'HTX_BAD_VERSION', 'HTX_RESERVED_FLAGS'],
      ...['HTX_FRAME_TOO_LARGE', 'HTX_TRUNCATED', 'HTX_TRUNCATED'],
    ]
    for (let at = 0; at < hello.length; at++) {
      const changed = Uint8Array.from(hello)
      changed[at] = (changed[at] as number) ^ 0x40
      expect(inspectFrame(changed).error).toBe(codeAt[at] ?? 'HTX_BAD_CRC')
    }
  })

  test('goes on behind a fault, and reports the first one', () => {
    const changed = Uint8Array.from(hello)
    changed[2] = 0x12
    const { fields, error } = inspectFrame(changed)
    expect(error).toBe('HTX_BAD_VERSION')
    expect(fields.map((field) => field.name)).toContain('crc32')
    expect(fields.at(-1)?.note).toMatch(/^wrong/)
  })

  test('shows what there is of a frame that is cut off, at every length', () => {
    for (let end = 0; end < hello.length; end++) {
      const { fields, bytes, error } = inspectFrame(hello.subarray(0, end))
      expect(error).toBe('HTX_TRUNCATED')
      expect(bytes).toBe(end)
      expect(fields.reduce((sum, field) => sum + field.length, 0)).toBe(end)
    }
  })

  test('takes the first of several frames and says where the next begins', () => {
    const two = Uint8Array.from([...hello, ...hello])
    expect(inspectFrame(two).bytes).toBe(29)
    expect(inspectFrame(two.subarray(29)).error).toBeUndefined()
  })

  test('reads chunks, windows and closes that are not sealed', () => {
    const frame = (type: number, payload: string, flags = 0): Uint8Array =>
      encodeFrame({ flags, type, sequence: 0, timestamp: 0, payload: fromHex(payload) })
    const chunks = frame(FrameType.Data, '030568656c6c6f' + '0405412c68656c6c6f' + '01020000')
    expect(noteOf(chunks, 'payload')).toBe(
      'chunks: message 1, 5 bytes; 5 bytes of message 2, 300 in all; 2 bytes of padding',
    )
    expect(noteOf(frame(FrameType.Data, '0300'.repeat(10)), 'payload')).toMatch(/; 2 more$/)
    expect(noteOf(frame(FrameType.WindowUpdate, '0000000000040000'), 'payload')).toBe('window up to byte 262144')
    expect(noteOf(frame(FrameType.Ack, '0000000000000009'), 'payload')).toBe('9 bytes received')
    expect(noteOf(frame(FrameType.Close, '0003627965'), 'payload')).toBe('code 3, reason "bye"')
    expect(noteOf(frame(FrameType.Data, '0300', FrameFlag.Encrypted), 'payload')).toMatch(/^sealed/)
    expect(noteOf(frame(FrameType.Data, '0300', FrameFlag.Compressed), 'payload')).toBe('compressed')
  })

  test.each([
    [0x04, 'reserved, ignored'],
    [0x0c, 'unknown: closes a session'],
    [0x3f, 'unknown: closes a session'],
    [0x40, 'experimental, ignored when unknown'],
    [0x80, 'private, ignored when unknown'],
  ])('says what becomes of type %i', (type, note) => {
    expect(noteOf(encodeFrame({ flags: 0, type, sequence: 0, timestamp: 0, payload: new Uint8Array(0) }), 'type')).toBe(
      note,
    )
  })

  test('finds every frame valid that can be encoded, and covers all of its bytes', () => {
    fc.assert(
      fc.property(anyFrame(), (frame) => {
        const bytes = encodeFrame(frame)
        const found = inspectFrame(bytes)
        expect(found.error).toBeUndefined()
        expect(found.fields.reduce((sum, field) => sum + field.length, 0)).toBe(bytes.length)
      }),
    )
  })

  test('survives any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(mutated(hello), fc.uint8Array({ maxLength: 60 })), (bytes) => {
        expect(inspectFrame(bytes).bytes).toBeLessThanOrEqual(bytes.length)
      }),
      { numRuns: 1000 },
    )
  })
})
