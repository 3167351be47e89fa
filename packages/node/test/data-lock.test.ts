import { describe, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { takeDataLock, type DataLock } from '../src/data-lock.js'
import { inTemporaryFolder } from './fake-io.js'

/** The id of a process that is gone. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  if (child.pid === undefined) throw new Error('no process')
  return child.pid
}

describe('the lock of a data folder', () => {
  test('is held by one at a time, names its holder, and is free again after it was released', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'lock')
      const lock = await takeDataLock(path)
      await expect(takeDataLock(path)).rejects.toMatchObject({
        code: 'DATA_DIR_LOCKED',
        message: expect.stringContaining(String(process.pid)) as unknown,
      })
      await lock.release()
      await lock.release()
      const again = await takeDataLock(path)
      await again.release()
      expect(await readdir(folder)).toEqual([])
    }))

  test('is taken over from a process that is gone', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'lock')
      await writeFile(path, JSON.stringify({ pid: await deadProcess(), started: 'long ago', host: hostname() }))
      const lock = await takeDataLock(path)
      expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ pid: process.pid })
      await lock.release()
    }))

  test('is taken over when the id of its holder belongs to a later process', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'lock')
      await writeFile(path, JSON.stringify({ pid: process.pid, started: 'before the last boot', host: hostname() }))
      // only where the system says when a process began
      const taking = takeDataLock(path)
      if (process.platform === 'linux') await (await taking).release()
      else await expect(taking).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' })
    }))

  test('of another machine is respected, for nothing can be known of its processes', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'lock')
      await writeFile(path, JSON.stringify({ pid: await deadProcess(), host: 'elsewhere' }))
      await expect(takeDataLock(path)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' })
    }))

  test('that is damaged is taken over', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'lock')
      await writeFile(path, '{"pid":')
      await (await takeDataLock(path)).release()
    }))

  test('goes to exactly one of many that find it stale at the same moment', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'lock')
      const pid = await deadProcess()
      for (let round = 0; round < 20; round++) {
        await writeFile(path, JSON.stringify({ pid, host: hostname() }))
        const results = await Promise.allSettled(Array.from({ length: 8 }, () => takeDataLock(path)))
        const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
        expect(won).toHaveLength(1)
        await (won[0] as DataLock).release()
      }
      expect(await readdir(folder)).toEqual([])
    }))
})
