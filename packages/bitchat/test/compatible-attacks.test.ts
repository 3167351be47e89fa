import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SeededRandom } from '@aiv/testkit'
import { encodeAnnouncement } from '../src/profiles/bitchat-compatible/announcement.js'
import { encodeFragment } from '../src/profiles/bitchat-compatible/fragment.js'
import {
  encodePacket,
  MAX_TTL,
  PacketType,
  signaturePreimage,
  type Packet,
} from '../src/profiles/bitchat-compatible/packet.js'
import { peerIdFromBytes, type PeerId } from '../src/profiles/bitchat-compatible/peer-id.js'
import { encodeSyncRequest } from '../src/profiles/bitchat-compatible/sync-request.js'
import { CompatibleNet, packetOf, UNIX_START, type CompatibleNode } from './compatible-net.js'

/** A line a - mallory - b, where the mesh of mallory hears nothing any more and the test speaks for it. */
function withMallory(options = {}) {
  const net = new CompatibleNet()
  const [a, mallory, b] = net.line('a mallory b', options) as [CompatibleNode, CompatibleNode, CompatibleNode]
  net.run(10_000)
  const heard: { readonly link: number; readonly bytes: Uint8Array }[] = []
  const [toA, toB] = [1, 2]
  return {
    net,
    a,
    b,
    mallory,
    heard,
    toA,
    toB,
    /** From now on mallory only listens and says what the test says. */
    takeOver: (onInput: (link: number, bytes: Uint8Array) => void = () => undefined) => {
      mallory.onInput = ({ link, bytes }) => {
        heard.push({ link, bytes })
        onInput(link, bytes)
      }
      mallory.drive = () => undefined
    },
    packet: (fields: Partial<Packet>): Packet => ({
      version: 1,
      type: PacketType.Message,
      ttl: MAX_TTL,
      timestamp: BigInt(Math.floor(UNIX_START + net.world.now())),
      sender: mallory.id,
      recipient: undefined,
      route: [],
      payload: new Uint8Array(0),
      originalSize: undefined,
      signature: undefined,
      solicited: false,
      ...fields,
    }),
  }
}

const signed = (node: CompatibleNode, packet: Packet): Uint8Array =>
  encodePacket({ ...packet, signature: node.identity.sign(signaturePreimage(packet)) })

