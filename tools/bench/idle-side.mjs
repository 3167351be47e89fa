// One process of idle.mjs, started with an IPC channel: `server <adapter URL>`, which tells its memory whenever it is
// asked, or `client <adapter URL> <address as JSON> <connections>`, which tells when all of them stand.
import { setFlagsFromString, writeHeapSnapshot } from 'node:v8'
import { runInNewContext } from 'node:vm'

const [role, url, json, count] = process.argv.slice(2)
/** Of four clients together no more than one host may have in the middle of a handshake. */
const AT_ONCE = 3
const adapter = await import(url)
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

if (role === 'server') {
  let accepted = 0
  const { addr } = await adapter.server((connection) => {
    accepted++
    connection.onMessage((message) => void connection.send(Buffer.from(message)))
  }, {})
  process.on('message', async ({ snapshot }) => {
    for (let i = 0; i < 6; i++) {
      gc()
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    const { rss, heapUsed, external } = process.memoryUsage()
    if (snapshot !== undefined) writeHeapSnapshot(snapshot)
    process.send({ accepted, rss, heap: heapUsed, external })
  })
  process.send({ address: addr })
} else {
  const client = await adapter.client(JSON.parse(json), {})
  let left = Number(count)
  const connect = async () => {
    while (left-- > 0) {
      const connection = await client.connect()
      await new Promise((resolve) => {
        connection.onMessage(resolve)
        void connection.send(Buffer.from('idle'))
      })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, connect))
  process.send({ standing: true })
}
