import { describe, expect, test } from '@jest/globals'
import {
  AivError,
  type CloseReason,
  type NodeId,
  Priority,
  type SecureSession,
  joinBytes,
  priorities,
} from '@aiv/transport-api'
import { encodeFragment } from '@aiv/fragments'
import { type Identity, identityFromSeed, nodeCrypto, secureChannels } from '@aiv/security'
import { SeededRandom, World } from '@aiv/testkit'
import fc from 'fast-check'
import { MeshEndpoint, type EndpointEvent } from '../src/mesh-endpoint.js'
import { MeshHandshake } from '../src/mesh-handshake.js'
import { type MeshPacket, MeshPacketType, encodeMeshPacket } from '../src/mesh-packet.js'
import type { MeshSession, MeshSessionEvent } from '../src/mesh-session.js'
import { MessageOrder, encodeMessage } from '../src/message-order.js'
import { PacketQueues } from '../src/packet-queues.js'
import { SessionCipher } from '../src/session-cipher.js'
import { type SessionFrame, decodeFrames, encodeFrame } from '../src/session-frames.js'
import { SessionLiveness } from '../src/session-liveness.js'
import { type MeshSessionOptions, verifySessionOptions } from '../src/session-options.js'

const first = { ttl: 7, hopCount: 0, custody: 0, hopAckWanted: false }
const DELAY_MS = 50

function identityOf(name: string): Identity {
  return identityFromSeed(nodeCrypto, new SeededRandom(`identity ${name}`).bytes(32))
}

/** One node's endpoint, and what its sessions say. */
class Side {
  readonly identity: Identity
  readonly endpoint: MeshEndpoint
  readonly events: EndpointEvent[] = []
  readonly told = new Map<MeshSession, MeshSessionEvent[]>()
  admits: (node: NodeId | undefined) => boolean = () => true
  #timer: { clear(): void } | undefined

  constructor(
    readonly pair: Pair,
    readonly name: string,
    options: MeshSessionOptions,
  ) {
    const { world } = pair
    this.identity = identityOf(name)
    this.endpoint = new MeshEndpoint(
      {
        nodeId: this.identity.nodeId,
        secure: secureChannels({ identity: this.identity, clock: world.clock(name) }),
        crypto: nodeCrypto,
        random: world.random(name),
        admit: (node) => this.admits(node),
      },
      verifySessionOptions(options),
    )
  }

  get sessions(): MeshSession[] {
    return [...this.told.keys()]
  }

  get session(): MeshSession {
    const [session] = this.sessions
    if (session === undefined) throw new Error(`${this.name} has no session`)
    return session
  }

  packets(session = this.session): Uint8Array[] {
    return (this.told.get(session) ?? []).flatMap((event) => (event.type === 'packet' ? [event.bytes] : []))
  }

  reason(session = this.session): CloseReason | undefined {
    for (const event of this.told.get(session) ?? []) if (event.type === 'closed') return event.reason
    return undefined
  }

  drive(): void {
    const now = this.pair.world.now()
    for (let packet; (packet = this.endpoint.pollPacket(now)) !== undefined;) this.pair.carry(this, packet)
    for (let event; (event = this.endpoint.pollEvent()) !== undefined;) {
      this.events.push(event)
      if (event.type !== 'dial-failed') this.told.set(event.session, [])
    }
    for (const [session, told] of this.told) {
      for (let event; (event = session.pollEvent()) !== undefined;) told.push(event)
    }
    this.#timer?.clear()
    const at = this.endpoint.nextTimeout()
    if (at === undefined) return
    this.#timer = this.pair.world.schedule(at, () => {
      this.endpoint.handleTimeout(this.pair.world.now())
      this.drive()
    })
  }

  receive(packet: MeshPacket, link = 1): void {
    this.endpoint.handlePacket(this.pair.world.now(), packet, { hops: 2, link })
    this.drive()
  }
}

/** Two endpoints that hear each other over a mesh that loses, doubles and delays as told. */
class Pair {
  readonly world: World
  readonly a: Side
  readonly b: Side
  /** What becomes of the n-th packet: how often it arrives, and how much later. */
  fate: (packet: MeshPacket, count: number) => readonly number[] = () => [0]
  readonly carried: MeshPacket[] = []

