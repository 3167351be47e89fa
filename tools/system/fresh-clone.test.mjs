// The first of the two commands on a bare machine: a fresh clone, no compiler on the PATH, no terminal.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freshEnvironment, pathWithoutCompilers, root, run, runOrThrow, temporaryFolder } from './support.mjs'

test('npm start -- --once installs, builds and does the main job in a fresh clone without a compiler', async (t) => {
  const folder = temporaryFolder(t, 'clone')
  const clone = join(folder, 'clone')
  const programs = join(folder, 'bin')
  mkdirSync(programs)
  // the checkout may belong to somebody else, as it does in containers
  const trust = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' }
  await runOrThrow('git', ['clone', '--quiet', root, clone], { cwd: folder, env: freshEnvironment(trust) })

  const env = freshEnvironment({ PATH: pathWithoutCompilers(programs) })
  const compilers = await run('sh', ['-c', 'command -v gcc cc make python3 c++'], { env })
  assert.equal(compilers.stdout, '')

  const { status, stdout, stderr, seconds } = await run('npm', ['start', '--', '--once'], {
    cwd: clone,
    env,
    limitMs: 10 * 60_000,
  })
  assert.equal(status, 0, stdout + stderr)
  console.log(`npm start -- --once in a fresh clone: ${seconds.toFixed(0)} s\n${stdout}`)
})
