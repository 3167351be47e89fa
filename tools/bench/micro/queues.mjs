// What one message costs in the queues, in the link envelope's codec and in delivery, without any connection.
import { Priority } from '@aiv/transport-api'
import { PriorityQueues } from '@aiv/policy'
import { decodeLinkEnvelope, encodeLinkEnvelopeHeader, InboundDelivery, InboundTable } from '@aiv/routing'
import { Bench } from 'tinybench'

/** Messages in one call of a task, so that the clock is asked seldom. */
const BATCH = 1000
const tasks = []
let checked = 0

const add = (name, run) => tasks.push({ name, run })

function addQueues() {
  const items = Array.from({ length: BATCH }, (_, i) => ({ i }))
  const one = new PriorityQueues()
  add('queues, push and shift, empty', () => {
    for (const item of items) {
      one.push({ peer: 'alice', priority: Priority.Normal, bytes: 256, item })
      checked += one.shift().i
    }
  })
  const many = new PriorityQueues()
  for (let i = 0; i < 90; i++) {
    for (const priority of [Priority.High, Priority.Normal, Priority.Low]) {
      many.push({ peer: `peer ${i % 30}`, priority, bytes: 256, item: { i } })
    }
  }
  let turn = 0
  add('queues, push and shift, 200 waiting, 30 peers', () => {
    for (let i = 0; i < BATCH; i++) {
      const item = many.shift()
      checked += item.i
      many.push({ peer: `peer ${turn++ % 30}`, priority: turn % 2 ? Priority.High : Priority.Normal, bytes: 256, item })
    }
  })
}

function addCodec() {
  const payload = new Uint8Array(256)
  let counter = 0
  for (const protocol of ['', 'aiv-bench/1']) {
    const fields = (at) => ({
      priority: Priority.Normal,
      compressed: false,
      ordered: true,
      acknowledge: true,
      kind: 0,
      counter: at,
      lifetimeS: 300,
      protocol,
      requestId: undefined,
    })
    const label = protocol === '' ? 'numbered protocol' : 'named protocol'
    add(`link envelope, encode the header, ${label}`, () => {
      for (let i = 0; i < BATCH; i++) checked += encodeLinkEnvelopeHeader(fields(counter++)).length
    })
    const header = encodeLinkEnvelopeHeader(fields(100_000))
    const packet = new Uint8Array(header.length + payload.length)
    packet.set(header)
    add(`link envelope, decode, ${label}`, () => {
      for (let i = 0; i < BATCH; i++) checked += decodeLinkEnvelope(packet).counter
    })
  }
}

function addDelivery() {
  const payload = new Uint8Array(256)
  const from = { source: 'alice', epoch: '0102030405060708' }
  const message = (counter) => ({ priority: Priority.Normal, counter, ordered: true, acknowledge: true, payload })
  const inOrder = new InboundDelivery(from)
  let next = 0
  add('inbound delivery, in order, acknowledged every 1,000', () => {
    for (let i = 0; i < BATCH; i++) if (inOrder.handle(0, message(next++)) === 'deliver') checked++
    checked += inOrder.pollAcknowledgement().length
  })
  const swapped = new InboundTable().open(0, from.source, from.epoch)
  let pair = 0
  add('inbound delivery, every pair swapped', () => {
    for (let i = 0; i < BATCH; i += 2, pair += 2) {
      swapped.handle(0, message(pair + 1))
      swapped.handle(0, message(pair))
      checked += swapped.pollReady().counter
    }
    checked += swapped.pollAcknowledgement().length
  })
}

/** Every figure as `{ name, value, unit }`; higher is better. Takes about three seconds. */
export default async function queues() {
  tasks.length = 0
  addQueues()
  addCodec()
  addDelivery()
  const bench = new Bench({ time: 200, warmupTime: 100 })
  for (const { name, run } of tasks) bench.add(name, run)
  await bench.run()
  if (!(checked > 0)) throw new Error('nothing was measured')
  return tasks.map(({ name }) => {
    const { result } = bench.getTask(name)
    if (result?.latency === undefined) throw new Error(`${name}: ${result?.error ?? result?.state}`)
    // the median call, as a mean would count the pauses of a busy machine
    return { name, unit: 'M messages/s', value: BATCH / result.latency.p50 / 1000 }
  })
}