  constructor(seed: string, options: MeshSessionOptions = {}) {
    this.world = new World({ seed })
    this.a = new Side(this, 'a', options)
    this.b = new Side(this, 'b', options)
  }

  carry(from: Side, packet: MeshPacket): void {
    this.carried.push(packet)
    const to = from === this.a ? this.b : this.a
    for (const later of this.fate(packet, this.carried.length)) {
      this.world.schedule(this.world.now() + DELAY_MS + later, () => to.receive(packet))
    }
  }

  connect(): this {
    this.a.endpoint.dial(this.world.now(), this.b.identity.nodeId)
    this.a.drive()
    this.world.runSync(this.world.now() + 30_000)
    return this
  }

  advance(ms: number): void {
    this.world.runSync(this.world.now() + ms)
  }

  send(bytes: Uint8Array, priority: Priority = Priority.Normal): string {
    const result = this.a.session.send(this.world.now(), bytes, { priority, delivery: 'reliable' })
    this.a.drive()
    return result
  }
}

describe('handshakes', () => {
  test('the three messages fit one packet each, of 77, 241 and 209 bytes', () => {
    const pair = new Pair('sizes').connect()
    const handshakes = pair.carried.filter(({ type }) => type === MeshPacketType.Handshake)
    expect(handshakes.map((packet) => encodeMeshPacket(packet, first).length)).toEqual([77, 241, 209])
    expect(pair.a.session.remote.nodeId).toBe(pair.b.identity.nodeId)
    expect(pair.b.session.remote.nodeId).toBe(pair.a.identity.nodeId)
  })

  test.each([1, 2, 3, 4])('lost packet number %i of it is made up for', (lost) => {
    const pair = new Pair(`lost ${lost}`)
    pair.fate = (_packet, count) => (count === lost ? [] : [0])
    pair.connect()
    expect(pair.a.events.map(({ type }) => type)).toEqual(['dialled'])
    expect(pair.b.events.map(({ type }) => type)).toEqual(['accepted'])
  })

  test('doubled and late packets of it make one session', () => {
    const pair = new Pair('doubled')
    pair.fate = () => [0, 500, 3_000]
    pair.connect()
    expect(pair.a.sessions).toHaveLength(1)
    expect(pair.b.sessions).toHaveLength(1)
  })

  test('a forged answer does not keep the dial from succeeding', () => {
    const pair = new Pair('forged answer')
    let forgeries = 0
    pair.fate = (packet) => {
      const isAnswer = packet.type === MeshPacketType.Handshake && packet.id[6] === 2
      if (isAnswer && forgeries++ < 2) {
        const payload = packet.payload.slice()
        payload[50] = (payload[50] as number) ^ 1
        pair.world.schedule(pair.world.now() + 1, () => pair.a.receive({ ...packet, payload }))
      }
      return [0]
    }
    pair.connect()
    expect(pair.a.events.map(({ type }) => type)).toEqual(['dialled'])
    expect(forgeries).toBeGreaterThan(1)
  })

  test('a forged last message does not keep the dial from succeeding', () => {
    const pair = new Pair('forged last message')
    let forged = false
    pair.fate = (packet) => {
      const isLast = packet.type === MeshPacketType.Handshake && packet.id[6] === 3
      if (!isLast || forged) return [0]
      forged = true
      const payload = packet.payload.slice()
      payload[10] = (payload[10] as number) ^ 1
      pair.world.schedule(pair.world.now() + 1, () => pair.b.receive({ ...packet, payload }))
      return [0]
    }
    pair.connect()
    expect(pair.a.events.map(({ type }) => type)).toEqual(['dialled'])
  })

  test('somebody else at the address of a node does not get a session', () => {
    const pair = new Pair('somebody else')
    const victim = identityOf('carol').nodeId
    pair.a.endpoint.dial(0, victim)
    // b answers in the name of carol
    pair.a.drive()
    const [hello] = pair.carried
    if (hello === undefined) throw new Error('nothing was sent')
    const secure = secureChannels({ identity: pair.b.identity, clock: pair.world.clock('b') })
    const parts = { id: hello.id.slice(0, 6), local: victim, remote: pair.a.identity.nodeId, isInitiator: false }
    const handshake = new MeshHandshake(0, secure, parts)
    handshake.handleMessage(0, 1, hello.payload)
    const answer = handshake.poll(0)
    if (answer === undefined) throw new Error('no answer')
    pair.a.receive(answer)
    pair.advance(60_000)
    expect(pair.a.events).toMatchObject([{ type: 'dial-failed', error: { code: 'DIAL_TIMEOUT' } }])
  })

  test('handshakes are ten a minute for each link, and thirty at once in all', () => {
    const pair = new Pair('handshake flood')
    let asked = 0
    pair.b.admits = () => {
      asked++
      return true
    }
    const random = new SeededRandom('hellos')
    const hello = (): MeshPacket => ({
      type: MeshPacketType.Handshake,
      priority: Priority.High,
      flood: false,
      proofWanted: false,
      source: Array.from(random.bytes(16), (byte) => byte.toString(16).padStart(2, '0')).join('') as NodeId,
      destination: pair.b.identity.nodeId,
      id: joinBytes([random.bytes(6), Uint8Array.of(1, 0)]),
      payload: random.bytes(32),
    })
    for (let n = 0; n < 100; n++) pair.b.receive(hello(), 1)
    expect(asked).toBe(10)
    for (let n = 0; n < 100; n++) pair.b.receive(hello(), 2 + (n % 20))
    expect(asked).toBe(110)
    expect(pair.b.endpoint.load).toBe(30)
    pair.advance(30_000)
    expect(pair.b.endpoint.load).toBe(0)
  })

  test('a handshake in another name leaves a session that there is alone', () => {
    const pair = new Pair('in another name').connect()
    const [hello] = pair.carried
    if (hello === undefined) throw new Error('nothing was sent')
    // with the handshake id of the session, by somebody who has not the keys of a
    pair.b.receive({ ...hello, payload: new SeededRandom('key').bytes(32) })
    pair.b.receive({
      ...hello,
      id: joinBytes([hello.id.slice(0, 6), Uint8Array.of(3, 0)]),
      payload: new Uint8Array(164),
    })
    pair.send(Uint8Array.of(1, 2, 3))
    pair.advance(5_000)
    expect(pair.b.packets()).toEqual([Uint8Array.of(1, 2, 3)])
  })
})

