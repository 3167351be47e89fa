import { compatible } from '@aiv/bitchat'
import { HandshakeState, nodeCrypto, seededCrypto } from '@aiv/security'
import { SeededRandom } from '@aiv/testkit'
import { joinBytes } from '@aiv/transport-api'
import { codec, ensure } from '../expect.mjs'
import { cut } from '../mutate.mjs'

const { rawDeflate } = compatible
const UNIX_START = 1_750_000_000_000
/** So many inputs, then a fresh participant: what it keeps is bounded, and fills up first. */
const INPUTS_PER_MESH = 20_000
/** So long that a packet that was cut off is given up before the next input. */
const STEP_MS = 300
const MAX_FRAME_BYTES = 4_096
const bytes = (length, step = 7) => Uint8Array.from({ length }, (_, i) => i * step)
const peer = (n) => compatible.parsePeerId(n.toString(16).padStart(16, '0'))

const plain = {
  version: 1,
  type: compatible.PacketType.Message,
  ttl: 7,
  timestamp: BigInt(UNIX_START),
  sender: peer(1),
  recipient: undefined,
  route: [],
  payload: bytes(60),
  originalSize: undefined,
  signature: undefined,
  solicited: false,
}
const packetSeeds = [
  plain,
  {
    ...plain,
    type: compatible.PacketType.NoiseEncrypted,
    recipient: peer(2),
    payload: bytes(300),
    signature: bytes(64),
  },
  { ...plain, version: 2, recipient: peer(2), route: [peer(3), peer(4)], solicited: true },
  { ...plain, payload: rawDeflate.compress(new Uint8Array(5_000).fill(97)), originalSize: 5_000 },
].map(compatible.encodePacket)

const announcement = { nickname: 'ann', noiseKey: bytes(32), signingKey: bytes(32, 5), neighbours: [peer(5), peer(6)] }
const announcementSeeds = [
  { ...announcement, capabilities: 0x105n, geohash: 'u4pruyd' },
  { ...announcement, neighbours: [], capabilities: undefined, geohash: undefined },
].map(compatible.encodeAnnouncement)

const privateSeeds = [
  { type: 'message', messageId: 'm1', text: 'hi' },
  { type: 'delivered', messageId: 'm1' },
  { type: 'read', messageId: 'm1' },
  { type: 'file', file: bytes(40) },
  { type: 'peer-state', capabilities: 5n, signingKey: bytes(32) },
].map(compatible.encodePrivatePayload)

const hashes = Array.from({ length: 60 }, (_, i) => BigInt(i) * 0x0123_4567_89ab_cdefn)
const set = ({ parameter, modulus, data }) => ({ parameter, modulus, data })
const syncSeeds = [
  { have: set(compatible.encodeGolombSet(hashes, 7, 400)), types: 3n, since: 70_000n, fragments: [] },
  {
    have: set(compatible.encodeGolombSet([], 19, 400)),
    types: undefined,
    since: undefined,
    fragments: ['00'.repeat(8), 'ff'.repeat(8)],
  },
].map(compatible.encodeSyncRequest)

const crypto = {
  sha256: (...pieces) => nodeCrypto.sha256(...pieces),
  verify: (key, message, signature) => nodeCrypto.verify(key, message, signature),
  chaChaPoly: (key) => nodeCrypto.aead('chacha20-poly1305', key),
}

function identityOf(name) {
  const random = new SeededRandom(`keys of ${name}`)
  const seeded = seededCrypto(nodeCrypto, random)
  const s = seeded.x25519KeyPair(random.bytes(32))
  const signing = seeded.ed25519FromSeed(random.bytes(32))
  return {
    noiseKey: s.publicKey,
    signingKey: signing.publicKey,
    sign: (message) => seeded.sign(signing, message),
    handshake: (role) =>
      new HandshakeState({
        crypto: seeded,
        pattern: 'XX',
        suite: 'chacha20-poly1305',
        role,
        prologue: new Uint8Array(0),
        s,
      }),
  }
}

function participant(name) {
  const components = { identity: identityOf(name), crypto, random: new SeededRandom(name), compressor: rawDeflate }
  const mesh = new compatible.CompatibleMesh(0, components, { nickname: name })
  mesh.handleUnixTime(UNIX_START)
  mesh.linkUp(0, { id: 1, maxPacketBytes: 514 })
  return mesh
}

/** What one says to another: announcements, public and private messages, a file, fragments, gossip, pings. */
function recordedTalk() {
  const [a, b] = [participant('a'), participant('b')]
  const frames = []
  const texts = new Set(['a public message '.repeat(60), 'a private message'])
  for (let now = 0; now < 12_000; now += 10) {
    if (now === 2_000)
      for (const text of texts)
        a[text.length < 100 ? 'sendPrivate' : 'sendPublic'](now, ...(text.length < 100 ? [b.id, text] : [text]))
    if (now === 3_000)
      a.sendFile(now, { name: 'f', mime: 'text/plain', content: new SeededRandom('file').bytes(3_000) })
    if (now === 4_000) a.ping(now, b.id)
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      from.handleTimeout(now)
      while (from.pollEvent() !== undefined);
      for (let out; (out = from.pollOutput(now)) !== undefined;) {
        if (to === b) frames.push(out.bytes.slice())
        to.handleInput(now, { link: 1, bytes: out.bytes })
      }
    }
  }
  return { frames, texts }
}

