import { describe, expect, test } from '@jest/globals'
import { fromHex, joinBytes, toHex } from '@aiv/transport-api'
import { SeededRandom } from '@aiv/testkit'
import { GossipStore } from '../src/profiles/bitchat-compatible/gossip-store.js'
import { NoiseSession } from '../src/profiles/bitchat-compatible/noise-session.js'
import { Outbox } from '../src/profiles/bitchat-compatible/outbox.js'
import { encodePacket, PacketType, type Packet } from '../src/profiles/bitchat-compatible/packet.js'
import { PeerBridge } from '../src/profiles/bitchat-compatible/peer-bridge.js'
import { parsePeerId, peerIdOf, type PeerId } from '../src/profiles/bitchat-compatible/peer-id.js'
import type { CompatiblePeer } from '../src/profiles/bitchat-compatible/peer-table.js'
import { Reassembly, type ReassemblyLimits } from '../src/profiles/bitchat-compatible/reassembly.js'
import { RelayQueue } from '../src/profiles/bitchat-compatible/relay-queue.js'
import { decideRelay, fanOut } from '../src/profiles/bitchat-compatible/relay-rules.js'
import { SeenPackets } from '../src/profiles/bitchat-compatible/seen-packets.js'
import { SessionTable, type SessionLimits } from '../src/profiles/bitchat-compatible/session-table.js'
import { SourceRoutes } from '../src/profiles/bitchat-compatible/source-routes.js'
import { Transfers } from '../src/profiles/bitchat-compatible/transfers.js'
import { compatibleCrypto, compatibleIdentity } from './compatible-net.js'

const id = (n: number): PeerId => parsePeerId(n.toString(16).padStart(16, '0'))

describe('whether to relay', () => {
  const situation = {
    type: PacketType.Message as number,
    ttl: 7,
    directed: false,
    degree: 2,
    networkSize: 10,
    rules: 'degree' as 'degree' | 'probability',
    chance: [0, 0] as const,
  }

  test.each([
    ['sparse', {}, { ttl: 6, delayMs: 10 }],
    ['degree 3', { degree: 3 }, { ttl: 5, delayMs: 60 }],
    ['an announcement at degree 3', { degree: 3, type: PacketType.Announce }, { ttl: 6, delayMs: 60 }],
    ['dense', { degree: 6 }, { ttl: 4, delayMs: 80 }],
    ['very dense', { degree: 10 }, { ttl: 4, delayMs: 100 }],
    ['a fragment', { type: PacketType.Fragment, degree: 4 }, { ttl: 6, delayMs: 8 }],
    ['a fragment where it is dense', { type: PacketType.Fragment, degree: 6 }, { ttl: 4, delayMs: 8 }],
    ['directed where it is dense', { directed: true, degree: 9 }, { ttl: 6, delayMs: 20 }],
    ['a handshake', { directed: true, type: PacketType.NoiseHandshake, degree: 9 }, { ttl: 6, delayMs: 10 }],
    ['a TTL that nobody may write', { ttl: 255 }, { ttl: 6, delayMs: 10 }],
    ['the last hop', { ttl: 2 }, { ttl: 1, delayMs: 10 }],
    ['no hop left', { ttl: 1 }, undefined],
    ['a request for synchronisation', { type: PacketType.RequestSync }, undefined],
  ])('%s', (_, change, expected) => {
    expect(decideRelay({ ...situation, ...change })).toEqual(expected)
  })

  test('the delay is drawn from its range', () => {
    expect(decideRelay({ ...situation, chance: [0, 0.5] })?.delayMs).toBe(25)
  })

  test.each([
    [10, 1],
    [30, 0.85],
    [50, 0.7],
    [100, 0.55],
    [101, 0.4],
  ])('by probability: in a network of %d near the end of its way %d', (networkSize, probability) => {
    const near = { ...situation, rules: 'probability' as const, networkSize, ttl: 4 }
    expect(decideRelay({ ...near, chance: [probability - 0.01, 0] })).toBeDefined()
    const beyond = decideRelay({ ...near, chance: [Math.min(0.999, probability + 0.01), 0] })
    expect(beyond === undefined).toBe(probability < 1)
    expect(decideRelay({ ...near, ttl: 5, chance: [0.999, 0] })).toBeDefined()
    expect(decideRelay({ ...near, directed: true, chance: [0.999, 0] })).toBeDefined()
  })

  test('a broadcast goes to all of two links, and to a few of many', () => {
    expect([0, 1, 2, 3, 4, 5, 8, 9, 16].map(fanOut)).toEqual([0, 1, 2, 3, 3, 4, 4, 5, 5])
  })

  test('a link that brought a copy is spared, and a full queue takes no more', () => {
    const queue = new RelayQueue(1)
    const relay = { packet: messagePacket(1), encoded: new Uint8Array(1), heard: new Set([1]), at: 10 }
    expect(queue.add('a', relay)).toBe(true)
    expect(queue.add('b', relay)).toBe(false)
    queue.noteCopy('a', 2)
    expect(queue.due(9)).toEqual([])
    expect([...(queue.due(10)[0]?.relay.heard ?? [])]).toEqual([1, 2])
    expect([queue.size, queue.nextTimeout()]).toEqual([0, undefined])
  })
})

