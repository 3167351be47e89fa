import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

interface Hour {
  readonly hash: string
  readonly sent: number
  readonly outcomes: Readonly<Record<string, number>>
}

const program = fileURLToPath(new URL('./hour.mjs', import.meta.url))

/** Plays the hour in a process of its own, on the built packages; a broken rule ends it with an error. */
function play(seed: string): Promise<Hour> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [program, seed],
      { env: { ...process.env, NODE_OPTIONS: '' } },
      (error, stdout, stderr) => {
        if (error !== null) reject(new Error(stderr))
        else resolve(JSON.parse(stdout) as Hour)
      },
    )
  })
}

describe('three nodes for a simulated hour, 20 % loss, doubling, reordering, links cut and restored', () => {
  test('each acknowledged message arrives once and in order, and the same seed plays the same hour in two processes', async () => {
    const [one, again, other] = await Promise.all([play('hour'), play('hour'), play('another')])
    expect(again).toEqual(one)
    expect(other.hash).not.toBe(one.hash)
    expect(one.sent).toBeGreaterThan(10_000)
    expect(one.outcomes['delivered']).toBeGreaterThan(one.sent * 0.95)
  }, 120_000)
})
