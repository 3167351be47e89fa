// Every relative link in the project's Markdown leads to a file, and docs/README.md lists every document. Prints what is
// not so; part of tools/check.mjs.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const ignored = new Set(['node_modules', 'dist', 'out-tsc', 'coverage', 'cache'])

function* markdownIn(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      if (!ignored.has(entry.name) && !entry.name.startsWith('.')) yield* markdownIn(join(folder, entry.name))
    } else if (entry.name.endsWith('.md')) {
      yield join(folder, entry.name)
    }
  }
}

let broken = 0
for (const file of markdownIn(root)) {
  // what stands in code is no link
  const prose = readFileSync(file, 'utf8').replace(/```[\s\S]*?```|`[^`\n]*`/g, '')
  for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^([a-z]+:|#)/.test(target)) continue
    if (existsSync(join(dirname(file), target.replace(/#.*$/, '')))) continue
    broken++
    console.error(`${relative(root, file)}: ${target} is not there`)
  }
}

const index = readFileSync(join(root, 'docs/README.md'), 'utf8')
for (const file of markdownIn(join(root, 'docs'))) {
  const path = relative(join(root, 'docs'), file).replaceAll('\\', '/')
  if (path === 'README.md' || index.includes(`](${path})`)) continue
  broken++
  console.error(`docs/README.md does not list ${path}`)
}
process.exitCode = broken > 0 ? 1 : 0
