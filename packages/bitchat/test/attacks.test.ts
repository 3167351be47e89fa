import { describe, expect, test } from '@jest/globals'
import { type NodeId, Priority } from '@aiv/transport-api'
import { nodeCrypto } from '@aiv/security'
import { signAnnouncement } from '../src/announcement.js'
import { MeshPacketType, PROOF_BYTES } from '../src/index.js'
import { type MeshPassage, decodeMesh, encodeMeshPacket, setPassage } from '../src/mesh-packet.js'
import { MeshNet, type MeshNode, UNIX_START, dataPacket, identityOf, staticKeyOf } from './mesh-net.js'

const first: MeshPassage = { ttl: 7, hopCount: 0, custody: 0, hopAckWanted: false }

/** A node that has a place in the mesh and does what a test says. */
function attacker(net: MeshNet, name = 'mallory'): MeshNode {
  const node = net.add(name)
  node.onEvent = undefined
  return node
}

/** Puts bytes on every link of a node, past its core. */
function inject(node: MeshNode, bytes: Uint8Array): void {
  for (const link of node.cables.keys()) node.transmit({ link, bytes })
}

function forged(name: string, change: (payload: Uint8Array) => void, issuedAt = UNIX_START + 60_000): Uint8Array {
  const fields = { staticKey: staticKeyOf(name), issuedAt, more: new Uint8Array(0), id: new Uint8Array(8).fill(9) }
  const packet = signAnnouncement(identityOf(name), fields)
  const payload = packet.payload.slice()
  change(payload)
  return encodeMeshPacket({ ...packet, payload }, first)
}

describe('announcements', () => {
  function scene(): { net: MeshNet; victim: MeshNode; mallory: MeshNode } {
    const net = new MeshNet('announcements')
    const victim = net.add('victim')
    const mallory = attacker(net)
    net.connect(victim, mallory)
    net.advance(60_000)
    return { net, victim, mallory }
  }

  test('one that is not signed by the key in it makes no route', () => {
    const { net, victim, mallory } = scene()
    inject(
      mallory,
      forged('carol', (payload) => (payload[100] = (payload[100] as number) ^ 1)),
    )
    net.advance(100)
    expect(victim.core.counters.dropped.forged).toBe(1)
    expect(victim.core.route(net.world.now(), identityOf('carol').nodeId)).toBeUndefined()
  })

  test('one for the id of another node is refused, whatever key signed it', () => {
    const { net, victim, mallory } = scene()
    const own = signAnnouncement(identityOf('mallory'), {
      staticKey: staticKeyOf('mallory'),
      issuedAt: UNIX_START + 60_000,
      more: new Uint8Array(0),
      id: new Uint8Array(8),
    })
    inject(mallory, encodeMeshPacket({ ...own, source: identityOf('carol').nodeId }, first))
    net.advance(100)
    expect(victim.core.counters.dropped.forged).toBe(1)
    expect(victim.core.route(net.world.now(), identityOf('carol').nodeId)).toBeUndefined()
  })

  test.each([
    ['from the past', -121_000],
    ['from the future', 121_000],
  ])('one %s is refused', (_name, skew) => {
    const { net, victim, mallory } = scene()
    inject(
      mallory,
      forged('carol', () => undefined, UNIX_START + net.world.now() + skew),
    )
    net.advance(100)
    expect(victim.core.counters.dropped.stale).toBe(1)
    expect(victim.core.route(net.world.now(), identityOf('carol').nodeId)).toBeUndefined()
  })

  test('an older one that is replayed changes nothing', () => {
    const { net, victim, mallory } = scene()
    const now = UNIX_START + net.world.now()
    inject(
      mallory,
      forged('carol', () => undefined, now - 1_000),
    )
    inject(
      mallory,
      forged('carol', () => undefined, now - 2_000),
    )
    net.advance(100)
    expect(victim.core.counters.dropped.stale).toBe(1)
    expect(victim.core.route(net.world.now(), identityOf('carol').nodeId)?.issuedAt).toBe(now - 1_000)
  })

  test('whoever forges again and again is reported, so that the link can be closed', () => {
    const { net, victim, mallory } = scene()
    for (let n = 0; n < 20; n++)
      inject(
        mallory,
        forged('carol', (payload) => payload.fill(n, 80, 90)),
      )
    net.advance(1_000)
    expect(victim.events.filter(({ type }) => type === 'link-abuse')).toHaveLength(1)
  })

  test('a liar with a thousand names cannot push out those who came over other links', () => {
    const net = new MeshNet('sybils', { maxPeers: 32, announcementsPerSecond: 1_000 })
    const [victim, friend, mallory] = [net.add('victim'), net.add('friend'), attacker(net)]
    net.connect(victim, friend)
    net.connect(victim, mallory)
    net.advance(1_000)
    for (let n = 0; n < 100; n++) {
      inject(
        mallory,
        forged(`sybil ${n}`, () => undefined, UNIX_START + net.world.now()),
      )
      net.advance(50)
    }
    expect([...victim.core.peers]).toHaveLength(32)
    expect(victim.core.route(net.world.now(), friend.id)).toBeDefined()
  })
})

