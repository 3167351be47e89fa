import { describe, expect, test } from '@jest/globals'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { run } from '../src/cli/run.js'
import { printable } from '../src/cli/io.js'
import { formatBytes, formatDuration } from '../src/cli/output.js'
import { FakeIo, inTemporaryFolder, runToEnd } from './fake-io.js'

const local = ['--host', '127.0.0.1', '--port', '0', '--ws-port', '0']

/** Runs `aiv up` for as long as `work` takes; checks that it ends well. */
async function withNode(
  args: readonly string[],
  work: (node: { readonly fake: FakeIo; readonly addresses: readonly string[]; readonly id: string }) => Promise<void>,
): Promise<void> {
  const fake = new FakeIo()
  const running = run(['--json', ...args, ...local], fake.io)
  const ended = running.then((code) => Promise.reject(new Error(`up ended with ${code}: ${fake.stderr}`)))
  await Promise.race([fake.saysOut(/"type":"listening".*\n/), ended])
  const { addresses, id } = fake.objects[0] as { addresses: string[]; id: string }
  try {
    await work({ fake, addresses, id })
  } finally {
    fake.stop()
    ended.catch(() => undefined)
    expect(await running).toBe(0)
  }
  expect(fake.objects.at(-1)).toEqual({ type: 'closed' })
}

describe('aiv', () => {
  test('explains itself', async () => {
    const { code, stdout } = await runToEnd(['--help'])
    expect(code).toBe(0)
    for (const command of ['init', 'id', 'up', 'send', 'inspect', 'demo']) expect(stdout).toContain(command)
    expect(stdout).not.toContain('demo-node')
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect((await runToEnd(['--version'])).stdout).toBe(`${version}\n`)
  })

  test.each([
    [[]],
    [['no-such-command']],
    [['send']],
    [['send', 'not-an-address', 'x']],
    [['send', 'htx://xyz@host:1', 'x']],
    [['up', '--port', '65536']],
    [['up', '--no-such-option']],
    [['send', 'htx://127.0.0.1:1', 'x', '--priority', 'urgent']],
    [['send', 'htx://127.0.0.1:1', 'x', '--file', 'y']],
    [['send', 'htx://127.0.0.1:1']],
    [['demo', '--size', '0']],
    [['demo-node']],
    [['inspect']],
  ])('ends with 2 and one line when it is used wrongly: %j', async (args) => {
    const { code, stderr, stdout } = await runToEnd(args)
    expect(stderr).toMatch(/^error USAGE: [^\n]+\n$/)
    expect(stdout).toBe('')
    expect(code).toBe(2)
  })

  test('makes an identity once, and says who it is', () =>
    inTemporaryFolder(async (folder) => {
      const env = { AIV_HOME: join(folder, 'home') }
      expect(await runToEnd(['id'], { env })).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^error KEY_FILE_NOT_FOUND: .*aiv init.*\n$/) as unknown,
      })
      const made = await runToEnd(['init'], { env })
      expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f]{32}\n$/) as unknown })
      expect((await runToEnd(['id'], { env })).stdout).toBe(made.stdout)
      const [shown] = (await runToEnd(['--json', 'id'], { env })).objects()
      expect(shown).toMatchObject({ type: 'identity', id: made.stdout.trim(), dataDir: join(folder, 'home') })
      expect((await runToEnd(['init'], { env })).stderr).toMatch(/^error KEY_FILE_EXISTS: /)
      expect((await stat(join(folder, 'home', 'identity'))).mode & 0o777).toBe(0o600)
    }))

  test('protects the key with a passphrase', () =>
    inTemporaryFolder(async (folder) => {
      const phrase = join(folder, 'phrase')
      await writeFile(phrase, 'correct horse\n')
      const home = ['--data-dir', join(folder, 'home')]
      const made = await runToEnd([...home, 'init', '--passphrase-file', phrase])
      expect(made.code).toBe(0)
      expect((await runToEnd([...home, 'id'])).stderr).toMatch(/^error KEY_FILE_PASSPHRASE_NEEDED: .*--passphrase-file/)
      expect((await runToEnd([...home, 'id', '--passphrase-file', phrase])).stdout).toBe(made.stdout)
      await writeFile(phrase, '\n')
      const empty = await runToEnd([...home, 'id', '--passphrase-file', phrase])
      expect(empty.stderr).toMatch(/^error INPUT_UNREADABLE: /)
    }))
})

