import { randomBytes } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { CommandError } from './errors.js'

/** What a lock file says of its holder. */
interface Holder {
  readonly pid: number
  /** When that process began, in a form that only equality is asked of; `undefined` where the system does not say. */
  readonly started: string | undefined
  /** Process ids mean something only on their own machine. */
  readonly host: string
}

/** A data folder that is ours until it is released. */
export interface DataLock {
  /** May be called again. */
  release(): Promise<void>
}

/** Waits for somebody who is just clearing a stale lock away: so often, so long each, in ms. */
const MAX_TRIES = 400
const WAIT_MS = 5

/**
 * Takes the lock. A lock whose process is gone is taken over: a process counts as gone when its id is free, or belongs
 * to a process that began at another time.
 *
 * A lock file appears with its content in one step (a hard link to a file that is complete), so nobody reads half of
 * one. A stale one is only ever removed by whoever holds a second file, the guard: else of two processes that found the
 * same stale lock the slower one would remove the fresh lock of the quicker one.
 *
 * @throws CommandError DATA_DIR_LOCKED, naming the process that has it; DATA_DIR_UNUSABLE
 */
export async function takeDataLock(path: string): Promise<DataLock> {
  const token = `${process.pid}-${randomBytes(6).toString('hex')}`
  const self: Holder = { pid: process.pid, started: processStart(process.pid), host: hostname() }
  const own = JSON.stringify({ ...self, token })
  const fresh = `${path}.${token}`
  const guard = `${path}.guard`
  try {
    await writeFile(fresh, own, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    throw new CommandError('DATA_DIR_UNUSABLE', `${path}: ${(error as Error).message}`, { cause: error })
  }
  try {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (await appear(fresh, path, own)) return { release: () => release(path, own) }
      const holder = await livingHolder(path)
      if (holder !== undefined) throw locked(path, holder)
      if (await appear(fresh, guard, own)) {
        // nobody else removes a lock now; it may have been taken over before we had the guard
        if ((await livingHolder(path)) === undefined) await rm(path, { force: true })
        await rm(guard, { force: true })
      } else {
        await clearGuard(guard, `${guard}.${token}`)
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS))
      }
    }
    throw locked(path, undefined)
  } finally {
    await rm(fresh, { force: true })
  }
}

/** Who holds this lock and lives; `undefined` when nobody does: no such file, a damaged one, or a dead process. */
async function livingHolder(path: string): Promise<Holder | undefined> {
  const found = await readFile(path, 'utf8').catch(() => '')
  const holder = parseHolder(found)
  return holder !== undefined && isAlive(holder) ? holder : undefined
}

/** A guard is held for a moment; one whose process died in that moment is moved aside. */
async function clearGuard(guard: string, aside: string): Promise<void> {
  const found = await readFile(guard, 'utf8').catch(() => undefined)
  if (found === undefined) return // it is gone already, and the next one is not to be touched
  const holder = parseHolder(found)
  if (holder !== undefined && isAlive(holder)) return
  try {
    await rename(guard, aside)
  } catch {
    return // somebody else was quicker
  }
  if ((await livingHolder(aside)) !== undefined) await link(aside, guard).catch(() => undefined)
  await rm(aside, { force: true })
}

async function appear(fresh: string, path: string, content: string): Promise<boolean> {
  try {
    await link(fresh, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    // no hard links on this file system
    return writeFile(path, content, { flag: 'wx', mode: 0o600 }).then(
      () => true,
      () => false,
    )
  }
}

async function release(path: string, own: string): Promise<void> {
  const found = await readFile(path, 'utf8').catch(() => undefined)
  if (found === own) await rm(path, { force: true })
}

function locked(path: string, holder: Holder | undefined): CommandError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`
  return new CommandError('DATA_DIR_LOCKED', `${who} uses this data folder`, {
    hint: `stop it, choose another folder with --data-dir, or remove ${path} when no such process runs`,
  })
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { pid, started, host } = value as Record<string, unknown>
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0 || typeof host !== 'string') return undefined
    return { pid, started: typeof started === 'string' ? started : undefined, host }
  } catch {
    return undefined
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true // cannot be known from here
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const started = processStart(holder.pid)
  return holder.started === undefined || started === undefined || started === holder.started
}

/** Linux: the 22nd field of /proc/<pid>/stat, ticks from boot to the start of the process, with the boot's id. */
function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // the second field is the command in parentheses and may contain anything
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return ticks === undefined ? undefined : `${boot} ${ticks}`
  } catch {
    return undefined
  }
}
