import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { toHex } from '@aiv/transport-api'
import { type ChunkHead, FrameType, crc32, encodeFrame, lz4Compressor, writeChunkHeader } from '../src/index.js'
import { Lz4BlockEncoder } from '../src/lz4-block.js'

const document = readFileSync(new URL('../../../docs/wire/htx-frame.md', import.meta.url), 'utf8')
const hello = new TextEncoder().encode('hello')
const nothing = new Uint8Array(0)

function frame(type: number, sequence: number, timestamp: number, payload: Uint8Array): string {
  return toHex(encodeFrame({ flags: 0, type, sequence, timestamp, payload }))
}

function chunk(head: ChunkHead, bytes: Uint8Array): string {
  const out = new Uint8Array(64)
  const at = writeChunkHeader(out, 0, head)
  out.set(bytes, at)
  return toHex(out.subarray(0, at + bytes.length))
}

function lz4Block(bytes: Uint8Array): string {
  const out = new Uint8Array(64)
  return toHex(out.subarray(0, new Lz4BlockEncoder().encode(bytes, out, 0)))
}

describe('docs/wire/htx-frame.md', () => {
  test.each([
    [
      'DATA, no flags, sequence 1, timestamp 1735689600000, "hello"',
      frame(FrameType.Data, 1, 1_735_689_600_000, hello),
    ],
    ['PING, no flags, sequence 0, timestamp 0, empty', frame(FrameType.Ping, 0, 0, nothing)],
    ['chunk: message 1, "hello"', chunk({ number: 1, final: true, length: 5 }, hello)],
    [
      'chunk: message 2, first five of 300 bytes, "hello"',
      chunk({ number: 2, final: false, length: 5, total: 300 }, hello),
    ],
    ['chunk: message 2, the last, empty', chunk({ number: 2, final: true, length: 0 }, nothing)],
    ['padding of two bytes', chunk({ number: 0, final: true, length: 2 }, new Uint8Array(2))],
    ['LZ4 block of "hello"', lz4Block(hello)],
    ['`lz4` of 300 zero bytes', toHex(lz4Compressor().compress(new Uint8Array(300)) ?? nothing)],
  ])('has the golden value of %s', (what, hex) => {
    expect(document).toContain(`| ${what} | \`${hex}\` |`)
  })

  test('has no golden value that is not checked here', () => {
    const rows = document.slice(document.indexOf('## Golden values')).match(/^\| .* \| `[0-9a-f]+` \|$/gm)
    expect(rows).toHaveLength(8)
  })

  test('has the check value of the CRC', () => {
    const check = crc32(new TextEncoder().encode('123456789'))
    expect(document).toContain(`CRC-32 of "123456789" is \`${check.toString(16)}\``)
  })

  test('lists every frame type', () => {
    for (const type of Object.values(FrameType)) {
      expect(document).toMatch(new RegExp(`\\| ${type.toString(16).toUpperCase().padStart(2, '0')} \\| [A-Z_]+ \\|`))
    }
  })
})
