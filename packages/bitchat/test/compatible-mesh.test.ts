import { describe, expect, test } from '@jest/globals'
import { ArgumentError } from '@aiv/transport-api'
import { protocolCoreCompliance, SeededRandom } from '@aiv/testkit'
import { CompatibleMesh } from '../src/profiles/bitchat-compatible/compatible-mesh.js'
import { encodePacket, PacketType } from '../src/profiles/bitchat-compatible/packet.js'
import { peerIdOf } from '../src/profiles/bitchat-compatible/peer-id.js'
import { PeerBridge } from '../src/profiles/bitchat-compatible/peer-bridge.js'
import { rawDeflate } from '../src/profiles/bitchat-compatible/raw-deflate.node.js'
import {
  compatibleCrypto,
  compatibleIdentity,
  CompatibleNet,
  packetOf,
  UNIX_START,
  type CompatibleNode,
} from './compatible-net.js'

/** Names of the peers that a node knows, with the hops to each. */
const known = (node: CompatibleNode): Record<string, number> =>
  Object.fromEntries(node.mesh.peers.map(({ nickname, hops }) => [nickname, hops]))

const hex = (random: SeededRandom, characters: number): string =>
  Array.from(random.bytes(characters / 2), (byte) => byte.toString(16).padStart(2, '0')).join('')

