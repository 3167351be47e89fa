// One side of one measurement in a process of its own, so that neither side's memory or garbage counts for the other.
// Started by compare.mjs with an IPC channel: `side.mjs server|client <adapter URL> <test> <options as JSON>`.
import { serve, tests } from './work.mjs'

const [role, adapterUrl, test, json] = process.argv.slice(2)
const options = JSON.parse(json)
const report = (message) => process.send(message, () => (role === 'client' ? process.exit(0) : undefined))
const fail = (error) => process.send({ error: String(error?.stack ?? error) }, () => process.exit(1))

try {
  const adapter = await import(adapterUrl)
  const tolerated = (error) => adapter.tolerate?.test(String(error?.message)) === true
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error) => tolerated(error) || fail(error))
  }
  if (role === 'server') {
    const server = await adapter.server(serve, options)
    report({ address: server.addr })
  } else {
    const client = await adapter.client(options.address, options)
    report({ result: await tests[test](() => client.connect(), options) })
  }
} catch (error) {
  fail(error)
}
