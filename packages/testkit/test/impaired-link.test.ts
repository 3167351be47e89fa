import { describe, expect, test } from '@jest/globals'
import { type Impairment, World } from '../src/index.js'

/** Sends `count` packets, `everyMs` apart; gives the numbers that arrived with their times, and the link. */
function send(impairment: Impairment, count: number, everyMs = 1, bytes = 100) {
  const world = new World({ seed: 'link' })
  const link = world.link('a', 'b', impairment)
  const arrived: { number: number; afterMs: number }[] = []
  const gone: number[] = []
  for (let number = 0; number < count; number++) {
    world.at(number * everyMs, () => {
      const sentAt = world.now()
      const deliver = (): void => void arrived.push({ number, afterMs: world.now() - sentAt })
      link.from('a').send(bytes, deliver, () => gone.push(number))
    })
  }
  return { world, link, arrived, gone, direction: link.from('a') }
}

const numbers = (arrived: readonly { number: number }[]): number[] => arrived.map(({ number }) => number)
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe('ImpairedLink', () => {
  test('without impairment everything arrives, in order, at the same moment but not inside send', () => {
    const world = new World({ seed: 0 })
    const link = world.link('a', 'b')
    const told: string[] = []
    link.from('a').send(10, () => told.push('first'))
    link.from('b').send(10, () => told.push('back'))
    told.push('sent')
    world.runSync(0)
    expect(told).toEqual(['sent', 'first', 'back'])
  })

  test('delay is what it is, jitter is within its bound and keeps the order', () => {
    const { world, arrived } = send({ delayMs: 50, jitterMs: 20 }, 2000, 1)
    world.runSync(10_000)
    expect(numbers(arrived)).toEqual(range(2000))
    for (const { afterMs } of arrived) expect(afterMs >= 50 && afterMs < 70.001).toBe(true)
    const mean = arrived.reduce((sum, { afterMs }) => sum + afterMs, 0) / 2000
    expect(mean).toBeGreaterThan(60)
  })

  test('loss, duplicates and reordering come as often as asked for, the same for one seed', () => {
    const impairment = { delayMs: 20, lossRatio: 0.2, duplicateRatio: 0.1, reorderRatio: 0.05 }
    const [first, second] = [send(impairment, 10_000), send(impairment, 10_000)]
    first.world.runSync(20_000)
    second.world.runSync(20_000)
    expect(second.arrived).toEqual(first.arrived)
    const { counts } = first.direction
    expect(counts.sent).toBe(10_000)
    expect(counts.lost / 10_000).toBeCloseTo(0.2, 1)
    expect(counts.reordered / 10_000).toBeCloseTo(0.05, 1)
    expect(counts.duplicated / (10_000 - counts.lost)).toBeCloseTo(0.1, 1)
    expect(counts.delivered).toBe(10_000 - counts.lost + counts.duplicated)
    expect(first.arrived).toHaveLength(counts.delivered)
    expect(first.gone).toHaveLength(counts.lost)
    const overtaken = first.arrived.filter(
      ({ number }, at) => number < Math.max(...numbers(first.arrived.slice(Math.max(0, at - 50), at))),
    )
    expect(overtaken.length).toBeGreaterThan(100)
  })

  test('a rate spaces packets out, and what does not fit the queue is dropped', () => {
    // 100 bytes at 10 kB/s take 10 ms each; one on the wire and ten in the queue
    const { world, arrived, direction, gone } = send({ bytesPerSecond: 10_000, queueBytes: 1000 }, 50, 0)
    world.runSync(0)
    expect(direction.counts.dropped).toBe(40)
    expect(direction.queuedBytes).toBe(1000)
    expect(direction.idleAt).toBe(100)
    world.runSync(1000)
    expect(arrived.map(({ afterMs }) => Math.round(afterMs))).toEqual(range(10).map((index) => (index + 1) * 10))
    expect(direction.queuedBytes).toBe(0)
    expect(gone).toHaveLength(40)
  })

  test('a packet larger than the queue goes over an idle link', () => {
    const { world, arrived } = send({ bytesPerSecond: 1000, queueBytes: 10 }, 1, 1, 5000)
    world.runSync(10_000)
    expect(arrived).toEqual([{ number: 0, afterMs: 5000 }])
  })

  test('a cut loses what is sent and what is on the way, in one direction or both, until it is restored', () => {
    const { world, link, arrived, direction, gone } = send({ delayMs: 10 }, 100)
    let back = 0
    world.every(1, () => void link.from('b').send(1, () => void back++))
    world.at(30.5, () => link.cut('a'))
    world.at(60.5, () => link.restore('a'))
    world.runSync(200)
    expect(numbers(arrived)).toEqual([...range(21), ...range(100).slice(61)])
    expect(gone).toHaveLength(40)
    expect(direction.counts.cut).toBe(40)
    expect(back).toBe(190)
    link.cut()
    expect([link.isCut, link.from('a').isCut, link.from('b').isCut]).toEqual([true, true, true])
    world.runSync(300)
    expect(back).toBe(190)
  })

  test('it can be changed at run time, each direction on its own', () => {
    const { world, link, arrived } = send({ delayMs: 10 }, 4, 100)
    world.at(150, () => link.set({ delayMs: 90 }, 'a'))
    world.runSync(1000)
    expect(arrived.map(({ afterMs }) => afterMs)).toEqual([10, 10, 90, 90])
    expect(link.from('b').impairment.delayMs).toBe(10)
    link.set({})
    expect(link.from('b').impairment).toEqual({})
  })

  test('nonsense is refused', () => {
    const world = new World({ seed: 0 })
    expect(() => world.link('a', 'a')).toThrow(/itself/)
    expect(() => world.link('a', 'b', { lossRatio: 1.1 })).toThrow(/lossRatio/)
    expect(() => world.link('a', 'b', { delayMs: -1 })).toThrow(/delayMs/)
    expect(() => world.link('a', 'b', { bytesPerSecond: 0 })).toThrow(/bytesPerSecond/)
    expect(() => world.link('a', 'b').from('c')).toThrow(/no end/)
  })
})
