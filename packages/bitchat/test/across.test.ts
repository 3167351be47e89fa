import { describe, expect, test } from '@jest/globals'
import { BitchatBench, type BenchNode, type Host, normal, text } from './bitchat-bench.js'

type Node = BenchNode & { readonly host: Host }

const letters = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] as const

/** Nodes of which each hears the next, and whom `also` names. */
function line(seed: string, lossRatio = 0, also: readonly string[] = []): BitchatBench {
  const reach = (from: string, to: string): { lossRatio: number } | undefined => {
    const distance = Math.abs(from.charCodeAt(0) - to.charCodeAt(0))
    return distance === 1 || also.includes(`${from}${to}`) || also.includes(`${to}${from}`) ? { lossRatio } : undefined
  }
  return new BitchatBench(seed, { reach })
}

async function start(bench: BitchatBench, count: number): Promise<[Node, ...Node[]]> {
  const nodes: Node[] = []
  for (const name of letters.slice(0, count)) nodes.push(await bench.start(name))
  await bench.world.until(() =>
    nodes.every(({ transport }, i) => transport.links >= (i === 0 || i === count - 1 ? 1 : 2)),
  )
  await bench.world.advance(30_000)
  return nodes as [Node, ...Node[]]
}

async function stop(nodes: readonly Node[], bench: BitchatBench): Promise<void> {
  await bench.world.settled(Promise.all(nodes.map(({ transport }) => transport.close())))
}

describe('connections across the mesh', () => {
  test('a message crosses seven hops, and an eighth is refused', async () => {
    const bench = line('seven hops')
    const nodes = await start(bench, 9)
    const [a, h, i] = [nodes[0], nodes[7] as Node, nodes[8] as Node]
    const { connection } = await bench.dial(a, h)
    expect(connection.path.hops).toBe(7)
    connection.send(text('seven'), normal)
    await bench.world.until(() => h.host.accepted[0]?.inbox.texts.includes('seven') === true)
    await expect(bench.dial(a, i)).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' })
    await stop(nodes, bench)
  })

  test('a node in the middle is cut, and the connection goes on over another path', async () => {
    // a b c d e in a line, and a way round c: b f d
    const bench = line('heals', 0, ['bf', 'fd'])
    const nodes = await start(bench, 6)
    const [a, e] = [nodes[0], nodes[4] as Node]
    bench.air.cut('e', 'f')
    await bench.world.advance(10_000)
    const { connection } = await bench.dial(a, e)
    connection.send(text('before'), normal)
    await bench.world.until(() => e.host.accepted[0]?.inbox.packets.length === 1)
    for (const other of ['b', 'd']) bench.air.cut('c', other)
    connection.send(text('after'), normal)
    await bench.world.until(() => e.host.accepted[0]?.inbox.packets.length === 2, 60_000)
    expect(e.host.accepted[0]?.inbox.texts).toEqual(['before', 'after'])
    await stop(nodes, bench)
  })

  test('a node that was away for ten minutes gets its messages when it is back', async () => {
    const bench = line('away')
    const nodes = await start(bench, 4)
    const [a, d] = [nodes[0], nodes[3] as Node]
    const { connection, inbox } = await bench.dial(a, d)
    bench.air.cut('c', 'd')
    await bench.world.advance(10_000)
    for (let n = 0; n < 5; n++) connection.send(text(`message ${n}`), normal)
    await bench.world.advance(600_000)
    expect(inbox.liveness).toContain('suspect')
    expect(d.host.accepted[0]?.inbox.packets).toEqual([])
    bench.air.restore('c', 'd')
    await bench.world.until(() => d.host.accepted[0]?.inbox.packets.length === 5, 60_000)
    expect(d.host.accepted[0]?.inbox.texts).toEqual([0, 1, 2, 3, 4].map((n) => `message ${n}`))
    await bench.world.until(() => inbox.liveness.at(-1) === 'alive', 60_000)
    await stop(nodes, bench)
  })

  test('ten kilobytes cross five hops that each lose a fifth, and only what is missing is sent again', async () => {
    const bench = line('lossy', 0.2)
    const nodes = await start(bench, 6)
    const [a, f] = [nodes[0], nodes[5] as Node]
    const { connection } = await bench.dial(a, f)
    const large = new Uint8Array(10_240).map((_, at) => at * 7)
    connection.send(large, normal)
    await bench.world.until(() => f.host.accepted[0]?.inbox.packets.length === 1, 120_000)
    expect(f.host.accepted[0]?.inbox.packets[0]).toEqual(large)
    // the links repeat for themselves: end to end hardly anything is missing
    expect(connection.stats().lossRatio).toBeLessThan(0.1)
    expect(a.transport.counters.repeated).toBeGreaterThan(5)
    await stop(nodes, bench)
  })
})
