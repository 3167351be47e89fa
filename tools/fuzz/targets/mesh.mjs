import {
  encodeHopAck,
  encodeMeshPacket,
  encodeSessionFrame,
  decodeMesh,
  decodeSessionFrames,
  MeshCore,
  MeshPacketType,
  PacketJoiner,
  readAnnouncement,
  splitPacket,
} from '@aiv/bitchat'
import { Fragmenter, Reassembler, decodeBlockAck, decodeFragment, encodeBlockAck, encodeFragment } from '@aiv/fragments'
import { identityFromSeed, nodeCrypto } from '@aiv/security'
import { SeededRandom } from '@aiv/testkit'
import { joinBytes } from '@aiv/transport-api'
import { codec, ensure } from '../expect.mjs'
import { cut } from '../mutate.mjs'

const UNIX_START = 1_750_000_000_000
/** So many inputs, then a fresh core: what it keeps is bounded, and fills up first. */
const INPUTS_PER_CORE = 20_000
const bytes = (length, step = 7) => Uint8Array.from({ length }, (_, i) => i * step)
const node = (n) => n.toString(16).padStart(32, '0')

const core = (name, seed = name) => {
  const identity = identityFromSeed(nodeCrypto, new SeededRandom(`identity ${name}`).bytes(32))
  const staticKey = () => ({ publicKey: identity.noiseStatic.publicKey, notAfter: UNIX_START / 1000 + 86_400 })
  const random = new SeededRandom(`core ${seed}`)
  const made = new MeshCore(0, { identity, crypto: nodeCrypto, random, staticKey })
  made.handleUnixTime(UNIX_START)
  return made
}

/** What two cores say to each other while they meet and speak. */
function recordedMesh() {
  const [a, b] = [core('a'), core('b')]
  const frames = []
  a.linkUp(0, 1, { rssi: -50 })
  b.linkUp(0, 1, { rssi: -50 })
  for (let now = 0; now < 20_000; now += 50) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      from.handleTimeout(now)
      for (let out; (out = from.pollOutput(now)) !== undefined;) {
        const frame = joinBytes(out.bytes).slice()
        if (to === b && frames.length < 64) frames.push(frame.slice())
        to.handleInput(now, { link: 1, bytes: frame })
      }
      while (from.pollEvent() !== undefined);
    }
  }
  return frames
}

const packetSeeds = [
  [MeshPacketType.Announcement, undefined, 190],
  [MeshPacketType.Broadcast, undefined, 100],
  [MeshPacketType.Handshake, node(9), 77],
  [MeshPacketType.Data, node(9), 199],
  [MeshPacketType.Acknowledgement, node(9), 16],
].map(([type, destination, length], i) =>
  encodeMeshPacket(
    {
      type,
      priority: i % 4,
      flood: i === 2,
      proofWanted: i === 3,
      source: node(3),
      destination,
      id: bytes(8),
      payload: bytes(length),
    },
    { ttl: 7 - i, hopCount: i, custody: i % 4, hopAckWanted: i % 2 === 0 },
  ),
)

function meshCore() {
  const seeds = recordedMesh()
  let mesh
  let count = 0
  const fresh = () => {
    mesh = core('b', `${count}`)
    for (const link of [1, 2]) mesh.linkUp(0, link, { rssi: -60 })
  }
  return {
    seeds,
    run(input, random) {
      if (count++ % INPUTS_PER_CORE === 0) fresh()
      const now = (count % INPUTS_PER_CORE) * 25
      // the time of day stands still, so that what was recorded stays fresh
      mesh.handleUnixTime(UNIX_START - now + 10_000)
      const before = { ...mesh.counters.dropped }
      mesh.handleInput(now, { link: 1 + random.below(2), bytes: input.slice() })
      mesh.handleTimeout(now)
      let outputs = 0
      for (; mesh.pollOutput(now) !== undefined; outputs++) ensure(outputs < 1_000, 'one packet makes a thousand')
      const kinds = new Set()
      for (let event; (event = mesh.pollEvent()) !== undefined;) kinds.add(event.type)
      for (const [reason, times] of Object.entries(mesh.counters.dropped)) if (times > before[reason]) kinds.add(reason)
      return [...kinds].sort().join(' ') || 'nothing'
    },
  }
}

