import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { safeFileName } from '../src/file/file-name.js'

describe('a file name that somebody else chose', () => {
  test('ends with no space and no dot, also where it had to be cut', () => {
    expect(safeFileName(`${'x'.repeat(199)} and more`)).toBe('x'.repeat(199))
    expect(safeFileName(`${'x'.repeat(196)} ${'y'.repeat(50)}.pdf`)).toBe(`${'x'.repeat(196)}.pdf`)
    expect(safeFileName(`${'x'.repeat(150)}${'.'.repeat(60)}y.${'z'.repeat(60)}`)).toBe('x'.repeat(150))
  })

  test('is safe, short, and the same when it is made safe again', () => {
    const part = fc.constantFrom('a', ' ', '.', '/', '\\', 'con', '\u202e', '\0', 'é', '😀', 'long '.repeat(30), '.tar')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        const name = safeFileName(parts.join(''))
        expect(name).not.toBe('')
        expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(200)
        expect(name).not.toMatch(/^[.\s]|[.\s]$|[/\\\0\u202e]/u)
        expect(safeFileName(name)).toBe(name)
      }),
    )
  })
})
