import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { numberedName, safeFileName } from '../src/file/file-name.js'

describe('the name that a received file gets', () => {
  test.each([
    ['report.pdf', 'report.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\windows\\system.ini', 'system.ini'],
    ['..', 'unnamed'],
    ['', 'unnamed'],
    ['/', 'unnamed'],
    ['.bashrc', 'bashrc'],
    ['a\u0000b\u001b[31m.txt', 'a_b_[31m.txt'],
    ['photo\u202egpj.exe', 'photo_gpj.exe'],
    ['con.txt', '_con.txt'],
    ['trailing. . ', 'trailing'],
    ['C:\\x', 'x'],
    ['a:b', 'a_b'],
  ])('%j becomes %j', (name, expected) => {
    expect(safeFileName(name)).toBe(expected)
  })

  test('a long name is cut and keeps its extension', () => {
    const name = safeFileName(`${'ü'.repeat(300)}.tar`)
    expect(name.endsWith('.tar')).toBe(true)
    expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(200)
  })

  test('no name leaves the folder, hides itself or is empty', () => {
    const nasty = fc.string({
      unit: fc.constantFrom('.', '/', '\\', '\u0000', 'a', ' ', ':', '\u202e', '~'),
      maxLength: 20,
    })
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string({ unit: 'binary' })), (name) => {
        const safe = safeFileName(name)
        expect(safe).not.toMatch(/[/\\\p{Cc}]|^\.|^$/u)
        expect(safeFileName(safe)).toBe(safe)
      }),
    )
  })

  test('a number goes before the extension', () => {
    expect(numberedName('a.txt', 0)).toBe('a.txt')
    expect(numberedName('a.txt', 2)).toBe('a (2).txt')
    expect(numberedName('a', 1)).toBe('a (1)')
  })
})
