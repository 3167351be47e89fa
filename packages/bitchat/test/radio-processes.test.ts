import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { VirtualAirServer } from '@aiv/ble-virtual'
import { virtualAir } from './virtual-radios.js'

const program = fileURLToPath(new URL('./radio-process.mjs', import.meta.url))
const PACKETS = 200

let folder: string
let server: VirtualAirServer
const faults: string[] = []
const children: ChildProcess[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aiv-ble-'))
  server = await VirtualAirServer.listen(virtualAir(), {
    path: join(folder, 'air'),
    onFault: ({ message }) => faults.push(message),
  })
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await server.close()
  await rm(folder, { recursive: true })
})

async function start(byte: number): Promise<ChildProcess> {
  const child = fork(program, [server.path, String(byte)], { execArgv: [], env: { ...process.env, NODE_OPTIONS: '' } })
  children.push(child)
  expect(await once(child, 'message')).toEqual([{ ready: true }, undefined])
  return child
}

describe('the stacks in processes of their own, over a unix socket', () => {
  test('two of three dial the third at once, every packet comes back, and all end by themselves', async () => {
    const [echo, one, two] = await Promise.all([start(1), start(2), start(3)])
    const answers = [one, two].map(async (child) => {
      const answer = once(child, 'message')
      child.send({ dial: 1, count: PACKETS, length: 244 })
      return (await answer)[0] as unknown
    })
    expect(await Promise.all(answers)).toEqual([
      { echoed: PACKETS, maxPacketBytes: 244 },
      { echoed: PACKETS, maxPacketBytes: 244 },
    ])
    const closed = once(echo, 'message')
    for (const child of [one, two, echo]) {
      const exit = once(child, 'exit')
      child.send({})
      expect((await exit)[0]).toBe(0)
    }
    expect(await closed).toEqual([{ closed: 'REMOTE_CLOSED' }, undefined])
    expect(faults).toEqual([])
  }, 30_000)
})
