import { describe, expect, test } from '@jest/globals'
import { MeshNet, type MeshNode } from './mesh-net.js'

describe('store and forward', () => {
  test('a message survives two islands that merge later, with nobody of its way there at both times', () => {
    const net = new MeshNet('islands')
    const [a, b, c, d] = net.line(['a', 'b', 'c', 'd']) as [MeshNode, MeshNode, MeshNode, MeshNode]
    net.advance(5_000)
    const [, bc, cd] = [...new Set([a, b, c, d].flatMap(({ cables }) => [...cables.values()]))]
    if (bc === undefined || cd === undefined) throw new Error('no cables')
    net.cut(cd)
    net.advance(1_000)
    a.send(d, 'for later')
    net.advance(5_000)
    expect(c.core.stored.packets).toBe(1)
    // the last one that had it as a neighbour carries the message to where the destination has turned up
    net.cut(bc)
    const e = net.add('e')
    net.connect(d, e)
    net.advance(60_000)
    expect(d.texts).toEqual([])
    net.connect(c, e)
    net.advance(10_000)
    expect(d.texts).toEqual(['for later'])
    expect(c.core.stored.packets).toBe(0)
  })

  test('a message for a node that has left is handed over when it comes back, once', () => {
    const net = new MeshNet('away')
    const [a, b, c] = net.line(['a', 'b', 'c']) as [MeshNode, MeshNode, MeshNode]
    net.advance(5_000)
    const cable = [...c.cables.values()][0]
    if (cable === undefined) throw new Error('no cable')
    net.cut(cable)
    for (let n = 0; n < 20; n++) a.send(c, `message ${n}`)
    net.advance(600_000)
    net.connect(b, c)
    net.advance(30_000)
    expect([...c.texts].sort()).toEqual(Array.from({ length: 20 }, (_, n) => `message ${n}`).sort())
    expect([a.core.stored.packets, b.core.stored.packets]).toEqual([0, 0])
  })

  test('without a neighbour a packet waits at its source', () => {
    const net = new MeshNet('alone')
    const [a, b] = [net.add('a'), net.add('b')]
    a.send(b, 'nobody here')
    expect(a.core.stored.packets).toBe(1)
    net.advance(60_000)
    net.connect(a, b)
    net.advance(5_000)
    expect(b.texts).toEqual(['nobody here'])
    expect(a.core.stored.packets).toBe(0)
  })

  test('a packet goes on from the store three times at most', () => {
    const net = new MeshNet('custody')
    const nodes = Array.from({ length: 6 }, (_, n) => net.add(`carrier ${n}`))
    const target = net.add('target')
    const [a, ...carriers] = nodes as [MeshNode, ...MeshNode[]]
    // the target is heard by each carrier in turn, and gone before it can be reached
    a.send(target, 'hot potato')
    for (const [n, carrier] of carriers.entries()) {
      const holder = nodes[n] as MeshNode
      const hint = net.connect(carrier, target)
      net.advance(5_000)
      net.tap = (_from, to, bytes) => (to === 'target' ? undefined : bytes)
      const link = net.connect(holder, carrier)
      net.advance(5_000)
      net.cut(hint)
      net.advance(5_000)
      net.cut(link)
      net.tap = undefined
    }
    net.advance(60_000)
    const holding = nodes.filter(({ core }) => core.stored.packets > 0).map(({ name }) => name)
    expect(holding).not.toContain('carrier 5')
    expect(target.texts).toEqual([])
  })
})
