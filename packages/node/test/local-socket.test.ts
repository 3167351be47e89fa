import { describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { LineDecoder } from '../src/local/line-decoder.js'
import { LocalClient } from '../src/local/local-client.js'
import { parseLocalRequest, parseLocalResponse, type LocalRequest } from '../src/local/local-protocol.js'
import { LocalServer, type LocalHandler } from '../src/local/local-server.js'
import { describeError } from '../src/cli/describe-error.js'
import { inTemporaryFolder } from './fake-io.js'

describe('lines', () => {
  test('come out as they went in, however they were cut', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !text.includes('\n'))
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 9 })), (lines, cuts) => {
        const bytes = new Uint8Array(Buffer.from(lines.map((text) => `${text}\n`).join('')))
        const decoder = new LineDecoder(200)
        const out: string[] = []
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const next = at + (cuts[i % Math.max(1, cuts.length)] ?? 3)
          out.push(...(decoder.decode(bytes.subarray(at, next)) ?? ['too long']))
          at = next
        }
        expect(out).toEqual(lines)
        expect(decoder.held).toBe(0)
      }),
    )
  })

  test('that are too long end it, and nothing of them is held', () => {
    const decoder = new LineDecoder(10)
    expect(decoder.decode(new Uint8Array(10).fill(65))).toEqual([])
    expect(decoder.decode(new Uint8Array(1).fill(65))).toBeUndefined()
    expect(decoder.decode(Uint8Array.of(10))).toBeUndefined()
  })

  test('that are no requests or responses are none, whatever they are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        parseLocalRequest(text)
        parseLocalResponse(text)
      }),
    )
    expect(parseLocalRequest('{"id":1,"op":"send","to":"x"}')).toBeUndefined()
    expect(parseLocalRequest('{"id":1,"op":"format-disk"}')).toBeUndefined()
    expect(parseLocalRequest('{"id":1,"op":"status"}')).toEqual({ id: 1, op: 'status' })
  })
})

async function withServer(
  handler: LocalHandler,
  work: (path: string, server: LocalServer) => Promise<void>,
  maxLineBytes?: number,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'aiv.sock')
    const limit = maxLineBytes === undefined ? {} : { maxLineBytes }
    const server = await LocalServer.listen({ path, handler, describe: describeError, ...limit })
    try {
      await work(path, server)
    } finally {
      await server.close()
    }
  })
}

async function open(path: string): Promise<LocalClient> {
  const client = await LocalClient.open(path)
  if (client === undefined) throw new Error('nobody listens')
  return client
}

describe('the local socket', () => {
  test('answers requests and tells events before the answer', () =>
    withServer(
      (request, { tell }) => {
        tell({ step: 1 })
        return Promise.resolve({ did: request.op })
      },
      async (path) => {
        const client = await open(path)
        const events: unknown[] = []
        const answer = await client.ask({ op: 'status' }, { onEvent: (event) => events.push(event) })
        expect(answer).toEqual({ did: 'status' })
        expect(events).toEqual([{ step: 1 }])
        await client.close()
      },
    ))

  test('hands over the code, message and hint of an error', () =>
    withServer(
      () => Promise.reject(Object.assign(new Error('kaputt'), { code: 'EIO' })),
      async (path) => {
        const client = await open(path)
        await expect(client.ask({ op: 'status' })).rejects.toMatchObject({ code: 'EIO', message: 'kaputt' })
        await client.close()
      },
    ))

  test('belongs to its owner alone', () =>
    withServer(
      () => Promise.resolve(null),
      async (path) => {
        expect((await stat(path)).mode & 0o777).toBe(0o600)
      },
    ))

  test('that was left by a process that is gone is replaced, and nobody is found there before', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'aiv.sock')
      expect(await LocalClient.open(path)).toBeUndefined()
      await writeFile(path, '')
      expect(await LocalClient.open(path)).toBeUndefined()
      const handler = () => Promise.resolve('here')
      const server = await LocalServer.listen({ path, handler, describe: describeError })
      const client = await open(path)
      expect(await client.ask({ op: 'status' })).toBe('here')
      await client.close()
      await server.close()
      expect(await LocalClient.open(path)).toBeUndefined()
    }))

  test('gives up what was asked when whoever asked goes away', async () => {
    let aborted: () => void = () => undefined
    const seen = new Promise<void>((resolve) => (aborted = resolve))
    let started: () => void = () => undefined
    const begun = new Promise<void>((resolve) => (started = resolve))
    const handler: LocalHandler = (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted()
          reject(signal.reason as Error)
        })
        started()
      })
    await withServer(handler, async (path) => {
      const client = await open(path)
      const asking = client.ask({ op: 'status' })
      await begun
      await Promise.all([client.close(), expect(asking).rejects.toMatchObject({ code: 'LOCAL_SOCKET' })])
      await seen
    })
  })

  test('closes a client whose line is too long', () =>
    withServer(
      () => Promise.resolve(null),
      async (path) => {
        const socket = connect(path)
        socket.write('x'.repeat(200))
        let said = ''
        socket.on('data', (bytes) => (said += bytes.toString()))
        await once(socket, 'close')
        expect(said).toContain('too long')
      },
      100,
    ))

  test('refuses the seventeenth request at once, and the seventeenth client', async () => {
    const waiting: (() => void)[] = []
    const handler = (): Promise<null> => new Promise((resolve) => waiting.push(() => resolve(null)))
    await withServer(handler, async (path) => {
      const first = await open(path)
      const asked = Array.from({ length: 16 }, () => first.ask({ op: 'status' }))
      await expect(first.ask({ op: 'status' })).rejects.toMatchObject({ code: 'BUSY' })
      for (const answer of waiting) answer()
      expect(await Promise.all(asked)).toHaveLength(16)
      const others = await Promise.all(Array.from({ length: 15 }, () => open(path)))
      const tooMany = connect(path)
      await once(tooMany, 'close')
      await Promise.all([first, ...others].map((client) => client.close()))
    })
  })

  test('a node that shuts down is noticed by whoever asks', async () => {
    const handler: LocalHandler = (_request: LocalRequest, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    await withServer(handler, async (path, server) => {
      const client = await open(path)
      const asking = expect(client.ask({ op: 'status' })).rejects.toBeInstanceOf(Error)
      await client.ask({ op: 'status' }, { signal: AbortSignal.abort(new Error('not now')) }).catch(() => undefined)
      await Promise.all([server.close(), asking])
      await client.close()
    })
  })
})
