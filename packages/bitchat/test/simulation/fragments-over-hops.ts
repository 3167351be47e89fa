import { createHash } from 'node:crypto'
import { joinBytes } from '@aiv/transport-api'
import { type Position, SeededRandom, type Topology } from '@aiv/testkit'
import { Fragmenter, Reassembler } from '@aiv/fragments'
import { PROOF_BYTES } from '@aiv/bitchat'
import { Bench } from './bench.js'
import { MeshStation } from './mesh-station.js'

export interface FragmentsResult {
  readonly seed: string
  readonly hopRepeats: number
  readonly arrivedAfterMs: number | undefined
  readonly fragments: number
  /** Fragments that the sender sent again. */
  readonly fragmentsAgain: number
  /** Packets of any kind that a node sent again on a link. */
  readonly repeatedOnLinks: number
  /** Everything on the air meanwhile, announcements aside. */
  readonly frames: number
}

const WARM_UP_MS = 180_000
const LIMIT_MS = 300_000

/** A line: each node hears the next one only. */
export function line(hops: number): Topology {
  const names = Array.from({ length: hops + 1 }, (_, i) => `n${i}`)
  const positions = names.map((name, i): [string, Position] => [name, { xMeters: i * 25, yMeters: 0 }])
  const links = names.map((name, i): [string, string[]] => [
    name,
    [i - 1, i + 1].filter((other) => other >= 0 && other <= hops).map((other) => `n${other}`),
  ])
  return { positions: new Map(positions), links: new Map(links), diameter: hops }
}

/** One message in fragments from one end of a line to the other. */
export function sendFragments(options: {
  readonly seed: string
  readonly hops: number
  readonly lossRatio: number
  readonly messageBytes: number
  /** Of the mesh: 0 leaves all repeating to the fragments. */
  readonly hopRepeats: number
}): FragmentsResult {
  const { seed, hops, lossRatio, messageBytes, hopRepeats } = options
  const mesh = { hopRepeats }
  const shape = { seed, nodes: hops + 1, lossRatio, maxLinks: 2, topology: line(hops) }
  const bench = new Bench(shape, (of, name) => new MeshStation(of, name, mesh))
  const { world } = bench
  world.runSync(WARM_UP_MS)
  const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())
  const fragmenter = new Fragmenter({ sha256, random: new SeededRandom(seed) }, { fragmentBytes: 179 })
  const reassembler = new Reassembler<string>({ sha256 })
  const [first, last] = [bench.stations.get('n0'), bench.stations.get(`n${hops}`)]
  if (!(first instanceof MeshStation) || !(last instanceof MeshStation)) throw new Error('a line has two ends')

  let arrivedAt: number | undefined
  let isDelivered = false
  let timer: { clear(): void } | undefined
  const drive = (): void => {
    const now = world.now()
    for (let out; (out = fragmenter.pollOutput(now)) !== undefined;) first.sendContent(last.name, joinBytes(out))
    for (let out; (out = reassembler.pollOutput()) !== undefined;) last.sendContent(first.name, out.bytes)
    for (let event; (event = reassembler.pollEvent()) !== undefined;) {
      if (event.type === 'message' && event.bytes.length === messageBytes) arrivedAt = now
    }
    for (let event; (event = fragmenter.pollEvent()) !== undefined;) isDelivered ||= event.type === 'delivered'
    timer?.clear()
    const at = Math.min(fragmenter.nextTimeout() ?? Infinity, reassembler.nextTimeout() ?? Infinity)
    if (!Number.isFinite(at)) return
    timer = world.schedule(at, () => {
      fragmenter.handleTimeout(world.now())
      reassembler.handleTimeout(world.now())
      drive()
    })
  }
  const contentOf = (payload: Uint8Array): Uint8Array => payload.slice(PROOF_BYTES)
  // one connection, one replay window: a copy that comes over another way is not read again
  const seen = new Set<string>()
  const once = (id: Uint8Array): boolean => {
    const key = id.join()
    return !seen.has(key) && seen.add(key).size > 0
  }
  last.onPacket = ({ packet }) => {
    if (!once(packet.id)) return
    reassembler.handleInput(world.now(), { peer: 'first', bytes: contentOf(packet.payload) })
    world.schedule(world.now(), drive)
  }
  first.onPacket = ({ packet }) => {
    if (!once(packet.id)) return
    fragmenter.handleInput(world.now(), contentOf(packet.payload))
    world.schedule(world.now(), drive)
  }

  const count = (): number => bench.transmissions.data + bench.transmissions['hop-ack'] + bench.transmissions.proof
  const repeated = (): number =>
    [...bench.stations.values()].reduce((sum, station) => sum + (station as MeshStation).core.counters.repeated, 0)
  const before = { frames: count(), repeated: repeated() }
  fragmenter.send(new SeededRandom(`message ${seed}`).bytes(messageBytes))
  drive()
  while (!isDelivered && world.now() < WARM_UP_MS + LIMIT_MS) world.runSync(world.now() + 100)
  const { fragments, repeats } = fragmenter.counts
  return {
    seed,
    hopRepeats,
    arrivedAfterMs: arrivedAt === undefined ? undefined : arrivedAt - WARM_UP_MS,
    fragments: fragments - repeats,
    fragmentsAgain: repeats,
    repeatedOnLinks: repeated() - before.repeated,
    frames: count() - before.frames,
  }
}
