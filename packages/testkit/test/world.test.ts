import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { World, WorldError } from '../src/index.js'

/** A little world in which everything is used: what it does must not depend on anything but its seed. */
async function story(seed: string | number): Promise<World> {
  const world = new World({ seed })
  const link = world.link('a', 'b', {
    delayMs: 10,
    jitterMs: 5,
    lossRatio: 0.2,
    duplicateRatio: 0.1,
    reorderRatio: 0.1,
  })
  const clocks = { a: world.clock('a', { skewPpm: 80 }), b: world.clock('b', { skewPpm: -50, offsetMs: 1234 }) }
  const tick = (): void => {
    const number = world.random('a').below(1000)
    link.from('a').send(100, () => world.record('b', 'got', { number, at: clocks.b.now() }))
    clocks.a.setTimeout(tick, 7)
  }
  tick()
  world.every(100, async () => {
    await Promise.resolve()
    world.record('world', 'tick', world.random('faults').uniform())
  })
  world.at(1000, () => link.cut('a'))
  world.at(1500, () => link.restore())
  world.at(2000, () => world.suspend('a', 300))
  await world.run(5000)
  world.end()
  return world
}

describe('determinism', () => {
  test('the same seed gives the same hash, another seed another', async () => {
    const [first, second, other] = [await story(1), await story(1), await story(2)]
    expect(second.hash).toBe(first.hash)
    expect(second.eventCount).toBe(first.eventCount)
    expect(other.hash).not.toBe(first.hash)
  })

  test('a seed gives the hash that it gave in another process, on another machine', async () => {
    const { hash } = await story('kept')
    expect(hash).toBe('cf173bebe43f113a')
  })

  test('a stream of chance does not depend on who else draws', () => {
    const [alone, crowded] = [new World({ seed: 5 }), new World({ seed: 5 })]
    crowded.random('other').bytes(100)
    expect(crowded.random('mine').bytes(16)).toEqual(alone.random('mine').bytes(16))
    expect(crowded.random('mine')).toBe(crowded.random('mine'))
  })

  test('key seeds are fixed by seed and name', () => {
    const world = new World({ seed: 5 })
    expect(world.seedBytes('alice', 32)).toEqual(new World({ seed: 5 }).seedBytes('alice', 32))
    expect(world.seedBytes('alice', 32)).toEqual(world.seedBytes('alice', 32))
    expect(world.seedBytes('alice', 32)).not.toEqual(world.seedBytes('bob', 32))
    expect(world.seedBytes('alice', 32)).not.toEqual(world.random('alice').bytes(32))
  })

  test('the hash is FNV-1a with 64 bits over a line per event', () => {
    const world = new World({ seed: 0 })
    const mask = (1n << 64n) - 1n
    let expected = 0xcbf29ce484222325n
    const details = [{ b: 1, a: Uint8Array.of(1, 255) }, ['x', null, undefined, 5n], 'ünïcode ☃', new Map([[1, true]])]
    const lines = ['{"a"', '{a:x01ff,b:1}', '["x",null,undefined,5n]', '"ünïcode ☃"', '{1:true}'].slice(1)
    details.forEach((detail, index) => {
      world.record('n', 't', detail)
      for (const unit of `0 n t ${lines[index] ?? ''}\n`) {
        for (const byte of [unit.charCodeAt(0) & 0xff, unit.charCodeAt(0) >> 8]) {
          expected = ((expected ^ BigInt(byte)) * 0x100000001b3n) & mask
        }
      }
    })
    expect(world.hash).toBe(expected.toString(16).padStart(16, '0'))
  })

  test('long bytes count with their length and content', () => {
    const hashOf = (bytes: Uint8Array): string => {
      const world = new World({ seed: 0 })
      world.record('n', 't', bytes)
      return world.hash
    }
    const bytes = new Uint8Array(1000)
    const changed = bytes.slice()
    changed[999] = 1
    expect(hashOf(bytes)).toBe(hashOf(bytes.slice()))
    expect(hashOf(changed)).not.toBe(hashOf(bytes))
  })
})

