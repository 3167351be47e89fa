import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { link, mkdir, open, readdir, rename, rm, stat, statfs, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { equalBytes, toHex, type NodeId } from '@aiv/transport-api'
import { FileError } from '../errors.js'
import { numberedName, safeFileName } from './file-name.js'
import { MAX_PIECE_BYTES, type FileOffer } from './file-protocol.js'

/** Names that are tried before a file is refused: `a`, `a (1)`, … */
const MAX_NUMBERED_NAMES = 1000

/** Where the beginning of a file waits for its rest. */
export function partFileName(from: NodeId, id: Uint8Array): string {
  return `.aiv-${from}-${toHex(id)}.part`
}

const isPartFile = (name: string): boolean => /^\.aiv-[0-9a-f]{32}-[0-9a-f]{32}\.part$/.test(name)

/** A file that is arriving: bytes are appended and hashed, and at the end it gets its name. */
export class PartFile {
  readonly #directory: string
  readonly #path: string
  readonly #offer: FileOffer
  readonly #handle: FileHandle
  readonly #hash: Hash
  /** Bytes that were there from an earlier attempt. */
  readonly resumedFrom: number

  private constructor(directory: string, path: string, offer: FileOffer, handle: FileHandle, hash: Hash, have: number) {
    this.#directory = directory
    this.#path = path
    this.#offer = offer
    this.#handle = handle
    this.#hash = hash
    this.resumedFrom = have
  }

  /**
   * Opens the partial file of this offer or makes a new one, and hashes what is in it already.
   * @throws FileError FILE_NO_SPACE when less than `minFreeBytes` would be left, FILE_DISK.
   */
  static async open(directory: string, from: NodeId, offer: FileOffer, minFreeBytes: number): Promise<PartFile> {
    const path = join(directory, partFileName(from, offer.id))
    let handle: FileHandle | undefined
    try {
      await mkdir(directory, { recursive: true })
      // never through a symbolic link, which somebody else may have put into a shared folder
      handle = await open(path, constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0))
      let have = (await handle.stat()).size
      if (have > offer.size) {
        await handle.truncate(0)
        have = 0
      }
      const { bavail, bsize } = await statfs(directory)
      if (bavail * bsize - (offer.size - have) < minFreeBytes) {
        throw new FileError('FILE_NO_SPACE', `${offer.size - have} bytes more do not fit on this disk`)
      }
      const hash = createHash('sha256')
      await hashFile(handle, have, hash)
      return new PartFile(directory, path, offer, handle, hash, have)
    } catch (error) {
      await handle?.close()
      throw diskError(error)
    }
  }

  /** Appends; `offset` is where the last write ended. @throws FileError FILE_NO_SPACE, FILE_DISK */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, offset + done)
        done += bytesWritten
      }
      this.#hash.update(bytes)
    } catch (error) {
      throw diskError(error)
    }
  }

  /**
   * Checks the hash, brings the bytes to the disk and gives the file its name, without overwriting anything. The part
   * file is closed afterwards. Returns the path.
   * @throws FileError FILE_HASH_MISMATCH (call {@link close} with `keep` false), FILE_DISK
   */
  async finish(): Promise<string> {
    if (!equalBytes(this.#hash.digest(), this.#offer.sha256)) {
      throw new FileError('FILE_HASH_MISMATCH', `${safeFileName(this.#offer.name)} is not the file that was offered`)
    }
    try {
      await this.#handle.sync()
      await this.#handle.close()
      const name = safeFileName(this.#offer.name)
      for (let number = 0; number < MAX_NUMBERED_NAMES; number++) {
        const path = join(this.#directory, numberedName(name, number))
        if (await moveWithoutOverwriting(this.#path, path)) return path
      }
      throw new FileError('FILE_DISK', `there are ${MAX_NUMBERED_NAMES} files named ${name} already`)
    } catch (error) {
      throw diskError(error)
    }
  }

  /** Leaves the bytes for a later attempt, or removes them. Never throws. */
  async close(keep: boolean): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    if (!keep) await rm(this.#path, { force: true }).catch(() => undefined)
  }
}

/**
 * Removes partial files that are older than `keepMs`, and the oldest ones above `maxFiles`; those in `inUse` stay.
 * @param now - Unix time in ms
 */
export async function prunePartFiles(
  directory: string,
  now: number,
  limits: { readonly keepMs: number; readonly maxFiles: number; readonly inUse: ReadonlySet<string> },
): Promise<void> {
  const names = await readdir(directory).catch(() => [])
  const parts: { path: string; at: number }[] = []
  for (const name of names) {
    if (!isPartFile(name) || limits.inUse.has(name)) continue
    const path = join(directory, name)
    const info = await stat(path).catch(() => undefined)
    if (info !== undefined) parts.push({ path, at: info.mtimeMs })
  }
  parts.sort((a, b) => b.at - a.at)
  for (const [index, { path, at }] of parts.entries()) {
    if (index >= limits.maxFiles || now - at > limits.keepMs) await rm(path, { force: true }).catch(() => undefined)
  }
}

/** Feeds the first `length` bytes of a file to `hash`, in blocks of a megabyte. */
export async function hashFile(
  handle: FileHandle,
  length: number,
  hash: Hash,
  onBlock?: (done: number) => void,
): Promise<void> {
  const block = new Uint8Array(Math.min(length, MAX_PIECE_BYTES))
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(block, 0, Math.min(block.length, length - done), done)
    if (bytesRead === 0) throw new FileError('FILE_CHANGED', 'the file became shorter while it was read')
    hash.update(block.subarray(0, bytesRead))
    done += bytesRead
    onBlock?.(done)
  }
}

/** A file error of the disk's; file errors stay as they are. */
export function diskError(error: unknown): FileError {
  if (error instanceof FileError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
  return new FileError(full ? 'FILE_NO_SPACE' : 'FILE_DISK', message, { cause: error })
}

async function moveWithoutOverwriting(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    await unlink(from)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // no hard links on this file system: reserve the name, then take its place
    try {
      await (await open(to, 'wx')).close()
    } catch (second) {
      if ((second as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw second
    }
    await rename(from, to)
    return true
  }
}
