import { describe, expect, test } from '@jest/globals'
import { type NodeId, Priority } from '@aiv/transport-api'
import fc from 'fast-check'
import type { Announcement } from '../src/announcement.js'
import { AgingMap } from '../src/aging-map.js'
import { Breadcrumbs } from '../src/breadcrumbs.js'
import { FairQueue, type Queued } from '../src/fair-queue.js'
import { MeshStore, type StoredPacket } from '../src/mesh-store.js'
import { NeighbourFinder } from '../src/neighbour-finder.js'
import { RouteTable } from '../src/route-table.js'
import { SeenCache } from '../src/seen-cache.js'
import { TokenBucket } from '../src/token-bucket.js'
import { SeededRandom } from '@aiv/testkit'

const node = (n: number): NodeId => n.toString(16).padStart(32, '0') as NodeId

describe('a map that ages', () => {
  const map = (): AgingMap<string, { readonly at: number }> => new AgingMap({ maxEntries: 3, lifetimeMs: 100 })

  test('is bounded by count: the one that was set longest ago goes, and one set again is the youngest', () => {
    const aging = map()
    for (const [at, key] of [...'abcad'].entries()) aging.set(key, { at })
    expect(aging.size).toBe(3)
    expect([...'abcd'].map((key) => aging.get(key)?.at)).toEqual([3, undefined, 2, 4])
  })

  test('gives out what is too old, the oldest first, and says when the next one will be', () => {
    const aging = map()
    for (const [i, key] of [...'abc'].entries()) aging.set(key, { at: i * 10 })
    expect(aging.expire(99)).toEqual([])
    expect(aging.expire(110)).toEqual([{ at: 0 }, { at: 10 }])
    expect(aging.nextTimeout()).toBe(120)
    expect(aging.expire(120)).toHaveLength(1)
    expect(aging.nextTimeout()).toBeUndefined()
  })
})

describe('what was seen', () => {
  test('a packet is new once, and again each time that a node which kept it hands it on', () => {
    const seen = new SeenCache({ maxEntries: 8, lifetimeMs: 1_000 })
    expect([0, 0, 1, 1, 0].map((custody) => seen.record(0, 7, custody))).toEqual([true, false, true, false, false])
  })

  test('it is forgotten after its time, and the oldest goes when there are too many', () => {
    const seen = new SeenCache({ maxEntries: 3, lifetimeMs: 1_000 })
    for (let n = 0; n < 4; n++) seen.record(n, n, 0)
    expect(seen.size).toBe(3)
    expect(seen.record(10, 0, 0)).toBe(true)
    expect(seen.record(10, 3, 0)).toBe(false)
    expect(seen.record(1_003, 3, 0)).toBe(true)
  })

  test('it knows over which links copies came, the shortest way of each', () => {
    const seen = new SeenCache({ maxEntries: 3, lifetimeMs: 1_000 })
    seen.record(0, 1, 0, { link: 5, hopCount: 3 })
    seen.record(0, 1, 0, { link: 5, hopCount: 2 })
    seen.record(0, 1, 0, { link: 6, hopCount: 4 })
    expect([seen.hopsFrom(1, 5), seen.hopsFrom(1, 6), seen.hopsFrom(1, 7), seen.copies(1)]).toEqual([
      2,
      4,
      undefined,
      2,
    ])
    for (let link = 0; link < 100; link++) seen.record(0, 1, 0, { link, hopCount: 0 })
    expect(seen.copies(1)).toBe(16)
  })
})

