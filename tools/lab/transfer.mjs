// One scenario: a transfer between the two hosts of a network over HTX with WebSocket beside it, and what is done to
// the network while it runs.
import { fileURLToPath } from 'node:url'
import { Network } from './network.mjs'

const script = fileURLToPath(new URL('host.mjs', import.meta.url))
const HTX_PORT = 18_888
const WS_PORT = 18_889
const MESSAGE_BYTES = 65_536

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {number} mebibytes - to carry
 * @property {import('./network.mjs').Link} link
 * @property {boolean} [standing] - the WebSocket connection is there from the beginning
 * @property {readonly string[]} [otherAddresses] - further IP addresses that b will have
 * @property {(network: Network, tools: { htxPort: number, sleep: (ms: number) => Promise<void> }) => Promise<void> | void}
 * [fault] - what happens when a quarter has arrived
 * @property {number} [maxGapMs] - bound on the longest silence after the fault
 * @property {number} [minGapMs] - the fault lasts for so long at least, else it was none
 * @property {string} [endsOn] - the transport that has to carry the rest
 */

/**
 * @param {Scenario} scenario
 * @returns what was measured. `silenceMs`: the longest time without a message at the receiver after the fault (0: none
 * above 100 ms), which is the failover as its user sees it; detection, dialling and repeating are all in it.
 * `noticedGapMs`: the longest from the sender's noticing to its next message, by its `failover` events.
 */
export async function transfer(scenario, { verbose = false } = {}) {
  const network = await Network.open(scenario.link)
  let result
  try {
    result = await run(network, scenario, verbose)
  } finally {
    await network.close()
  }
  return { ...result, frames: network.frames }
}

async function run(network, scenario, verbose) {
  const { standing = false, otherAddresses = [], fault } = scenario
  const messages = (scenario.mebibytes * 2 ** 20) / MESSAGE_BYTES
  const receiver = talk(network.fork('b', script, [part({ role: 'receive', htxPort: HTX_PORT, wsPort: WS_PORT })]))
  const { id } = await receiver.hear('ready')
  const hosts = [network.addresses.b, ...otherAddresses]
  const sender = talk(
    network.fork('a', script, [
      part({
        role: 'send',
        peer: id,
        addresses: hosts.flatMap((host) => [`htx://${id}@${host}:${HTX_PORT}`, `ws://${id}@${host}:${WS_PORT}/`]),
        standing: standing ? `ws://${network.addresses.b}:${WS_PORT}/` : undefined,
        messages,
        messageBytes: MESSAGE_BYTES,
        verbose,
      }),
    ]),
  )
  await sender.hear('ready')
  sender.say('go')
  let faultAt
  if (fault !== undefined) {
    while ((await receiver.hear('progress')) < messages / 4);
    faultAt = performance.timeOrigin + performance.now()
    await fault(network, { htxPort: HTX_PORT, sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) })
  }
  const sent = await sender.hear('sent')
  receiver.say('report')
  const received = await receiver.hear('received')
  const silences = received.silences.filter(({ to }) => faultAt === undefined || to >= faultAt)
  return {
    name: scenario.name,
    mebibytes: received.bytes / 2 ** 20,
    seconds: sent.seconds,
    silenceMs: Math.max(0, ...silences.map(({ from, to }) => to - from)),
    noticedGapMs: sent.failovers.length === 0 ? undefined : Math.max(...sent.failovers.map(({ gapMs }) => gapMs)),
    failovers: sent.failovers.length,
    connections: sent.opened,
    transports: received.transports,
    failures: sent.failures,
    lost: messages - received.messages,
    outOfPlace: received.outOfPlace,
    intact: received.hash === sent.hash,
  }
}

const part = (fields) => JSON.stringify(fields)

/** Messages of a child by their kind; what it says while nobody asks is kept, `progress` only the newest. */
function talk(child) {
  const said = new Map()
  const waiting = new Map()
  let failure
  const fail = (error) => {
    failure ??= error
    for (const { reject } of waiting.values()) reject(failure)
    waiting.clear()
  }
  child.on('message', (message) => {
    for (const [kind, content] of Object.entries(message)) {
      if (kind === 'error') return fail(new Error(content))
      const waits = waiting.get(kind)
      waiting.delete(kind)
      if (waits === undefined) said.set(kind, content)
      else waits.resolve(content)
    }
  })
  child.once('exit', (status, signal) => fail(new Error(`a host ended with ${status ?? signal}`)))
  child.once('error', fail)
  return {
    say: (message) => child.send(message),
    hear(kind) {
      if (said.has(kind)) {
        const content = said.get(kind)
        said.delete(kind)
        return Promise.resolve(content)
      }
      if (failure !== undefined) return Promise.reject(failure)
      return new Promise((resolve, reject) => waiting.set(kind, { resolve, reject }))
    },
  }
}
