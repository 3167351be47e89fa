import { describe, expect, test } from '@jest/globals'
import { PassThrough } from 'node:stream'
import type { Io } from '../src/cli/io.js'
import { startProgress } from '../src/cli/progress.js'
import { demoTable } from '../src/demo/demo-table.js'
import { FakeIo } from './fake-io.js'

describe('progress', () => {
  test('is a line at every tenth where there is no terminal', () => {
    const fake = new FakeIo()
    const progress = startProgress(fake.io, false, 'sending', 1000)
    for (let done = 0; done <= 1000; done += 50) progress.update(done)
    progress.stop()
    const lines = fake.stderr.trimEnd().split('\n')
    expect(lines).toHaveLength(11)
    expect(lines[3]).toBe('sending 30% 300 bytes of 1,000 bytes')
  })

  test('is a bar on a terminal, and nothing for machines', () => {
    const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80 })
    const fake = new FakeIo()
    const io: Io = { ...fake.io, stderr: { write: () => undefined, isTty: true, stream } }
    const progress = startProgress(io, false, 'sending', 2_097_152)
    progress.update(1_048_576)
    progress.stop()
    expect(String(stream.read())).toMatch(/sending \[.*\] 50% 1\.0 MiB\/2\.0 MiB/)
    const silent = startProgress(fake.io, true, 'sending', 1000)
    silent.update(500)
    silent.stop()
    expect(fake.stderr).toBe('')
  })
})

test('the demo table has its columns under their headings', () => {
  const row = { from: 'server', to: 'desktop', what: 'file', transports: ['betanet', 'websocket'], bytes: 67_108_864 }
  const rest = { elapsedMs: 1000, failoverGapMs: 123.4, ok: true, problem: undefined }
  const [head = '', rule = '', line = ''] = demoTable([{ ...row, ...rest }])
  for (const [heading, cell] of [
    ['from', 'server'],
    ['transport', 'HTX/TCP, then WebSocket'],
    ['size', '64.0 MiB'],
    ['rate', '64.0 MiB/s'],
    ['failover gap', '123 ms'],
  ] as const) {
    expect(line.indexOf(cell)).toBe(head.indexOf(heading))
  }
  expect(rule).toMatch(/^[- ]+$/)
})