/** The fragments of two messages, as they leave. */
function recordedFragments() {
  const sender = new Fragmenter({ sha256: (piece) => nodeCrypto.sha256(piece), random: new SeededRandom('fragments') })
  sender.send(bytes(300))
  sender.send(bytes(20))
  const seeds = []
  for (let out; (out = sender.pollOutput(0)) !== undefined;) seeds.push(joinBytes(out).slice())
  return seeds
}

function reassembler() {
  const maxBytes = 2 ** 18
  let made
  let count = 0
  return {
    seeds: recordedFragments(),
    run(input) {
      if (count++ % INPUTS_PER_CORE === 0) {
        made = new Reassembler({ sha256: (piece) => nodeCrypto.sha256(piece) }, { maxBytes, maxBytesPerPeer: 2 ** 16 })
      }
      made.handleInput(count, { peer: count % 3, bytes: input.slice() })
      made.handleTimeout(count)
      while (made.pollOutput(count) !== undefined);
      let kind = 'nothing'
      for (let event; (event = made.pollEvent()) !== undefined;) kind = event.code ?? event.type
      ensure(made.load.bytes <= maxBytes, `${made.load.bytes} bytes are held`)
      return kind
    },
  }
}

function joiner() {
  const seeds = [60, 244].flatMap((length, n) => splitPacket(Uint8Array.of(1, ...bytes(length - 1)), 61, n))
  return {
    seeds: [...seeds, joinBytes(seeds).slice(0, 61)],
    run(input, random) {
      const made = new PacketJoiner()
      let joined = 0
      for (const piece of cut(random, input)) {
        const packet = made.join(piece)
        if (packet === undefined) continue
        joined++
        ensure(packet.length <= 16 * 61 + input.length, 'a packet longer than its pieces')
      }
      return joined === 0 ? 'nothing' : 'joined'
    },
  }
}

const fragmentSeeds = [
  { id: bytes(8), index: 0, total: 3, data: bytes(100) },
  { id: bytes(8), index: 65_534, total: 65_535, data: bytes(1) },
].map((fragment) => joinBytes(encodeFragment(fragment)))

const ackSeeds = ['arriving', 'complete', 'refused'].map((state) =>
  encodeBlockAck({ id: bytes(8), state, first: 700, bitmap: bytes(20) }),
)

const frameSeeds = [
  [
    { type: 'ping', number: 7 },
    { type: 'credit', takenBytes: 70_000 },
    { type: 'fragment', bytes: bytes(60) },
  ],
  [
    { type: 'block-ack', bytes: bytes(20) },
    { type: 'pong', number: 2 ** 32 - 1 },
    { type: 'datagram', bytes: bytes(30) },
  ],
  [
    { type: 'credit', takenBytes: 2 ** 40 },
    { type: 'close', code: 2, reason: 'enough' },
  ],
].map((frames) => joinBytes(frames.map(encodeSessionFrame)))

export const meshTargets = {
  'mesh-frames': codec({
    seeds: frameSeeds,
    decode: decodeSessionFrames,
    encode: (frames) => joinBytes(frames.map(encodeSessionFrame)),
    // a reason that is no UTF-8 is read with replacements
    rewritable: (frames) => !frames.some(({ type }) => type === 'close'),
    kind: (frames) =>
      frames
        .map(({ type }) => type)
        .slice(0, 3)
        .join(' '),
  }),
  'mesh-packet': codec({
    seeds: [...packetSeeds, encodeHopAck([1, 2, 2 ** 40])],
    decode: decodeMesh,
    encode: (decoded) =>
      decoded.kind === 'packet'
        ? encodeMeshPacket(decoded.packet, decoded.passage)
        : encodeHopAck(decoded.fingerprints),
    kind: (decoded) => (decoded.kind === 'packet' ? `packet ${decoded.packet.type}` : decoded.kind),
  }),
  'mesh-announcement': codec({
    seeds: recordedMesh().filter((frame) => decodeMesh(frame)?.packet?.type === MeshPacketType.Announcement),
    decode: (input) => {
      const decoded = decodeMesh(input)
      return decoded?.kind === 'packet' ? readAnnouncement(decoded.packet) : undefined
    },
  }),
  'mesh-core': meshCore,
  'mesh-segments': joiner,
  fragment: codec({
    seeds: fragmentSeeds,
    decode: decodeFragment,
    encode: (value) => joinBytes(encodeFragment(value)),
  }),
  'block-ack': codec({ seeds: ackSeeds, decode: decodeBlockAck, encode: encodeBlockAck }),
  reassembler,
}
