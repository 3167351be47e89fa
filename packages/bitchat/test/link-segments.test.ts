import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError, toHex } from '@aiv/transport-api'
import { World } from '@aiv/testkit'
import type { BleLink } from '../src/ble-radio.js'
import { InMemoryAir } from '../src/in-memory-air.js'
import { PacketJoiner, segmented, splitPacket } from '../src/link-segments.js'

const packet = (length: number, fill = 7): Uint8Array => {
  const bytes = new Uint8Array(length).fill(fill)
  bytes[0] = 1
  return bytes
}

const joinAll = (joiner: PacketJoiner, segments: Uint8Array[]): (Uint8Array | undefined)[] =>
  segments.map((segment) => joiner.join(segment)).filter((joined) => joined !== undefined)

describe('segments of a packet', () => {
  test('are as docs/wire/bitchat-native.md says', () => {
    const bytes = Uint8Array.from({ length: 70 }, (_, i) => i + 1)
    expect(splitPacket(bytes, 61, 9).map(toHex)).toEqual([
      '8009' + toHex(bytes.subarray(0, 59)),
      'c109' + toHex(bytes.subarray(59)),
    ])
  })

  test('what fits goes as it is', () => {
    expect(splitPacket(packet(61), 61, 0)).toEqual([packet(61)])
    expect(new PacketJoiner().join(packet(61))).toEqual(packet(61))
  })

  test('any packet comes out of them, for every link that is large enough', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 244 }),
        fc.integer({ min: 61, max: 244 }),
        fc.nat(255),
        (bytes, maxPacketBytes, number) => {
          bytes[0] = 1
          const segments = splitPacket(bytes, maxPacketBytes, number)
          expect(segments.every((segment) => segment.length <= maxPacketBytes)).toBe(true)
          expect(joinAll(new PacketJoiner(), segments)).toEqual([bytes])
        },
      ),
    )
  })

  test('where one is lost, its packet is lost and no other', () => {
    for (let lost = 0; lost < 5; lost++) {
      const joiner = new PacketJoiner()
      const segments = splitPacket(packet(244, 1), 61, 0)
      expect(segments).toHaveLength(5)
      segments.splice(lost, 1)
      expect(joinAll(joiner, segments)).toEqual([])
      expect(joinAll(joiner, splitPacket(packet(200, 2), 61, 1))).toEqual([packet(200, 2)])
    }
  })

  test('of two packets are never joined', () => {
    const joiner = new PacketJoiner()
    const [first] = splitPacket(packet(100, 1), 61, 0)
    const [, second] = splitPacket(packet(100, 2), 61, 1)
    expect(
      joinAll(
        joiner,
        [first, second].filter((segment) => segment !== undefined),
      ),
    ).toEqual([])
  })

  test('whatever arrives, no packet over 244 bytes comes of it', () => {
    const segment = fc.tuple(
      fc.constantFrom(0x80, 0x81, 0x82, 0xc1, 0xc2, 0xc3, 1),
      fc.nat(1),
      fc.uint8Array({ maxLength: 200 }),
    )
    fc.assert(
      fc.property(fc.array(segment), (segments) => {
        const joiner = new PacketJoiner()
        for (const [first, number, data] of segments) {
          const joined = joiner.join(Uint8Array.of(first, number, ...data))
          expect(joined?.length ?? 0).toBeLessThanOrEqual(244)
        }
      }),
    )
    expect(new PacketJoiner().join(new Uint8Array(0))).toBeUndefined()
  })

  test.each([
    ['a link below an MTU of 64', packet(10), 60],
    ['a packet over 244 bytes', packet(245), 244],
    ['a packet that looks like a segment', new Uint8Array(10).fill(0x80), 244],
    ['an empty packet', new Uint8Array(0), 244],
  ])('%s is refused', (_, bytes, maxPacketBytes) => {
    expect(() => splitPacket(bytes, maxPacketBytes, 0)).toThrow(ArgumentError)
  })
})

describe('a segmented link', () => {
  async function setUp(maxPacketBytes: number) {
    const world = new World({ seed: 1 })
    const options = { windowPackets: 3, bytesPerSecond: 2_000 }
    const air = new InMemoryAir({ clock: world.clock('air'), random: world.random('air') }, options)
    const links: BleLink[] = []
    const received: Uint8Array[] = []
    const closed: string[] = []
    let writable = 0
    const keep = (link: BleLink): void => {
      const whole = segmented(link)
      if (whole === undefined) return
      links.push(whole)
      whole.attach({
        onPacket: (bytes) => received.push(bytes),
        onWritable: () => writable++,
        onClosed: (code) => closed.push(code),
      })
    }
    const radio = (name: string) => {
      const made = air.radio(name, { maxPacketBytes })
      void made.start({ onSighting: () => undefined, onLink: keep, onDown: () => undefined })
      return made
    }
    const [a, b] = [radio('a'), radio('b')]
    b.advertise({ payload: new Uint8Array(4), intervalMs: 100 })
    const link = await world.settled(a.connect(b.address))
    return { world, link, keep, links, received, closed, writable: () => writable }
  }

  test('takes a whole packet, cuts it, and takes the next when the last segment is out', async () => {
    const { world, link, keep, links, received, closed, writable } = await setUp(61)
    keep(link)
    const [, a] = links
    expect(a?.maxPacketBytes).toBe(244)
    expect(a?.write(packet(244, 1))).toBe(true)
    expect(a?.write(packet(244, 2))).toBe(false)
    await world.advance(2_000)
    expect(writable()).toBe(1)
    expect(a?.write(packet(244, 2))).toBe(true)
    await world.advance(2_000)
    expect(received).toEqual([packet(244, 1), packet(244, 2)])
    a?.close()
    await world.advance(2_000)
    expect(closed.sort()).toEqual(['CLOSED', 'REMOTE_CLOSED'])
  })

  test('of an MTU below 64 there is none', async () => {
    const { link, links } = await setUp(60)
    expect(segmented(link)).toBeUndefined()
    expect(links).toEqual([])
  })
})
