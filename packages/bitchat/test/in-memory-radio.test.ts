import { describe, expect, test } from '@jest/globals'
import { ArgumentError, type Clock } from '@aiv/transport-api'
import { SeededRandom, World } from '@aiv/testkit'
import type { BleError } from '../src/ble-error.js'
import type { BleLink, BleLinkHandler, BleRadioHandler, BleSighting } from '../src/ble-radio.js'
import { InMemoryAir, type InMemoryAirOptions, type InMemoryRadioOptions } from '../src/in-memory-air.js'
import type { InMemoryRadio } from '../src/in-memory-radio.js'

class Station implements BleRadioHandler {
  readonly sightings: BleSighting[] = []
  readonly links: Recorded[] = []
  down: Error | undefined

  constructor(
    readonly radio: InMemoryRadio,
    readonly takesLinks = true,
  ) {}

  onSighting(sighting: BleSighting): void {
    this.sightings.push(sighting)
  }

  onLink(link: BleLink): void {
    if (this.takesLinks) this.links.push(new Recorded(link))
  }

  onDown(error: Error): void {
    this.down = error
  }
}

class Recorded implements BleLinkHandler {
  readonly packets: Uint8Array[] = []
  writable = 0
  closed: string | undefined

  constructor(readonly link: BleLink) {
    link.attach(this)
  }

  onPacket(bytes: Uint8Array): void {
    this.packets.push(bytes)
  }

  onWritable(): void {
    this.writable++
  }

  onClosed(code: string): void {
    expect(this.closed).toBeUndefined()
    this.closed = code
  }
}

const payload = (n: number): Uint8Array => Uint8Array.of(1, 2, 3, n)
const continuous = { windowMs: 100, intervalMs: 100 }

async function setUp(options: InMemoryAirOptions = {}, radios: InMemoryRadioOptions = {}) {
  const world = new World({ seed: 1 })
  const air = new InMemoryAir({ clock: world.clock('air'), random: world.random('air') }, options)
  const station = async (name: string, takesLinks = true): Promise<Station> => {
    const made = new Station(air.radio(name, radios), takesLinks)
    await made.radio.start(made)
    return made
  }
  return { world, air, station, a: await station('a'), b: await station('b') }
}

type Bench = Awaited<ReturnType<typeof setUp>>

/** Lets `a` see `b`, and connect to it. */
async function connect({ world, a, b }: Bench): Promise<[Recorded, Recorded]> {
  b.radio.advertise({ payload: payload(1), intervalMs: 100 })
  a.radio.scan(continuous)
  await world.until(() => a.sightings.length > 0)
  const link = await world.settled(a.radio.connect(a.sightings[0]?.device ?? ''))
  const other = b.links[0]
  if (other === undefined) throw new Error('no link')
  return [new Recorded(link), other]
}

const rejected = (world: World, promise: Promise<unknown>): Promise<unknown> =>
  world.settled(
    promise.then(
      () => undefined,
      (error: { code?: string }) => error.code ?? error,
    ),
  )

describe('advertisements', () => {
  test('are heard in range while a window is open, with the payload and the strength', async () => {
    const reach = (from: string, to: string) => (from === 'c' || to === 'c' ? undefined : { rssi: -71 })
    const { world, a, b, station } = await setUp({ reach })
    const c = await station('c')
    b.radio.advertise({ payload: payload(7), intervalMs: 100 })
    await world.advance(1_000)
    expect(a.sightings).toEqual([])
    a.radio.scan(continuous)
    c.radio.scan(continuous)
    await world.advance(1_000)
    expect(a.sightings.length).toBeGreaterThan(8)
    expect(a.sightings[0]).toEqual({ device: b.radio.address, payload: payload(7), rssi: -71 })
    expect(c.sightings).toEqual([])
    a.radio.scan(undefined)
    await world.advance(1_000)
    expect(a.sightings.length).toBeLessThan(12)
  })

  test('are heard in proportion to the window', async () => {
    const { world, a, b } = await setUp()
    b.radio.advertise({ payload: payload(1), intervalMs: 100 })
    a.radio.scan({ windowMs: 1_000, intervalMs: 10_000 })
    await world.advance(600_000)
    expect(a.sightings.length / 5_714).toBeGreaterThan(0.09)
    expect(a.sightings.length / 5_714).toBeLessThan(0.11)
    expect(a.radio.airtime().scanMs).toBe(60_000)
  })

  test('a changed payload comes from another address, and the old one reaches nobody', async () => {
    const { world, a, b } = await setUp()
    b.radio.advertise({ payload: payload(1), intervalMs: 100 })
    const before = b.radio.address
    b.radio.advertise({ payload: payload(2), intervalMs: 100 })
    expect(b.radio.address).not.toBe(before)
    expect(await rejected(world, a.radio.connect(before))).toBe('UNREACHABLE')
  })
})