describe('forged announcements', () => {
  const announcementOf = (noise: CompatibleNode, signing: CompatibleNode, nickname: string): Uint8Array =>
    encodeAnnouncement({
      nickname,
      noiseKey: noise.identity.noiseKey,
      signingKey: signing.identity.signingKey,
      neighbours: [],
      capabilities: undefined,
      geohash: undefined,
    })

  test('an id that does not follow from the key is refused', () => {
    const { net, a, b, mallory, toA, packet, takeOver } = withMallory()
    takeOver()
    const payload = announcementOf(mallory, mallory, 'b')
    mallory.inject(toA, signed(mallory, packet({ type: PacketType.Announce, sender: b.id, payload })))
    net.run(100)
    expect(a.mesh.refused.get('impostor')).toBe(1)
    expect(a.mesh.peers.find(({ id }) => id === b.id)?.nickname).toBe('b')
  })

  test('the Noise key of somebody known with another signing key is refused', () => {
    const { net, a, b, mallory, toA, packet, takeOver } = withMallory()
    takeOver()
    const payload = announcementOf(b, mallory, 'not b')
    mallory.inject(toA, signed(mallory, packet({ type: PacketType.Announce, sender: b.id, payload })))
    net.run(100)
    expect(a.mesh.refused.get('key-changed')).toBe(1)
    expect(a.mesh.peers.find(({ id }) => id === b.id)?.nickname).toBe('b')
  })

  test('who was first with a wrong signing key loses it as soon as the owner of the Noise key speaks', () => {
    const net = new CompatibleNet()
    const [a, mallory] = net.line('a mallory') as [CompatibleNode, CompatibleNode]
    const victim = net.node('victim')
    const payload = announcementOf(victim, mallory, 'victim')
    const forged: Packet = {
      version: 1,
      type: PacketType.Announce,
      ttl: MAX_TTL,
      timestamp: BigInt(UNIX_START),
      sender: victim.id,
      recipient: undefined,
      route: [],
      payload,
      originalSize: undefined,
      signature: undefined,
      solicited: false,
    }
    mallory.inject(1, signed(mallory, forged))
    net.run(5_000)
    expect(a.mesh.peers.find(({ id }) => id === victim.id)).toMatchObject({ proven: false })
    net.connect(a, victim)
    net.run(1_000)
    a.run((mesh, now) => mesh.sendPrivate(now, victim.id, 'is it you?'))
    net.run(20_000)
    expect(victim.of('private-message')).toHaveLength(1)
    expect(a.mesh.peers.find(({ id }) => id === victim.id)).toMatchObject({
      proven: true,
      signingKey: victim.identity.signingKey,
    })
    victim.run((mesh, now) => mesh.sendPublic(now, 'it is me'))
    net.run(1_000)
    expect(a.of('public-message').map(({ text }) => text)).toEqual(['it is me'])
  })

  test('a changed one is refused, and an old one that is played again', () => {
    const { net, a, b, mallory, heard, toA, takeOver } = withMallory()
    takeOver()
    b.run((mesh, now) => mesh.handleTimeout(now))
    net.run(25_000)
    const recorded = heard.find(
      ({ bytes }) => packetOf(bytes).type === PacketType.Announce && packetOf(bytes).sender === b.id,
    )
    if (recorded === undefined) throw new Error('b did not announce itself')
    const changed = new Uint8Array(recorded.bytes)
    const name = 22 + 2
    changed[name] = (changed[name] as number) ^ 1
    mallory.inject(toA, changed)
    net.run(100)
    expect(a.mesh.refused.get('signature')).toBe(1)
    net.run(121_000)
    mallory.inject(toA, recorded.bytes)
    net.run(100)
    expect(a.mesh.refused.get('stale')).toBe(1)
    expect(a.mesh.peers.some(({ id }) => id === b.id)).toBe(false)
  })

  test('a crowd of invented peers does not grow the table, and real neighbours come back', () => {
    const { net, a, mallory, toA, packet, takeOver } = withMallory({ maxPeers: 16, maxPins: 64 })
    takeOver()
    const crowd = new CompatibleNet('crowd')
    for (let i = 0; i < 100; i++) {
      const ghost = crowd.node(`ghost ${i}`)
      const payload = announcementOf(ghost, ghost, 'ghost')
      mallory.inject(toA, signed(ghost, packet({ type: PacketType.Announce, sender: ghost.id, payload, ttl: 1 })))
    }
    net.run(100)
    expect(a.mesh.peers).toHaveLength(16)
    expect(a.of('peer-gone').filter(({ reason }) => reason === 'evicted').length).toBeGreaterThan(80)
  })
})

