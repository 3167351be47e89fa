import { Bench, type Rules } from './bench.js'
import { ourRules } from './mesh-station.js'
import { bitchatRules, broadcastFlooding, flooding, meshtasticRules } from './rivals.js'

export interface DeliveryOptions {
  readonly seed: string
  readonly nodes: number
  readonly messages: number
  /** Between two messages of the whole mesh. */
  readonly everyMs: number
  readonly lossRatio: number
  readonly maxLinks: number
  /** Until the first message, for links and announcements. */
  readonly warmUpMs: number
}

export const deliveryDefaults: Omit<DeliveryOptions, 'seed'> = {
  nodes: 100,
  messages: 300,
  // as many seconds as there are between two announcements of a mesh of that size
  everyMs: 500,
  lossRatio: 0.2,
  maxLinks: 6,
  warmUpMs: 300_000,
}

/** What a set of rules did. Counts are of frames put on the air after the warm-up. */
export interface DeliveryResult {
  readonly rules: string
  readonly seed: string
  readonly diameter: number
  readonly delivered: number
  readonly messages: number
  /** For each delivered message: the message itself, passed on and repeated. */
  readonly dataFrames: number
  /** Acknowledgements from one neighbour to the next. */
  readonly hopAckFrames: number
  /** Acknowledgements from the destination to the source. */
  readonly proofFrames: number
  /** Of the whole mesh meanwhile, for each delivered message. */
  readonly announcementFrames: number
  /** All of them on the air, for each delivered message. */
  readonly airtimeMs: number
  readonly medianMs: number
  readonly p99Ms: number
}

export const allRules: readonly (readonly [string, Rules])[] = [
  ['flooding, over links', flooding],
  ['flooding, broadcast', broadcastFlooding],
  ['bitchat, over links', bitchatRules],
  ['Meshtastic, broadcast', meshtasticRules],
  ['ours, over links', ourRules()],
]

/** Directed messages between random pairs. */
export function deliver(name: string, rules: Rules, options: DeliveryOptions): DeliveryResult {
  const { seed, nodes, messages, everyMs, lossRatio, maxLinks, warmUpMs } = options
  const bench = new Bench({ seed, nodes, lossRatio, maxLinks }, rules)
  bench.world.runSync(warmUpMs)
  const before = { ...bench.transmissions, transmitMs: bench.transmitMs }
  const random = bench.random('pairs')
  for (let message = 0; message < messages; message++) {
    const from = random.below(nodes)
    const to = (from + 1 + random.below(nodes - 1)) % nodes
    bench.world.schedule(warmUpMs + message * everyMs, () => bench.send(`n${from}`, `n${to}`, message))
  }
  const trafficMs = messages * everyMs
  bench.world.runSync(warmUpMs + trafficMs)
  // what goes on without messages is counted while there are messages
  const announcements = bench.transmissions.announcement - before.announcement
  bench.world.runSync(warmUpMs + trafficMs + 30_000)
  const delivered = bench.arrivals.size
  const each = (count: number): number => count / Math.max(1, delivered)
  const latencies = [...bench.arrivals].map(([message, at]) => at - (bench.sentAt.get(message) ?? 0))
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
  return {
    rules: name,
    seed,
    diameter: bench.topology.diameter,
    delivered,
    messages,
    dataFrames: each(bench.transmissions.data - before.data),
    hopAckFrames: each(bench.transmissions['hop-ack'] - before['hop-ack']),
    proofFrames: each(bench.transmissions.proof - before.proof),
    announcementFrames: each(announcements),
    airtimeMs: each(bench.transmitMs - before.transmitMs),
    medianMs: at(0.5),
    p99Ms: at(0.99),
  }
}