describe('sessions', () => {
  test('packets arrive once and in order through loss, doubling and delay', () => {
    const pair = new Pair('rough')
    pair.connect()
    const chance = new SeededRandom('fate')
    pair.fate = () => {
      const fates = [chance.uniform() * 400]
      if (chance.chance(0.1)) fates.push(chance.uniform() * 1_000)
      return chance.chance(0.2) ? [] : fates
    }
    const sent = Array.from({ length: 60 }, (_, n) => new Uint8Array(1 + ((n * 97) % 700)).fill(n))
    for (const bytes of sent) {
      expect(pair.send(bytes)).toBe('accepted')
      pair.advance(100)
    }
    pair.advance(120_000)
    expect(pair.b.packets()).toEqual(sent)
  })

  test('every packet is named by the hash of a proof, which its acknowledgement shows', () => {
    const pair = new Pair('proofs').connect()
    pair.send(new Uint8Array(100))
    pair.advance(5_000)
    const proofs = pair.carried.filter(({ type }) => type === MeshPacketType.Acknowledgement)
    expect(proofs.length).toBeGreaterThan(0)
    for (const { id, payload } of proofs) {
      expect(nodeCrypto.sha256(payload.subarray(0, 16)).slice(0, 8)).toEqual(new Uint8Array(id))
      expect(pair.carried.some((packet) => packet.proofWanted && packet.id.join() === id.join())).toBe(true)
    }
  })

  test('what was recorded and is played again does nothing', () => {
    const pair = new Pair('replay').connect()
    for (let n = 0; n < 10; n++) pair.send(Uint8Array.of(n))
    pair.advance(5_000)
    const before = pair.b.packets().length
    const received = pair.b.session.stats().receivedBytes
    for (const packet of pair.carried) {
      if (packet.source === pair.a.identity.nodeId && packet.type === MeshPacketType.Data) pair.b.receive(packet)
    }
    pair.advance(5_000)
    expect(pair.b.packets()).toHaveLength(before)
    // keep-alives aside nothing was counted as heard
    expect(pair.b.session.stats().receivedBytes).toBe(received)
  })

  test('a packet with a changed byte is not opened, and the session goes on', () => {
    const pair = new Pair('bent').connect()
    pair.fate = (packet) => {
      const payload = packet.payload.slice()
      payload[payload.length - 1] = (payload[payload.length - 1] as number) ^ 1
      for (const side of [pair.a, pair.b]) {
        if (side.identity.nodeId === packet.destination) side.receive({ ...packet, payload })
      }
      return [0]
    }
    pair.send(new Uint8Array(1_000).fill(7))
    pair.advance(10_000)
    expect(pair.b.packets()).toEqual([new Uint8Array(1_000).fill(7)])
  })

  test('an emergency overtakes what is under way', () => {
    const pair = new Pair('emergency').connect()
    for (let n = 0; n < 4; n++) pair.send(new Uint8Array(20_000).fill(n), Priority.Low)
    pair.advance(60)
    pair.send(Uint8Array.of(99), Priority.Emergency)
    pair.advance(60_000)
    const lengths = pair.b.packets().map(({ length }) => length)
    expect(lengths).toEqual([1, 20_000, 20_000, 20_000, 20_000])
  })

  test('a receiver that takes nothing is sent a window and no more', () => {
    const pair = new Pair('window').connect()
    pair.b.session.pause()
    let accepted = 0
    for (let n = 0; n < 400; n++) {
      if (pair.send(new Uint8Array(4_000)) === 'accepted') accepted += 4_000
      pair.advance(500)
    }
    expect(pair.b.packets()).toEqual([])
    // the window at the other side, and the queue at ours
    expect(accepted).toBeLessThan(131_072 * 2 + 16_384)
    pair.b.session.resume()
    pair.b.drive()
    pair.advance(120_000)
    expect(pair.b.packets().reduce((sum, { length }) => sum + length, 0)).toBe(accepted)
  })

  test('a node that stays away is suspect, asked less and less, and lost in the end', () => {
    const pair = new Pair('away', { idleTimeoutMs: 600_000 }).connect()
    pair.fate = () => []
    const before = pair.carried.length
    pair.send(Uint8Array.of(1))
    pair.advance(700_000)
    const told = pair.a.told.get(pair.a.session) ?? []
    expect(told.filter(({ type }) => type === 'liveness')).toEqual([{ type: 'liveness', state: 'suspect' }])
    expect(pair.a.reason()).toEqual({ by: 'lost', code: 'IDLE_TIMEOUT', retryable: true })
    expect(pair.carried.length - before).toBeLessThan(400)
  })

  test('a key that has served its time ends the session, which may be dialled again', () => {
    const pair = new Pair('old key', { keyLifetimeMs: 60_000 }).connect()
    pair.advance(60_000)
    expect(pair.a.reason()).toMatchObject({ code: 'KEY_LIMIT', retryable: true })
    expect(pair.b.reason()).toMatchObject({ code: 'KEY_LIMIT', retryable: true })
    pair.a.told.clear()
    pair.connect()
    expect(pair.a.session.isClosed).toBe(false)
  })

  test('a close that is lost is said again', () => {
    const pair = new Pair('close').connect()
    let drops = 2
    pair.fate = () => (drops-- > 0 ? [] : [0])
    pair.a.session.close(pair.world.now(), undefined)
    pair.a.drive()
    expect(pair.a.reason()).toMatchObject({ by: 'local', code: 'CLOSED' })
    pair.advance(5_000)
    expect(pair.b.reason()).toMatchObject({ by: 'remote', code: 'CLOSED' })
    pair.advance(30_000)
    expect([pair.a.endpoint.load, pair.b.endpoint.load]).toEqual([0, 0])
    expect([...pair.a.endpoint.sessions, ...pair.b.endpoint.sessions]).toEqual([])
  })
})