describe('a mesh of bitchat participants', () => {
  test('announces itself along a line, and everybody knows everybody within seven hops', () => {
    const net = new CompatibleNet()
    const nodes = net.line('a b c d e f g h')
    net.run(20_000)
    expect(known(nodes[0] as CompatibleNode)).toEqual({ b: 0, c: 1, d: 2, e: 3, f: 4, g: 5, h: 6 })
  })

  test('an eighth hop is not made', () => {
    const net = new CompatibleNet()
    const nodes = net.line('a b c d e f g h i')
    net.run(30_000)
    expect(Object.keys(known(nodes[0] as CompatibleNode))).not.toContain('i')
  })

  test('a public message reaches everybody once, with a signature of its sender', () => {
    const net = new CompatibleNet()
    const [a, ...others] = net.line('a b c d e') as [CompatibleNode, ...CompatibleNode[]]
    net.run(20_000)
    const messageId = a.run((mesh, now) => mesh.sendPublic(now, 'hello everybody'))
    net.run(2_000)
    for (const node of others) {
      expect(node.of('public-message')).toEqual([
        expect.objectContaining({ from: a.id, text: 'hello everybody', messageId }),
      ])
    }
  })

  test('a private message and its receipts cross four hops, and nobody between reads them', () => {
    const net = new CompatibleNet()
    const nodes = net.line('a b c d e')
    const [a, , , , e] = nodes as [CompatibleNode, CompatibleNode, CompatibleNode, CompatibleNode, CompatibleNode]
    const seen: string[] = []
    net.tap = (_from, _to, bytes) => {
      seen.push(Buffer.from(bytes).toString('latin1'))
      return bytes
    }
    net.run(20_000)
    const messageId = a.run((mesh, now) => mesh.sendPrivate(now, e.id, 'between us'))
    net.run(5_000)
    expect(e.of('private-message')).toEqual([{ type: 'private-message', from: a.id, text: 'between us', messageId }])
    expect(a.of('delivered')).toEqual([{ type: 'delivered', from: e.id, messageId }])
    expect(e.run((mesh, now) => mesh.sendRead(now, a.id, messageId ?? ''))).toBe(true)
    net.run(1_000)
    expect(a.of('read')).toEqual([{ type: 'read', from: e.id, messageId }])
    expect(seen.some((bytes) => bytes.includes('between us'))).toBe(false)
  })

  test('a private message for somebody who is not there is sent when it appears', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    const late = net.node('late')
    net.run(10_000)
    const messageId = a.run((mesh, now) => mesh.sendPrivate(now, late.id, 'when you come'))
    net.run(600_000)
    net.connect(b, late)
    net.run(5_000)
    expect(late.of('private-message')).toEqual([expect.objectContaining({ messageId, text: 'when you come' })])
    expect(a.of('delivered')).toHaveLength(1)
  })

  test('two who begin a handshake at the same moment end with one session', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    net.run(10_000)
    a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'from a'))
    b.run((mesh, now) => mesh.sendPrivate(now, a.id, 'from b'))
    net.run(2_000)
    expect(a.of('private-message').map(({ text }) => text)).toEqual(['from b'])
    expect(b.of('private-message').map(({ text }) => text)).toEqual(['from a'])
    expect([a.of('session').length, b.of('session').length]).toEqual([1, 1])
  })

  test.each([0, 0.2])('private messages arrive exactly once with a share of %d of all writes lost', (loss) => {
    const net = new CompatibleNet('loss')
    const [a, , c] = net.line('a b c') as [CompatibleNode, CompatibleNode, CompatibleNode]
    const random = new SeededRandom('losses')
    net.run(15_000)
    net.tap = (_from, _to, bytes) => (random.chance(loss) ? undefined : bytes)
    const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`)
    for (const text of texts) {
      a.run((mesh, now) => mesh.sendPrivate(now, c.id, text))
      net.run(200)
    }
    net.run(3_600_000)
    const received = c.of('private-message').map(({ text }) => text)
    expect(received.sort()).toEqual(texts.sort())
    expect(a.of('delivered').length + a.of('undelivered').length).toBe(20)
  })

  test('a message of 10 KB crosses five hops in fragments, also over links that take little', () => {
    const net = new CompatibleNet()
    const nodes = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => net.node(name))
    nodes.forEach((node, i) => {
      const next = nodes[i + 1]
      if (next !== undefined) net.connect(node, next, { maxPacketBytes: 244 })
    })
    const [a, f] = [nodes[0], nodes[5]] as [CompatibleNode, CompatibleNode]
    net.run(20_000)
    const text = hex(new SeededRandom('long'), 10_240)
    expect(a.run((mesh, now) => mesh.sendPublic(now, text))).toBeDefined()
    net.run(10_000)
    expect(f.of('public-message').map((event) => event.text)).toEqual([text])
  })

  test('fragments that were lost on the way are asked for and sent again', () => {
    const net = new CompatibleNet()
    const [a, , c] = net.line('a b c') as [CompatibleNode, CompatibleNode, CompatibleNode]
    net.run(15_000)
    let count = 0
    let again = 0
    net.tap = (from, to, bytes) => {
      if (packetOf(bytes).type !== PacketType.Fragment) return bytes
      if (packetOf(bytes).solicited) again++
      return from === 'b' && to === 'c' && ++count % 5 === 0 && count < 15 ? undefined : bytes
    }
    const text = hex(new SeededRandom('long'), 20_000)
    a.run((mesh, now) => mesh.sendPublic(now, text))
    net.run(12_000)
    expect(c.of('public-message').map((event) => event.text)).toEqual([text])
    expect(again).toBeGreaterThanOrEqual(2)
  })

  test('a message that somebody missed comes by gossip, and is not told twice', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    const late = net.node('late')
    net.run(10_000)
    a.run((mesh, now) => mesh.sendPublic(now, 'said before you came'))
    net.run(200_000)
    net.connect(b, late)
    net.run(60_000)
    expect(late.of('public-message')).toEqual([expect.objectContaining({ from: a.id, text: 'said before you came' })])
    expect([a.of('public-message').length, b.of('public-message').length]).toEqual([0, 1])
  })

  test('two islands with talk of their own tell each other when they merge', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    const [c, d] = net.line('c d') as [CompatibleNode, CompatibleNode]
    net.run(10_000)
    for (let i = 0; i < 30; i++) {
      a.run((mesh, now) => mesh.sendPublic(now, `west ${i}`))
      d.run((mesh, now) => mesh.sendPublic(now, `east ${i}`))
      net.run(500)
    }
    net.connect(b, c)
    net.run(60_000)
    expect(d.of('public-message')).toHaveLength(30)
    expect(a.of('public-message')).toHaveLength(30)
  })

  test('who leaves is gone at once, who falls silent after a minute', () => {
    const net = new CompatibleNet()
    const [a, b, c] = net.line('a b c') as [CompatibleNode, CompatibleNode, CompatibleNode]
    net.run(20_000)
    c.run((mesh, now) => mesh.leave(now))
    net.run(500)
    expect(a.of('peer-gone')).toEqual([{ type: 'peer-gone', peer: c.id, reason: 'left' }])
    net.cut(a, b)
    net.run(61_000)
    expect(a.of('peer-gone')[1]).toEqual({ type: 'peer-gone', peer: b.id, reason: 'silent' })
    expect(c.run((mesh, now) => [mesh.sendPublic(now, 'still here?'), mesh.nextTimeout()])).toEqual([
      undefined,
      undefined,
    ])
  })

  test('files go to everybody, or through a session to one', () => {
    const net = new CompatibleNet()
    const [a, b, c] = net.line('a b c') as [CompatibleNode, CompatibleNode, CompatibleNode]
    net.run(15_000)
    const content = new SeededRandom('file').bytes(30_000)
    const file = { name: 'photo.jpg', mime: 'image/jpeg', content }
    expect(a.run((mesh, now) => mesh.sendFile(now, file))).toBe(true)
    net.run(10_000)
    expect(c.of('file')).toEqual([{ type: 'file', from: a.id, file, private: false }])
    expect(a.run((mesh, now) => mesh.sendFile(now, file, c.id))).toBe(false)
    a.run((mesh, now) => mesh.sendPrivate(now, c.id, 'look'))
    net.run(2_000)
    expect(a.run((mesh, now) => mesh.sendFile(now, file, c.id))).toBe(true)
    net.run(10_000)
    expect(c.of('file')[1]).toEqual({ type: 'file', from: a.id, file, private: true })
    expect(b.of('file')).toHaveLength(1)
    const huge = { ...file, content: new SeededRandom('file').bytes(200_000) }
    expect(a.run((mesh, now) => mesh.sendFile(now, huge))).toBe(false)
  })

  test('a ping tells the hops, and teaches others that we speak version 2, so that routes are used', () => {
    const net = new CompatibleNet()
    const nodes = net.line('a b c d')
    const [a, b, c, d] = nodes as [CompatibleNode, CompatibleNode, CompatibleNode, CompatibleNode]
    net.run(60_000)
    for (const from of nodes) {
      for (const to of nodes) if (from !== to) from.run((mesh, now) => mesh.ping(now, to.id))
    }
    net.run(5_000)
    expect(a.of('pong').find(({ from }) => from === d.id)).toMatchObject({ hops: 3 })
    const routes: string[][] = []
    net.tap = (from, _to, bytes) => {
      const packet = packetOf(bytes)
      if (from === 'a' && packet.type === PacketType.NoiseHandshake) routes.push([...packet.route])
      return bytes
    }
    const messageId = a.run((mesh, now) => mesh.sendPrivate(now, d.id, 'along a route'))
    net.run(3_000)
    expect(routes[0]).toEqual([b.id, c.id])
    expect(a.of('delivered')).toEqual([{ type: 'delivered', from: d.id, messageId }])
  })

  test('when a hop of the route is gone the message is flooded', () => {
    const net = new CompatibleNet()
    const nodes = net.line('a b c d')
    const [a, b, c, d] = nodes as [CompatibleNode, CompatibleNode, CompatibleNode, CompatibleNode]
    const around = net.node('around')
    net.connect(b, around)
    net.connect(around, d)
    net.run(60_000)
    const all = [...nodes, around]
    for (const from of all) {
      for (const to of all) if (from !== to) from.run((mesh, now) => mesh.ping(now, to.id))
    }
    a.run((mesh, now) => mesh.sendPrivate(now, d.id, 'first'))
    net.run(5_000)
    net.cut(b, c)
    net.cut(c, d)
    a.run((mesh, now) => mesh.sendPrivate(now, d.id, 'second'))
    net.run(30_000)
    expect(d.of('private-message').map(({ text }) => text)).toEqual(['first', 'second'])
    expect(a.of('delivered')).toHaveLength(2)
  })

  test('a peer is bridged to a node only when both its keys have vouched for each other', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    const bridge = new PeerBridge()
    net.run(10_000)
    const seen = a.of('peer').map(({ peer }) => bridge.learn(peer))
    expect(seen).toEqual([false])
    a.run((mesh, now) => mesh.sendPrivate(now, b.id, 'who are you'))
    net.run(2_000)
    const proven = a.of('peer')[1]?.peer
    expect(proven).toMatchObject({ proven: true, id: b.id })
    if (proven === undefined) throw new Error('not proven')
    expect(bridge.learn(proven)).toBe(true)
    const nodeId = Buffer.from(compatibleCrypto.sha256(b.identity.signingKey)).toString('hex').slice(0, 32)
    expect(bridge.nodeOf(b.id)).toBe(nodeId)
    expect(bridge.peerOf(proven.nodeId)).toBe(b.id)
    expect(a.mesh.peerOfNode(proven.nodeId)).toEqual(proven)
  })

  test.each([
    ['degree', 18],
    ['probability', 15],
  ] as const)(
    'in random places what is said to all reaches all, what is private its reader (rules: %s, %d participants)',
    (relayRules, count) => {
      const net = new CompatibleNet('thirty')
      const random = new SeededRandom('places')
      const nodes = Array.from({ length: count }, (_, i) => net.node(`n${i}`, { relayRules }))
      const places = nodes.map(() => [random.uniform(), random.uniform()] as const)
      nodes.forEach((node, i) => {
        const distance = (k: number): number => {
          const [[x, y], [u, v]] = [places[i] ?? [0, 0], places[k] ?? [0, 0]]
          return Math.hypot(x - u, y - v)
        }
        // the nearest of those before, so that all are linked, and everybody within range
        const before = Array.from({ length: i }, (_, k) => k).sort((k, l) => distance(k) - distance(l))
        before.forEach((k, rank) => {
          const other = nodes[k]
          if (other !== undefined && (rank === 0 || distance(k) < 0.22)) net.connect(other, node)
        })
      })
      net.run(20_000)
      const speakers = nodes.filter((_, i) => i % 5 === 0)
      speakers.forEach((node, i) => {
        node.run((mesh, now) => mesh.sendPublic(now, `from ${i}`))
        const [reader] = node.mesh.peers.filter(({ hops }) => hops > 1)
        if (reader !== undefined) node.run((mesh, now) => mesh.sendPrivate(now, reader.id, 'private'))
      })
      net.run(60_000) // gossip takes 15 s for each hop beyond what a packet reaches
      for (const node of nodes)
        expect(node.of('public-message').length).toBe(speakers.length - (speakers.includes(node) ? 1 : 0))
      for (const node of speakers) expect(node.of('delivered')).toHaveLength(1)
    },
  )

  test('a second link to the same neighbour is used for announcements alone', () => {
    const net = new CompatibleNet()
    const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
    net.connect(a, b, { delayMs: 9 })
    net.run(21_000) // between two rounds of gossip
    let messages = 0
    net.tap = (_from, _to, bytes) => {
      if (packetOf(bytes).type === PacketType.Message) messages++
      return bytes
    }
    a.run((mesh, now) => mesh.sendPublic(now, 'once'))
    net.run(1_000)
    expect(messages).toBe(1)
    expect(b.of('public-message')).toHaveLength(1)
  })
})

test('after the clock was wrong and is put right, others believe our times again', () => {
  const net = new CompatibleNet()
  const [a, b] = net.line('a b') as [CompatibleNode, CompatibleNode]
  a.run((mesh) => mesh.handleUnixTime(UNIX_START + 86_400_000))
  net.run(10_000)
  expect(b.mesh.peers).toEqual([])
  a.run((mesh) => mesh.handleUnixTime(UNIX_START))
  net.run(10_000)
  expect(b.mesh.peers.map(({ id }) => id)).toEqual([a.id])
})

describe('limits', () => {
  test('messages to one peer and in all are refused beyond the limit', () => {
    const net = new CompatibleNet()
    const a = net.node('a', { maxMessagesPerPeer: 3, maxMessages: 4 })
    const [x, y] = [compatibleIdentity('x'), compatibleIdentity('y')].map(({ noiseKey }) =>
      peerIdOf(compatibleCrypto, noiseKey),
    )
    if (x === undefined || y === undefined) throw new Error('no ids')
    const send = (to: typeof x) => a.run((mesh, now) => mesh.sendPrivate(now, to, 'text') !== undefined)
    expect([send(x), send(x), send(x), send(x), send(y), send(y)]).toEqual([true, true, true, false, true, false])
    expect(() => a.run((mesh, now) => mesh.sendPrivate(now, x, 'x'.repeat(256)))).toThrow(ArgumentError)
  })

  test('a message that nobody acknowledges is given up after a day', () => {
    const net = new CompatibleNet()
    const a = net.node('a')
    const x = peerIdOf(compatibleCrypto, compatibleIdentity('x').noiseKey)
    const messageId = a.run((mesh, now) => mesh.sendPrivate(now, x, 'text'))
    net.run(86_400_001)
    expect(a.of('undelivered')).toEqual([{ type: 'undelivered', to: x, messageId }])
  })

  test('a link that takes nothing holds a bounded number of frames', () => {
    const net = new CompatibleNet()
    const a = net.node('a', { maxQueuedFrames: 8 })
    const b = net.node('b')
    const [link] = net.connect(a, b)
    net.run(1_000)
    a.mesh.setWritable(link, false)
    for (let i = 0; i < 50; i++) a.run((mesh, now) => mesh.sendPublic(now, `message ${i}`))
    expect(a.mesh.refused.get('overload')).toBe(42)
    a.mesh.setWritable(link, true)
    a.drive()
    net.run(1_000)
    expect(b.of('public-message')).toHaveLength(8)
  })

  test('options that make no sense are refused', () => {
    const components = {
      identity: compatibleIdentity('a'),
      crypto: compatibleCrypto,
      random: new SeededRandom('a'),
      compressor: rawDeflate,
    }
    for (const options of [
      { maxPeers: 0 },
      { nickname: 'x'.repeat(256) },
      { fragmentThresholdBytes: 20 },
      { reassembly: { maxAssemblies: -1 } },
    ]) {
      expect(() => new CompatibleMesh(0, components, options)).toThrow(ArgumentError)
    }
    const mesh = new CompatibleMesh(0, components)
    mesh.linkUp(0, { id: 1, maxPacketBytes: 244 })
    expect(() => mesh.linkUp(0, { id: 1, maxPacketBytes: 244 })).toThrow(ArgumentError)
    expect(() => mesh.linkUp(0, { id: 2, maxPacketBytes: 0 })).toThrow(ArgumentError)
  })
})

protocolCoreCompliance(
  { describe, test },
  {
    create: (now) => {
      const mesh = new CompatibleMesh(now, {
        identity: compatibleIdentity('core'),
        crypto: compatibleCrypto,
        random: new SeededRandom('core'),
        compressor: rawDeflate,
      })
      mesh.linkUp(now, { id: 1, maxPacketBytes: 244 })
      mesh.linkUp(now, { id: 2, maxPacketBytes: 514 })
      return mesh
    },
    exercise: (core, now) => {
      const mesh = core as CompatibleMesh
      mesh.sendPublic(now, 'x'.repeat(2_000))
      mesh.sendPrivate(now, peerIdOf(compatibleCrypto, compatibleIdentity('other').noiseKey), 'hello')
    },
    garbage: () => [
      { link: 1, bytes: new Uint8Array(0) },
      { link: 1, bytes: new Uint8Array(600).fill(0xff) },
      { link: 2, bytes: new Uint8Array(600).fill(1) },
      { link: 3, bytes: Uint8Array.of(1, 2, 3) },
      {
        link: 2,
        bytes: encodePacket({
          version: 1,
          type: PacketType.Announce,
          ttl: 255,
          timestamp: 0n,
          sender: peerIdOf(compatibleCrypto, new Uint8Array(32)),
          recipient: undefined,
          route: [],
          payload: new Uint8Array(100),
          originalSize: 50_000,
          signature: new Uint8Array(64),
          solicited: true,
        }),
      },
    ],
    ends: false,
  },
)