describe('source routes', () => {
  const [a, b, c, d] = [1, 2, 3, 4].map(id) as [PeerId, PeerId, PeerId, PeerId]

  function line(count: number): SourceRoutes {
    const routes = new SourceRoutes()
    for (let n = 2; n <= count; n++) {
      routes.noteVersion2(id(n))
      routes.learn(0, id(n), [id(n - 1), id(n + 1)])
    }
    return routes
  }

  test('go the shortest way, over at most four between', () => {
    const routes = line(7)
    expect(routes.find(0, a, [b], d)).toEqual([b, c])
    expect(routes.find(0, a, [b], id(6))).toEqual([b, c, d, id(5)])
    expect(routes.find(0, a, [b], id(7))).toBeUndefined()
  })

  test('are not needed for a neighbour', () => {
    expect(line(4).find(0, a, [b], b)).toBeUndefined()
  })

  test('use no edge that only one end announces', () => {
    const routes = line(4)
    routes.learn(0, c, [b]) // c denies d
    expect(routes.find(0, a, [b], d)).toBeUndefined()
    expect(line(4).find(0, a, [c], d)).toBeUndefined() // c does not announce a
  })

  test('use nobody who has not shown to read version 2', () => {
    const routes = new SourceRoutes()
    for (const [peer, neighbours] of [
      [b, [a, c]],
      [c, [b, d]],
      [d, [c]],
    ] as const) {
      routes.learn(0, peer, neighbours)
      if (peer !== c) routes.noteVersion2(peer)
    }
    expect(routes.find(0, a, [b], d)).toBeUndefined()
    routes.noteVersion2(c)
    expect(routes.find(0, a, [b], d)).toEqual([b, c])
    routes.forget(c)
    expect(routes.find(0, a, [b], d)).toBeUndefined()
  })

  test('are forgotten after a minute, and not used for one after a failure', () => {
    const routes = line(4)
    expect(routes.find(59_999, a, [b], d)).toBeDefined()
    expect(routes.find(60_000, a, [b], d)).toBeUndefined()
    const others = line(4)
    others.noteFailure(0, d)
    expect(others.find(59_999, a, [b], d)).toBeUndefined()
  })
})