describe('a queue of a link', () => {
  interface Item extends Queued {
    readonly name: string
  }
  const item = (
    from: number | undefined,
    source: number,
    name: string,
    priority: Priority = Priority.Normal,
  ): Item => ({
    priority,
    from,
    source: node(source),
    name,
  })
  const drain = (queue: FairQueue<Item>): string[] => {
    const names: string[] = []
    for (let next; (next = queue.shift()) !== undefined;) names.push(next.name)
    return names
  }

  test('urgent ones overtake', () => {
    const queue = new FairQueue<Item>(8)
    queue.push(item(1, 1, 'low', Priority.Low))
    queue.push(item(1, 1, 'normal'))
    queue.push(item(1, 1, 'emergency', Priority.Emergency))
    expect(drain(queue)).toEqual(['emergency', 'normal', 'low'])
  })

  test('links take turns, and the sources of a link do, each in its order', () => {
    const queue = new FairQueue<Item>(20)
    for (const name of ['a1', 'a2', 'a3']) queue.push(item(1, 1, name))
    for (const name of ['b1', 'b2']) queue.push(item(1, 2, name))
    for (const name of ['c1', 'c2', 'c3']) queue.push(item(2, 3, name))
    expect(drain(queue)).toEqual(['a1', 'c1', 'b1', 'c2', 'a2', 'c3', 'b2', 'a3'])
  })

  test('when it is full whoever has most loses his youngest, of the lowest priority', () => {
    const queue = new FairQueue<Item>(4)
    for (const name of ['a1', 'a2', 'a3']) expect(queue.push(item(1, 1, name))).toBeUndefined()
    queue.push(item(2, 2, 'b1'))
    expect(queue.push(item(2, 2, 'b2'))?.name).toBe('a3')
    expect(queue.push(item(3, 3, 'low', Priority.Low))?.name).toBe('low')
    expect(drain(queue)).toEqual(['a1', 'b1', 'a2', 'b2'])
  })

  test('it never holds more than it may, loses nothing else, and keeps each source in order', () => {
    const pushes = fc.array(fc.tuple(fc.nat(3), fc.nat(2), fc.nat(2)), { maxLength: 200 })
    fc.assert(
      fc.property(pushes, fc.integer({ min: 1, max: 20 }), (list, limit) => {
        const queue = new FairQueue<Item & { readonly n: number }>(limit)
        let dropped = 0
        list.forEach(([priority, from, source], n) => {
          const pushed = { ...item(from, source, ''), priority: priority as Priority, n }
          if (queue.push(pushed) !== undefined) dropped++
          expect(queue.size).toBeLessThanOrEqual(limit)
        })
        const last = new Map<string, number>()
        let count = 0
        for (let next; (next = queue.shift()) !== undefined; count++) {
          const key = `${next.priority}/${next.from}/${next.source}`
          expect(next.n).toBeGreaterThan(last.get(key) ?? -1)
          last.set(key, next.n)
        }
        expect(count + dropped).toBe(list.length)
        expect(queue.size).toBe(0)
      }),
    )
  })
})

describe('a token bucket', () => {
  test('gives a burst, then so many per second', () => {
    const bucket = new TokenBucket(0, { perSecond: 10, burst: 3 })
    expect([1, 2, 3, 4].map(() => bucket.take(0))).toEqual([true, true, true, false])
    expect(bucket.readyAt).toBeCloseTo(100)
    expect(bucket.take(bucket.readyAt)).toBe(true)
    expect(bucket.take(10_000, 4)).toBe(false)
    expect(bucket.take(10_000, 3)).toBe(true)
  })

  test('what is charged beyond what there is has to be waited for', () => {
    const bucket = new TokenBucket(0, { perSecond: 10, burst: 3 })
    bucket.charge(0, 8)
    expect(bucket.readyAt).toBeCloseTo(600)
    expect(bucket.take(500)).toBe(false)
  })
})

