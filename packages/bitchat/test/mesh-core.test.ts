import { describe, expect, test } from '@jest/globals'
import { MeshNet } from './mesh-net.js'

const eight = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const

describe('a line of nodes', () => {
  test('a packet crosses seven hops, and its proof comes back along the path', () => {
    const net = new MeshNet('line')
    const nodes = net.line(eight)
    net.advance(5_000)
    const [a, h] = [nodes[0], nodes[7]]
    if (a === undefined || h === undefined) throw new Error('no nodes')
    expect(a.core.route(net.world.now(), h.id)?.hops).toBe(7)
    const before = net.carried
    a.send(h, 'hello')
    net.advance(1_000)
    expect(h.texts).toEqual(['hello'])
    expect(a.proofs).toBe(1)
    // seven there and seven back, and each with a hop acknowledgement
    expect(net.carried - before).toBe(28)
  })

  test('an eighth hop is refused', () => {
    const net = new MeshNet('line of nine')
    const nodes = net.line([...eight, 'i'])
    net.advance(5_000)
    const [a, i] = [nodes[0], nodes[8]]
    if (a === undefined || i === undefined) throw new Error('no nodes')
    a.send(i, 'too far')
    net.advance(5_000)
    expect(i.texts).toEqual([])
    expect(nodes[7]?.core.counters.dropped['hop-limit']).toBe(1)
  })

  test('a line that loses a fifth of everything still delivers, and repeats on the link only', () => {
    const net = new MeshNet('lossy line')
    const nodes = net.line(eight, { loss: 0.2 })
    net.advance(300_000)
    const [a, h] = [nodes[0], nodes[7]]
    if (a === undefined || h === undefined) throw new Error('no nodes')
    for (let n = 0; n < 50; n++) {
      a.send(h, `text ${n}`)
      net.advance(1_000)
    }
    net.advance(20_000)
    expect(new Set(h.texts).size).toBeGreaterThanOrEqual(49)
  })
})