describe('transport messages', () => {
  const key = (n: number) => new Uint8Array(32).fill(n)
  const pair = () =>
    [
      new NoiseSession(0, compatibleCrypto, key(1), key(2)),
      new NoiseSession(0, compatibleCrypto, key(2), key(1)),
    ] as const

  test('golden: counter, then ChaCha20-Poly1305 under 4 zeros and the counter, little-endian', () => {
    const [a] = pair()
    expect(toHex(a.seal(fromHex('6869')) ?? key(0))).toBe('00000000' + toHex(sealedBy(0)))
    expect(toHex(a.seal(fromHex('6869')) ?? key(0))).toBe('00000001' + toHex(sealedBy(1)))
    expect(toHex(sealedBy(1))).toBe('2553bcc433ba780ef2db8c8f22d68a26e73f')
  })

  const sealedBy = (counter: number): Uint8Array => {
    const nonce = new Uint8Array(12)
    nonce[4] = counter
    return joinBytes(compatibleCrypto.chaChaPoly(key(1)).seal(nonce, new Uint8Array(0), fromHex('6869')))
  }

  test('open out of order within a window of 1,024, and once', () => {
    const [a, b] = pair()
    const sealed = Array.from({ length: 1_100 }, () => a.seal(Uint8Array.of(1)) ?? key(0))
    const at = (n: number): Uint8Array => sealed[n] ?? key(0)
    expect(b.open(at(50))).toEqual(Uint8Array.of(1))
    expect(b.open(at(3))).toEqual(Uint8Array.of(1))
    expect(b.open(at(3))).toBe('replayed')
    expect(b.open(at(1_099))).toEqual(Uint8Array.of(1))
    expect(b.open(at(75))).toBe('replayed') // too far behind to be told from one
    expect(b.open(at(76))).toEqual(Uint8Array.of(1))
  })

  test('a forged counter does not move the window', () => {
    const [a, b] = pair()
    const first = a.seal(Uint8Array.of(1)) ?? key(0)
    const forged = new Uint8Array(first)
    forged.set([0x7f, 0xff, 0xff, 0xff])
    expect(b.open(forged)).toBe('forged')
    expect(b.open(new Uint8Array(19))).toBe('forged')
    expect(b.open(new Uint8Array(40).fill(255))).toBe('forged')
    expect(b.open(first)).toEqual(Uint8Array.of(1))
  })
})

