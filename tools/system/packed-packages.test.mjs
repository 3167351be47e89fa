// What a consumer gets: the packed packages in an empty folder, and the program of the README on every Node that we
// say we support.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test, after } from 'node:test'
import { npmCommand, nodeOf, root, run, runOrThrow, temporaryFolder } from './support.mjs'

const folder = temporaryFolder({ after }, 'consumer')

/** The block that follows `<!-- program -->` in the README. */
function readmeProgram() {
  const match = /<!-- program -->\s+```js\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  assert.ok(match, 'the README has no program')
  return match[1]
}

function sizeOf(path) {
  const found = statSync(path)
  if (!found.isDirectory()) return found.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}

describe('the packed packages in an empty folder', () => {
  before(async () => {
    const tarballs = join(folder, 'tarballs')
    const program = join(folder, 'program')
    mkdirSync(tarballs)
    mkdirSync(program)
    await runOrThrow(npmCommand, ['pack', '--workspaces', '--ignore-scripts', '--pack-destination', tarballs])
    const files = readdirSync(tarballs).map((name) => join(tarballs, name))
    assert.equal(files.length, readdirSync(join(root, 'packages')).length)
    writeFileSync(join(program, 'package.json'), '{ "private": true, "type": "module" }')
    writeFileSync(join(program, 'program.js'), readmeProgram())
    await runOrThrow(npmCommand, ['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', ...files], {
      cwd: program,
    })
  })

  test('bring no native module', () => {
    const native = readdirSync(join(folder, 'program/node_modules'), { recursive: true }).filter((path) =>
      /(\.node|binding\.gyp)$/.test(path),
    )
    assert.deepEqual(native, [])
    const mebibytes = sizeOf(join(folder, 'program/node_modules')) / 2 ** 20
    console.log(`installed: ${mebibytes.toFixed(1)} MiB`)
  })

  test('the program in the README has at most twenty lines', () => {
    assert.ok(readmeProgram().trim().split('\n').length <= 20)
  })

  for (const major of [20, 22, 24, 26]) {
    test(`the program in the README runs on Node ${major}`, async () => {
      const { status, stdout, stderr } = await run(nodeOf(major), ['program.js'], {
        cwd: join(folder, 'program'),
        limitMs: 30_000,
      })
      assert.equal(status, 0, stdout + stderr)
      assert.match(stdout, /hello world/)
      assert.equal(stderr, '')
    })
  }

  test('the command of @aiv/node runs from there', async () => {
    const { stdout } = await runOrThrow(npmCommand, ['exec', '--no', '--', 'aiv', '--version'], {
      cwd: join(folder, 'program'),
    })
    assert.match(stdout, /^\d+\.\d+\.\d+/)
  })
})
