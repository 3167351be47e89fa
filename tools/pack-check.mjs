// What npm would publish of one package (the working directory): packs it and looks at the tarball as a consumer gets
// it. `npx nx pack-check @aiv/core` runs it after the build.
import { createRequire } from 'node:module'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { spawnSync } from 'node:child_process'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { npmOrThrow } from './npm.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
const problems = []

const target = mkdtempSync(join(tmpdir(), 'aiv-pack-check-'))
try {
  const [packed] = JSON.parse(npmOrThrow(['pack', '--json', '--ignore-scripts', '--pack-destination', target]))
  const tarball = resolve(target, packed.filename)
  checkFiles(packed.files.map(({ path }) => path))
  checkManifest()
  await checkErrorNames()
  await checkWithPublint(tarball)
  checkTypes(tarball)
  console.log(`${packed.name} ${packed.version}: ${packed.files.length} files, ${packed.size} bytes packed`)
} finally {
  rmSync(target, { recursive: true, force: true })
}

for (const problem of problems) console.error(`${manifest.name}: ${problem}`)
process.exitCode = problems.length > 0 ? 1 : 0

function checkFiles(paths) {
  for (const wanted of ['README.md', 'LICENSE', 'package.json', 'dist/index.js', 'dist/index.d.ts']) {
    if (!paths.includes(wanted)) problems.push(`${wanted} is missing from the tarball`)
  }
  const stray =
    /(^|\/)(test|tests|coverage|out-tsc|node_modules)\/|\.test\.|\.tsbuildinfo$|tsconfig|jest\.config|(^|\/)\./
  for (const path of paths) if (stray.test(path)) problems.push(`${path} does not belong into the tarball`)
  // a build that came out of the cache leaves what an older one put beside it
  const scripts = paths.filter((path) => /^dist\/.*\.js$/.test(path))
  const named = [JSON.stringify(manifest.exports), ...scripts.map((path) => readFileSync(path, 'utf8'))]
  for (const path of scripts) {
    const name = path.replace('dist/', './')
    const isUsed = named.some((text) => text.includes(`"${name}"`) || text.includes(`"./${path}"`))
    if (!isUsed && path !== 'dist/internal.js') problems.push(`${path} is not of this build: remove dist`)
  }
  if (paths.includes('LICENSE') && readFileSync('LICENSE', 'utf8') !== readFileSync(join(root, 'LICENSE'), 'utf8')) {
    problems.push('LICENSE differs from the one at the top')
  }
}

function checkManifest() {
  const needed = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node
  if (manifest.engines?.node !== needed) problems.push(`engines.node is not ${needed}`)
  if (manifest.type !== 'module') problems.push('type is not "module"')
  for (const field of ['dependencies', 'peerDependencies']) {
    for (const [name, range] of Object.entries(manifest[field] ?? {})) {
      // `*` and `file:` survive publishing, and a consumer then gets any release, or none
      if (name.startsWith('@aiv/') && !/^\^\d/.test(range)) problems.push(`${field}.${name} is "${range}", not ^x.y.z`)
    }
  }
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    if (name === '@aiv/testkit' && manifest.name !== '@aiv/testkit') problems.push('the testkit is a dev dependency')
  }
}

/** An error is named after its class, which a bundler renames where another thing of the package has that name. */
async function checkErrorNames() {
  for (const [name, value] of Object.entries(await import(pathToFileURL(resolve('dist/index.js')))))
    if (value?.prototype instanceof Error && value.name !== name)
      problems.push(`the class ${name} is named ${value.name}`)
}

async function checkWithPublint(tarball) {
  const bytes = readFileSync(tarball)
  const { messages, pkg } = await publint({
    strict: true,
    pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) },
  })
  for (const message of messages) problems.push(`publint: ${formatMessage(message, pkg, { color: false })}`)
}

function checkTypes(tarball) {
  const attw = join(
    dirname(createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json')),
    'dist/index.js',
  )
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [attw, tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'],
    { encoding: 'utf8' },
  )
  if (status !== 0) problems.push(`are the types wrong:\n${stdout}${stderr}`)
}