describe('routes', () => {
  const options = { maxPeers: 4, maxNextHops: 2, routeLifetimeMs: 10_000, penaltyMs: 1_000 }
  const announced = (n: number, issuedAt = 1): Announcement => ({
    node: node(n),
    publicKey: new Uint8Array(32),
    staticKey: { publicKey: new Uint8Array(32), notAfter: 0 },
    issuedAt,
    more: new Uint8Array(0),
  })
  const copy = (fingerprint: number) => ({ bytes: new Uint8Array(0), fingerprint })

  test('the way with the fewest hops is taken, a bad link counting as some more', () => {
    const routes = new RouteTable(options, (link) => (link === 2 ? 3 : 0))
    routes.announced(0, announced(1), copy(1), { link: 2, hops: 2 })
    routes.heardAgain(0, node(1), 1, { link: 3, hops: 4 })
    expect(routes.best(0, node(1))?.link).toBe(3)
    expect(routes.best(0, node(1), (link) => link === 3)?.link).toBe(2)
    expect(routes.best(0, node(1), () => true)).toBeUndefined()
  })

  test('the longest way gives its place to a shorter one, and not to a longer one', () => {
    const routes = new RouteTable(options, () => 0)
    routes.announced(0, announced(1), copy(1), { link: 1, hops: 3 })
    routes.heardAgain(0, node(1), 1, { link: 2, hops: 5 })
    routes.heardAgain(0, node(1), 1, { link: 3, hops: 6 })
    routes.heardAgain(0, node(1), 1, { link: 4, hops: 2 })
    expect(routes.best(0, node(1))?.link).toBe(4)
    expect(routes.best(0, node(1), (link) => link === 4)?.link).toBe(1)
    expect(routes.best(0, node(1), (link) => link === 4 || link === 1)).toBeUndefined()
  })

  test('a copy that is not the last announcement teaches nothing', () => {
    const routes = new RouteTable(options, () => 0)
    routes.announced(0, announced(1), copy(1), { link: 1, hops: 3 })
    expect(routes.heardAgain(0, node(1), 2, { link: 2, hops: 1 })).toBe(false)
    expect(routes.heardAgain(0, node(2), 1, { link: 2, hops: 1 })).toBe(false)
    expect(routes.best(0, node(1))?.link).toBe(1)
  })

  test('four tries without a proof make a way four times as long for a while, a proof makes it good again', () => {
    const routes = new RouteTable(options, () => 0)
    routes.announced(0, announced(1), copy(1), { link: 1, hops: 1 })
    routes.heardAgain(0, node(1), 1, { link: 2, hops: 3 })
    for (let n = 0; n < 3; n++) routes.failed(0, node(1), 1, false)
    expect(routes.best(0, node(1))?.link).toBe(1)
    routes.failed(0, node(1), 1, false)
    expect(routes.best(0, node(1))?.link).toBe(2)
    expect(routes.best(1_001, node(1))?.link).toBe(1)
    routes.failed(2_000, node(1), 1, false)
    expect(routes.best(2_000, node(1))?.link).toBe(2)
    routes.confirmed(2_000, node(1), 1, 1)
    expect(routes.best(2_000, node(1))?.link).toBe(1)
  })

  test('a way runs out, and its node is called lost once', () => {
    const routes = new RouteTable(options, () => 0)
    expect(routes.announced(0, announced(1), copy(1), { link: 1, hops: 1 })).toBe(true)
    expect(routes.announced(5_000, announced(1, 2), copy(2), { link: 1, hops: 1 })).toBe(false)
    expect(routes.expire(14_999)).toEqual([])
    expect(routes.best(15_000, node(1))).toBeUndefined()
    expect(routes.expire(15_000)).toEqual([node(1)])
    expect(routes.expire(15_000)).toEqual([])
    expect(routes.announced(16_000, announced(1, 3), copy(3), { link: 1, hops: 1 })).toBe(true)
  })

  test('when there are too many nodes the oldest of the link that brought most goes', () => {
    const routes = new RouteTable(options, () => 0)
    routes.announced(0, announced(1), copy(1), { link: 1, hops: 1 })
    for (let n = 2; n <= 6; n++) routes.announced(n, announced(n), copy(n), { link: 2, hops: 1 })
    expect(routes.size).toBe(4)
    expect([1, 2, 3, 4, 5, 6].filter((n) => routes.peer(node(n)) !== undefined)).toEqual([1, 4, 5, 6])
  })
})

describe('breadcrumbs', () => {
  const packet = { source: node(1), destination: node(2), proofWanted: true }

  test('a packet of the same id from somebody else does not change the way back', () => {
    const crumbs = new Breadcrumbs({ maxEntries: 4, lifetimeMs: 100 })
    crumbs.drop(0, 1, 5, packet)
    crumbs.drop(0, 1, 9, { ...packet, source: node(3) })
    crumbs.drop(0, 1, 6, packet)
    expect(crumbs.get(1)?.from).toEqual([5, 6])
  })

  test('they are bounded by count and by time', () => {
    const crumbs = new Breadcrumbs({ maxEntries: 2, lifetimeMs: 100 })
    for (let id = 0; id < 3; id++) crumbs.drop(id, id, 5, packet)
    expect([crumbs.size, crumbs.get(0), crumbs.nextTimeout()]).toEqual([2, undefined, 101])
    expect([...crumbs.expire(101)]).toHaveLength(1)
    expect([...crumbs.expire(200)]).toHaveLength(1)
    expect(crumbs.nextTimeout()).toBeUndefined()
  })
})

