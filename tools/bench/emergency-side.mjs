// One side of the emergency benchmark; started by emergency.mjs with its part as JSON. The client measures round trips
// of small urgent messages, sent at irregular times whether or not the last one was answered: first on an idle
// connection, then on one where bulk waits for room all the time.
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises'

const { role, adapterUrl, options } = JSON.parse(process.argv[2])
const fail = (error) => process.send({ error: String(error?.stack ?? error) }, () => process.exit(1))
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)
process.on('disconnect', () => process.exit(0))

const URGENT_BYTES = 64
const BULK_BYTES = 65_536

async function measure(connection, { count, gapMs, warmMs, limitMs }) {
  const sentAt = new Map()
  const times = []
  let allIn = () => undefined
  connection.onAnswer((answer) => {
    const number = new DataView(answer.buffer, answer.byteOffset).getUint32(0)
    const at = sentAt.get(number)
    if (at === undefined) return
    sentAt.delete(number)
    times.push(performance.now() - at)
    if (sentAt.size === 0) allIn()
  })
  let number = 0
  const series = async () => {
    times.length = 0
    for (let sent = 0; sent < count; sent++) {
      await sleep(gapMs * (0.5 + Math.random()))
      const message = new Uint8Array(URGENT_BYTES)
      new DataView(message.buffer).setUint32(0, ++number)
      sentAt.set(number, performance.now())
      connection.urgent(message)
    }
    const late = new Promise((resolve) => (allIn = resolve))
    if (sentAt.size > 0) await Promise.race([late, sleep(limitMs)])
    // what is not back by now took at least so long
    for (const at of sentAt.values()) times.push(performance.now() - at)
    const missing = sentAt.size
    sentAt.clear()
    const sorted = [...times].sort((a, b) => a - b)
    const quantile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
    return { p50: quantile(0.5), p99: quantile(0.99), missing }
  }

  const idle = await series()
  let stop = false
  let bulkBytes = 0
  const pump = async () => {
    const bulk = new Uint8Array(BULK_BYTES)
    for (let sent = 0; !stop; sent++) {
      const wait = connection.bulk(bulk)
      if (wait !== undefined) await wait
      bulkBytes += BULK_BYTES
      // a library whose back-pressure does not bite would keep this loop, and fill memory, for ever
      if (sent % 16 === 15) await immediate()
    }
  }
  void pump()
  await sleep(warmMs)
  const bytesBefore = bulkBytes
  const startedAt = performance.now()
  const loaded = await series()
  const mibPerSecond = (bulkBytes - bytesBefore) / 2 ** 20 / ((performance.now() - startedAt) / 1000)
  stop = true
  return { idle, loaded, mibPerSecond }
}

const adapter = await import(adapterUrl)
if (role === 'server') process.send({ addr: (await adapter.server(options)).addr })
else process.send({ result: await measure(await adapter.client(options), options) })
