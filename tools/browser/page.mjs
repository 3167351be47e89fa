// What the page of tools/system/browser.test.mjs runs: a node as any web page would make one. The test calls it through
// `globalThis.page`; everything given and taken there is JSON.
import { createNode } from '@aiv/core'
import { createIdentity, portableCrypto } from '@aiv/security'
import { webSocket } from '@aiv/websocket'

const PIECE_BYTES = 256 * 1024

const nodes = []
async function newNode() {
  const crypto = await portableCrypto()
  const node = await createNode({ identity: await createIdentity({ crypto }), transports: [webSocket()] })
  nodes.push(node)
  return node
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
const sha256 = async (bytes) => hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
const text = (bytes) => new TextDecoder().decode(bytes)

/** Every code in an error, and in those that it came of. */
const codesOf = (error) =>
  error === undefined ? [] : [error.code, ...codesOf(error.cause), ...(error.failures ?? []).flatMap(codesOf)]

globalThis.page = {
  /** Messages there and back, and a file there and back, each with its hash. */
  async exchange(address, fileBytes) {
    const node = await newNode()
    const received = []
    node.handle('file/1', (message) => void received.push(message.payload))
    const asked = []
    node.handle('greet/1', (message) => {
      asked.push(message.from)
      return `hello ${message.text()}, from a browser`
    })

    const answer = text(await node.request(address, 'greet/1', 'page'))
    const [connection] = node.connections()

    const file = new Uint8Array(fileBytes)
    for (let at = 0; at < file.length; at += 65_536) crypto.getRandomValues(file.subarray(at, at + 65_536))
    const begun = performance.now()
    for (let at = 0; at < file.length; at += PIECE_BYTES) {
      await node.send(address, file.subarray(at, at + PIECE_BYTES), { protocol: 'file/1' })
    }
    // in order: asked and answered after all of the file
    const hashThere = text(await node.request(address, 'file-hash/1', ''))
    const upMs = performance.now() - begun
    const hashOfTheirs = text(await node.request(address, 'send-file/1', `${fileBytes}`, { timeoutMs: 60_000 }))
    const downMs = performance.now() - begun - upMs
    const theirs = new Uint8Array(await new Blob(received).arrayBuffer())
    return {
      id: node.id,
      answer,
      asked,
      connection: { remote: connection.peer, transport: connection.transport },
      up: { here: await sha256(file), there: hashThere, ms: upMs },
      down: { here: await sha256(theirs), there: hashOfTheirs, bytes: theirs.length, ms: downMs },
    }
  },

  /** What becomes of a request to an address that must not be reached. */
  async refusal(address) {
    const node = await newNode()
    try {
      return { answer: text(await node.request(address, 'greet/1', 'nobody', { timeoutMs: 20_000 })) }
    } catch (error) {
      return {
        codes: codesOf(error).filter((code) => typeof code === 'string'),
        connections: node.connections().length,
      }
    }
  },

  async close() {
    await Promise.all(nodes.map((node) => node.close()))
  },
}
