import { describe, expect, test } from '@jest/globals'
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { fromHex, toHex } from '@aiv/transport-api'
import {
  decodeFileAnswer,
  decodeFileRequest,
  encodeAnswer,
  encodeCancel,
  encodeOffer,
  writeDataHeader,
  type FileOffer,
  type FileStatus,
} from '../src/file/file-protocol.js'

const offer: FileOffer = {
  transfer: fromHex('0102030405060708'),
  id: fromHex('101112131415161718191a1b1c1d1e1f'),
  size: 300_000,
  sha256: fromHex('20'.repeat(32)),
  name: 'résumé.pdf',
}

describe('the messages of aiv-file/1', () => {
  test('an offer has the bytes of docs/wire/file.md', () => {
    const golden =
      '010102030405060708101112131415161718191a1b1c1d1e1f00000000000493e0' +
      '20'.repeat(32) +
      '0c72c3a973756dc3a92e706466'
    expect(toHex(encodeOffer(offer))).toBe(golden)
    expect(decodeFileRequest(fromHex(golden))).toEqual({ type: 'offer', ...offer })
  })

  test('a piece, a cancellation and an answer have the bytes of docs/wire/file.md', () => {
    const piece = new Uint8Array(17 + 3)
    piece.set([1, 2, 3], 17)
    writeDataHeader(piece, offer.transfer, 262_144)
    expect(toHex(piece)).toBe('0201020304050607080000000000040000010203')
    expect(decodeFileRequest(piece)).toEqual({
      type: 'data',
      transfer: offer.transfer,
      offset: 262_144,
      bytes: Uint8Array.of(1, 2, 3),
    })
    expect(toHex(encodeCancel(offer.transfer))).toBe('030102030405060708')
    expect(toHex(encodeAnswer({ status: 'gap', have: 262_144 }))).toBe('81030000000000040000')
  })

  test('docs/wire/file.md shows these bytes', async () => {
    const page = await readFile(new URL('../../../docs/wire/file.md', import.meta.url), 'utf8')
    const shown = page.replace(/\s/g, '')
    expect(shown).toContain(toHex(encodeOffer(offer)))
    expect(shown).toContain('0201020304050607080000000000040000010203')
    expect(shown).toContain(toHex(encodeCancel(offer.transfer)))
    expect(shown).toContain(toHex(encodeAnswer({ status: 'gap', have: 262_144 })))
  })

  test('every status survives its encoding', () => {
    const statuses: FileStatus[] = ['ok', 'done', 'wait', 'gap', 'FILE_MALFORMED', 'FILE_REFUSED', 'FILE_TOO_LARGE']
    statuses.push('FILE_BUSY', 'FILE_NO_SPACE', 'FILE_DISK', 'FILE_HASH_MISMATCH', 'FILE_UNKNOWN', 'FILE_SUPERSEDED')
    for (const status of statuses)
      expect(decodeFileAnswer(encodeAnswer({ status, have: 7 }))).toEqual({ status, have: 7 })
  })

  test('decoding an encoded offer gives the offer', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
    const anyOffer = fc.record({
      transfer: bytes(8),
      id: bytes(16),
      size: fc.maxSafeNat(),
      sha256: bytes(32),
      name: fc
        .string({ unit: 'grapheme', maxLength: 30 })
        .filter((name) => new TextEncoder().encode(name).length < 256),
    })
    fc.assert(
      fc.property(anyOffer, (value) => {
        expect(decodeFileRequest(encodeOffer(value))).toEqual({ type: 'offer', ...value })
      }),
    )
  })

  test('a message that is cut off anywhere, or has a byte more, is none', () => {
    const message = encodeOffer(offer)
    for (let cut = 0; cut < message.length; cut++) expect(decodeFileRequest(message.subarray(0, cut))).toBeUndefined()
    expect(decodeFileRequest(Uint8Array.of(...message, 0))).toBeUndefined()
    const answer = encodeAnswer({ status: 'ok', have: 1 })
    for (let cut = 0; cut < answer.length; cut++) expect(decodeFileAnswer(answer.subarray(0, cut))).toBeUndefined()
    expect(decodeFileAnswer(Uint8Array.of(...answer, 0))).toBeUndefined()
  })

  test('any bytes are survived', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(1, 2, 3, 0x81), (bytes, kind) => {
        if (bytes.length > 0) bytes[0] = kind
        decodeFileRequest(bytes)
        decodeFileAnswer(bytes)
      }),
      { numRuns: 1000 },
    )
  })
})