describe('time', () => {
  test('events happen at their time, in order, and never before it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true })), async (times) => {
        const world = new World({ seed: 0, settleTurns: 1 })
        let last = 0
        let count = 0
        for (const at of times) {
          world.schedule(at, () => {
            expect(world.now()).toBeGreaterThanOrEqual(at)
            expect(world.now() - at).toBeLessThan(0.001)
            expect(world.now()).toBeGreaterThanOrEqual(last)
            last = world.now()
            count++
          })
        }
        await world.run(2e6)
        expect(count).toBe(times.length)
        expect(world.now()).toBe(2e6)
      }),
    )
  })

  test('promises settle after each event, before the next one', async () => {
    const world = new World({ seed: 0 })
    const told: string[] = []
    const clock = world.clock('a')
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, ms))
    const work = async (name: string, ms: number): Promise<void> => {
      await sleep(ms)
      for (let i = 0; i < 5; i++) await Promise.resolve()
      told.push(`${name} ${clock.now()}`)
      await sleep(10)
      told.push(`${name} ${clock.now()}`)
    }
    void work('a', 1)
    void work('b', 2)
    await world.run(100)
    expect(told).toEqual(['a 1', 'b 2', 'a 11', 'b 12'])
  })

  test('settled plays until a promise settles and no further', async () => {
    const world = new World({ seed: 0 })
    const clock = world.clock('a')
    const value = new Promise<number>((resolve) => void clock.setTimeout(() => resolve(7), 250))
    clock.setTimeout(() => undefined, 400)
    expect(await world.settled(value)).toBe(7)
    expect(world.now()).toBe(250)
    await expect(world.settled(Promise.reject(new RangeError('no')))).rejects.toThrow(RangeError)
  })

  test('waiting for what cannot come ends with WORLD_STUCK', async () => {
    const world = new World({ seed: 3 })
    const never = new Promise(() => undefined)
    await expect(world.settled(never)).rejects.toMatchObject({ code: 'WORLD_STUCK' })
    world.every(10, () => undefined)
    await expect(world.settled(never, 1000)).rejects.toThrow(/1000 ms have passed \(seed "3"/)
  })

  test('a settle of one’s own is called after each event', async () => {
    let calls = 0
    const world = new World({
      seed: 0,
      settle: () => {
        calls++
        return Promise.resolve()
      },
    })
    for (let i = 0; i < 5; i++) world.schedule(i, () => undefined)
    await world.run(10)
    expect(calls).toBe(6)
  })

  test('a run inside a run is refused', async () => {
    const world = new World({ seed: 0 })
    world.at(1, () => world.runSync(5))
    await expect(world.run(10)).rejects.toThrow(/runs already/)
    const running = world.run(20)
    expect(() => world.runSync(20)).toThrow(/runs already/)
    await running
  })

  test('a moment without an end is noticed', () => {
    const world = new World({ seed: 'loop', maxEventsPerInstant: 1000 })
    const again = (): void => void world.schedule(world.now(), again)
    again()
    expect(() => world.runSync(1)).toThrow(/1001 events and time does not move on \(seed "loop"/)
  })

  test('an hour of a hundred thousand events is played in one go', () => {
    const world = new World({ seed: 0 })
    let events = 0
    world.every(36, () => void events++)
    world.runSync(3_600_000)
    expect(events).toBe(100_000)
    expect(world.pendingEvents).toBe(1)
  })
})

describe('clocks and links by name', () => {
  test('a name is one clock and one link, in whatever order its ends are named', () => {
    const world = new World({ seed: 0 })
    expect(world.clock('a', { skewPpm: 1 })).toBe(world.clock('a'))
    expect(() => world.clock('a', { skewPpm: 2 })).toThrow(/already/)
    expect(world.link('a', 'b', { delayMs: 1 })).toBe(world.link('b', 'a'))
    expect(() => world.link('b', 'a', { delayMs: 2 })).toThrow(/already/)
    expect([...world.links]).toHaveLength(1)
  })
})

