// Runs before `npm start` and `npm test`: checks the Node version and installs what the lock file asks for, when it is
// not there already. Node built-ins only, and nothing newer than Node 14 would parse, so that an old Node gets the line
// below and not a syntax error.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path) => {
  try {
    return JSON.parse(readFileSync(root + path, 'utf8'))
  } catch {
    return undefined // absent or cut off: as good as absent
  }
}

const needed = read('package.json').engines.node.replace('>=', '')
const at = (version) => version.split('.').map(Number)
const [needMajor, needMinor] = at(needed)
const [major, minor] = at(process.versions.node)
if (major < needMajor || (major === needMajor && minor < needMinor)) {
  console.error(`Node ${needed} or newer is needed; this is ${process.versions.node}. See https://nodejs.org/`)
  process.exit(1)
}

/**
 * npm writes its hidden lock file last, so an install that was broken off has none. What is compared is the content and
 * not the age: a checkout of an older commit changes the ages the wrong way round.
 */
function installed() {
  const wanted = read('package-lock.json')
  const present = read('node_modules/.package-lock.json')
  if (wanted === undefined || present === undefined) return false
  return Object.entries(wanted.packages).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true
    const found = present.packages[path]
    return found === undefined ? entry.optional === true : found.version === entry.version
  })
}

if (!installed()) {
  const { npm } = await import('./npm.mjs')
  console.log('Installing dependencies from the lock file (npm ci).')
  const { status, error } = npm(['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) {
    console.error(`npm ci failed${error ? `: ${error.message}` : ''}; the lines above say why.`)
    process.exit(status === null || status === undefined ? 1 : status)
  }
}