describe('tampering and replay', () => {
  test('a message with a wrong signature is neither believed nor passed on, and does not hide the right one', () => {
    const net = new CompatibleNet()
    const [a, b, c] = net.line('a b c') as [CompatibleNode, CompatibleNode, CompatibleNode]
    net.run(15_000)
    let flip = true
    net.tap = (from, to, bytes) => {
      if (!flip || from !== 'a' || to !== 'b' || packetOf(bytes).type !== PacketType.Message) return bytes
      const changed = new Uint8Array(bytes)
      changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1
      return changed
    }
    a.run((mesh, now) => mesh.sendPublic(now, 'hello'))
    net.run(100)
    expect(b.mesh.refused.get('signature')).toBe(1)
    expect([...b.of('public-message'), ...c.of('public-message')]).toEqual([])
    flip = false
    net.run(20_000) // by gossip
    expect([b.of('public-message').length, c.of('public-message').length]).toEqual([1, 1])
  })

  test('a message of somebody unknown is told once its sender is announced', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    net.tap = (_from, _to, bytes) => (packetOf(bytes).type === PacketType.Announce ? undefined : bytes)
    net.run(6_000)
    for (let i = 0; i < 40; i++) a.run((mesh, now) => mesh.sendPublic(now, `message ${i}`))
    net.run(100)
    expect(b.of('public-message')).toEqual([])
    net.tap = undefined
    net.run(6_000)
    expect(b.of('public-message')).toHaveLength(32)
    expect(b.of('public-message')[0]?.text).toBe('message 8')
  })

  test('private messages that are played again, or made up, are refused', () => {
    const { net, a, b, mallory, heard, toB, takeOver, packet } = withMallory()
    net.tap = (from, to, bytes) => {
      if (from === 'mallory' && to === 'b') heard.push({ link: toB, bytes })
      return bytes
    }
    a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'once'))
    net.run(2_000)
    expect(b.of('private-message')).toHaveLength(1)
    net.tap = undefined
    takeOver()
    const sealed = heard.filter(({ bytes }) => packetOf(bytes).type === PacketType.NoiseEncrypted)
    for (const { bytes } of sealed) {
      // with a new time, so that it is not taken for a copy
      mallory.inject(toB, encodePacket({ ...packetOf(bytes), timestamp: packet({}).timestamp }))
    }
    mallory.inject(
      toB,
      encodePacket(
        packet({
          type: PacketType.NoiseEncrypted,
          sender: a.id,
          recipient: b.id,
          payload: new Uint8Array(60).fill(9),
        }),
      ),
    )
    net.run(500)
    expect(b.mesh.refused.get('replayed')).toBe(sealed.length)
    expect(b.mesh.refused.get('forged')).toBe(1)
    expect(b.of('private-message')).toHaveLength(1)
  })

  test('a goodbye that is not signed by who goes is not believed', () => {
    const { net, a, b, mallory, toA, packet, takeOver } = withMallory()
    takeOver()
    mallory.inject(toA, encodePacket(packet({ type: PacketType.Leave, sender: b.id })))
    mallory.inject(
      toA,
      signed(mallory, packet({ type: PacketType.Leave, sender: b.id, timestamp: packet({}).timestamp + 1n })),
    )
    net.run(100)
    expect(a.mesh.peers.some(({ id }) => id === b.id)).toBe(true)
    expect(a.mesh.refused.get('signature')).toBe(2)
  })

  test('an old message under the flag of an answer is refused when nobody asked', () => {
    const { net, a, mallory, toA, packet, takeOver } = withMallory()
    takeOver()
    net.run(60_000)
    // a asks every 15 s, so the window for answers is open; a type that is not synchronised has none
    const old = packet({}).timestamp - 1_000_000n
    const message = packet({ timestamp: old, solicited: true, ttl: 0, payload: new TextEncoder().encode('old') })
    const leave = packet({ type: PacketType.Leave, timestamp: old, solicited: true, ttl: 0 })
    mallory.inject(toA, signed(mallory, leave))
    net.run(100)
    expect(a.mesh.refused.get('stale')).toBe(1)
    const fresh = new CompatibleNet()
    const [x, y] = fresh.line('x y') as [CompatibleNode, CompatibleNode]
    fresh.run(4_000) // before the first question
    y.inject(1, signed(y, { ...message, sender: y.id }))
    fresh.run(100)
    expect(x.mesh.refused.get('stale')).toBe(1)
  })

  test('a message that was told hours ago is not told again, whatever its flag', () => {
    const { net, a, b, mallory, heard, toA, takeOver } = withMallory()
    net.run(10_000)
    b.run((mesh, now) => mesh.sendPublic(now, 'once'))
    net.tap = (from, to, bytes) => {
      if (from === 'mallory' && to === 'a') heard.push({ link: toA, bytes })
      return bytes
    }
    net.run(1_000)
    net.tap = undefined
    takeOver()
    const recorded = heard.find(({ bytes }) => packetOf(bytes).type === PacketType.Message)
    if (recorded === undefined) throw new Error('not heard')
    net.run(3_600_000) // long forgotten among packets that were seen
    mallory.inject(toA, encodePacket({ ...packetOf(recorded.bytes), ttl: 0, solicited: true }))
    net.run(100)
    expect(a.of('public-message')).toHaveLength(1)
    expect(a.mesh.refused.get('stale')).toBeUndefined()
  })

  test('a goodbye from before the last announcement is not believed', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    net.run(10_000)
    const timestamp = BigInt(UNIX_START + 10_000)
    net.run(30_000)
    const leave: Packet = {
      version: 1,
      type: PacketType.Leave,
      ttl: 7,
      timestamp,
      sender: b.id,
      recipient: undefined,
      route: [],
      payload: new Uint8Array(0),
      originalSize: undefined,
      signature: undefined,
      solicited: false,
    }
    b.inject(1, signed(b, leave))
    net.run(100)
    expect(a.mesh.peers.map(({ id }) => id)).toEqual([b.id])
  })

  test('sealed nonsense in the name of peers begins ten handshakes a minute at most', () => {
    const { net, a, b, mallory, heard, toA, packet, takeOver } = withMallory()
    takeOver()
    heard.splice(0)
    for (let i = 0; i < 100; i++) {
      const timestamp = packet({}).timestamp + BigInt(i)
      const fields = { type: PacketType.NoiseEncrypted, recipient: a.id, payload: new Uint8Array(40), timestamp }
      mallory.inject(toA, encodePacket(packet({ ...fields, sender: i % 2 === 0 ? b.id : mallory.id })))
    }
    net.run(5_000)
    const begun = heard.filter(({ bytes }) => packetOf(bytes).type === PacketType.NoiseHandshake)
    expect(begun.length).toBeGreaterThan(0)
    expect(begun.length).toBeLessThanOrEqual(10)
  })

  test('packets in our own name are ignored', () => {
    const { net, a, mallory, toA, packet, takeOver } = withMallory()
    takeOver()
    const before = a.events.length
    mallory.inject(toA, encodePacket(packet({ sender: a.id, payload: new Uint8Array(3) })))
    net.run(100)
    expect(a.events).toHaveLength(before)
  })
})