describe('an authenticated node that does not keep to the rules', () => {
  /** Keys with b, and a way to say anything under them. */
  function mallory(pair: Pair): { say: (plain: Uint8Array) => void } {
    const identity = identityOf('mallory')
    const secure = secureChannels({ identity, clock: pair.world.clock('mallory') })
    const remote = pair.b.identity.nodeId
    const id = new Uint8Array(6).fill(5)
    const handshake = new MeshHandshake(0, secure, { id, local: identity.nodeId, remote, isInitiator: true })
    const exchange = (): void => {
      for (let packet; (packet = handshake.poll(pair.world.now())) !== undefined;) pair.b.receive(packet)
    }
    exchange()
    const answer = pair.carried.find(({ destination }) => destination === identity.nodeId)
    if (answer === undefined) throw new Error('no answer')
    handshake.handleMessage(0, 2, answer.payload)
    exchange()
    const keys = handshake.outcome
    if (keys === undefined || keys instanceof AivError) throw new Error('no keys')
    const number = 0x505
    const cipher = new SessionCipher(keys satisfies SecureSession, nodeCrypto, { isInitiator: true, number })
    const header = {
      type: MeshPacketType.Data,
      priority: Priority.Normal,
      flood: false,
      proofWanted: false,
      source: identity.nodeId,
      destination: remote,
    }
    return { say: (plain) => pair.b.receive(cipher.seal(header, plain)) }
  }

  test('begins messages without end: what is kept for it is bounded, and others are served', () => {
    const pair = new Pair('fragment flood').connect()
    const { say } = mallory(pair)
    const random = new SeededRandom('fragments')
    for (let n = 0; n < 3_000; n++) {
      const fragment = { id: random.bytes(8), index: 0, total: 6_000, data: new Uint8Array(160) }
      say(encodeFrame({ type: 'fragment', bytes: joinBytes(encodeFragment(fragment)) }))
    }
    pair.send(new Uint8Array(3_000).fill(3))
    pair.advance(5_000)
    expect(pair.b.packets()).toEqual([new Uint8Array(3_000).fill(3)])
  })

  test.each([
    ['bytes that are no frames', Uint8Array.of(200, 1, 2)],
    ['a message from far ahead', whole(encodeMessage(Priority.Normal, 64, [new Uint8Array(10)]))],
    ['a message that is none', whole(Uint8Array.of(9, 0))],
  ])('sends %s: its session ends', (_name, plain) => {
    const pair = new Pair('violation')
    const { say } = mallory(pair)
    say(plain)
    expect(pair.b.reason()).toMatchObject({ by: 'protocol', code: 'FLOW_CONTROL_VIOLATION' })
  })

  test('leaves a gap at the front and fills what comes after it: it is held to 64 messages', () => {
    const pair = new Pair('gap')
    const { say } = mallory(pair)
    for (let n = 1; n < 64; n++) say(whole(encodeMessage(Priority.Normal, n, [Uint8Array.of(n)])))
    expect(pair.b.reason()).toBeUndefined()
    expect(pair.b.packets()).toEqual([])
    say(whole(encodeMessage(Priority.Normal, 0, [Uint8Array.of(0)])))
    expect(pair.b.packets().map(([n]) => n)).toEqual(Array.from({ length: 64 }, (_, n) => n))
  })

  /** A message that is one fragment. */
  function whole(message: Uint8Array): Uint8Array {
    const digest = nodeCrypto.sha256(message).subarray(0, 8)
    const id = nodeCrypto.sha256(message).slice(8, 16)
    const bytes = joinBytes(encodeFragment({ id, index: 0, total: 1, data: joinBytes([message, digest]) }))
    return encodeFrame({ type: 'fragment', bytes })
  }
})

