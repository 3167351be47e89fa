// Somebody who means it: `honest.mjs address`. Dials, asks something and leaves, ten times a second at most, and tells
// how long each took. Every second dial comes as a stranger, from an address that the attacked node never heard of; the
// others from one that it knows. Started with an IPC channel.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { betanet } from '@aiv/betanet'
import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'

const [address] = process.argv.slice(2)
const target = new URL(address)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** A way to the node on which every connection comes from another address. */
let strangers = 0
const way = createServer((socket) => {
  const localAddress = `127.200.${(strangers >>> 8) & 255}.${strangers & 255}`
  strangers++
  const other = connect({ port: Number(target.port), host: target.hostname, localAddress, noDelay: true })
  socket.setNoDelay(true)
  for (const [from, to] of [
    [socket, other],
    [other, socket],
  ]) {
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
    from.pipe(to)
  }
})
way.listen(0, '127.0.0.1')
await once(way, 'listening')
const strange = new URL(address)
strange.port = String(way.address().port)

for (let number = 0; ; number++) {
  const node = await createNode({ identity: await createIdentity(), transports: [betanet({ listen: false })] })
  const from = performance.now()
  let code
  try {
    const { peer } = await node.connect(number % 2 === 0 ? address : strange.href)
    await node.request(peer, 'hello/1', 'hello')
  } catch (error) {
    code = error.code ?? error.message
  }
  process.send({ ms: performance.now() - from, code, stranger: number % 2 === 1 })
  await node.close()
  await sleep(100)
}
