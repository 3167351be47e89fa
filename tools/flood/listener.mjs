// The attacked node, in a process of its own. Started with an IPC channel; tells its address, then its figures whenever
// it is asked.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { betanet } from '@aiv/betanet'
import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const delay = monitorEventLoopDelay({ resolution: 10 })
delay.enable()

const node = await createNode({
  identity: await createIdentity(),
  transports: [betanet({ listen: { host: '127.0.0.1', port: 0 } })],
})
node.handle('hello/1', (message) => message.payload)

process.on('message', ({ collect }) => {
  if (collect) gc()
  const { rss, heapUsed, external } = process.memoryUsage()
  const sockets = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
  process.send({ rss, used: heapUsed + external, sockets, longestTurnMs: delay.max / 1e6 })
  delay.reset()
})
process.send({ address: node.addresses[0] })
