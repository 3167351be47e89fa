// Makes a package's JavaScript, called in its folder: one module for each entry point that package.json exports, and one
// for what two of them share. docs/decisions/0008-one-module-a-package.md. Types are tsc's work.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const outputs = JSON.stringify(exports).match(/\.\/dist\/[^"]+\.js(?=")/g)
const entryPoints = [...new Set(outputs)].map((output) => output.replace('./dist/', 'src/').replace(/js$/, 'ts'))
// what tools of this repository look at; packages do not export it
if (existsSync('src/internal.ts')) entryPoints.push('src/internal.ts')

const { outputFiles } = await build({
  entryPoints,
  outdir: 'dist',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'neutral',
  target: 'es2022',
  // the sources are in the package
  sourcemap: true,
  sourcesContent: false,
  charset: 'utf8',
  logLevel: 'warning',
  write: false,
})

// names of shared modules change with their content, and those of another build would be packed with the rest
mkdirSync('dist', { recursive: true })
for (const name of readdirSync('dist', { recursive: true })) if (/\.js(\.map)?$/.test(name)) rmSync(join('dist', name))
for (const { path, contents } of outputFiles) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, contents)
}