describe('packets', () => {
  test('a replayed packet is delivered once', () => {
    const net = new MeshNet('replay')
    const nodes = net.line(['a', 'mallory', 'b'])
    const [a, , b] = nodes as [MeshNode, MeshNode, MeshNode]
    net.advance(1_000)
    const recorded: Uint8Array[] = []
    net.tap = (from, _to, bytes) => {
      if (from === 'mallory') recorded.push(bytes.slice())
      return bytes
    }
    a.send(b, 'once')
    net.advance(1_000)
    net.tap = undefined
    for (let n = 0; n < 10; n++) for (const bytes of recorded) inject(nodes[1] as MeshNode, bytes)
    net.advance(1_000)
    expect(b.texts).toEqual(['once'])
  })

  test('a hop limit that was raised on the way lets a packet go on, but never round in circles', () => {
    const net = new MeshNet('hop limit')
    const ring = net.line(['a', 'b', 'c', 'd', 'mallory', 'f', 'g', 'h'])
    net.connect(ring[7] as MeshNode, ring[0] as MeshNode)
    net.advance(1_000)
    // mallory hands everything on as if it came from next door
    net.tap = (from, _to, bytes) => {
      const copy = bytes.slice()
      if (from === 'mallory' && decodeMesh(copy)?.kind === 'packet') setPassage(copy, first)
      return copy
    }
    const before = net.carried
    const [a] = ring as [MeshNode]
    a.send('00112233445566778899aabbccddeeff' as NodeId, 'to nobody', { flood: true })
    net.advance(10_000)
    // each of eight links in each direction, with a hop acknowledgement; announcements apart
    expect(net.carried - before).toBeLessThanOrEqual(8 * 2 * 2 + 8)
  })

  test('a packet that claims more hops than there are is dropped as malformed', () => {
    const net = new MeshNet('too many hops')
    const [victim, mallory] = [net.add('victim'), attacker(net)]
    net.connect(victim, mallory)
    net.advance(1_000)
    const packet = dataPacket(mallory.id, victim.id, new Uint8Array(PROOF_BYTES), 'x')
    const bytes = encodeMeshPacket(packet, first)
    bytes[4] = 1 // after one hop there are six left, not seven
    inject(mallory, bytes)
    net.advance(100)
    expect(victim.core.counters.dropped.malformed).toBe(1)
    expect(victim.texts).toEqual([])
  })

  test('a wrong proof of delivery goes no further than the next node', () => {
    const net = new MeshNet('wrong proof')
    const nodes = net.line(['a', 'b', 'mallory', 'd'])
    const [a, b, mallory, d] = nodes as [MeshNode, MeshNode, MeshNode, MeshNode]
    net.advance(1_000)
    mallory.isRunning = false
    const id = a.send(d, 'swallowed')
    net.advance(200)
    inject(
      mallory,
      encodeMeshPacket(
        {
          type: MeshPacketType.Acknowledgement,
          priority: Priority.Normal,
          flood: false,
          proofWanted: false,
          source: d.id,
          destination: a.id,
          id,
          payload: new Uint8Array(PROOF_BYTES),
        },
        first,
      ),
    )
    net.advance(1_000)
    expect(a.proofs).toBe(0)
    expect(b.core.counters.dropped.forged).toBe(1)
  })

  test('one who sends a hundred a second is held to fifty, and then reported', () => {
    const net = new MeshNet('flooder')
    const [victim, beyond, mallory] = [net.add('victim'), net.add('beyond'), attacker(net)]
    net.connect(victim, beyond)
    net.connect(victim, mallory)
    net.advance(1_000)
    for (let n = 0; n < 2_000; n++) {
      const proof = new Uint8Array(PROOF_BYTES).fill(n)
      inject(mallory, encodeMeshPacket(dataPacket(mallory.id, beyond.id, proof, `${n}`), first))
      net.advance(10)
    }
    // 20 seconds at 50, and the burst of 100
    expect(beyond.core.counters.delivered).toBeGreaterThan(500)
    expect(beyond.core.counters.delivered).toBeLessThanOrEqual(1_110)
    expect(victim.core.counters.dropped.rate).toBeGreaterThan(800)
    expect(victim.events.some(({ type }) => type === 'link-abuse')).toBe(true)
  })

  test('a flooder does not keep others from being passed on', () => {
    const net = new MeshNet('fairness')
    const [victim, beyond, honest, mallory] = [net.add('victim'), net.add('beyond'), net.add('honest'), attacker(net)]
    for (const node of [beyond, honest, mallory]) net.connect(victim, node)
    net.advance(1_000)
    for (let n = 0; n < 1_000; n++) {
      const source = nodeCrypto.randomBytes(16).reduce((hex, byte) => hex + byte.toString(16).padStart(2, '0'), '')
      const proof = new Uint8Array(PROOF_BYTES).fill(n)
      inject(mallory, encodeMeshPacket(dataPacket(source as NodeId, beyond.id, proof, 'spam'), first))
      if (n % 50 === 0) honest.send(beyond, `honest ${n}`)
      net.advance(20)
    }
    net.advance(2_000)
    expect(beyond.texts.filter((words) => words.startsWith('honest'))).toHaveLength(20)
  })

  test('packets to nobody are not flooded without end for one neighbour', () => {
    const net = new MeshNet('floods to nobody')
    const [victim, beyond, mallory] = [net.add('victim'), net.add('beyond'), attacker(net)]
    net.connect(victim, beyond)
    net.connect(victim, mallory)
    net.advance(1_000)
    const before = victim.core.counters.relayed
    for (let n = 0; n < 400; n++) {
      const proof = new Uint8Array(PROOF_BYTES).fill(n)
      const nobody = 'ffeeddccbbaa99887766554433221100' as NodeId
      inject(mallory, encodeMeshPacket(dataPacket(mallory.id, nobody, proof, `${n}`), first))
      net.advance(25)
    }
    // ten seconds at five, and the burst of twenty
    expect(victim.core.counters.relayed - before).toBeLessThanOrEqual(75)
  })
})

