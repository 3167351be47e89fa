import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { CommandError } from './errors.js'

/** The environment, as far as we read it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The files of one node, all in one folder. */
export interface DataFolder {
  readonly path: string
  /** The node's key, in the format of `@aiv/security`. */
  readonly identityFile: string
  /** Held while a process uses the folder. */
  readonly lockFile: string
  /** Files that others sent. */
  readonly receivedFolder: string
}

/**
 * Where a node keeps its things unless told otherwise: `AIV_HOME`, else `%LOCALAPPDATA%\aiv` on Windows,
 * `~/Library/Application Support/aiv` on macOS, and `$XDG_DATA_HOME/aiv` or `~/.local/share/aiv` elsewhere.
 */
export function defaultDataPath(env: Environment, platform: NodeJS.Platform = process.platform): string {
  if (env['AIV_HOME']) return resolve(env['AIV_HOME'])
  const home = env['HOME'] ?? env['USERPROFILE'] ?? homedir()
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'aiv')
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'aiv')
  // the XDG base directory specification: a relative path in the variable is to be ignored
  const xdg = env['XDG_DATA_HOME']
  return join(xdg?.startsWith('/') ? xdg : join(home, '.local', 'share'), 'aiv')
}

/** Names the files in a folder; makes nothing. */
export function dataFolder(path: string): DataFolder {
  const absolute = resolve(path)
  return {
    path: absolute,
    identityFile: join(absolute, 'identity'),
    lockFile: join(absolute, 'lock'),
    receivedFolder: join(absolute, 'received'),
  }
}

/** Makes the folder, readable by its owner only. @throws CommandError DATA_DIR_UNUSABLE */
export async function makeDataFolder(folder: DataFolder): Promise<void> {
  try {
    await mkdir(folder.path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new CommandError('DATA_DIR_UNUSABLE', `${folder.path}: ${(error as Error).message}`, {
      cause: error,
      hint: 'choose another folder with --data-dir',
    })
  }
}