describe('parts of a session', () => {
  test('frames that are written are read again', () => {
    const bytes = fc.uint8Array({ maxLength: 40 })
    const number = fc.nat({ max: 0xffffffff })
    const small: fc.Arbitrary<SessionFrame> = fc.oneof(
      fc.record({ type: fc.constant('block-ack' as const), bytes }),
      fc.record({ type: fc.constantFrom('ping' as const, 'pong' as const), number }),
      fc.record({ type: fc.constant('credit' as const), takenBytes: fc.nat({ max: 2 ** 40 }) }),
    )
    const last: fc.Arbitrary<SessionFrame> = fc.oneof(
      fc.record({ type: fc.constantFrom('fragment' as const, 'datagram' as const), bytes }),
      fc.record({ type: fc.constant('close' as const), code: fc.nat(0xffff), reason: fc.string({ maxLength: 20 }) }),
    )
    fc.assert(
      fc.property(fc.array(small, { maxLength: 5 }), fc.option(last, { nil: undefined }), (frames, end) => {
        const all = end === undefined ? frames : [...frames, end]
        expect(decodeFrames(joinBytes(all.map(encodeFrame)))).toEqual(all)
      }),
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (any) => void decodeFrames(any)))
  })

  test('messages of each priority come out in their order, whatever order they came in', () => {
    const order = fc.shuffledSubarray(
      Array.from({ length: 60 }, (_, n) => n),
      { minLength: 60 },
    )
    fc.assert(
      fc.property(order, (numbers) => {
        const sorted = new MessageOrder()
        const out = numbers.flatMap((n) => {
          const message = encodeMessage(priorities[n % 2] as Priority, n >> 1, [Uint8Array.of(n)])
          expect(sorted.take(message)).toBeDefined()
          return []
        })
        expect(out).toEqual([])
      }),
    )
    const sorted = new MessageOrder()
    const take = (n: number): number[] | undefined =>
      sorted.take(encodeMessage(Priority.High, n, [Uint8Array.of(n)]))?.map(([byte]) => byte as number)
    expect([2, 1, 1, 0, 0, 3].map(take)).toEqual([[], [], [], [0, 1, 2], [], [3]])
    expect([67, 68].map(take)).toEqual([[], undefined])
  })

  test('a queue takes so many bytes of each priority, and one packet always', () => {
    const queues = new PacketQueues(1_000)
    const send = (priority: Priority, length: number, tag = 0): boolean =>
      queues.push(new Uint8Array(length), { priority, delivery: 'reliable', tag, expiresAt: tag })
    expect([send(2, 5_000), send(2, 1), send(1, 500), send(1, 500)]).toEqual([true, false, true, false])
    expect(queues.bytes).toEqual([0, 516, 5_016, 0])
    expect(queues.drained()).toBeUndefined()
    queues.shift(1)
    expect(queues.drained()).toBe(1)
    queues.shift(2)
    expect(queues.drained()).toBe(3)
    expect(queues.drained()).toBeUndefined()
  })

  test('what is over its time leaves a queue', () => {
    const queues = new PacketQueues(1_000)
    for (const [tag, expiresAt] of [
      [1, 10],
      [2, 30],
      [3, 20],
    ] as const) {
      queues.push(new Uint8Array(1), { priority: Priority.Low, delivery: 'reliable', tag, expiresAt })
    }
    expect(queues.nextExpiry()).toBe(10)
    expect(queues.expire(20).map(({ tag }) => tag)).toEqual([1, 3])
    expect(queues.nextExpiry()).toBe(30)
    expect(queues.clear().map(({ tag }) => tag)).toEqual([2])
    expect(queues.isEmpty).toBe(true)
  })

  test('a probe is answered by whatever comes, and silence is doubted after three round trips', () => {
    const liveness = new SessionLiveness(0, { keepAliveMs: 10_000, idleTimeoutMs: 100_000 })
    expect(liveness.takePing(0, 500)).toBe(false)
    liveness.probe(0)
    expect(liveness.takePing(0, 500)).toBe(true)
    expect(liveness.check(1_499, 500)).toBeUndefined()
    expect(liveness.heard(1_499)).toBe(true)
    expect(liveness.heard(1_500)).toBe(false)
    liveness.asked(2_000)
    expect(liveness.check(3_499, 500)).toBeUndefined()
    expect(liveness.check(3_500, 500)).toBe('suspect')
    expect(liveness.heard(4_000)).toBe(true)
    expect(liveness.nextTimeout(500)).toBe(14_000)
    expect(liveness.check(104_000, 500)).toBe('lost')
  })
})
