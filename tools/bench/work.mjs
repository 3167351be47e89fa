// What is measured, for any adapter: both sides of the four tests.
//
// The first byte of a message says what it is for. The receiver counts what arrives, and a sender whose count differs
// from the receiver's has measured nothing: that throws.
import { randomFillSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'

const Kind = { Data: 0, Echo: 1, Reset: 2, Report: 3 }

export const defaults = {
  bulkBytes: 512 * 2 ** 20,
  bulkMessageBytes: 65_536,
  smallMessages: 200_000,
  smallMessageBytes: 256,
  roundTrips: 20_000,
  setups: 300,
  /** A test that takes longer is cut off there; its rate is over what was delivered until then. */
  limitMs: 8_000,
}

/** The receiving side of one connection. */
export function serve(connection) {
  let messages = 0
  let bytes = 0
  let cpuAt = process.cpuUsage()
  connection.onMessage((message) => {
    const kind = message[0]
    if (kind === Kind.Data) {
      messages++
      bytes += message.length
    } else if (kind === Kind.Echo) {
      void connection.send(Buffer.from(message))
    } else if (kind === Kind.Reset) {
      messages = 0
      bytes = 0
      cpuAt = process.cpuUsage()
      void connection.send(Buffer.from(message))
    } else {
      const report = JSON.stringify({ messages, bytes, cpuMs: cpuSince(cpuAt), peakMiB: peakMiB() })
      void connection.send(Buffer.concat([Buffer.of(Kind.Report), Buffer.from(report)]))
    }
  })
}

/** The sending side. `connect` opens one more connection. */
export const tests = {
  async bulk(connect, options) {
    const { bulkBytes, bulkMessageBytes, limitMs } = options
    const result = await oneWay(connect, bulkMessageBytes, Math.ceil(bulkBytes / bulkMessageBytes), limitMs)
    const { bytes, seconds, cpuMs, ...rest } = result
    return { mibPerSecond: bytes / 2 ** 20 / seconds, cpuSecondsPerGiB: cpuMs / 1000 / (bytes / 2 ** 30), ...rest }
  },

  async small(connect, options) {
    const { smallMessages, smallMessageBytes, limitMs } = options
    const result = await oneWay(connect, smallMessageBytes, smallMessages, limitMs)
    const { messages, seconds, cpuMs, ...rest } = result
    return { messagesPerSecond: messages / seconds, cpuMicrosPerMessage: (cpuMs * 1000) / messages, ...rest }
  },

  async rtt(connect, options) {
    const connection = await connect()
    const ask = asker(connection)
    const message = request(Kind.Echo)
    for (let i = 0; i < options.roundTrips / 10; i++) await ask(message)
    const times = []
    const until = performance.now() + options.limitMs
    while (times.length < options.roundTrips) {
      const at = performance.now()
      if (at > until) break
      await ask(message)
      times.push(performance.now() - at)
    }
    await connection.close()
    return { medianMicros: quantile(times, 0.5) * 1000, p99Micros: quantile(times, 0.99) * 1000 }
  },

  async setup(connect, options) {
    const times = []
    const warmUp = Math.ceil(options.setups / 30)
    const until = performance.now() + options.limitMs
    for (let i = 0; i < options.setups + warmUp; i++) {
      const at = performance.now()
      if (at > until) break
      const connection = await connect()
      await asker(connection)(request(Kind.Echo))
      if (i >= warmUp) times.push(performance.now() - at)
      await connection.close()
    }
    return { medianMillis: quantile(times, 0.5), p99Millis: quantile(times, 0.99) }
  },
}

/** Which figure of each test is compared, and whether more of it is better. */
export const figures = {
  bulk: {
    key: 'mibPerSecond',
    unit: 'MiB/s',
    more: true,
    others: { 'CPU s/GiB': 'cpuSecondsPerGiB', 'sender MiB': 'senderPeakMiB' },
  },
  small: { key: 'messagesPerSecond', unit: 'msg/s', more: true, others: { 'CPU µs/msg': 'cpuMicrosPerMessage' } },
  rtt: { key: 'medianMicros', unit: 'median µs', more: false, others: { 'p99 µs': 'p99Micros' } },
  setup: { key: 'medianMillis', unit: 'median ms', more: false, others: { 'p99 ms': 'p99Millis' } },
}

function quantile(values, part) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
}

async function oneWay(connect, messageBytes, total, limitMs) {
  const connection = await connect()
  const ask = asker(connection)
  const message = randomFillSync(Buffer.alloc(messageBytes))
  message[0] = Kind.Data
  // once without counting: caches, compiled code, congestion windows
  await ask(request(Kind.Reset))
  await push(connection, message, Math.ceil(total / 20), limitMs / 4)
  await ask(request(Kind.Reset))

  const cpuAt = process.cpuUsage()
  const startedAt = performance.now()
  const sent = await push(connection, message, total, limitMs)
  const answer = await ask(request(Kind.Report))
  const seconds = (performance.now() - startedAt) / 1000
  const cpuMs = cpuSince(cpuAt)
  const far = JSON.parse(Buffer.from(answer.subarray(1)).toString())
  if (far.messages !== sent || far.bytes !== sent * messageBytes) {
    throw new Error(`sent ${sent} messages, the other side counted ${far.messages} with ${far.bytes} bytes`)
  }
  await connection.close()
  return {
    messages: sent,
    bytes: far.bytes,
    seconds,
    cpuMs: cpuMs + far.cpuMs,
    senderPeakMiB: peakMiB(),
    receiverPeakMiB: far.peakMiB,
  }
}

/** Sends `total` copies, or as many as go in `limitMs`. */
async function push(connection, message, total, limitMs) {
  const until = performance.now() + limitMs
  for (let sent = 0; sent < total; sent++) {
    const wait = connection.send(message)
    if (wait !== undefined) await wait
    if (sent % 256 === 255 && performance.now() > until) return sent + 1
  }
  return total
}

/** One question at a time. */
function asker(connection) {
  let waiting
  connection.onMessage((message) => {
    const answered = waiting
    waiting = undefined
    answered?.(message)
  })
  return (message) =>
    new Promise((resolve) => {
      waiting = resolve
      void connection.send(message)
    })
}

function request(kind) {
  const message = Buffer.alloc(64, 0x5a)
  message[0] = kind
  return message
}

function cpuSince(start) {
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

function peakMiB() {
  return process.resourceUsage().maxRSS / 1024
}
