import { describe, expect, test } from '@jest/globals'
import { ArgumentError } from '@aiv/transport-api'
import { RadioAir, type RadioAirOptions, SeededRandom, World, hopsFrom, randomTopology } from '../src/index.js'

/** Radios in a row, at the given metres. */
function setUp(meters: readonly number[], options: RadioAirOptions = {}) {
  const world = new World({ seed: 1 })
  const air = new RadioAir(world, options)
  const heard: string[] = []
  meters.forEach((xMeters, i) => {
    const name = 'abcdefgh'.charAt(i)
    air.place(name, { xMeters, yMeters: 0 }, ({ from, bytes }) => heard.push(`${name} hears ${from} ${bytes[0]}`))
  })
  return { world, air, heard }
}

const frame = (n: number): Uint8Array => new Uint8Array(90).fill(n)

describe('a radio air', () => {
  test('a broadcast is heard by all in range, when it is over', () => {
    const { world, air, heard } = setUp([0, 20, 29, 50])
    expect(air.transmit('a', frame(1))).toBeCloseTo(0.8)
    world.runSync(0.7)
    expect(heard).toEqual([])
    world.runSync(1)
    expect(heard).toEqual(['b hears a 1', 'c hears a 1'])
    expect(air.neighbours('a')).toEqual(['b', 'c'])
    expect(air.signal('a', 'd')).toBeUndefined()
    expect(air.signal('a', 'b')).toBeLessThan(-80)
  })

  test('two at once collide where they are about as strong, and the much stronger one is heard', () => {
    // c is between both; b is next to a
    const { world, air, heard } = setUp([0, 2, 25, 50])
    air.transmit('a', frame(1))
    air.transmit('d', frame(2))
    world.runSync(5)
    expect(heard).toEqual(['b hears a 1'])
    expect(air.use('c').collided).toBe(2)
    const capture = setUp([0, 5, 25])
    capture.air.transmit('a', frame(1))
    capture.air.transmit('c', frame(2))
    capture.world.runSync(5)
    expect(capture.heard).toEqual(['b hears a 1'])
  })

  test('nobody hears while transmitting, and a busy channel can be noticed', () => {
    const { world, air, heard } = setUp([0, 10, 20], { captureDb: 10 })
    air.transmit('a', frame(1))
    expect([air.isBusy('a'), air.isBusy('c')]).toEqual([true, true])
    world.runSync(0.1)
    air.transmit('b', frame(2))
    world.runSync(5)
    expect(heard).toEqual([])
    expect([air.use('a').collided, air.use('b').collided, air.use('c').collided]).toEqual([1, 1, 2])
    expect(air.isBusy('c')).toBe(false)
  })

  test('one radio sends one frame after the other', () => {
    const { world, air, heard } = setUp([0, 10])
    air.transmit('a', frame(1))
    expect(air.transmit('a', frame(2))).toBeCloseTo(1.6)
    world.runSync(5)
    expect(heard).toEqual(['b hears a 1', 'b hears a 2'])
  })

  test('frames on links do not collide, but cost their time and are missed', () => {
    const { world, air, heard } = setUp([0, 10, 20], { lossRatio: 0.2 })
    for (let i = 0; i < 1_000; i++) {
      air.transmit('a', frame(1), 'b')
      air.transmit('c', frame(2), 'b')
      world.runSync(world.now() + 10)
    }
    expect(heard.length).toBeGreaterThan(1_550)
    expect(heard.length).toBeLessThan(1_650)
    expect(air.use('b')).toMatchObject({ received: heard.length, lost: 2_000 - heard.length, collided: 0 })
    expect(air.use('a').transmitMs).toBeCloseTo(800)
    expect(air.use('b').receiveMs).toBeCloseTo(1_600)
    expect(air.use('b').transmissions).toBe(0)
  })

  test('who moves away is out of range', () => {
    const { world, air, heard } = setUp([0, 10])
    air.move('b', { xMeters: 31, yMeters: 0 })
    air.transmit('a', frame(1))
    air.transmit('a', frame(2), 'b')
    world.runSync(5)
    expect(heard).toEqual([])
  })

  test('unknown radios, a name twice and options out of range throw', () => {
    const { world, air } = setUp([0])
    expect(() => air.transmit('z', frame(1))).toThrow(ArgumentError)
    expect(() => air.place('a', { xMeters: 0, yMeters: 0 }, () => undefined)).toThrow(ArgumentError)
    expect(() => new RadioAir(world, { lossRatio: 2 })).toThrow(ArgumentError)
    expect(() => new RadioAir(world, { bitsPerSecond: 0 })).toThrow(ArgumentError)
  })
})

describe('a random topology', () => {
  test('has everybody within reach, and no more links than allowed', () => {
    for (let seed = 0; seed < 5; seed++) {
      const options = { nodes: 100, rangeMeters: 30, maxHops: 7, maxLinks: 6 }
      const { links, diameter, positions } = randomTopology(new SeededRandom(`topology ${seed}`), options)
      expect(positions.size).toBe(100)
      expect(diameter).toBeLessThanOrEqual(7)
      expect(diameter).toBeGreaterThan(4)
      for (const [name, neighbours] of links) {
        expect(neighbours.length).toBeLessThanOrEqual(6)
        for (const neighbour of neighbours) expect(links.get(neighbour)).toContain(name)
        expect(hopsFrom(links, name).size).toBe(100)
      }
    }
  })

  test('that cannot be is refused', () => {
    const options = { nodes: 30, rangeMeters: 30, maxHops: 1, maxLinks: 6 }
    expect(() => randomTopology(new SeededRandom('none'), options)).toThrow(ArgumentError)
  })
})