function mesh() {
  const { frames, texts } = recordedTalk()
  let made
  let count = 0
  return {
    seeds: frames,
    run(input, random) {
      if (count++ % INPUTS_PER_MESH === 0) {
        made = participant('b')
        made.linkUp(0, { id: 2, maxPacketBytes: 100 })
      }
      const now = (count % INPUTS_PER_MESH) * STEP_MS
      // the time of day stands still, so that what was recorded stays fresh
      made.handleUnixTime(UNIX_START - now + 12_000)
      const before = new Map(made.refused)
      for (const piece of random.chance(0.1) ? cut(random, input) : [input]) {
        made.handleInput(now, { link: 1, bytes: piece.slice() })
      }
      made.handleTimeout(now)
      for (let outputs = 0; made.pollOutput(now) !== undefined; outputs++) ensure(outputs < 1_000, 'a thousand for one')
      const kinds = new Set()
      for (let event; (event = made.pollEvent()) !== undefined;) {
        kinds.add(event.type)
        if (event.type === 'public-message' || event.type === 'private-message')
          ensure(texts.has(event.text), `believed: ${event.text.slice(0, 40)}`)
      }
      for (const [reason, times] of made.refused) if (times !== before.get(reason)) kinds.add(reason)
      const kind = [...kinds].sort().join(' ') || 'nothing'
      return count % INPUTS_PER_TURN === 0 ? nextTurn(kind) : kind
    },
  }
}

/** However it is cut, and whatever is in it: never more than the longest packet is held, and packets are packets. */
function frames() {
  return {
    seeds: [joinBytes(packetSeeds), joinBytes([packetSeeds[1], new Uint8Array(100).fill(100), packetSeeds[0]])],
    run(input, random) {
      const assembler = new compatible.FrameAssembler(MAX_FRAME_BYTES)
      let found = 0
      let dropped = false
      for (const piece of cut(random, input)) {
        const { frames: whole, lost } = assembler.push(0, piece)
        dropped ||= lost
        found += whole.length
        ensure(assembler.bytes < MAX_FRAME_BYTES, `${assembler.bytes} bytes are held`)
        ensure(
          whole.every((frame) => compatible.packetLength(frame) === frame.length),
          'a frame that is no packet',
        )
      }
      return `${Math.min(found, 5)} frames${dropped ? ', some lost' : ''}`
    },
  }
}

function golombSet() {
  return {
    seeds: [compatible.encodeGolombSet(hashes, 7, 400).data, compatible.encodeGolombSet(hashes, 1, 400).data],
    run(input, random) {
      const data = input.subarray(0, 1_024)
      const modulus = 1 + random.below(0xffffffff)
      const numbers = compatible.decodeGolombSet({ parameter: 1 + random.below(32), modulus, data })
      ensure(numbers.size <= data.length * 8, 'more numbers than bits')
      for (const number of numbers) ensure(number > 0 && number < modulus, `${number} of ${modulus}`)
      return numbers.size === 0 ? 'empty' : 'numbers'
    },
  }
}

/**
 * What zlib refuses it gives back with the next turn of the event loop: a connection takes one with each packet, the
 * fuzzer has to be told to.
 */
const INPUTS_PER_TURN = 256
const nextTurn = (kind) => new Promise((resolve) => setImmediate(resolve, kind))

function deflate() {
  const most = 10_000
  let count = 0
  return {
    seeds: [bytes(300), new Uint8Array(9_000).fill(97)].map((text) => rawDeflate.compress(text)).filter(Boolean),
    run(input) {
      const out = rawDeflate.decompress(input, most)
      ensure((out?.length ?? 0) <= most, 'more than allowed')
      const kind = out === undefined ? 'refused' : 'inflated'
      return ++count % INPUTS_PER_TURN === 0 ? nextTurn(kind) : kind
    },
  }
}

export const compatibleTargets = {
  'bitchat-packet': codec({
    seeds: packetSeeds,
    decode: compatible.decodePacket,
    encode: compatible.encodePacket,
    kind: ({ version, route }) => `version ${version}${route.length > 0 ? ', routed' : ''}`,
  }),
  'bitchat-announce': codec({
    seeds: announcementSeeds,
    decode: compatible.decodeAnnouncement,
    encode: compatible.encodeAnnouncement,
  }),
  'bitchat-private': codec({
    seeds: privateSeeds,
    decode: compatible.decodePrivatePayload,
    encode: compatible.encodePrivatePayload,
    kind: ({ type }) => type,
  }),
  'bitchat-fragment': codec({
    seeds: [compatible.encodeFragment({ id: '00'.repeat(8), index: 1, total: 3, type: 2, data: bytes(100) })],
    decode: compatible.decodeFragment,
    encode: compatible.encodeFragment,
  }),
  'bitchat-sync': codec({
    seeds: syncSeeds,
    decode: compatible.decodeSyncRequest,
    encode: compatible.encodeSyncRequest,
  }),
  'bitchat-file': codec({
    seeds: [compatible.encodeFile({ name: 'a.txt', mime: 'text/plain', content: bytes(200) })],
    decode: compatible.decodeFile,
    encode: compatible.encodeFile,
  }),
  'bitchat-chat': codec({
    seeds: [compatible.encodeChatMessage({ timestamp: 5n, id: 'id', sender: 'bob', content: 'hi' })],
    decode: compatible.decodeChatMessage,
    encode: compatible.encodeChatMessage,
  }),
  'bitchat-set': golombSet,
  'bitchat-deflate': deflate,
  'bitchat-frames': frames,
  'bitchat-mesh': mesh,
}