describe('TTL', () => {
  test('a TTL of 255 goes no further than seven', () => {
    const net = new CompatibleNet()
    const nodes = net.line('m b c d e f g h i j')
    net.tap = (from, _to, bytes) => {
      const changed = new Uint8Array(bytes)
      if (from === 'm' && packetOf(bytes).type === PacketType.Announce) changed[2] = 255
      return changed
    }
    const reached = new Set<string>()
    const id = nodes[0]?.id
    net.run(300)
    net.tap = (_from, to, bytes) => {
      const packet = packetOf(bytes)
      if (packet.type === PacketType.Announce && packet.sender === id && !packet.solicited) reached.add(to)
      return bytes
    }
    net.run(60_000)
    expect([...reached].sort()).toEqual(['b', 'c', 'd', 'e', 'f', 'g', 'h'])
  })

  test('who says that our neighbour is his gets none of its messages', () => {
    // mallory repeats what b says with its TTL restored; a has a slow link to b itself
    const net = new CompatibleNet()
    const [a, mallory, b] = ['a', 'mallory', 'b'].map((name) => net.node(name)) as [
      CompatibleNode,
      CompatibleNode,
      CompatibleNode,
    ]
    net.connect(a, mallory)
    net.connect(mallory, b)
    net.connect(a, b, { delayMs: 10 })
    net.tap = (from, _to, bytes) => {
      const changed = new Uint8Array(bytes)
      if (from === 'mallory' && packetOf(bytes).sender === b.id) changed[2] = MAX_TTL
      return changed
    }
    net.run(20_000)
    const toMallory: PeerId[] = []
    net.tap = (from, to, bytes) => {
      const { type, recipient } = packetOf(bytes)
      if (from === 'a' && to === 'mallory' && type === PacketType.NoiseEncrypted) toMallory.push(recipient ?? a.id)
      return bytes
    }
    a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'straight to you'))
    net.run(2_000)
    expect(b.of('private-message')).toHaveLength(1)
    expect(toMallory).toEqual([])
  })

  test('a neighbour that swallows everything for somebody else is gone around at the second attempt', () => {
    const net = new CompatibleNet()
    const [a, hole, good, b] = ['a', 'hole', 'good', 'b'].map((name) => net.node(name)) as [
      CompatibleNode,
      CompatibleNode,
      CompatibleNode,
      CompatibleNode,
    ]
    net.connect(a, hole)
    net.connect(hole, b, { delayMs: 1 })
    net.connect(a, good)
    net.connect(good, b)
    net.tap = (from, _to, bytes) => {
      const packet = packetOf(bytes)
      if (from !== 'hole') return bytes
      if (packet.recipient !== undefined) return undefined
      const changed = new Uint8Array(bytes)
      if (packet.sender === b.id) changed[2] = MAX_TTL // "b is my link"
      return changed
    }
    net.run(20_000)
    const messageId = a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'around'))
    net.run(60_000)
    expect(a.of('delivered')).toEqual([{ type: 'delivered', from: b.id, messageId }])
  })
})

