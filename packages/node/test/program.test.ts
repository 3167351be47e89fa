import { afterEach, describe, expect, test } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTemporaryFolder } from './fake-io.js'

/** The built program, as a user starts it. */
const PROGRAM = fileURLToPath(new URL('../bin/aiv.mjs', import.meta.url))

class Program {
  stdout = ''
  stderr = ''
  readonly child: ChildProcess
  readonly ended: Promise<number | NodeJS.Signals | null>

  constructor(args: readonly string[], stdin?: string) {
    // NODE_OPTIONS are jest's
    const env = { ...process.env, NODE_OPTIONS: '' }
    this.child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: 'pipe' })
    this.child.stdout?.on('data', (bytes: Buffer) => (this.stdout += bytes.toString()))
    this.child.stderr?.on('data', (bytes: Buffer) => (this.stderr += bytes.toString()))
    this.child.stdin?.end(stdin)
    // 'close' and not 'exit': only then everything that was written has been read
    this.ended = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null)
    running.add(this)
    void this.ended.then(() => running.delete(this))
  }

  /** The first match on the standard output, now or later; rejects when the program ends before. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout)
      if (match !== null) return match
      const ended = this.ended.then((code) => {
        if (pattern.exec(this.stdout) === null) throw new Error(`ended with ${code}: ${this.stderr}`)
      })
      const { stdout } = this.child
      await Promise.race([stdout === null ? ended : once(stdout, 'data'), ended])
    }
  }
}

const running = new Set<Program>()

afterEach(async () => {
  const left = [...running]
  for (const { child } of left) child.kill('SIGKILL')
  await Promise.all(left.map(({ ended }) => ended))
})

describe('the program', () => {
  test('takes a file from one process to another, is refused under a wrong id, and ends with 0 at Ctrl-C', () =>
    inTemporaryFolder(async (folder) => {
      const content = randomBytes(5_000_000)
      await writeFile(join(folder, 'five.bin'), content)
      const received = join(folder, 'received')
      const listen = ['--host', '127.0.0.1', '--receive-dir', received]
      const up = new Program(['up', '--ephemeral', ...listen])
      const [address = '', id = ''] = await up.says(/^htx:\/\/([0-9a-f]{32})@127\.0\.0\.1:\d+$/m)
      const home = ['--data-dir', join(folder, 'nothing')]

      const send = new Program([...home, 'send', address, '--file', join(folder, 'five.bin'), '--wait'])
      expect(await send.ended).toBe(0)
      const sha256 = createHash('sha256').update(content).digest('hex')
      expect(send.stdout).toContain(`SHA-256 ${sha256} verified there`)
      expect(send.stderr).toMatch(/^no node runs .*sending as [0-9a-f]{32}/)
      await up.says(new RegExp(`^file from [0-9a-f]{32}: .*five\\.bin, .* SHA-256 ${sha256}$`, 'm'))
      expect(
        createHash('sha256')
          .update(await readFile(join(received, 'five.bin')))
          .digest('hex'),
      ).toBe(sha256)

      const piped = new Program([...home, '--verbose', 'send', address], 'from a pipe')
      expect(await piped.ended).toBe(0)
      // it ended by itself: no timer or socket of the node outlived it
      expect(piped.stderr).not.toContain('still open')
      await up.says(/^message from [0-9a-f]{32} over betanet: from a pipe$/m)

      const wrong = new Program([...home, 'send', address.replace(id, '0'.repeat(32)), 'hello'])
      expect(await wrong.ended).toBe(1)
      expect(wrong.stderr).toMatch(/^error IDENTITY_MISMATCH: /m)

      up.child.kill('SIGINT')
      expect(await up.ended).toBe(0)
      expect(up.stderr).toMatch(/closing\n$/)
    }))

  test('recovers the data folder of a node that was killed', () =>
    inTemporaryFolder(async (folder) => {
      const home = ['--data-dir', join(folder, 'home')]
      expect(await new Program([...home, 'init']).ended).toBe(0)
      const args = [...home, 'up', '--host', '127.0.0.1', '--port', '0', '--no-websocket']
      const first = new Program(args)
      await first.says(/^htx:/m)
      const second = new Program(args)
      expect(await second.ended).toBe(1)
      expect(second.stderr).toMatch(/^error DATA_DIR_LOCKED: /)
      first.child.kill('SIGKILL')
      expect(await first.ended).toBe('SIGKILL')
      const third = new Program(args)
      await third.says(/^htx:/m)
      third.child.kill('SIGTERM')
      expect(await third.ended).toBe(0)
    }))

  test('inspects what is piped in, and ends with 2 at wrong usage', async () => {
    const golden = '485811000000050000000001000001941f297c0068656c6c6f8ba357e9'
    const right = new Program(['inspect'], golden)
    expect(await right.ended).toBe(0)
    expect(right.stdout).toContain('"hello"')
    const usage = new Program(['up', '--port', 'x'])
    expect(await usage.ended).toBe(2)
    expect(usage.stderr).toMatch(/^error USAGE: .*\n$/)
  })

  test('without the Bluetooth adapter that it was told to take, says so in one line, and runs with the rest', async () => {
    const up = new Program(['up', '--ephemeral', '--host', '127.0.0.1', '--ble-adapter', '99'])
    await up.says(/^ws:/m)
    up.child.kill('SIGINT')
    expect(await up.ended).toBe(0)
    const warnings = up.stderr.split('\n').filter((line) => line.startsWith('warning'))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(
      /^warning TRANSPORT_UNAVAILABLE: there is no (Bluetooth adapter: plug one in|hci99, only )/,
    )
    expect(up.stderr).not.toMatch(/noble|bleno/)

    const send = new Program(['send', '--ephemeral', `ble://${'ab'.repeat(16)}`, 'hello'])
    // a machine with an adapter looks for the node and does not find it
    expect(await send.ended).toBe(1)
    expect(send.stderr).toMatch(/^error (TRANSPORT_UNAVAILABLE|PEER_UNREACHABLE|DIAL_TIMEOUT): /m)
  })

  test('shows three nodes, messages both ways, and a file that outlives the transport it came over', async () => {
    const demo = new Program(['--json', 'demo', '--once', '--size', '16'])
    const code = await demo.ended
    const lines = demo.stdout.split('\n').filter((line) => line !== '')
    const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(demo.stderr).toBe('')
    const rows = objects.filter(({ type }) => type === 'row')
    expect(rows.filter(({ ok }) => ok !== true)).toEqual([])
    expect(rows).toHaveLength(10)
    expect(rows.at(-1)).toMatchObject({ from: 'phone', to: 'sensor', transports: ['bitchat'] })
    expect(objects.some(({ text }) => /^mesh: .*(over the air|in software)/.test(String(text)))).toBe(true)
    const file = rows.find(({ what }) => String(what).startsWith('file'))
    expect(file).toMatchObject({ transports: ['betanet', 'websocket'], bytes: 16_777_216 })
    expect(objects.at(-1)).toMatchObject({ type: 'result', ok: true })
    expect(code).toBe(0)
  })

  test('the demo stays up, takes what others send, and ends its processes at Ctrl-C', async () => {
    const demo = new Program(['demo', '--size', '4'])
    await demo.says(/^server .* ok$/m)
    const pids = [...demo.stdout.matchAll(/process (\d+)$/gm)].map(([, pid]) => Number(pid))
    expect(pids).toHaveLength(3)
    const hint = async (): Promise<string> => {
      const found = /npx aiv send (\S+) "hello"/.exec(demo.stderr)
      if (found?.[1] !== undefined) return found[1]
      await once(demo.child.stderr ?? demo.child, 'data')
      return hint()
    }
    const send = new Program(['send', '--ephemeral', await hint(), 'hello', '--wait'])
    expect(await send.ended).toBe(0)
    await demo.says(/^server: message from [0-9a-f]{32} over betanet: hello$/m)
    demo.child.kill('SIGINT')
    expect(await demo.ended).toBe(0)
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})
