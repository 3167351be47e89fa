// Runs npm the way it was found: as the script that started us, else from the PATH. Node built-ins only.
import { spawnSync } from 'node:child_process'

/** @returns what spawnSync gives; `stdout` is text unless `stdio` says otherwise. */
export function npm(args, options = {}) {
  const script = process.env.npm_execpath
  // on Windows `npm` is a command file, which only a shell starts
  const [command, first] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []]
  return spawnSync(command, [...first, ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    shell: first.length === 0 && process.platform === 'win32',
    ...options,
  })
}

/** Like {@link npm}, but a failure throws with npm's own words. */
export function npmOrThrow(args, options = {}) {
  const { status, stdout, stderr, error } = npm(args, options)
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed: ${error?.message ?? stderr ?? stdout ?? ''}`)
  return stdout
}