describe('sessions', () => {
  const limits: SessionLimits = {
    maxSessions: 4,
    handshakeTimeoutMs: 10_000,
    responderTimeoutMs: 20_000,
    sessionLifetimeMs: 86_400_000,
    sessionMessages: 3,
    handshakesPerMinute: 10,
    totalHandshakesPerMinute: 30,
  }
  const party = (name: string, change: Partial<SessionLimits> = {}) => {
    const identity = compatibleIdentity(name)
    return {
      id: peerIdOf(compatibleCrypto, identity.noiseKey),
      table: new SessionTable(0, identity, compatibleCrypto, { ...limits, ...change }),
    }
  }
  const handshake = (a: ReturnType<typeof party>, b: ReturnType<typeof party>, now = 0): void => {
    let message = a.table.begin(now, b.id)
    for (let [from, to] = [a, b]; message !== undefined; [from, to] = [to, from]) {
      const result = to.table.handleHandshake(now, from.id, message)
      message = 'message' in result ? result.message : undefined
    }
  }

  test('are made by three messages of 32, 96 and 64 bytes', () => {
    const [a, b] = [party('a'), party('b')]
    const first = a.table.begin(0, b.id) ?? new Uint8Array(0)
    const second = b.table.handleHandshake(0, a.id, first)
    if (second.type !== 'reply') throw new Error(second.type)
    const third = a.table.handleHandshake(0, b.id, second.message)
    if (third.type !== 'established') throw new Error(third.type)
    expect([first.length, second.message.length, third.message?.length]).toEqual([32, 96, 64])
    expect(b.table.handleHandshake(0, a.id, third.message ?? first).type).toBe('established')
    const sealed = a.table.seal(0, b.id, Uint8Array.of(7)) ?? first
    expect(b.table.open(0, a.id, sealed)).toEqual(Uint8Array.of(7))
    expect(a.table.noiseKeyOf(b.id)).toEqual(compatibleIdentity('b').noiseKey)
  })

  test('with somebody else than the id says are refused, before he learns our key', () => {
    const [a, b, mallory] = [party('a'), party('b'), party('mallory')]
    const first = a.table.begin(0, b.id) ?? new Uint8Array(0)
    const second = mallory.table.handleHandshake(0, a.id, first)
    if (second.type !== 'reply') throw new Error(second.type)
    expect(a.table.handleHandshake(0, b.id, second.message)).toEqual({ type: 'failed', reason: 'identity' })
    expect(a.table.isEstablished(0, b.id)).toBe(false)
  })

  test('are used for sending until they are too old or used up, and open what was on its way when replaced', () => {
    const [a, b] = [party('a'), party('b')]
    handshake(a, b)
    const late = a.table.seal(0, b.id, Uint8Array.of(1)) ?? new Uint8Array(0)
    a.table.seal(0, b.id, Uint8Array.of(2))
    a.table.seal(0, b.id, Uint8Array.of(3))
    expect(a.table.seal(0, b.id, Uint8Array.of(4))).toBeUndefined()
    handshake(a, b)
    expect(a.table.isEstablished(0, b.id)).toBe(true)
    expect(b.table.open(1_000, a.id, late)).toEqual(Uint8Array.of(1))
    expect(a.table.isEstablished(86_400_000, b.id)).toBe(false)
    b.table.handleTimeout(60_000)
    expect(b.table.open(60_000, a.id, late)).not.toEqual(Uint8Array.of(1))
  })

  test('a handshake that stops is given up by both, and a first message out of the blue ends no session', () => {
    const [a, b] = [party('a'), party('b')]
    handshake(a, b)
    const first = a.table.begin(0, b.id) ?? new Uint8Array(0)
    b.table.handleHandshake(0, a.id, first)
    expect([a.table.nextTimeout(), b.table.nextTimeout()]).toEqual([10_000, 20_000])
    expect(a.table.begin(5_000, b.id)).toBeUndefined()
    expect([a.table.handleTimeout(10_000), b.table.handleTimeout(20_000)]).toEqual([[b.id], []])
    expect([a.table.isEstablished(20_000, b.id), b.table.isEstablished(20_000, a.id)]).toEqual([true, true])
  })

  test('ten handshakes a minute with one peer, thirty in all', () => {
    const b = party('b', { maxSessions: 100 })
    const random = new SeededRandom('first messages')
    const from = (n: number) => b.table.handleHandshake(0, id(n), random.bytes(32)).type
    expect(Array.from({ length: 12 }, () => from(1)).filter((type) => type === 'reply')).toHaveLength(10)
    expect(Array.from({ length: 30 }, (_, n) => from(2 + n)).filter((type) => type === 'reply')).toHaveLength(20)
  })

  test('beyond the limit those without a session go first', () => {
    const [a, b] = [party('a'), party('b')]
    handshake(a, b)
    const random = new SeededRandom('crowd')
    for (let n = 0; n < 20; n++) b.table.handleHandshake(n * 6_000, id(n), random.bytes(32))
    expect(b.table.size).toBe(4)
    expect(b.table.isEstablished(0, a.id)).toBe(true)
  })

  test('a session through which nothing comes is doubted', () => {
    const [a, b] = [party('a'), party('b')]
    handshake(a, b)
    a.table.doubt(29_999, b.id, 30_000)
    expect(a.table.isEstablished(30_000, b.id)).toBe(true)
    const sealed = b.table.seal(0, a.id, Uint8Array.of(1)) ?? new Uint8Array(0)
    a.table.open(30_000, b.id, sealed)
    a.table.doubt(59_999, b.id, 30_000)
    expect(a.table.isEstablished(60_000, b.id)).toBe(true)
    a.table.doubt(60_000, b.id, 30_000)
    expect(a.table.isEstablished(60_000, b.id)).toBe(false)
  })

  test('messages that are none are ignored or fail', () => {
    const b = party('b')
    expect(b.table.handleHandshake(0, id(1), new Uint8Array(96)).type).toBe('ignored')
    expect(b.table.handleHandshake(0, id(1), new Uint8Array(3_000)).type).toBe('failed')
    expect(b.table.handleHandshake(0, id(1), new Uint8Array(32))).toEqual({ type: 'failed', reason: 'malformed' })
    expect(b.table.open(0, id(9), new Uint8Array(30))).toBe('no-session')
  })
})