describe('links', () => {
  test('carry packets in order both ways, and none longer than the smaller end takes', async () => {
    const bench = await setUp()
    const [a, b] = await connect(bench)
    expect([a.link.role, b.link.role]).toEqual(['central', 'peripheral'])
    expect(a.link.maxPacketBytes).toBe(244)
    for (let i = 0; i < 10; i++) expect(a.link.write(Uint8Array.of(i))).toBe(true)
    expect(b.link.write([Uint8Array.of(1), Uint8Array.of(2)])).toBe(true)
    await bench.world.advance(1_000)
    expect(b.packets.map(([n]) => n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(a.packets).toEqual([Uint8Array.of(1, 2)])
    expect(() => a.link.write(new Uint8Array(245))).toThrow(ArgumentError)
  })

  test('lose as many packets as the air says', async () => {
    const bench = await setUp({ lossRatio: 0.2 })
    const [a, b] = await connect(bench)
    for (let i = 0; i < 1_000; i++) {
      a.link.write(new Uint8Array(100))
      await bench.world.advance(40)
    }
    expect(b.packets.length).toBeGreaterThan(750)
    expect(b.packets.length).toBeLessThan(850)
  })

  test('a full window takes no more, and says when it does again', async () => {
    const bench = await setUp({ windowPackets: 4, bytesPerSecond: 1_000 })
    const [a, b] = await connect(bench)
    const taken = Array.from({ length: 6 }, () => a.link.write(new Uint8Array(100)))
    expect(taken).toEqual([true, true, true, true, false, false])
    await bench.world.advance(1_000)
    expect(b.packets).toHaveLength(4)
    expect(a.writable).toBe(1)
    expect(a.link.write(new Uint8Array(100))).toBe(true)
  })

  test('nothing is read before somebody attaches, and then everything', async () => {
    const bench = await setUp({ windowPackets: 4 })
    bench.b.radio.advertise({ payload: payload(1), intervalMs: 100 })
    const link = await bench.world.settled(bench.a.radio.connect(bench.b.radio.address))
    const other = bench.b.links[0]
    for (let i = 0; i < 6; i++) {
      other?.link.write(Uint8Array.of(i))
      await bench.world.advance(100)
    }
    const late = new Recorded(link)
    await bench.world.advance(100)
    expect(late.packets.map(([n]) => n)).toEqual([0, 1, 2, 3])
    expect(other?.writable).toBe(1)
  })

  test('one that nobody attaches to is closed', async () => {
    const { world, a, station } = await setUp()
    const rude = await station('rude', false)
    rude.radio.advertise({ payload: payload(1), intervalMs: 100 })
    const link = new Recorded(await world.settled(a.radio.connect(rude.radio.address)))
    await world.advance(1_000)
    expect(link.closed).toBe('REMOTE_CLOSED')
  })

  test('closing one end closes the other', async () => {
    const bench = await setUp()
    const [a, b] = await connect(bench)
    a.link.close()
    a.link.close()
    expect(a.link.write(Uint8Array.of(1))).toBe(false)
    await bench.world.advance(1_000)
    expect([a.closed, b.closed]).toEqual(['CLOSED', 'REMOTE_CLOSED'])
  })

  test('out of range the supervision timeout ends them, and a short gap does not', async () => {
    const bench = await setUp()
    const [a, b] = await connect(bench)
    bench.air.cut('a', 'b')
    await bench.world.advance(3_000)
    a.link.write(Uint8Array.of(1))
    bench.air.restore('a', 'b')
    await bench.world.advance(5_000)
    expect([a.closed, b.closed]).toEqual([undefined, undefined])
    bench.air.cut('a', 'b')
    await bench.world.advance(4_000)
    expect([a.closed, b.closed]).toEqual(['SUPERVISION_TIMEOUT', 'SUPERVISION_TIMEOUT'])
  })

  test('without power all is down, and the other side notices', async () => {
    const bench = await setUp()
    const [a, b] = await connect(bench)
    bench.a.radio.powerOff()
    expect(bench.a.down).toMatchObject({ code: 'NO_ADAPTER' })
    await bench.world.advance(5_000)
    expect([a.closed, b.closed]).toEqual(['ADAPTER_DOWN', 'REMOTE_CLOSED'])
    const other = bench.air.radio('off')
    other.powerOff()
    expect(await rejected(bench.world, other.start(bench.a))).toBe('NO_ADAPTER')
  })

  test('a closed radio is silent, and takes no more', async () => {
    const bench = await setUp()
    const [a, b] = await connect(bench)
    await bench.world.settled(bench.b.radio.close())
    await bench.world.advance(1_000)
    expect([a.closed, b.closed]).toEqual(['REMOTE_CLOSED', 'CLOSED'])
    expect(await rejected(bench.world, bench.b.radio.connect('x'))).toBe('TRANSPORT_CLOSED')
    expect(bench.world.pendingEvents).toBe(0)
  })
})

describe('connecting', () => {
  test('to somebody who does not advertise ends in time', async () => {
    const { world, a, b } = await setUp()
    expect(await rejected(world, a.radio.connect(b.radio.address))).toBe('TIMEOUT')
    expect(world.now()).toBe(8_000)
  })

  test('twice to the same device, or to more than there is room for, is refused', async () => {
    const bench = await setUp({}, { maxLinks: 1 })
    await connect(bench)
    expect(await rejected(bench.world, bench.a.radio.connect(bench.b.radio.address))).toBe('LINK_EXISTS')
    const c = await bench.station('c')
    c.radio.advertise({ payload: payload(1), intervalMs: 100 })
    expect(await rejected(bench.world, bench.a.radio.connect(c.radio.address))).toBe('LINK_LIMIT')
    expect(await rejected(bench.world, c.radio.connect(bench.b.radio.address))).toBe('LINK_LIMIT')
  })

  test('both at once make one link', async () => {
    const { world, a, b } = await setUp()
    a.radio.advertise({ payload: payload(1), intervalMs: 100 })
    b.radio.advertise({ payload: payload(2), intervalMs: 100 })
    const results = [a.radio.connect(b.radio.address), b.radio.connect(a.radio.address)]
    const [ends] = await Promise.all([
      Promise.allSettled(results),
      world.until(() => a.links.length + b.links.length > 0).then(() => world.advance(1_000)),
    ])
    const codes = ends.map((end) => (end.status === 'rejected' ? (end.reason as BleError).code : 'linked'))
    expect(codes.sort()).toEqual(['LINK_EXISTS', 'linked'])
  })

  test('is given up by the signal, and no link comes of it', async () => {
    const { world, a, b } = await setUp()
    b.radio.advertise({ payload: payload(1), intervalMs: 1_000 })
    const controller = new AbortController()
    const connecting = a.radio.connect(b.radio.address, { signal: controller.signal })
    world.at(50, () => controller.abort(new Error('enough')))
    expect(await rejected(world, connecting)).toEqual(new Error('enough'))
    await world.advance(5_000)
    expect(b.links).toEqual([])
  })
})

test('on a real clock packets stay in order as well', async () => {
  const clock: Clock = {
    now: () => performance.now(),
    unixNow: () => Date.now(),
    setTimeout(run, delayMs) {
      const timer = setTimeout(run, delayMs)
      return { clear: () => clearTimeout(timer) }
    },
  }
  const options = { setUpMs: 0, connectionIntervalMs: 1.3, latencyMs: 0.4, windowPackets: 300 }
  const air = new InMemoryAir({ clock, random: new SeededRandom('real') }, options)
  const [a, b] = [new Station(air.radio('a')), new Station(air.radio('b'))]
  await Promise.all([a.radio.start(a), b.radio.start(b)])
  b.radio.advertise({ payload: payload(1), intervalMs: 20 })
  const link = new Recorded(await a.radio.connect(b.radio.address))
  const all = new Promise<void>((done) => {
    const received = b.links[0]?.packets ?? []
    const look = (): void => void (received.length === 200 ? done() : setTimeout(look, 1))
    look()
  })
  for (let i = 0; i < 200; i++) expect(link.link.write(Uint8Array.of(i))).toBe(true)
  await all
  expect(b.links[0]?.packets.map(([n]) => n)).toEqual(Array.from({ length: 200 }, (_, i) => i))
  await Promise.all([a.radio.close(), b.radio.close()])
  expect(link.closed).toBeDefined()
})

test('the account says how long a radio did what', async () => {
  const bench = await setUp({ connectionIntervalMs: 100, setUpMs: 0 })
  const [a] = await connect(bench)
  bench.a.radio.scan(undefined)
  bench.b.radio.advertise(undefined)
  const before = bench.a.radio.airtime()
  for (let i = 0; i < 50; i++) {
    a.link.write(new Uint8Array(244))
    await bench.world.advance(100)
  }
  const after = bench.a.radio.airtime()
  // 261 bytes at 8 µs each, and 50 idle meetings of 80 µs
  expect(after.transmitMs - before.transmitMs).toBeCloseTo(50 * (2.088 + 0.08), 3)
  expect(after.scanMs).toBe(before.scanMs)
  expect(bench.b.radio.airtime().receiveMs).toBeGreaterThan(50 * 2)
  expect(bench.b.radio.airtime().advertiseMs).toBeGreaterThan(0)
})

test.each([{ lossRatio: 1.1 }, { bytesPerSecond: 0 }, { setUpMs: -1 }, { windowPackets: Number.NaN }])(
  'options %j throw',
  (options) => {
    const world = new World({ seed: 1 })
    const make = (): InMemoryAir => new InMemoryAir({ clock: world.clock('air'), random: world.random('air') }, options)
    expect(make).toThrow(ArgumentError)
  },
)
