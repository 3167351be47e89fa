import { describe, expect, test } from '@jest/globals'
import { createHash, randomBytes } from 'node:crypto'
import { appendFile, chmod, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Message, MessageHandler } from '@aiv/core'
import { AivError, nodeIdFromBytes, Priority, toHex } from '@aiv/transport-api'
import { receiveFiles, type ReceivedFile, type ReceiveFilesOptions } from '../src/file/receive-files.js'
import { fileId, sendFile, type SendFileOptions } from '../src/file/send-file.js'
import { partFileName, prunePartFiles } from '../src/file/part-file.js'
import { inTemporaryFolder } from './fake-io.js'

const alice = nodeIdFromBytes(new Uint8Array(16).fill(0xaa))
const bob = nodeIdFromBytes(new Uint8Array(16).fill(0xbb))

/** Two nodes as far as files are concerned: what one asks, the other's handler answers. */
class Pair {
  #handler: MessageHandler | undefined
  /** Called before each request; throws, or waits, or lets it through. */
  before: (payload: Uint8Array) => Promise<void> | void = () => undefined
  requests = 0

  readonly sender = {
    request: async (
      _to: string,
      protocol: string,
      payload: Uint8Array | string,
      options: { readonly signal?: AbortSignal; readonly priority?: Priority } = {},
    ): Promise<Uint8Array> => {
      this.requests++
      const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
      await this.before(bytes)
      options.signal?.throwIfAborted()
      const message: Message = {
        from: alice,
        protocol,
        payload: bytes,
        priority: options.priority ?? Priority.Normal,
        transport: 'memory',
        expectsAnswer: true,
        text: () => '',
      }
      if (this.#handler === undefined) throw new AivError('PROTOCOL_UNKNOWN', 'nobody handles it')
      return (await this.#handler(message)) as Uint8Array
    },
  }

  readonly receiver = {
    handle: (_protocol: string, handler: MessageHandler): (() => void) => {
      this.#handler = handler
      return () => (this.#handler = undefined)
    },
  }
}

interface Setup {
  readonly pair: Pair
  readonly folder: string
  readonly directory: string
  readonly files: ReceivedFile[]
  readonly failed: string[]
  send(path: string, options?: SendFileOptions): ReturnType<typeof sendFile>
  restart(): Promise<void>
}

async function withPair(
  work: (setup: Setup) => Promise<void>,
  options: Partial<ReceiveFilesOptions> = {},
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const pair = new Pair()
    const directory = join(folder, 'received')
    const files: ReceivedFile[] = []
    const failed: string[] = []
    const start = () =>
      receiveFiles(pair.receiver, {
        directory,
        minFreeBytes: 0,
        onFile: (file) => files.push(file),
        onError: ({ error }) => failed.push(error.code),
        ...options,
      })
    let receiver = start()
    const restart = async (): Promise<void> => {
      await receiver.close()
      receiver = start()
    }
    const send: Setup['send'] = (path, more = {}) => sendFile(pair.sender, bob, path, { backOffMs: 1, ...more })
    await work({ pair, folder, directory, files, failed, send, restart })
    await receiver.close()
  })
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('a file from disk to disk', () => {
  test('arrives under its name, with its hash checked', () =>
    withPair(async ({ folder, directory, files, send }) => {
      const content = randomBytes(1_500_000)
      await writeFile(join(folder, 'report.pdf'), content)
      const progress: number[] = []
      const sent = await send(join(folder, 'report.pdf'), {
        onProgress: ({ phase, done }) => void (phase === 'sending' && progress.push(done)),
      })
      expect(toHex(sent.sha256)).toBe(sha256(content))
      expect(sha256(await readFile(join(directory, 'report.pdf')))).toBe(sha256(content))
      expect(files).toHaveLength(1)
      expect(files[0]).toMatchObject({ from: alice, name: 'report.pdf', size: content.length, resumedFrom: 0 })
      expect(progress.at(-1)).toBe(content.length)
      expect(await readdir(directory)).toEqual(['report.pdf'])
    }))

  test('of no bytes arrives, too', () =>
    withPair(async ({ folder, directory, send }) => {
      await writeFile(join(folder, 'empty'), '')
      await send(join(folder, 'empty'))
      expect((await stat(join(directory, 'empty'))).size).toBe(0)
    }))

  test('overwrites nothing, whatever its sender calls it', () =>
    withPair(async ({ folder, directory, files, send }) => {
      await mkdir(directory)
      await writeFile(join(directory, 'a.txt'), 'mine')
      await writeFile(join(folder, 'a.txt'), 'theirs')
      await send(join(folder, 'a.txt'))
      await send(join(folder, 'a.txt'), { name: '../a.txt' })
      expect(await readFile(join(directory, 'a.txt'), 'utf8')).toBe('mine')
      expect(files.map(({ path }) => path)).toEqual([join(directory, 'a (1).txt'), join(directory, 'a (2).txt')])
      expect((await readdir(folder)).sort()).toEqual(['a.txt', 'received'])
    }))

  test('that was broken off goes on from where it was, also after the receiver was restarted', () =>
    withPair(async ({ pair, folder, directory, files, send, restart }) => {
      const content = randomBytes(3_000_000)
      const path = join(folder, 'big')
      await writeFile(path, content)
      const abort = new AbortController()
      const stop = new Error('enough')
      const broken = send(path, {
        signal: abort.signal,
        windowBytes: 300_000,
        onProgress: ({ phase, done }) => void (phase === 'sending' && done > 1_000_000 && abort.abort(stop)),
      })
      await expect(broken).rejects.toBe(stop)
      await restart()
      const [part = ''] = await readdir(directory)
      expect(part).toMatch(/^\.aiv-a{32}-[0-9a-f]{32}\.part$/)
      const had = (await stat(join(directory, part))).size
      expect(had).toBeGreaterThan(1_000_000)
      pair.requests = 0
      const sent = await send(path)
      expect(sent.resumedFrom).toBe(had)
      expect(pair.requests).toBe(1 + Math.ceil((content.length - had) / 262_144))
      expect(sha256(await readFile(join(directory, 'big')))).toBe(sha256(content))
      expect(files[0]?.resumedFrom).toBe(had)
    }))

  test('whose beginning rotted on the disk is sent once more from its beginning', () =>
    withPair(async ({ folder, directory, failed, send }) => {
      const content = randomBytes(600_000)
      const path = join(folder, 'x')
      await writeFile(path, content)
      await mkdir(directory)
      const digest = createHash('sha256').update(content).digest()
      const part = join(directory, partFileName(alice, fileId(digest, content.length, 'x')))
      await writeFile(part, randomBytes(300_000))
      const sent = await send(path)
      expect(sent.resumedFrom).toBe(300_000)
      expect(failed).toEqual(['FILE_HASH_MISMATCH'])
      expect(sha256(await readFile(join(directory, 'x')))).toBe(sha256(content))
    }))

  test('survives requests that come to nothing', () =>
    withPair(async ({ pair, folder, directory, send }) => {
      const content = randomBytes(2_000_000)
      await writeFile(join(folder, 'x'), content)
      let count = 0
      pair.before = () => {
        if ([3, 4, 9, 14, 15].includes(++count)) throw new AivError('REQUEST_TIMEOUT', 'lost', { retryable: true })
      }
      await send(join(folder, 'x'))
      expect(sha256(await readFile(join(directory, 'x')))).toBe(sha256(content))
    }))

  test('that changes while it is sent is not called delivered', () =>
    withPair(async ({ pair, folder, directory, send, restart }) => {
      const path = join(folder, 'x')
      await writeFile(path, new Uint8Array(1_000_000))
      let once = true
      pair.before = async () => {
        if (once) await writeFile(path, new Uint8Array(1_000_000).fill(1))
        once = false
      }
      await expect(send(path)).rejects.toMatchObject({ code: 'FILE_CHANGED' })
      await restart() // waits for the disk
      expect(await readdir(directory)).toEqual([])
    }))

  test('that becomes shorter while it is sent ends the transfer', () =>
    withPair(async ({ pair, folder, send }) => {
      const path = join(folder, 'x')
      await writeFile(path, new Uint8Array(1_000_000))
      let once = true
      pair.before = async () => {
        if (once) await writeFile(path, 'short')
        once = false
      }
      await expect(send(path)).rejects.toMatchObject({ code: 'FILE_CHANGED' })
    }))

  test('is refused by a receiver that does not want it, and by a disk without room', async () => {
    await withPair(
      async ({ folder, send }) => {
        await writeFile(join(folder, 'x.exe'), 'x')
        await expect(send(join(folder, 'x.exe'))).rejects.toMatchObject({ code: 'FILE_REFUSED' })
      },
      { accept: ({ name }) => !name.endsWith('.exe') },
    )
    await withPair(
      async ({ folder, failed, send }) => {
        await writeFile(join(folder, 'x'), 'x')
        await expect(send(join(folder, 'x'))).rejects.toMatchObject({ code: 'FILE_NO_SPACE' })
        expect(failed).toEqual(['FILE_NO_SPACE'])
      },
      { minFreeBytes: Number.MAX_SAFE_INTEGER },
    )
  })

  test('ends with FILE_DISK where the receiver may not write', () =>
    withPair(async ({ folder, directory, send }) => {
      // a file where the folder should be: not even root writes there
      await writeFile(directory, 'in the way')
      await writeFile(join(folder, 'x'), 'x')
      await expect(send(join(folder, 'x'))).rejects.toMatchObject({ code: 'FILE_DISK' })
      await chmod(directory, 0o600)
    }))

  test('is not written through a symbolic link', () =>
    withPair(async ({ folder, directory, send }) => {
      await mkdir(directory)
      const content = Buffer.from('x')
      const id = fileId(createHash('sha256').update(content).digest(), 1, 'x')
      await writeFile(join(folder, 'victim'), 'keep')
      await symlink(join(folder, 'victim'), join(directory, partFileName(alice, id)))
      await writeFile(join(folder, 'x'), content)
      await expect(send(join(folder, 'x'))).rejects.toMatchObject({ code: 'FILE_DISK' })
      expect(await readFile(join(folder, 'victim'), 'utf8')).toBe('keep')
    }))

  test('cannot be a folder, and must be there', () =>
    withPair(async ({ folder, send }) => {
      await expect(send(folder)).rejects.toMatchObject({ code: 'FILE_DISK' })
      await expect(send(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'FILE_DISK' })
    }))

  test('is given up at once when nobody receives files there, with the reason', () =>
    withPair(async ({ folder, pair }) => {
      await writeFile(join(folder, 'x'), 'x')
      const nobody = new Pair()
      await expect(sendFile(nobody.sender, bob, join(folder, 'x'))).rejects.toMatchObject({ code: 'PROTOCOL_UNKNOWN' })
      expect(pair.requests).toBe(0)
    }))

  test('never has more than its window in memory', () =>
    withPair(async ({ pair, folder }) => {
      await writeFile(join(folder, 'x'), randomBytes(4_000_000))
      let under = 0
      let most = 0
      let full: () => void = () => undefined
      const filled = new Promise<void>((resolve) => (full = resolve))
      const { sender } = pair
      const watched = {
        request: async (...args: Parameters<typeof sender.request>) => {
          const bytes = args[2].length > 1000 ? args[2].length - 17 : 0
          most = Math.max(most, (under += bytes))
          // three pieces are all that fits: nothing is answered before they are under way
          if (most >= 3 * 262_144) full()
          if (bytes > 0) await filled
          try {
            return await sender.request(...args)
          } finally {
            under -= bytes
          }
        },
      }
      await sendFile(watched, bob, join(folder, 'x'), { windowBytes: 1_000_000 })
      expect(most).toBe(3 * 262_144)
    }))
})

describe('unfinished files', () => {
  test('are removed when they are old or too many, and never while they are in use', () =>
    inTemporaryFolder(async (folder) => {
      const name = (n: number): string => partFileName(alice, new Uint8Array(16).fill(n))
      const now = Date.now()
      for (let n = 0; n < 6; n++) {
        await writeFile(join(folder, name(n)), 'x')
        const at = new Date(now - n * 1000)
        await utimes(join(folder, name(n)), at, at)
      }
      await appendFile(join(folder, 'not-ours.part'), 'x')
      const inUse = new Set([name(5)])
      await prunePartFiles(folder, now, { keepMs: 2500, maxFiles: 2, inUse })
      expect((await readdir(folder)).sort()).toEqual([name(0), name(1), name(5), 'not-ours.part'].sort())
    }))
})