describe('faults', () => {
  test('every repeats until it is cleared', () => {
    const world = new World({ seed: 0 })
    const times: number[] = []
    const timer = world.every(10, () => void times.push(world.now()))
    world.at(35, () => timer.clear())
    world.runSync(1000)
    expect(times).toEqual([10, 20, 30])
    expect(() => world.every(0, () => undefined)).toThrow(/interval/)
  })

  test('what an event throws ends the run, with the seed and the cause', async () => {
    const world = new World({ seed: 'bad' })
    const cause = new TypeError('oops')
    world.clock('a').setTimeout(() => {
      throw cause
    }, 5)
    await expect(world.run(10)).rejects.toMatchObject({ code: 'WORLD_EVENT', cause })
    await expect(world.run(10)).resolves.toBeUndefined()
  })

  test('what a fault rejects with ends the run', async () => {
    const world = new World({ seed: 'bad' })
    world.at(5, () => Promise.reject(new Error('oops')))
    await expect(world.run(10)).rejects.toThrow(/a fault rejected: Error: oops \(seed "bad", at 5 ms/)
  })
})

describe('checkers', () => {
  const increasing = (): { name: string; onEvent(event: { detail: unknown }): string | undefined } => {
    let last = 0
    return {
      name: 'increasing',
      onEvent({ detail }) {
        const number = detail as number
        const said = number > last ? undefined : `${number} after ${last}`
        last = number
        return said
      },
    }
  }

  test('a broken rule is thrown at the end of the run, with time, rule and seed', async () => {
    const world = new World({ seed: 'checked' })
    world.check(increasing())
    world.at(1, () => world.record('n', 'number', 1))
    world.at(2, () => world.record('n', 'number', 5))
    world.at(3, () => world.record('n', 'number', 4))
    world.at(4, () => world.record('n', 'number', 6))
    const error: unknown = await world.run(10).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(WorldError)
    expect(error).toMatchObject({ code: 'WORLD_VIOLATION' })
    expect((error as WorldError).message).toBe(
      '1 broken rules (seed "checked", at 10 ms, event 4)\n  3 ms increasing: 4 after 5',
    )
    expect((error as WorldError).violations).toMatchObject([{ at: 3, checker: 'increasing', message: '4 after 5' }])
    expect(world.violations).toHaveLength(1)
    // said once
    await world.run(20)
  })

  test('the last word is asked for at the end', () => {
    const world = new World({ seed: 0 })
    world.check({ name: 'something came', onEnd: () => (world.events.length > 0 ? undefined : 'nothing came') })
    world.runSync(10)
    expect(() => world.end()).toThrow(/something came: nothing came/)
    world.record('n', 'came')
    world.end()
  })

  test('what a checker throws is a violation of its rule', () => {
    const world = new World({ seed: 0 })
    const cause = new Error('expected 1')
    world.check({
      name: 'throws',
      onEvent() {
        throw cause
      },
    })
    world.record('n', 't')
    try {
      world.runSync(1)
      expect('a violation').toBe('thrown')
    } catch (error) {
      expect(error).toMatchObject({ code: 'WORLD_VIOLATION', cause })
    }
  })

  test('violations and events are kept up to a bound', () => {
    const world = new World({ seed: 0, keepViolations: 3, keepEvents: 4 })
    world.check({ name: 'never', onEvent: () => 'no' })
    for (let i = 0; i < 10; i++) world.record('n', 't', i)
    expect(world.violations).toHaveLength(3)
    expect(world.events.map(({ detail }) => detail)).toEqual([6, 7, 8, 9])
    expect(() => world.runSync(1)).toThrow(/10 broken rules/)
  })
})