describe('the store', () => {
  const stored = (n: number, source: number, at = n): StoredPacket => ({
    fingerprint: n,
    id: n,
    source: node(source),
    destination: node(99),
    bytes: new Uint8Array(100),
    custody: 0,
    at,
  })
  const limits = { maxPackets: 6, maxBytes: 10_000, maxPacketsPerSource: 3, maxAgeMs: 1_000 }
  const held = (store: MeshStore, now = 10): number[] => store.for(now, node(99)).map(({ fingerprint }) => fingerprint)

  test('a source over its share loses its own oldest', () => {
    const store = new MeshStore(limits, () => false)
    for (let n = 0; n < 5; n++) expect(store.keep(stored(n, 1))).toBe(true)
    expect(held(store)).toEqual([2, 3, 4])
  })

  test('when it is full the source with most gives way, and trusted ones last', () => {
    const store = new MeshStore(limits, (id) => id === node(7))
    for (let n = 0; n < 5; n++) store.keep(stored(n, 7))
    store.keep(stored(5, 1))
    expect(store.keep(stored(6, 2))).toBe(true)
    expect(held(store)).toEqual([0, 1, 2, 3, 4, 6])
    expect(store.keep(stored(7, 7))).toBe(true)
    expect(held(store)).toEqual([0, 1, 2, 3, 4, 7])
    // only trusted ones are left: a stranger gets no place, a trusted one takes that of the oldest
    expect(store.keep(stored(8, 2))).toBe(false)
    expect(store.keep(stored(9, 7))).toBe(true)
    expect(held(store)).toEqual([1, 2, 3, 4, 7, 9])
  })

  test('bytes and age are bounded, and what was delivered is gone', () => {
    const store = new MeshStore({ ...limits, maxBytes: 250 }, () => false)
    for (let n = 0; n < 4; n++) store.keep(stored(n, n))
    expect([store.size, store.bytes]).toEqual([2, 200])
    store.delivered(3)
    expect(held(store)).toEqual([2])
    expect(held(store, 1_002)).toEqual([])
    expect(store.bytes).toBe(0)
  })

  test('with no places it keeps nothing', () => {
    expect(new MeshStore({ ...limits, maxPackets: 0 }, () => false).keep(stored(1, 1))).toBe(false)
    expect(new MeshStore({ ...limits, maxPacketsPerSource: 0 }, () => false).keep(stored(1, 1))).toBe(false)
  })
})

describe('neighbours', () => {
  const sighting = (device: string, payload: Uint8Array) => ({ device, payload, rssi: -60 })

  test('of two that see each other exactly one dials at once, and the other after a while', () => {
    const [a, b] = ['a', 'b'].map((name) => new NeighbourFinder(0, new SeededRandom(name), 7)) as [
      NeighbourFinder,
      NeighbourFinder,
    ]
    const wants = (now: number): boolean[] => [
      a.wants(now, sighting('b', b.payload), []),
      b.wants(now, sighting('a', a.payload), []),
    ]
    expect(wants(0).filter(Boolean)).toHaveLength(1)
    expect(wants(10_000)).toEqual([true, true])
  })

  test('a device that failed is tried later and later, and one that is linked or one too many not at all', () => {
    const finder = new NeighbourFinder(0, new SeededRandom('finder'), 2)
    const other = sighting('x', new Uint8Array(4).fill(255))
    expect(finder.wants(0, other, ['x'])).toBe(false)
    expect(finder.wants(0, other, ['y', 'z'])).toBe(false)
    expect(finder.wants(0, other, ['y'])).toBe(true)
    finder.failed(0, 'x')
    expect([1_999, 2_000].map((now) => finder.wants(now, other, []))).toEqual([false, true])
    finder.failed(2_000, 'x')
    expect([5_999, 6_000].map((now) => finder.wants(now, other, []))).toEqual([false, true])
    finder.shun(6_000, 'x')
    expect([65_999, 66_000].map((now) => finder.wants(now, other, []))).toEqual([false, true])
  })

  test('what is advertised is random, and another after a quarter of an hour', () => {
    const finder = new NeighbourFinder(0, new SeededRandom('renewal'), 7)
    const before = finder.payload
    expect(finder.renew(899_999)).toBe(false)
    expect(finder.renew(900_000)).toBe(true)
    expect(finder.payload).not.toEqual(before)
    expect(finder.renewAt).toBe(1_800_000)
  })
})
