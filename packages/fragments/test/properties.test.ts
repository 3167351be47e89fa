import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { joinBytes } from '@aiv/transport-api'
import { SeededRandom } from '@aiv/testkit'
import {
  Fragmenter,
  Reassembler,
  decodeBlockAck,
  decodeFragment,
  encodeBlockAck,
  encodeFragment,
  fragmentsFor,
} from '../src/index.js'
import { sha256 } from './carrier.js'

const id = fc.uint8Array({ minLength: 8, maxLength: 8 })

function fragmentsOf(message: Uint8Array, fragmentBytes: number): Uint8Array[] {
  const fragmenter = new Fragmenter({ sha256, random: new SeededRandom('a') }, { fragmentBytes, maxInFlight: 256 })
  fragmenter.send(message)
  const out: Uint8Array[] = []
  for (let bytes = fragmenter.pollOutput(0); bytes !== undefined; bytes = fragmenter.pollOutput(0)) {
    out.push(joinBytes(bytes))
  }
  return out
}

describe('properties', () => {
  test('what is encoded is decoded', () => {
    fc.assert(
      fc.property(
        id,
        fc.nat(65_534),
        fc.integer({ min: 1, max: 65_535 }),
        fc.uint8Array({ minLength: 1 }),
        (...all) => {
          const [id, index, total, data] = all
          fc.pre(index < total)
          expect(decodeFragment(joinBytes(encodeFragment({ id, index, total, data })))).toEqual({
            id,
            index,
            total,
            data,
          })
        },
      ),
    )
    const state = fc.constantFrom('arriving', 'complete', 'refused')
    fc.assert(
      fc.property(id, state, fc.nat(65_535), fc.uint8Array({ maxLength: 32 }), (id, state, first, bitmap) => {
        expect(decodeBlockAck(encodeBlockAck({ id, state, first, bitmap }))).toEqual({ id, state, first, bitmap })
      }),
    )
  })

  test('a message comes out of its fragments in any order, with any repeats', () => {
    const shuffled = fc
      .tuple(
        fc.uint8Array({ minLength: 1, maxLength: 3_000 }),
        fc.integer({ min: 64, max: 400 }),
        fc.infiniteStream(fc.nat()),
      )
      .map(([message, fragmentBytes, chances]) => {
        const fragments = fragmentsOf(message, fragmentBytes)
        expect(fragments).toHaveLength(fragmentsFor(message.length, fragmentBytes))
        expect(fragments.slice(0, -1).every((fragment) => fragment.length === fragmentBytes)).toBe(true)
        const order = [...fragments, ...fragments.filter((_, i) => i % 3 === 0)]
          .map((fragment) => ({ fragment, key: chances.next().value as number }))
          .sort((a, b) => a.key - b.key)
        return { message, order: order.map(({ fragment }) => fragment) }
      })
    fc.assert(
      fc.property(shuffled, ({ message, order }) => {
        const reassembler = new Reassembler<number>({ sha256 })
        const received: Uint8Array[] = []
        for (const bytes of order) {
          reassembler.handleInput(0, { peer: 1, bytes })
          const event = reassembler.pollEvent()
          if (event?.type === 'message') received.push(event.bytes)
        }
        expect(received).toEqual([message])
        expect(reassembler.load).toEqual({ assemblies: 0, bytes: 0 })
      }),
    )
  })

  test('whatever arrives, no limit is passed and nothing is thrown', () => {
    const few = fc.uint8Array({ minLength: 1, maxLength: 1 }).map(([n]) => new Uint8Array(8).fill((n as number) % 5))
    const plausible = fc
      .tuple(few, fc.nat(5), fc.integer({ min: 1, max: 6 }), fc.constantFrom(1, 51, 52, 60, 200))
      .map(([id, index, total, length]) => {
        if (index >= total) return new Uint8Array(0)
        return joinBytes(encodeFragment({ id, index, total, data: new Uint8Array(length) }))
      })
    const bytes = fc.oneof(
      { weight: 4, arbitrary: plausible },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
    )
    const step = fc.record({ peer: fc.nat(3), bytes, after: fc.nat(20_000) })
    const limits = { maxAssemblies: 6, maxAssembliesPerPeer: 3, maxBytes: 1_500, maxBytesPerPeer: 700 }
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const reassembler = new Reassembler<number>({ sha256 }, { ...limits, maxFinished: 4, maxMessageBytes: 500 })
        const fragmenter = new Fragmenter({ sha256, random: new SeededRandom('a') })
        fragmenter.send(new Uint8Array(1_000))
        let now = 0
        for (const { peer, bytes, after } of steps) {
          now += after
          reassembler.handleInput(now, { peer, bytes })
          reassembler.handleTimeout(now)
          fragmenter.handleInput(now, bytes)
          fragmenter.handleTimeout(now)
          while (fragmenter.pollOutput(now) !== undefined);
          while (reassembler.pollEvent() !== undefined);
          for (let out = reassembler.pollOutput(); out !== undefined; out = reassembler.pollOutput()) {
            expect(decodeBlockAck(out.bytes)).toBeDefined()
            fragmenter.handleInput(now, out.bytes)
          }
          expect(reassembler.load.assemblies).toBeLessThanOrEqual(6)
          expect(reassembler.load.bytes).toBeLessThanOrEqual(1_500)
        }
        reassembler.handleTimeout(now + 60_000)
        expect(reassembler.load).toEqual({ assemblies: 0, bytes: 0 })
      }),
    )
  })
})
