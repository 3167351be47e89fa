// Two HTX sessions back to back in one process, no socket between them: what sealing, opening and scheduling cost.
// Both ends share one core here, so that a real link, with an end on each of two cores, goes up to twice as fast.
import { HtxSession, ReassemblyBudget, htxSessionOptions } from '@aiv/htx-session'
import { createIdentity, secureChannels } from '@aiv/security'
import { Priority } from '@aiv/transport-api'

const now = () => performance.now()
const sending = { priority: Priority.Normal, delivery: 'reliable' }

async function pair(suite) {
  const clock = { unixNow: () => Date.now() }
  const make = async (role) => {
    const channels = secureChannels({ identity: await createIdentity(), clock })
    const secure = { ...channels, suites: [suite] }
    const options = htxSessionOptions()
    const budget = new ReassemblyBudget()
    const session = new HtxSession(now(), {
      role,
      secure,
      expected: undefined,
      remoteStatic: undefined,
      options,
      budget,
      compressor: undefined,
    })
    return { session, received: 0, bytes: 0, full: false }
  }
  const a = await make('initiator')
  const b = await make('responder')
  while (drive(a, b) | drive(b, a));
  if (a.session.state !== 'open' || b.session.state !== 'open') throw new Error('no session')
  return [a, b]
}

/** Moves everything that `from` has to say over to `to`; 1 when there was something. */
function drive(from, to) {
  let some = 0
  for (let event; (event = from.session.pollEvent()) !== undefined;) {
    some = 1
    if (event.type === 'packet') {
      from.received++
      from.bytes += event.bytes.length
    } else if (event.type === 'drain') from.full = false
    else if (event.type === 'closed') throw event.error ?? new Error(event.reason.code)
  }
  for (let pieces; (pieces = from.session.pollOutput(now())) !== undefined;) {
    some = 1
    // as a socket gives it: runs of up to 64 KiB that know nothing of frames
    const run = Buffer.concat(pieces)
    for (let at = 0; at < run.length; at += 65_536) to.session.handleInput(now(), run.subarray(at, at + 65_536))
  }
  const at = from.session.nextTimeout()
  if (at !== undefined && at <= now()) from.session.handleTimeout(now())
  return some
}

/** Messages of one size from one side to the other for so long; messages per second. */
async function flood(suite, bytes, ms) {
  const [a, b] = await pair(suite)
  const message = new Uint8Array(bytes).fill(7)
  const run = (until) => {
    while (now() < until) {
      for (let i = 0; i < 64 && !a.full; i++) a.full = a.session.send(now(), message, sending) === 'full'
      drive(a, b)
      drive(b, a)
    }
  }
  run(now() + ms / 4)
  const before = b.received
  const start = now()
  run(start + ms)
  return ((b.received - before) / (now() - start)) * 1_000
}

/** One small message there and one back; round trips per second. */
async function pingPong(suite, bytes, ms) {
  const [a, b] = await pair(suite)
  const message = new Uint8Array(bytes).fill(7)
  const run = (until) => {
    let trips = 0
    for (; now() < until; trips++) {
      a.session.send(now(), message, sending)
      drive(a, b)
      drive(b, a)
      b.session.send(now(), message, sending)
      drive(b, a)
      drive(a, b)
    }
    return trips
  }
  run(now() + ms / 4)
  const start = now()
  return (run(start + ms) / (now() - start)) * 1_000
}

export default async function session({ ms = 1_000 } = {}) {
  const results = []
  for (const suite of ['aes-256-gcm', 'chacha20-poly1305']) {
    const bulk = ((await flood(suite, 65_536, ms)) * 65_536) / 2 ** 30
    results.push({ name: `session ${suite} bulk 64 KiB`, value: bulk, unit: 'GiB/s' })
    results.push({ name: `session ${suite} small 256 B`, value: await flood(suite, 256, ms), unit: 'messages/s' })
    results.push({
      name: `session ${suite} ping-pong 256 B`,
      value: await pingPong(suite, 256, ms),
      unit: 'round trips/s',
    })
  }
  return results
}

if (import.meta.url === `file://${process.argv[1]}`) console.table(await session())
