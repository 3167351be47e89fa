import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

const sources = fileURLToPath(new URL('../src/', import.meta.url))

test.each(readdirSync(sources))('%s is a codec or a core: no clock, no timer, no chance, no platform', (file) => {
  const code = readFileSync(sources + file, 'utf8')
  expect(code).not.toMatch(/Date\.|performance\.|setTimeout|setInterval|Math\.random|\bBuffer\b|from 'node:/)
})