describe('aiv up and aiv send', () => {
  test('a text arrives, typed and piped, over both transports', () =>
    inTemporaryFolder((folder) =>
      withNode(['up', '--ephemeral', '--no-receive'], async ({ fake, addresses, id }) => {
        const home = ['--data-dir', join(folder, 'nothing')]
        expect(addresses.map((address) => address.split(':')[0])).toEqual(['htx', 'ws'])
        for (const address of addresses) expect(address).toContain(`//${id}@127.0.0.1:`)
        const [htx = '', ws = ''] = addresses
        const typed = await runToEnd([...home, 'send', htx, 'hello', '--wait', '--priority', 'high'])
        expect(typed).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(/^delivered to .* over betanet/) as unknown,
        })
        expect(typed.stderr).toMatch(/no node runs .*sending as [0-9a-f]{32}/)
        const piped = await runToEnd([...home, '--json', 'send', ws], { stdin: new Uint8Array([0xff, 0xfe]) })
        expect(piped.objects().at(-1)).toMatchObject({ type: 'delivered', transport: 'websocket', bytes: 2 })
        await fake.saysOut(/"base64"/)
        expect(fake.objects.slice(1)).toMatchObject([
          { type: 'message', text: 'hello', priority: 'high', transport: 'betanet', bytes: 5 },
          { type: 'message', base64: '//4=', transport: 'websocket', bytes: 2 },
        ])
      }),
    ))

  test('a node with QUIC says so, and a text arrives over it', () =>
    inTemporaryFolder((folder) =>
      withNode(['up', '--ephemeral', '--no-receive', '--quic'], async ({ fake, addresses }) => {
        expect(addresses.map((address) => address.split(':')[0])).toEqual(['quic', 'htx', 'ws'])
        const home = ['--data-dir', join(folder, 'nothing')]
        const sent = await runToEnd([...home, '--json', 'send', addresses[0] ?? '', 'hello'])
        expect(sent.objects().at(-1)).toMatchObject({ type: 'delivered', transport: 'quic', bytes: 5 })
        await fake.saysOut(/"text":"hello"/)
      }),
    ))

  test('a file arrives and its hash is checked there', () =>
    inTemporaryFolder(async (folder) => {
      const content = randomBytes(3_000_000)
      const sha256 = createHash('sha256').update(content).digest('hex')
      await writeFile(join(folder, 'photo.raw'), content)
      const received = join(folder, 'received')
      await withNode(['up', '--ephemeral', '--receive-dir', received], async ({ fake, addresses }) => {
        const home = ['--data-dir', join(folder, 'nothing')]
        const args = ['send', addresses[0] ?? '', '--file', join(folder, 'photo.raw'), '--wait']
        const sent = await runToEnd([...home, ...args])
        expect(sent.stdout).toContain(`SHA-256 ${sha256} verified there`)
        expect(sent.code).toBe(0)
        await fake.saysOut(/"type":"file",/)
        const file = fake.objects.find(({ type }) => type === 'file')
        expect(file).toMatchObject({ path: join(received, 'photo.raw'), sha256, size: content.length })
        expect(
          createHash('sha256')
            .update(await readFile(join(received, 'photo.raw')))
            .digest('hex'),
        ).toBe(sha256)
      })
    }))

  test('an address with another id is refused with IDENTITY_MISMATCH', () =>
    withNode(['up', '--ephemeral', '--no-receive'], async ({ addresses, id }) => {
      const wrong = (addresses[0] ?? '').replace(id, '21fe31dfa154a261626bf854046fd227')
      const { code, stderr } = await runToEnd(['send', '--ephemeral', wrong, 'hello'])
      expect(stderr).toMatch(/^error IDENTITY_MISMATCH: .*\n/m)
      expect(code).toBe(1)
    }))

  test('a node that takes no files says so', () =>
    inTemporaryFolder((folder) =>
      withNode(['up', '--ephemeral', '--no-receive'], async ({ addresses }) => {
        await writeFile(join(folder, 'x'), 'x')
        const { code, stderr } = await runToEnd([
          'send',
          '--ephemeral',
          addresses[0] ?? '',
          '--file',
          join(folder, 'x'),
        ])
        expect(stderr).toMatch(/^error PROTOCOL_UNKNOWN: /m)
        expect(code).toBe(1)
      }),
    ))

  test('where nobody listens, the error has a code and a hint', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    await new Promise((resolve) => closed.close(resolve))
    const { code, stderr } = await runToEnd(['send', '--ephemeral', `htx://127.0.0.1:${port}`, 'x'])
    expect(stderr).toMatch(/^error DIAL_REFUSED: .*\(hint: .*\)\n/m)
    expect(code).toBe(1)
  })

  test('only those that are allowed get in', () =>
    withNode(
      ['up', '--ephemeral', '--no-receive', '--allow', '21fe31dfa154a261626bf854046fd227'],
      async ({ addresses }) => {
        const { code } = await runToEnd(['send', '--ephemeral', '--timeout', '2', addresses[0] ?? '', 'x'])
        expect(code).toBe(1)
      },
    ))

  test('goes through the running node of the data folder, whose lock and socket are its own', () =>
    inTemporaryFolder(async (folder) => {
      const home = ['--data-dir', join(folder, 'home')]
      const id = (await runToEnd([...home, 'init'])).stdout.trim()
      await withNode(['up', '--ephemeral', '--receive-dir', join(folder, 'got')], async (other) => {
        await withNode([...home, 'up'], async (own) => {
          expect(own.id).toBe(id)
          const second = await runToEnd([...home, 'up', ...local])
          expect(second.stderr).toMatch(/^error DATA_DIR_LOCKED: process \d+ /)
          expect(second.code).toBe(1)
          const address = other.addresses[0] ?? ''
          const waited = await runToEnd([...home, '--json', 'send', address, 'one', '--wait'])
          expect(waited.objects()).toMatchObject([{ type: 'delivered', to: other.id, transport: 'betanet' }])
          const handed = await runToEnd([...home, 'send', other.id, 'two'])
          expect(handed.stdout).toMatch(new RegExp(`^sent to ${other.id} over betanet`))
          await other.fake.saysOut(/"two"/)
          expect(other.fake.objects[1]).toMatchObject({ from: id, text: 'one' })
          await mkdir(join(folder, 'files'))
          await writeFile(join(folder, 'files', 'f'), randomBytes(600_000))
          const file = await runToEnd([...home, '--json', 'send', other.id, '--file', join(folder, 'files', 'f')])
          expect(file.objects().at(-1)).toMatchObject({ type: 'file-delivered', name: 'f', size: 600_000 })
          expect((await stat(join(folder, 'got', 'f'))).size).toBe(600_000)
          const status = await runToEnd([...home, 'status'])
          expect(status.stdout).toContain(`node ${id}, process ${process.pid}`)
          expect(status.stdout).toContain(other.id)
          const missing = await runToEnd([...home, 'send', other.id, '--file', join(folder, 'missing')])
          expect(missing.stderr).toMatch(/^error FILE_DISK: /)
        })
      })
      expect((await runToEnd([...home, 'status'])).stderr).toMatch(/^error LOCAL_SOCKET: no node runs/)
    }))

  test('a bare id means nothing where no node runs', () =>
    inTemporaryFolder(async (folder) => {
      const args = ['--data-dir', folder, 'send', '21fe31dfa154a261626bf854046fd227', 'x']
      const { code, stderr } = await runToEnd(args)
      expect(stderr).toMatch(/^error ADDRESS_UNKNOWN: .*hint: give an address/)
      expect(code).toBe(1)
    }))

  test('a port that is taken is one line with a code and a hint, and the node runs with the other transport', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const fake = new FakeIo()
    const args = ['up', '--ephemeral', '--no-receive', '--host', '127.0.0.1', '--port', String(port), '--ws-port', '0']
    const running = run(args, fake.io)
    const [address] = await fake.saysOut(/^ws:.*$/m)
    expect(fake.stderr).toMatch(/^warning TRANSPORT_PORT_TAKEN: .*\(hint: .*--port.*\)\n/m)
    expect((await runToEnd(['send', '--ephemeral', address, 'hello'])).code).toBe(0)
    await fake.saysOut(/^message from [0-9a-f]{32} over websocket: hello$/m)
    fake.stop()
    expect(await running).toBe(0)
    const alone = await runToEnd(['up', '--ephemeral', '--no-websocket', '--host', '127.0.0.1', '--port', String(port)])
    expect(alone.stderr).toMatch(/^error TRANSPORT_PORT_TAKEN: /m)
    expect(alone.code).toBe(1)
    await new Promise((resolve) => taken.close(resolve))
  })

  test('is interrupted while it waits for somebody who never answers', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const fake = new FakeIo()
    const connected = once(silent, 'connection')
    const running = run(['send', '--ephemeral', `htx://127.0.0.1:${port}`, 'x'], fake.io)
    await connected
    fake.stop()
    expect(await running).toBe(1)
    expect(fake.stderr).toMatch(/^error INTERRUPTED: /m)
    await new Promise((resolve) => silent.close(resolve))
  })
})

describe('what is shown', () => {
  test('cannot move the cursor or hide text', () => {
    expect(printable('a\u001b[2Jb\u202ec\nd\u0000')).toBe('a\\u{1b}[2Jb\\u{202e}c\\nd\\u{0}')
    expect(printable('x'.repeat(100), 10)).toBe(`${'x'.repeat(10)}…`)
    expect(printable('Grüße 你好 👋')).toBe('Grüße 你好 👋')
  })

  test('has readable numbers', () => {
    expect([1, 1536, 1_572_864, 1_610_612_736].map(formatBytes)).toEqual([
      '1 byte',
      '1,536 bytes',
      '1.5 MiB',
      '1.50 GiB',
    ])
    expect([1.25, 250, 3400, 125_000].map(formatDuration)).toEqual(['1.3 ms', '250 ms', '3.4 s', '2 min 5 s'])
  })
})
