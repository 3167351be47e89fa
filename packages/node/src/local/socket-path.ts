import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import type { DataFolder } from '../data-folder.js'
import { CommandError } from '../errors.js'

/** `sun_path` has 104 bytes on macOS and the BSDs and 108 on Linux, the final zero included. */
const MAX_SOCKET_PATH_BYTES = 103

/**
 * Where the node of a data folder can be asked: `aiv.sock` in it. Where that path is too long for a socket, one under
 * the system's temporary folder that is named by the hash of the data folder's path; on Windows a named pipe.
 */
export function localSocketPath(folder: DataFolder, platform: NodeJS.Platform = process.platform): string {
  const name = createHash('sha256').update(folder.path).digest('hex').slice(0, 32)
  if (platform === 'win32') return `\\\\.\\pipe\\aiv-${name}`
  const path = join(folder.path, 'aiv.sock')
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path
  return join(tmpdir(), `aiv-${userInfo().uid}`, `${name}.sock`)
}

/**
 * Sees to it that the socket's folder is ours alone. In a temporary folder that everybody writes to, somebody else may
 * have made it first to be asked in our place.
 * @throws CommandError LOCAL_SOCKET
 */
export async function ownSocketFolder(path: string): Promise<void> {
  const folder = dirname(path)
  // the data folder is the user's own choice; a pipe has no folder
  if (path.startsWith('\\\\') || dirname(folder) !== tmpdir()) return
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const info = await lstat(folder)
  const { uid } = userInfo()
  if (!info.isDirectory() || info.uid !== uid) {
    throw new CommandError('LOCAL_SOCKET', `${folder} belongs to somebody else`, {
      hint: 'choose a shorter --data-dir, so that the socket fits into it',
    })
  }
}
