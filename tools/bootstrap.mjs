// Runs before `npm start` and `npm test`: installs from the lock file when needed. Node built-ins only.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${root}/node_modules/.package-lock.json`
const lock = `${root}/package-lock.json`
const fresh = existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs
if (!fresh) {
  const npm = process.env.npm_execpath
  const [cmd, args] = npm ? [process.execPath, [npm]] : ['npm', []]
  const r = spawnSync(cmd, [...args, 'ci', '--no-audit', '--no-fund'], { cwd: root, stdio: 'inherit' })
  if (r.status !== 0) process.exit(r.status ?? 1)
}
