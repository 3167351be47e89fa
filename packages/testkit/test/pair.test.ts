import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { World, pair } from '../src/index.js'
import { EchoCore } from './echo-core.js'

describe('pair', () => {
  test('keep-alives hold an idle link open for an hour', () => {
    const world = new World({ seed: 0 })
    const { a, b } = pair(world, new EchoCore(0), new EchoCore(0), { impairment: { delayMs: 50 } })
    world.runSync(3_600_000)
    expect([a.events, b.events]).toEqual([[], []])
  })

  test('a silent peer is given up on to the millisecond', () => {
    const world = new World({ seed: 0 })
    const { a, link } = pair(world, new EchoCore(0), new EchoCore(0), { impairment: { delayMs: 50 } })
    world.at(40_050, () => link.cut())
    world.runSync(200_000)
    expect(a.events).toEqual([{ at: 60_050, event: { type: 'closed', reason: 'silence' } }])
  })

  test('a stream arrives whole, once and in order, in pieces of any size, whatever the link does', () => {
    const impairment = { delayMs: 10, jitterMs: 30, lossRatio: 0.3, duplicateRatio: 0.2, reorderRatio: 0.3 }
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 300 }), (seed, maxPieceBytes) => {
        const world = new World({ seed })
        const { a, b } = pair(world, new EchoCore(0), new EchoCore(0), { impairment, maxPieceBytes })
        for (let i = 0; i < 50; i++) a.touch((core, now) => core.send(now, new Uint8Array((i % 255) + 1).fill(i)))
        world.runSync(20_000)
        expect(b.of('message').map(({ bytes }) => [bytes.length, bytes[0]])).toEqual(
          Array.from({ length: 50 }, (_, i) => [(i % 255) + 1, i]),
        )
      }),
      { numRuns: 30 },
    )
  })

  test('packets are lost and doubled as the link does it', () => {
    const world = new World({ seed: 'packets' })
    const impairment = { lossRatio: 0.2, duplicateRatio: 0.5 }
    const { a, b, link } = pair(world, new EchoCore(0), new EchoCore(0), { impairment, carry: 'packets' })
    for (let i = 0; i < 500; i++) a.touch((core, now) => core.send(now, Uint8Array.of(i & 0xff)))
    world.runSync(10)
    const { lost, duplicated } = link.from('a').counts
    expect(lost).toBeGreaterThan(50)
    expect(b.of('message')).toHaveLength(500 - lost + duplicated)
  })

  test('a core is not polled while its socket is full', () => {
    const world = new World({ seed: 0 })
    const options = { impairment: { delayMs: 10, bytesPerSecond: 1000 }, socketBytes: 200 }
    const { a, b } = pair(world, new EchoCore(0), new EchoCore(0), options)
    let taken = 0
    while (a.touch((core, now) => core.send(now, new Uint8Array(99)))) taken++
    // two in the socket, the core's own limit of 1000 behind them
    expect(taken).toBe(1002)
    world.runSync(10_000)
    expect(b.of('message').length).toBeGreaterThan(90)
    world.runSync(200_000)
    expect(b.of('message')).toHaveLength(taken)
  })

  test('an event handler may touch its own core and the other', () => {
    const world = new World({ seed: 0 })
    const bounce = { onEvent: (event: { type: string }) => void (event.type === 'message' && answer()) }
    const { a, b } = pair(world, new EchoCore(0), new EchoCore(0), { impairment: { delayMs: 1 }, b: bounce })
    let answers = 0
    function answer(): void {
      if (answers++ < 10) b.touch((core, now) => core.send(now, Uint8Array.of(answers)))
    }
    for (let i = 0; i < 20; i++) a.touch((core, now) => core.send(now, Uint8Array.of(i)))
    world.runSync(100)
    expect(a.of('message').map(({ bytes }) => bytes[0])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('a sleeping side receives when it wakes', () => {
    const world = new World({ seed: 0 })
    const { a, b } = pair(world, new EchoCore(0), new EchoCore(0), { impairment: { delayMs: 1 } })
    world.suspend('b', 5000)
    a.touch((core, now) => core.send(now, Uint8Array.of(1)))
    world.runSync(4999)
    expect(b.events).toEqual([])
    world.runSync(5001)
    expect(b.of('message')).toHaveLength(1)
  })

  test('what cores say is in the hash, by type and by chosen detail', () => {
    const run = (detail?: (event: unknown) => unknown): string => {
      const world = new World({ seed: 0 })
      const options = detail === undefined ? {} : { b: { detail } }
      const { a } = pair(world, new EchoCore(0), new EchoCore(0), options)
      a.touch((core, now) => core.send(now, Uint8Array.of(1)))
      world.runSync(10)
      return world.hash
    }
    expect(run()).toBe(run())
    expect(run(() => 'more')).not.toBe(run())
  })
})
