import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as browser from '../src/index.browser.js'
import * as node from '../src/index.js'

/** Everything that a module reaches by relative imports, and the names of all else that these import. */
function reach(entry: string): { readonly files: ReadonlySet<string>; readonly packages: ReadonlySet<string> } {
  const files = new Set<string>()
  const packages = new Set<string>()
  const visit = (url: URL): void => {
    if (files.has(url.href)) return
    files.add(url.href)
    const text = readFileSync(fileURLToPath(url), 'utf8')
    for (const [, name = ''] of text.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
      if (name.startsWith('.')) visit(new URL(name.replace(/\.js$/, '.ts'), url))
      else packages.add(name)
    }
  }
  visit(new URL(`../src/${entry}`, import.meta.url))
  return { files, packages }
}

test('the browser entry reaches nothing of Node', () => {
  const { files, packages } = reach('index.browser.ts')
  expect(files.size).toBeGreaterThan(15)
  expect([...packages].sort()).toEqual(['@aiv/transport-api', 'libsodium-wrappers-sumo'])
  for (const file of files) {
    expect(file).not.toMatch(/\.node\.ts$/)
    expect(readFileSync(fileURLToPath(file), 'utf8')).not.toMatch(/'node:|\bBuffer\b|\bprocess\./)
  }
})

test('the Node entry reaches Node, so that the check above sees what it looks for', () => {
  expect([...reach('index.ts').packages]).toContain('node:crypto')
})

test('the browser entry offers all that the Node entry does, but for what only Node has', () => {
  const only = Object.keys(node).filter((name) => !(name in browser))
  expect(only.sort()).toEqual([
    'KeyFileError',
    'createNodeCrypto',
    'loadIdentity',
    'loadNativeSodium',
    'nodeCrypto',
    'saveIdentity',
  ])
  expect(Object.keys(browser).filter((name) => !(name in node))).toEqual([])
})

test('package.json gives a browser the browser entry', () => {
  const text = readFileSync(fileURLToPath(new URL('../package.json', import.meta.url)), 'utf8')
  const { exports } = JSON.parse(text) as { exports: Record<string, Record<string, unknown>> }
  expect(Object.keys(exports['.'] ?? {})).toEqual(['browser', 'types', 'default'])
  expect(exports['.']?.['browser']).toEqual({
    types: './dist/index.browser.d.ts',
    default: './dist/index.browser.js',
  })
})