describe('reassembly', () => {
  const limits: ReassemblyLimits = {
    maxAssemblies: 4,
    maxAssembliesPerLink: 2,
    maxFragments: 10,
    maxAssemblyBytes: 100,
    maxTotalBytes: 150,
    lifetimeMs: 30_000,
    stallMs: 5_000,
    retryMs: 10_000,
  }
  const fragment = (n: number, index: number, total: number, bytes = 10) => ({
    id: n.toString(16).padStart(16, '0'),
    index,
    total,
    type: PacketType.Message,
    data: new Uint8Array(bytes).fill(index),
  })
  const from = (link: number, sender = id(1)) => ({ link, sender, broadcast: true })

  test('in any order, copies included, gives the packet once', () => {
    const reassembly = new Reassembly(limits)
    for (const index of [2, 0, 0, 2]) expect(reassembly.add(0, from(1), fragment(1, index, 3))).toBeUndefined()
    expect(reassembly.add(0, from(2), fragment(1, 1, 3))).toEqual(
      joinBytes([0, 1, 2].map((n) => new Uint8Array(10).fill(n))),
    )
    expect(reassembly.add(0, from(1), fragment(1, 1, 3))).toBeUndefined()
    expect([reassembly.size, reassembly.bytes, reassembly.nextTimeout()]).toEqual([0, 0, undefined])
  })

  test('one link displaces only what came over it', () => {
    const reassembly = new Reassembly(limits)
    reassembly.add(0, from(1), fragment(1, 0, 2))
    for (let n = 10; n < 30; n++) reassembly.add(0, from(2, id(n)), fragment(n, 0, 2))
    expect(reassembly.size).toBe(3)
    expect(reassembly.add(0, from(1), fragment(1, 1, 2))).toBeDefined()
  })

  test('is bounded in count and bytes, the oldest goes', () => {
    const reassembly = new Reassembly(limits)
    for (let n = 1; n <= 5; n++) reassembly.add(0, from(n), fragment(n, 0, 2))
    expect(reassembly.size).toBe(4)
    expect(reassembly.add(0, from(1), fragment(1, 1, 2))).toBeUndefined() // it had gone
    const long = new Reassembly(limits)
    long.add(0, from(1), fragment(1, 0, 5, 90))
    long.add(0, from(2), fragment(2, 0, 5, 90))
    expect([long.size, long.bytes]).toEqual([1, 90])
    expect(long.add(0, from(2), fragment(2, 1, 5, 11))).toBeUndefined()
    expect([long.size, long.bytes]).toEqual([0, 0])
    expect(long.add(0, from(1), fragment(3, 0, 11))).toBeUndefined()
    expect(long.size).toBe(0)
  })

  test('another total or type under the same id is not taken', () => {
    const reassembly = new Reassembly(limits)
    reassembly.add(0, from(1), fragment(1, 0, 2))
    reassembly.add(0, from(1), fragment(1, 1, 3))
    reassembly.add(0, from(1), { ...fragment(1, 1, 2), type: PacketType.Announce })
    expect(reassembly.bytes).toBe(10)
  })

  test('asks after 5 s without a fragment and again after 10 s, and gives up after 30 s', () => {
    const reassembly = new Reassembly(limits)
    reassembly.add(0, from(1), fragment(1, 0, 2))
    reassembly.add(0, { ...from(1), broadcast: false }, fragment(2, 0, 2))
    expect(reassembly.nextTimeout()).toBe(5_000)
    expect(reassembly.handleTimeout(5_000, 60)).toEqual([fragment(1, 0, 2).id])
    expect(reassembly.nextTimeout()).toBe(15_000)
    expect(reassembly.handleTimeout(15_000, 0)).toEqual([])
    expect(reassembly.handleTimeout(15_000, 60)).toHaveLength(1)
    reassembly.handleTimeout(30_000, 60)
    expect(reassembly.size).toBe(0)
  })
})