describe('nodes that do not do their part', () => {
  /** a and e with two ways between them: over b alone, and over c and d. */
  function diamond(seed: string): { net: MeshNet; a: MeshNode; b: MeshNode; e: MeshNode } {
    const net = new MeshNet(seed)
    const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => net.add(name)) as [
      MeshNode,
      MeshNode,
      MeshNode,
      MeshNode,
      MeshNode,
    ]
    for (const [x, y] of [[a, b], [b, e], [a, c], [c, d], [d, e]] as const) net.connect(x, y) // prettier-ignore
    net.advance(5_000)
    return { net, a, b, e }
  }

  test('one that acknowledges and drops everything is found out by the proofs that stay away', () => {
    const { net, a, b, e } = diamond('black hole')
    expect(a.core.route(net.world.now(), e.id)?.hops).toBe(2)
    // it goes on with announcements and hop acknowledgements, and swallows what is directed
    net.tap = (from, _to, bytes) => {
      const decoded = decodeMesh(bytes)
      const isDirected = decoded?.kind === 'packet' && decoded.packet.destination !== undefined
      return from === b.name && isDirected ? undefined : bytes
    }
    for (let n = 0; n < 10; n++) {
      a.send(e, `message ${n}`)
      net.advance(20_000)
    }
    expect(a.core.route(net.world.now(), e.id)?.hops).toBe(3)
    expect(e.texts).toContain('message 9')
  })

  test('a packet that is flooded reaches its destination past one that drops everything', () => {
    const { net, a, b, e } = diamond('flood past a black hole')
    net.tap = (from, _to, bytes) => (from === b.name ? undefined : bytes)
    a.send(e, 'around', { flood: true })
    net.advance(2_000)
    expect(e.texts).toEqual(['around'])
  })

  test('one that passes everything on twice costs its neighbours a look, and nobody else anything', () => {
    const { net, a, b, e } = diamond('twice')
    net.tap = undefined
    const twice = b.transmit.bind(b)
    b.transmit = (datagram) => {
      twice(datagram)
      twice(datagram)
    }
    const before = e.core.counters.relayed
    for (let n = 0; n < 10; n++) {
      a.send(e, `message ${n}`)
      net.advance(500)
    }
    expect(e.texts).toHaveLength(10)
    expect(e.core.counters.relayed).toBe(before)
    expect(e.core.counters.duplicates).toBeGreaterThanOrEqual(10)
  })
})
