import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { fromHex, toHex } from '@aiv/transport-api'
import { PacketKind } from '../src/index.js'
import { golden, type Golden } from './golden-packets.js'

const folder = fileURLToPath(new URL('../../../docs/wire/', import.meta.url))
const documents = new Map<string, string>()

function read(document: Golden['document']): string {
  const known = documents.get(document)
  if (known !== undefined) return known
  const text = readFileSync(`${folder}${document}.md`, 'utf8')
  documents.set(document, text)
  return text
}

/** The rows `| title | `hex` |` of a document. */
function rows(document: Golden['document']): Map<string, string> {
  const out = new Map<string, string>()
  for (const [, title, hex] of read(document).matchAll(/^\| ([^|]+?) +\| `([0-9a-f]{6,})` \|$/gm)) {
    if (title !== undefined && hex !== undefined) out.set(title, hex)
  }
  return out
}

describe('docs/wire', () => {
  test.each(golden)('$document.md gives the bytes of: $title', ({ document, title, encode, decode, fields }) => {
    const hex = rows(document).get(title) ?? 'no such row'
    expect(toHex(encode())).toBe(hex)
    expect(decode(fromHex(hex))).toEqual(fields)
  })

  test('documents have no golden value that nothing checks', () => {
    for (const document of ['packets', 'envelope', 'link-envelope'] as const) {
      const checked = golden.filter((one) => one.document === document).map(({ title }) => title)
      expect([...rows(document).keys()].sort()).toEqual(checked.sort())
    }
  })

  test('packets.md names every packet kind with its number', () => {
    for (const [name, number] of Object.entries(PacketKind)) {
      expect(read('packets')).toMatch(new RegExp(`^\\| ${toHex(Uint8Array.of(number))} +\\| \`${name}\` `, 'm'))
    }
  })
})
