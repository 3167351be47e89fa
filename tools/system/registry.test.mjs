// A release as it will be: versioned and published by nx, here to a registry of our own, and installed from it by
// somebody who has nothing but npm.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  cache,
  freshEnvironment,
  nodeOf,
  npmCommand,
  root,
  run,
  runOrThrow,
  sizeOf,
  start,
  temporaryFolder,
} from './support.mjs'

const MAX_INSTALLED_BYTES = 5_000_000

const program = `import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'
import { webSocket } from '@aiv/websocket'
const newNode = async (listen: { port: number } | false) =>
  createNode({ identity: await createIdentity(), transports: [webSocket({ listen })] })
const [server, client] = await Promise.all([newNode({ port: 0 }), newNode(false)])
server.handle('greet/1', (message) => \`hello \${message.text()}\`)
const answer: Uint8Array = await client.request(server.addresses[0] ?? '', 'greet/1', 'world')
console.log(new TextDecoder().decode(answer))
await Promise.all([client.close(), server.close()])
`

const folder = temporaryFolder({ after }, 'registry')
const clone = join(folder, 'clone')
const consumer = join(folder, 'consumer')
const modules = join(consumer, 'node_modules')

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** A registry that has only what is published to it, by anybody. */
async function startRegistry() {
  const config = join(folder, 'verdaccio.yaml')
  writeFileSync(
    config,
    `storage: ./storage
auth: { htpasswd: { file: ./htpasswd } }
packages: { '**': { access: $all, publish: $all } }
max_body_size: 50mb
log: { type: stdout, format: pretty, level: warn }
web: { enable: false }
`,
  )
  const program = join(cache, 'registry/node_modules/verdaccio/bin/verdaccio')
  assert.ok(existsSync(program), `${program} is not there: run tools/ci/install`)
  const port = await freePort()
  const registry = start({ after }, process.execPath, [program, '--config', config, '--listen', `127.0.0.1:${port}`], {
    cwd: folder,
  })
  await registry.line(/http address/)
  return `127.0.0.1:${port}`
}

/** What is installed, not installed again (that is the fresh clone's test), but with the packages of the clone. */
function linkModules(from, to) {
  mkdirSync(to)
  for (const name of readdirSync(from)) {
    if (name === '@aiv') cpSync(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true })
    else if (!name.startsWith('.')) symlinkSync(join(from, name), join(to, name))
  }
  symlinkSync(join(from, '.bin'), join(to, '.bin'))
}

const manifestOf = (name) => JSON.parse(readFileSync(join(clone, 'packages', name, 'package.json'), 'utf8'))

describe('a release published by nx to a registry', { timeout: 600_000 }, () => {
  const env = freshEnvironment({
    NX_DAEMON: 'false',
    GIT_AUTHOR_NAME: 'release',
    GIT_AUTHOR_EMAIL: 'release@example.org',
    GIT_COMMITTER_NAME: 'release',
    GIT_COMMITTER_EMAIL: 'release@example.org',
    // the checkout may belong to somebody else, as it does in containers
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  })
  let version

  before(async () => {
    const registry = await startRegistry()
    await runOrThrow('git', ['clone', '--quiet', root, clone], { cwd: folder, env })
    linkModules(join(root, 'node_modules'), join(clone, 'node_modules'))
    const nxProgram = join(clone, 'node_modules/nx/dist/bin/nx.js')
    const nx = (args, extra = {}) =>
      runOrThrow(process.execPath, [nxProgram, ...args], { cwd: clone, env: { ...env, ...extra } })

    const [major, minor] = manifestOf('core').version.split('.')
    version = `${major}.${Number(minor) + 1}.0`
    await nx(['release', version, '--first-release', '--skip-publish'])
    await nx(['run-many', '-t', 'build', '--output-style=static'])
    // npm publishes to nobody without a token; this registry takes any
    const userconfig = join(folder, 'npmrc')
    writeFileSync(userconfig, `//${registry}/:_authToken=anybody\n`)
    await nx(['release', 'publish', '--registry', `http://${registry}/`], { npm_config_userconfig: userconfig })

    mkdirSync(consumer)
    writeFileSync(join(consumer, '.npmrc'), `@aiv:registry=http://${registry}/\n`)
    writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }')
    const packages = ['@aiv/core', '@aiv/websocket', '@aiv/security']
    await runOrThrow(npmCommand, ['install', '--no-audit', '--no-fund', ...packages], {
      cwd: consumer,
      env: freshEnvironment(),
    })
  })

  test('gives every package the version, and asks for that of the others', () => {
    for (const name of readdirSync(join(clone, 'packages'))) {
      const manifest = manifestOf(name)
      assert.equal(manifest.version, version, name)
      for (const [other, range] of Object.entries(manifest.dependencies ?? {})) {
        if (other.startsWith('@aiv/')) assert.equal(range, `^${version}`, `${name} asks for ${other}`)
      }
    }
  })

  test('commits and tags, with a change log', async () => {
    const { stdout } = await runOrThrow('git', ['tag', '--points-at', 'HEAD'], { cwd: clone, env })
    assert.equal(stdout.trim(), `v${version}`)
    assert.match(readFileSync(join(clone, 'CHANGELOG.md'), 'utf8'), new RegExp(`^## ${version}`, 'm'))
    assert.equal((await runOrThrow('git', ['status', '--porcelain'], { cwd: clone, env })).stdout, '')
  })

  test('installs small, from the registry, without a native module', () => {
    const scoped = readdirSync(join(modules, '@aiv')).map((name) => `@aiv/${name}`)
    const installed = [...scoped, ...readdirSync(modules).filter((name) => !/^[.@]/.test(name))]
    for (const name of scoped) {
      assert.equal(JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')).version, version, name)
    }
    const native = readdirSync(modules, { recursive: true }).filter((path) => /(\.node|binding\.gyp)$/.test(path))
    assert.deepEqual(native, [])
    const total = sizeOf(modules)
    console.log(installed.map((name) => `${name} ${(sizeOf(join(modules, name)) / 1000).toFixed(0)} kB`).join(', '))
    console.log(`installed: ${total} bytes in ${installed.length} packages (at most ${MAX_INSTALLED_BYTES})`)
    assert.ok(total <= MAX_INSTALLED_BYTES)
  })

  test('type-checks in a program of ten lines', async () => {
    assert.equal(program.trimEnd().split('\n').length, 10)
    writeFileSync(join(consumer, 'program.ts'), program)
    const flags = '--strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --target es2022 --module nodenext'
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await runOrThrow(process.execPath, [tsc, ...flags.split(' '), ...types, 'program.ts'], { cwd: consumer })
  })

  for (const major of [20, 22, 24, 26]) {
    test(`runs in a program of ten lines on Node ${major}`, async () => {
      const { status, stdout, stderr } = await run(nodeOf(major), ['program.js'], { cwd: consumer, limitMs: 30_000 })
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'hello world\n', stderr: '' })
    })
  }
})
