import { describe, expect, test } from '@jest/globals'
import { equalBytes } from '@aiv/transport-api'
import { type CorePair, type Impairment, World, pair } from '@aiv/testkit'
import type { FragmenterEvent, FragmenterOptions, ReassemblerEvent, ReassemblerOptions } from '../src/index.js'
import { Carrier, randomBytes } from './carrier.js'

type Event = FragmenterEvent | ReassemblerEvent<string>

function setUp(
  seed: number,
  impairment: Impairment,
  options: FragmenterOptions & ReassemblerOptions = {},
): { readonly world: World; readonly ends: CorePair<Event, Carrier, Event, Carrier> } {
  const world = new World({ seed })
  const ends = pair(world, new Carrier('a'), new Carrier('b', options), { carry: 'packets', impairment })
  return { world, ends }
}

describe('messages over a lossy link', () => {
  test('without loss every fragment leaves once, and one acknowledgement says that all are there', () => {
    const { world, ends } = setUp(1, { delayMs: 50 })
    const message = randomBytes('message', 10_240)
    ends.a.touch(({ fragmenter }) => fragmenter.send(message))
    world.runSync(10_000)
    expect(ends.b.of('message').map(({ bytes }) => bytes)).toEqual([message])
    expect(ends.a.of('delivered')).toEqual([{ type: 'delivered', message: 0, fragments: 62, repeats: 0 }])
    expect(ends.a.core.fragmenter.counts).toEqual({ fragments: 62, repeats: 0 })
  })

  test.each([0.05, 0.2, 0.4])('with a loss of %d about the lost ones are repeated and no more', (lossRatio) => {
    let fragments = 0
    let repeats = 0
    for (let seed = 0; seed < 10; seed++) {
      const { world, ends } = setUp(seed, { delayMs: 80, jitterMs: 40, lossRatio })
      const message = randomBytes('message', 10_240)
      ends.a.touch(({ fragmenter }) => fragmenter.send(message))
      world.runSync(120_000)
      expect(ends.b.of('message').map(({ bytes }) => equalBytes(bytes, message))).toEqual([true])
      expect(ends.a.of('delivered')).toHaveLength(1)
      fragments += ends.a.core.fragmenter.counts.fragments
      repeats += ends.a.core.fragmenter.counts.repeats
    }
    // what the link loses must be repeated: a share of loss / (1 - loss) of those that arrive
    const needed = (fragments - repeats) * (lossRatio / (1 - lossRatio))
    expect(repeats).toBeGreaterThan(needed * 0.5)
    expect(repeats).toBeLessThan(needed * 1.35 + 20)
  })

  test('what is reordered, doubled and delayed arrives once and whole', () => {
    const impairment = { delayMs: 60, reorderRatio: 0.3, reorderMs: 100, duplicateRatio: 0.2, lossRatio: 0.1 }
    const { world, ends } = setUp(3, impairment)
    const messages = [1, 2, 3, 4].map((i) => randomBytes(`message ${i}`, i * 2_000))
    for (const message of messages) ends.a.touch(({ fragmenter }) => fragmenter.send(message))
    world.runSync(120_000)
    const received = ends.b.of('message').map(({ bytes }) => bytes)
    expect(received).toHaveLength(4)
    expect(received.sort((a, b) => a.length - b.length)).toEqual(messages)
  })

  test('a megabyte goes through a window of 32 fragments', () => {
    const { world, ends } = setUp(4, { delayMs: 20, lossRatio: 0.02 })
    const message = randomBytes('message', 1024 * 1024)
    ends.a.touch(({ fragmenter }) => fragmenter.send(message))
    world.runSync(600_000)
    expect(equalBytes(ends.b.of('message')[0]?.bytes ?? new Uint8Array(), message)).toBe(true)
  })

  test('the more urgent message overtakes', () => {
    const { world, ends } = setUp(5, { delayMs: 20, bytesPerSecond: 10_000 })
    ends.a.touch(({ fragmenter }) => fragmenter.send(randomBytes('low', 100_000), 3))
    world.runSync(500)
    ends.a.touch(({ fragmenter }) => fragmenter.send(randomBytes('high', 1_000), 0))
    world.runSync(120_000)
    expect(ends.b.of('message').map(({ bytes }) => bytes.length)).toEqual([1_000, 100_000])
  })

  test('a message that nobody answers fails after all waits, and the next one is sent afresh', () => {
    const { world, ends } = setUp(6, { delayMs: 20 })
    ends.link.cut()
    ends.a.touch(({ fragmenter }) => fragmenter.send(randomBytes('lost', 1_000)))
    world.runSync(300_000)
    expect(ends.a.of('failed')).toEqual([{ type: 'failed', message: 0, code: 'FRAGMENTS_UNANSWERED' }])
    expect(ends.a.core.fragmenter.queuedBytes).toBe(0)
    // the first seven, and one for each wait but the last
    expect(ends.a.core.fragmenter.counts.fragments).toBe(7 + 11)
    ends.link.restore()
    ends.a.touch(({ fragmenter }) => fragmenter.send(randomBytes('next', 1_000)))
    world.runSync(310_000)
    expect(ends.a.of('delivered').map(({ message }) => message)).toEqual([1])
  })

  test('a transfer that a cut interrupts goes on where it was', () => {
    const { world, ends } = setUp(7, { delayMs: 20, bytesPerSecond: 20_000 })
    ends.a.touch(({ fragmenter }) => fragmenter.send(randomBytes('message', 20_000)))
    world.at(500, () => ends.link.cut())
    world.at(12_000, () => ends.link.restore())
    world.runSync(60_000)
    expect(ends.b.of('message')).toHaveLength(1)
    expect(ends.a.core.fragmenter.counts.repeats).toBeLessThan(60)
  })

  test('what the receiver has no room for fails at the sender, with a code that says so', () => {
    const { world, ends } = setUp(8, { delayMs: 20 }, { maxMessageBytes: 5_000 })
    ends.a.touch(({ fragmenter }) => fragmenter.send(randomBytes('message', 20_000)))
    world.runSync(10_000)
    expect(ends.a.of('failed')).toEqual([{ type: 'failed', message: 0, code: 'FRAGMENTS_REFUSED' }])
    expect(ends.b.of('dropped').map(({ code }) => code)).toEqual(['FRAGMENTS_TOO_LARGE'])
    expect(ends.b.core.reassembler.load).toEqual({ assemblies: 0, bytes: 0 })
  })

  test('nothing is left to wait for when all is done', () => {
    const { world, ends } = setUp(9, { delayMs: 20, lossRatio: 0.2 })
    ends.a.touch(({ fragmenter }) => fragmenter.send(randomBytes('message', 5_000)))
    world.runSync(120_000)
    expect(ends.a.of('delivered')).toHaveLength(1)
    expect(ends.a.core.nextTimeout()).toBeUndefined()
    expect(ends.b.core.nextTimeout()).toBeUndefined()
  })
})
