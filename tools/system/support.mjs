// What the system tests share: programs with a clean environment, temporary folders, other Node versions.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
/** Where tools/ci/install puts what a plain checkout does not have. */
export const cache = process.env.AIV_CI_CACHE ?? join(root, 'tools/ci/cache')

/** A new folder that is removed after the test. */
export function temporaryFolder(test, name) {
  const folder = mkdtempSync(join(tmpdir(), `aiv-${name}-`))
  test.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/** The environment of a fresh shell: without what npm, nx and node:test tell their children. */
export function freshEnvironment(extra = {}) {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(?!config_(registry|cafile|nodedir))|NX_|NODE_OPTIONS|NODE_TEST|INIT_CWD|FORCE_COLOR)/.test(name),
  )
  return { ...Object.fromEntries(kept), CI: 'true', NO_COLOR: '1', ...extra }
}

/** The `node` of a major version, this one or one that tools/ci/install fetched. */
export function nodeOf(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  const path = join(cache, `node-${major}`, 'node_modules/node/bin/node')
  if (!existsSync(path)) throw new Error(`Node ${major} is not in ${cache}: run tools/ci/install`)
  return path
}

/** A PATH in `folder` with every program of the present one but compilers and what drives them. */
export function pathWithoutCompilers(folder) {
  const compiler =
    /^(.*-)?(gcc|g\+\+|cc|c\+\+|cpp|c89|c99|clang|clang\+\+|tcc|make|gmake|cmake|ninja|ld|as|python[\d.]*|pypy\d*|node-gyp)(-[\d.]+)?$/
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    // npm puts node_modules/.bin of this checkout before the rest
    if (directory.includes('node_modules') || !existsSync(directory)) continue
    for (const name of readdirSync(directory)) {
      const link = join(folder, name)
      const path = join(directory, name)
      if (compiler.test(name) || existsSync(link)) continue
      try {
        accessSync(path, constants.X_OK)
        symlinkSync(path, link)
      } catch {
        // not a program, or a dangling link met twice
      }
    }
  }
  chmodSync(folder, 0o755)
  return folder
}

/**
 * Runs a program without input until it ends.
 * @returns `{ status, stdout, stderr, seconds }`; `status` is undefined when it was killed after `limitMs`.
 */
export function run(command, args, { cwd = root, env = freshEnvironment(), limitMs = 120_000 } = {}) {
  const startedAt = Date.now()
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk))
    const timer = setTimeout(() => killGroup(child), limitMs)
    child.once('error', reject)
    child.once('close', (status) => {
      clearTimeout(timer)
      resolve({ status: status ?? undefined, stdout, stderr, seconds: (Date.now() - startedAt) / 1000 })
    })
  })
}

/** Like {@link run}, but anything but 0 throws with everything that was printed. */
export async function runOrThrow(command, args, options) {
  const result = await run(command, args, options)
  if (result.status !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${result.status}\n${result.stdout}\n${result.stderr}`)
  }
  return result
}

/**
 * Starts a program that stays up, and ends it after the test.
 * @returns `{ lines(pattern), stop() }`: `lines` resolves with the first line of its output that matches, past or to
 * come; `stop` interrupts it as Ctrl-C would and resolves with its exit status.
 */
export function start(test, command, args, { cwd = root, env = freshEnvironment() } = {}) {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  const waiting = new Set()
  const tell = () => waiting.forEach((look) => look())
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      output += chunk
      tell()
    })
  }
  let ended = false
  const down = new Promise((resolve) =>
    child.once('close', (status) => {
      ended = true
      tell()
      resolve(status)
    }),
  )
  test.after(() => {
    if (!ended) killGroup(child)
    return down
  })
  return {
    line(pattern, limitMs = 60_000) {
      return new Promise((resolve, reject) => {
        const stop = () => {
          waiting.delete(look)
          clearTimeout(timer)
        }
        const look = () => {
          const match = pattern.exec(output)
          if (match !== null) {
            stop()
            resolve(match)
          } else if (ended) {
            stop()
            reject(new Error(`ended before it printed ${pattern}:\n${output}`))
          }
        }
        const timer = setTimeout(() => {
          stop()
          reject(new Error(`did not print ${pattern} in ${limitMs} ms:\n${output}`))
        }, limitMs)
        waiting.add(look)
        look()
      })
    },
    stop() {
      if (!ended) process.kill(-child.pid, 'SIGINT')
      return down
    },
    get output() {
      return output
    },
  }
}

/** npx and npm start shells that start programs: all of them go. */
function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // gone already
  }
}

/** The `npm` beside the running Node, so that its own shell script finds this Node. */
export const npmCommand = existsSync(join(dirname(process.execPath), 'npm'))
  ? join(dirname(process.execPath), 'npm')
  : 'npm'

/** All packages, packed as npm would publish them, and installed into `folder`, which is an ES module package after it. */
export async function installPacked(folder) {
  const tarballs = join(folder, 'tarballs')
  mkdirSync(tarballs)
  await runOrThrow(npmCommand, ['pack', '--workspaces', '--ignore-scripts', '--pack-destination', tarballs])
  const files = readdirSync(tarballs).map((name) => join(tarballs, name))
  assert.equal(files.length, readdirSync(join(root, 'packages')).length)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  const flags = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund']
  await runOrThrow(npmCommand, ['install', ...flags, ...files], { cwd: folder })
}

/** What a file has, or all files of a folder and below, in bytes. */
export function sizeOf(path) {
  const found = statSync(path)
  if (!found.isDirectory()) return found.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}
