// The `aiv` command as a person uses it: one shell listens, another one sends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { run, start } from './support.mjs'

const frame = '485811000000050000000001000001941f297c0068656c6c6f8ba357e9'

test('a file goes from one shell to another, and the hashes match', async (t) => {
  const receiver = start(t, 'npx', ['aiv', 'up', '--ephemeral'])
  const [address] = await receiver.line(/^htx:\/\/[0-9a-f]{32}@\S+$/m)
  const { status, stdout, stderr } = await run('npx', ['aiv', 'send', address, '--file', 'README.md', '--wait'])
  assert.equal(status, 0, stdout + stderr)
  await receiver.line(/README\.md/)
  const sha256 = /[0-9a-f]{64}/
  const [sent] = sha256.exec(stdout + stderr) ?? []
  const [received] = await receiver.line(sha256)
  assert.ok(sent, `the sender printed no hash: ${stdout}${stderr}`)
  assert.equal(received, sent)
})

test('an address with another id is refused with a code', async (t) => {
  const receiver = start(t, 'npx', ['aiv', 'up', '--ephemeral'])
  const [address] = await receiver.line(/^htx:\/\/[0-9a-f]{32}@\S+$/m)
  const other = address.replace(/[0-9a-f]{32}/, (id) => id.replace(/^./, (digit) => (digit === '0' ? '1' : '0')))
  const { status, stderr } = await run('npx', ['aiv', 'send', other, 'hello', '--wait'])
  assert.equal(status, 1, stderr)
  assert.match(stderr, /IDENTITY_MISMATCH/)
})

test('Ctrl-C ends a listening node with 0', async (t) => {
  // not through npx, which a signal ends with a status of its own
  const receiver = start(t, 'node_modules/.bin/aiv', ['up', '--ephemeral'])
  await receiver.line(/^htx:\/\//m)
  assert.equal(await receiver.stop(), 0)
})

test('inspect names what a frame is', async () => {
  const { status, stdout, stderr } = await run('npx', ['aiv', 'inspect', frame])
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /DATA/)
  assert.match(stdout, /sequence\W+1\b/i)
  assert.match(stdout, /hello/)
})

test('inspect reports the code of the failure when one byte is wrong, and exits with 1', async () => {
  const changed = frame.replace('68656c6c6f', '68656c6c6e')
  const { status, stdout, stderr } = await run('npx', ['aiv', 'inspect', changed])
  assert.equal(status, 1, stdout + stderr)
  assert.match(stdout + stderr, /HTX_[A-Z_]+/)
})
