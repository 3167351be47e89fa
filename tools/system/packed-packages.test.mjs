// What a consumer gets: the packed packages in an empty folder, and the program of the README on every Node that we
// say we support.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test, after } from 'node:test'
import { installPacked, npmCommand, nodeOf, root, run, runOrThrow, sizeOf, temporaryFolder } from './support.mjs'

const folder = temporaryFolder({ after }, 'consumer')

/** The block that follows `<!-- program -->` in the README. */
function readmeProgram() {
  const match = /<!-- program -->\s+```js\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  assert.ok(match, 'the README has no program')
  return match[1]
}

describe('the packed packages in an empty folder', () => {
  before(async () => {
    await installPacked(folder)
    writeFileSync(join(folder, 'program.js'), readmeProgram())
  })

  test('bring no native module but the engine that QUIC itself asks for', () => {
    const native = readdirSync(join(folder, 'node_modules'), { recursive: true }).filter((path) =>
      /(\.node|binding\.gyp)$/.test(path),
    )
    assert.deepEqual(
      native.filter((path) => !path.startsWith('@matrixai/quic-')),
      [],
    )
    const mebibytes = sizeOf(join(folder, 'node_modules')) / 2 ** 20
    console.log(`installed: ${mebibytes.toFixed(1)} MiB`)
  })

  test('the program in the README has at most twenty lines', () => {
    assert.ok(readmeProgram().trim().split('\n').length <= 20)
  })

  for (const major of [20, 22, 24, 26]) {
    test(`the program in the README runs on Node ${major}`, async () => {
      const { status, stdout, stderr } = await run(nodeOf(major), ['program.js'], {
        cwd: folder,
        limitMs: 30_000,
      })
      assert.equal(status, 0, stdout + stderr)
      assert.match(stdout, /hello world/)
      assert.equal(stderr, '')
    })
  }

  test('the command of @aiv/node runs from there', async () => {
    const { stdout } = await runOrThrow(npmCommand, ['exec', '--no', '--', 'aiv', '--version'], {
      cwd: folder,
    })
    assert.match(stdout, /^\d+\.\d+\.\d+/)
  })
})