describe('floods and bombs', () => {
  const fragment = (random: SeededRandom, total: number, data = new Uint8Array(400)): Uint8Array => {
    const id = Buffer.from(random.bytes(8)).toString('hex')
    return encodeFragment({ id, index: 0, total, type: PacketType.Message, data })
  }

  test('a flood of fragments costs what comes over other links nothing, and a bounded amount of memory', () => {
    const net = new CompatibleNet()
    const [a, b, mallory] = ['a', 'b', 'mallory'].map((name) =>
      net.node(name, { packetsPerSecond: 10_000, packetBurst: 10_000 }),
    ) as [CompatibleNode, CompatibleNode, CompatibleNode]
    net.connect(a, b)
    net.connect(b, mallory)
    net.run(10_000)
    const random = new SeededRandom('flood')
    const text = Array.from(random.bytes(4_000), (byte) => byte.toString(16)).join('')
    a.run((mesh, now) => mesh.sendPublic(now, text))
    for (let i = 0; i < 2_000; i++) {
      mallory.inject(
        1,
        encodePacket({
          version: 1,
          type: PacketType.Fragment,
          ttl: 7,
          timestamp: BigInt(UNIX_START + 10_000),
          sender: peerIdFromBytes(random.bytes(8)),
          recipient: undefined,
          route: [],
          payload: fragment(random, 3_000),
          originalSize: undefined,
          signature: undefined,
          solicited: false,
        }),
      )
    }
    net.run(3_000)
    expect(b.of('public-message').map((event) => event.text)).toEqual([text])
  })

  test('a node that relays everything twice, with the TTL restored, makes nobody else send more', () => {
    const run = (isTwice: boolean): { readonly sent: number; readonly told: number } => {
      const net = new CompatibleNet('twice')
      const nodes = ['a', 'b', 'twice', 'c', 'd'].map((name) => net.node(name))
      nodes.forEach((node, i) => {
        for (const other of nodes.slice(i + 1, i + 3)) net.connect(node, other)
      })
      const [a, , twice] = nodes as [CompatibleNode, CompatibleNode, CompatibleNode]
      net.run(21_000)
      let sent = 0
      let isEcho = false
      net.tap = (from, to, bytes) => {
        if (packetOf(bytes).type !== PacketType.Message) return bytes
        if (from !== 'twice') sent++
        if (from !== 'twice' || !isTwice) return bytes
        const restored = new Uint8Array(bytes)
        restored[2] = MAX_TTL
        if (isEcho) return restored
        isEcho = true
        for (const [link, { to: other }] of twice.cables) if (other.name === to) twice.inject(link, restored)
        isEcho = false
        return restored
      }
      for (let i = 0; i < 10; i++) a.run((mesh, now) => mesh.sendPublic(now, `message ${i}`))
      net.run(2_000)
      return { sent, told: nodes.reduce((sum, node) => sum + node.of('public-message').length, 0) }
    }
    const [plain, doubled] = [run(false), run(true)]
    expect([plain.told, doubled.told]).toEqual([40, 40])
    expect(doubled.sent).toBeLessThanOrEqual(plain.sent * 1.25)
  })

  test('a fragment that says it is of a fragment is refused', () => {
    const { net, a, mallory, toA, packet, takeOver } = withMallory()
    takeOver()
    const inner = encodeFragment({
      id: '00'.repeat(8),
      index: 0,
      total: 1,
      type: PacketType.Fragment,
      data: Uint8Array.of(1),
    })
    mallory.inject(toA, encodePacket(packet({ type: PacketType.Fragment, payload: inner })))
    net.run(100)
    expect(a.mesh.refused.get('malformed')).toBe(1)
  })

  test('a bomb is not inflated beyond what it claims, nor when it claims too much', () => {
    const { net, a, mallory, toA, packet, takeOver } = withMallory()
    takeOver()
    const bomb = new Uint8Array(deflateRawSync(new Uint8Array(50_000_000)))
    expect(bomb.length).toBeLessThan(50_000)
    const send = (originalSize: number, payload = bomb.subarray(0, 40_000)) =>
      mallory.inject(
        toA,
        signed(
          mallory,
          packet({ version: 2, payload, originalSize, timestamp: packet({}).timestamp + BigInt(originalSize % 1000) }),
        ),
      )
    send(1_000)
    send(1_048_577)
    send(50_000_001)
    send(0xffffffff)
    net.run(100)
    expect(a.mesh.refused.get('compression')).toBe(4)
    expect(a.of('public-message')).toEqual([])
  })

  test('a link that brings too much is cut down to its rate, others are served', () => {
    const { net, a, b, mallory, toA, packet, takeOver } = withMallory({ packetsPerSecond: 50, packetBurst: 100 })
    net.connect(a, b)
    net.run(10_000)
    takeOver()
    for (let i = 0; i < 1_000; i++) {
      const payload = new TextEncoder().encode(`spam ${i}`)
      mallory.inject(toA, signed(mallory, packet({ payload, timestamp: packet({}).timestamp + BigInt(i) })))
    }
    net.run(50)
    b.run((mesh, now) => mesh.sendPublic(now, 'still heard'))
    net.run(500)
    expect(a.mesh.refused.get('rate')).toBeGreaterThan(850)
    expect(a.of('public-message').some(({ text }) => text === 'still heard')).toBe(true)
  })

  test('questions for synchronisation are answered eight times in 30 s', () => {
    const { net, a, mallory, heard, toA, packet, takeOver } = withMallory()
    for (let i = 0; i < 20; i++) a.run((mesh, now) => mesh.sendPublic(now, `message ${i}`))
    net.run(10_000)
    takeOver()
    heard.splice(0)
    const have = { parameter: 7, modulus: 1, data: new Uint8Array(0) }
    for (let i = 0; i < 50; i++) {
      const payload = encodeSyncRequest({ have, types: 2n, since: undefined, fragments: [] })
      const timestamp = packet({}).timestamp + BigInt(i)
      mallory.inject(toA, encodePacket(packet({ type: PacketType.RequestSync, ttl: 0, payload, timestamp })))
    }
    net.run(500)
    const answers = heard.filter(({ bytes }) => packetOf(bytes).solicited)
    expect(answers.length).toBeGreaterThan(0)
    expect(answers.length).toBeLessThanOrEqual(8 * 20)
    expect(a.mesh.refused.get('rate')).toBeGreaterThanOrEqual(42)
  })

  test('a flood of handshakes in the name of a peer ends no session', () => {
    const { net, a, b, mallory, toB, packet } = withMallory()
    a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'before'))
    net.run(2_000)
    const random = new SeededRandom('handshakes')
    for (let i = 0; i < 200; i++) {
      const payload = random.bytes(32)
      const timestamp = packet({}).timestamp + BigInt(i)
      mallory.inject(
        toB,
        encodePacket(packet({ type: PacketType.NoiseHandshake, sender: a.id, recipient: b.id, payload, timestamp })),
      )
    }
    net.run(1_000)
    expect(b.mesh.refused.get('rate')).toBeGreaterThan(180)
    a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'after'))
    net.run(1_000)
    expect(b.of('private-message').map(({ text }) => text)).toEqual(['before', 'after'])
  })

  test('property: real traffic that is changed anywhere never throws, and is never believed', () => {
    const net = new CompatibleNet('recorded')
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    const frames: Uint8Array[] = []
    net.tap = (_from, to, bytes) => {
      if (to === 'b') frames.push(new Uint8Array(bytes))
      return bytes
    }
    net.run(16_000)
    a.run((mesh, now) => mesh.sendPublic(now, 'a public message '.repeat(60)))
    a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'a private message'))
    a.run((mesh, now) => mesh.ping(now, b.id))
    net.run(3_000)
    const told = b.events.length
    const change = fc.record({
      frame: fc.nat(frames.length - 1),
      at: fc.nat(),
      bits: fc.integer({ min: 1, max: 255 }),
      cut: fc.option(fc.nat(600), { nil: undefined }),
    })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 10 }), (changes) => {
        for (const { frame, at, bits, cut } of changes) {
          const bytes = new Uint8Array(frames[frame] ?? [])
          const place = at % bytes.length
          bytes[place] = (bytes[place] as number) ^ bits
          b.input(1, bytes.subarray(0, cut ?? bytes.length))
        }
      }),
      { numRuns: 300 },
    )
    const believed = b.events.slice(told).filter(({ type }) => type !== 'peer' && type !== 'session')
    expect(believed.filter(({ type }) => type === 'public-message' || type === 'private-message')).toEqual([])
  })
})
