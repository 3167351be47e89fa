// The browser builds in a browser: a page made of the packed packages talks to a Node process, which knows it by its key
// as it knows the Node process, over WebSocket. Prints how large that page's script is.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'
import { webSocket } from '@aiv/websocket'
import { build } from 'esbuild'
import { cache, installPacked, root, temporaryFolder } from './support.mjs'

const FILE_BYTES = 4 * 1024 * 1024
const PIECE_BYTES = 256 * 1024
/** All scripts of the page after gzip, libsodium with its WebAssembly included. */
const MAX_COMPRESSED_BYTES = 300_000

const executablePath = '/usr/bin/chromium'
const browserFlags =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking ' +
  '--disable-component-update --disable-sync'

const fetched = createRequire(join(cache, 'browser/package.json'))
const folder = temporaryFolder({ after }, 'browser')
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** Serves the page and its scripts to the browser. */
async function servePage(scripts) {
  const server = createServer(({ url }, response) => {
    const name = url.slice(1)
    const body = readdirSync(scripts).includes(name) ? readFileSync(join(scripts, name)) : undefined
    if (body !== undefined) response.setHeader('content-type', 'text/javascript').end(body)
    else if (name === '')
      response.setHeader('content-type', 'text/html').end('<script type="module" src="page.js"></script>')
    else response.writeHead(404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** A node that web pages of `origins` may connect to. */
async function listeningNode(origins) {
  const listen = { host: '127.0.0.1', port: 0 }
  return createNode({ identity: await createIdentity(), transports: [webSocket({ listen, origins })] })
}

describe('a page with the packed packages', { timeout: 600_000 }, () => {
  const scripts = join(folder, 'scripts')
  const closing = []
  const complaints = []
  let page
  let origin

  before(async () => {
    assert.ok(existsSync(executablePath), `${executablePath} is not there: run tools/ci/install`)
    await installPacked(folder)
    copyFileSync(join(root, 'tools/browser/page.mjs'), join(folder, 'page.mjs'))
    mkdirSync(scripts)
    // a module for Node in the bundle ends this with an error
    await build({
      absWorkingDir: folder,
      entryPoints: ['page.mjs'],
      bundle: true,
      splitting: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      outdir: scripts,
      logLevel: 'silent',
    })
    const server = await servePage(scripts)
    closing.push(() => server.close())
    origin = `http://127.0.0.1:${server.address().port}`
    const browser = await fetched('playwright-core').chromium.launch({ executablePath, args: browserFlags.split(' ') })
    closing.push(() => browser.close())
    page = await browser.newPage()
    page.on('pageerror', (error) => complaints.push(error.stack))
    await page.goto(origin)
    await page
      .waitForFunction(() => globalThis.page !== undefined)
      .catch((cause) => {
        throw new Error(`the page did not start: ${complaints.join()}`, { cause })
      })
  })

  after(async () => {
    for (const close of closing.reverse()) await close()
  })

  test('has scripts below the bound', () => {
    const parts = readdirSync(scripts).map((name) => readFileSync(join(scripts, name)))
    const raw = parts.reduce((sum, part) => sum + part.length, 0)
    const compressed = parts.reduce((sum, part) => sum + gzipSync(part, { level: 9 }).length, 0)
    console.log(
      `bundle: ${raw} bytes in ${parts.length} scripts, ${compressed} after gzip (at most ${MAX_COMPRESSED_BYTES})`,
    )
    assert.ok(compressed <= MAX_COMPRESSED_BYTES)
  })

  test('exchanges messages and files with a Node process, and each knows the other', async (t) => {
    const node = await listeningNode([origin])
    t.after(() => node.close())
    const file = randomBytes(FILE_BYTES)
    const pieces = []
    const greeted = []
    node.handle('greet/1', async (message) => {
      greeted.push(message.from)
      return `hello ${message.text()}, ${new TextDecoder().decode(await node.request(message.from, 'greet/1', 'Node'))}`
    })
    node.handle('file/1', (message) => void pieces.push(message.payload))
    node.handle('file-hash/1', () => sha256(Buffer.concat(pieces)))
    node.handle('send-file/1', async ({ from }) => {
      for (let at = 0; at < file.length; at += PIECE_BYTES) {
        await node.send(from, file.subarray(at, at + PIECE_BYTES), { protocol: 'file/1' })
      }
      return sha256(file)
    })

    const [address] = node.addresses
    const seen = await page.evaluate(([to, size]) => globalThis.page.exchange(to, size), [address, FILE_BYTES])

    assert.equal(seen.answer, 'hello page, hello Node, from a browser')
    assert.deepEqual(greeted, [seen.id], 'who the page is for Node')
    assert.deepEqual(seen.asked, [node.id], 'who Node is for the page')
    assert.deepEqual(seen.connection, { remote: node.id, transport: 'websocket' })
    assert.equal(Buffer.concat(pieces).length, FILE_BYTES)
    assert.equal(seen.up.there, seen.up.here)
    assert.equal(seen.down.bytes, FILE_BYTES)
    assert.equal(seen.down.there, sha256(file))
    assert.equal(seen.down.here, seen.down.there)
    console.log(`4 MiB from the page in ${seen.up.ms.toFixed(0)} ms, to it in ${seen.down.ms.toFixed(0)} ms`)
  })

  test('refuses a node with another identity than the address names', async (t) => {
    const node = await listeningNode([origin])
    t.after(() => node.close())
    const heard = []
    node.handle('greet/1', (message) => heard.push(message.from))
    const other = await createIdentity()
    const address = node.addresses[0].replace(node.id, other.nodeId)
    const { codes, connections, answer } = await page.evaluate((to) => globalThis.page.refusal(to), address)
    assert.equal(answer, undefined)
    assert.ok(codes.includes('IDENTITY_MISMATCH'), `the page saw ${codes}`)
    assert.equal(connections, 0)
    assert.deepEqual(heard, [])
  })

  test('is refused where web pages are not let in', async (t) => {
    const node = await listeningNode(undefined)
    t.after(() => node.close())
    const { codes } = await page.evaluate((to) => globalThis.page.refusal(to), node.addresses[0])
    assert.ok(codes?.includes('DIAL_REFUSED'), `the page saw ${codes}`)
  })

  test('closes its nodes, and nothing went wrong in it unseen', async () => {
    await page.evaluate(() => globalThis.page.close())
    assert.deepEqual(complaints, [])
  })
})