describe('what was seen', () => {
  test('is forgotten by age, and the oldest first when it is full', () => {
    const seen = new SeenPackets({ maxEntries: 2, lifetimeMs: 100 })
    seen.record(0, 'a')
    seen.record(10, 'b')
    seen.record(20, 'c')
    expect(['a', 'b', 'c'].map((key) => seen.has(20, key))).toEqual([false, true, true])
    expect(seen.has(110, 'b')).toBe(false)
    seen.record(500, 'd')
    expect(seen.size).toBe(1)
  })
})

function messagePacket(n: number, fields: Partial<Packet> = {}): Packet {
  return {
    version: 1,
    type: PacketType.Message,
    ttl: 7,
    timestamp: BigInt(1_000_000 + n),
    sender: id(n % 5),
    recipient: undefined,
    route: [],
    payload: new TextEncoder().encode(`message ${n}`),
    originalSize: undefined,
    signature: undefined,
    solicited: false,
    ...fields,
  }
}

describe('gossip', () => {
  const store = (...numbers: number[]): GossipStore => {
    const made = new GossipStore(compatibleCrypto)
    for (const n of numbers) add(made, messagePacket(n))
    return made
  }
  const add = (gossip: GossipStore, packet: Packet): void => gossip.add(packet, packet.payload, encodePacket(packet))
  const now = 1_100_000
  const texts = (answers: readonly Uint8Array[]): string[] =>
    answers.map((bytes) => new TextDecoder().decode(bytes.subarray(22)))

  test('gives what the other one has not, the oldest first', () => {
    const [a, b] = [store(1, 2, 3, 4), store(2, 4)]
    expect(texts(a.answer(now, b.request(now, 3n), 100))).toEqual(['message 1', 'message 3'])
    expect(texts(a.answer(now, b.request(now, 3n), 1))).toEqual(['message 1'])
    expect(b.answer(now, a.request(now, 3n), 100)).toEqual([])
    expect(a.answer(now, b.request(now, 1n), 100)).toEqual([])
  })

  test('says since when it knows when not everything fits', () => {
    const many = store(...Array.from({ length: 600 }, (_, n) => n))
    const request = many.request(now, 3n)
    expect(request.have.data.length).toBeLessThanOrEqual(400)
    expect(request.since).toBe(1_000_000n + 600n - 355n)
    expect(many.answer(now, request, 1_000)).toEqual([])
  })

  test('keeps one announcement of each peer, and none of one that left', () => {
    const gossip = store()
    for (const n of [1, 6, 11]) add(gossip, messagePacket(n, { type: PacketType.Announce }))
    expect(gossip.count(PacketType.Announce)).toBe(1)
    gossip.forget(id(1))
    expect(gossip.count(PacketType.Announce)).toBe(0)
  })

  test('is bounded in count and bytes, and forgets what is too old', () => {
    const gossip = store(...Array.from({ length: 1_100 }, (_, n) => n))
    expect(gossip.count(PacketType.Message)).toBe(1_000)
    for (let n = 0; n < 10; n++) {
      add(gossip, messagePacket(n, { version: 2, type: PacketType.FileTransfer, payload: new Uint8Array(1_000_000) }))
    }
    expect(gossip.count(PacketType.FileTransfer)).toBe(4)
    expect(gossip.answer(1_000_000 + 22_700_000, store().request(now, 3n), 10)).toEqual([])
  })

  test('knows what it keeps, and of what it had to forget only how new it may have been', () => {
    const gossip = store(...Array.from({ length: 1_010 }, (_, n) => n))
    const isKnown = (n: number, solicited: boolean): boolean => {
      const packet = messagePacket(n, { solicited })
      return gossip.isKnown(packet, packet.payload)
    }
    expect([isKnown(500, false), isKnown(5, false), isKnown(5, true), isKnown(5_000, true)]).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  test('asked for certain fragments, gives those alone', () => {
    const gossip = store(1)
    const [wanted, other] = ['aa', 'bb'].map((byte) => byte.repeat(8)) as [string, string]
    for (const [n, text] of [wanted, other].entries()) {
      add(gossip, messagePacket(n, { type: PacketType.Fragment, payload: fromHex(`${text}0000000102ff`) }))
    }
    const answers = gossip.answer(now, store().request(now, 1n << 5n, [wanted]), 100)
    expect(answers.map((bytes) => toHex(bytes.subarray(22, 30)))).toEqual([wanted])
  })
})

describe('the outbox', () => {
  const present = () => true

  test('tries eight times, ever more rarely', () => {
    const outbox = new Outbox({ maxPerPeer: 10, maxMessages: 10 })
    outbox.add(0, id(1), 'm', 'text')
    const times: number[] = []
    for (let at; (at = outbox.nextTimeout()) !== undefined;) {
      const { send, failed } = outbox.due(at, present)
      for (const message of send) outbox.sent(message)
      times.push(...send.map(() => (at ?? 0) / 1_000))
      expect(failed.length).toBeLessThanOrEqual(1)
    }
    expect(times).toEqual([0, 10, 30, 70, 150, 310, 630, 1270])
  })

  test('takes a message once, and stops when it is delivered', () => {
    const outbox = new Outbox({ maxPerPeer: 10, maxMessages: 10 })
    expect([outbox.add(0, id(1), 'm', 'text'), outbox.add(0, id(1), 'm', 'text')]).toEqual([true, false])
    expect(outbox.delivered(id(2), 'm')).toBe(false)
    expect(outbox.delivered(id(1), 'm')).toBe(true)
    expect([outbox.size, outbox.nextTimeout()]).toEqual([0, undefined])
  })

  test('leaves a peer that is away alone until it appears', () => {
    const outbox = new Outbox({ maxPerPeer: 10, maxMessages: 10 })
    outbox.add(0, id(1), 'm', 'text')
    expect(outbox.due(0, () => false).send).toEqual([])
    expect(outbox.nextTimeout()).toBe(86_400_000)
    outbox.hurry(5_000, id(1))
    expect(outbox.due(5_000, present).send).toHaveLength(1)
  })
})

describe('transfers', () => {
  test('two at a time at their intervals, the others wait, and beyond the limit none is taken', () => {
    const transfers = new Transfers<string>(3)
    const add = (name: string) => transfers.add(0, { pieces: [`${name}1`, `${name}2`], spacingMs: 30 })
    expect(['a', 'b', 'c', 'd'].map(add)).toEqual([true, true, true, false])
    expect(transfers.due(0)).toEqual(['a1', 'b1'])
    expect([transfers.due(29), transfers.nextTimeout()]).toEqual([[], 30])
    expect(transfers.due(30)).toEqual(['a2', 'b2'])
    expect(transfers.due(60)).toEqual(['c1'])
    expect(transfers.due(90)).toEqual(['c2'])
    expect([transfers.size, transfers.nextTimeout()]).toEqual([0, undefined])
  })
})

describe('the bridge', () => {
  const peer = (n: number, node: string, proven = true): CompatiblePeer => ({
    id: id(n),
    nodeId: node.repeat(32) as CompatiblePeer['nodeId'],
    nickname: '',
    noiseKey: new Uint8Array(32),
    signingKey: new Uint8Array(32),
    capabilities: 0n,
    hops: 0,
    proven,
  })

  test('knows one peer for each node and one node for each peer, the last that was proven', () => {
    const bridge = new PeerBridge()
    expect(bridge.learn(peer(1, 'a', false))).toBe(false)
    expect([bridge.learn(peer(1, 'a')), bridge.learn(peer(1, 'a'))]).toEqual([true, false])
    expect(bridge.learn(peer(2, 'a'))).toBe(true)
    expect([bridge.nodeOf(id(1)), bridge.peerOf(peer(2, 'a').nodeId)]).toEqual([undefined, id(2)])
    expect(bridge.learn(peer(2, 'b'))).toBe(true)
    expect(bridge.peerOf(peer(2, 'a').nodeId)).toBeUndefined()
  })

  test('is bounded, the oldest goes', () => {
    const bridge = new PeerBridge(2)
    for (const [n, node] of ['a', 'b', 'c'].entries()) bridge.learn(peer(n, node))
    expect([0, 1, 2].map((n) => bridge.nodeOf(id(n)) !== undefined)).toEqual([false, true, true])
  })
})
