import { describe, expect, test } from '@jest/globals'
import { SeededRandom, World } from '@aiv/testkit'
import { InMemoryAir, type InMemoryAirOptions, type InMemoryRadioOptions } from '../src/in-memory-air.js'
import { CompatibleMesh, type CompatibleEvent } from '../src/profiles/bitchat-compatible/compatible-mesh.js'
import { RadioMesh, type RadioMeshOptions } from '../src/profiles/bitchat-compatible/radio-mesh.js'
import { rawDeflate } from '../src/profiles/bitchat-compatible/raw-deflate.node.js'
import { compatibleCrypto, compatibleIdentity } from './compatible-net.js'

interface Participant {
  readonly name: string
  readonly mesh: CompatibleMesh
  readonly radio: RadioMesh
  readonly events: CompatibleEvent[]
  readonly down: Error[]
}

function setUp(options: InMemoryAirOptions = {}, radios: InMemoryRadioOptions = {}) {
  const world = new World({ seed: 'radio' })
  const air = new InMemoryAir({ clock: world.clock('air'), random: world.random('air') }, options)
  const participant = async (name: string, meshOptions: RadioMeshOptions = {}): Promise<Participant> => {
    const clock = world.clock(name)
    const events: CompatibleEvent[] = []
    const down: Error[] = []
    const components = {
      identity: compatibleIdentity(name),
      crypto: compatibleCrypto,
      random: world.random(name),
      compressor: rawDeflate,
    }
    const mesh = new CompatibleMesh(clock.now(), components, { nickname: name })
    const radio = await RadioMesh.start(
      {
        radio: air.radio(name, radios),
        mesh,
        clock,
        onEvent: (event) => events.push(event),
        onDown: (error) => down.push(error),
      },
      meshOptions,
    )
    return { name, mesh, radio, events, down }
  }
  return { world, air, participant }
}

const of = <T extends CompatibleEvent['type']>({ events }: Participant, type: T) =>
  events.filter((event): event is Extract<CompatibleEvent, { type: T }> => event.type === type)

describe('participants on radios', () => {
  test('find each other, talk across hops, and close', async () => {
    const names = ['a', 'b', 'c', 'd']
    // each hears the next alone
    const reach = (from: string, to: string) =>
      Math.abs(names.indexOf(from) - names.indexOf(to)) === 1 ? {} : undefined
    const { world, participant } = setUp({ reach })
    const all: Participant[] = []
    for (const name of names) all.push(await participant(name))
    const [a, , , d] = all as [Participant, Participant, Participant, Participant]
    await world.run(30_000)
    expect(a.mesh.peers.map(({ nickname }) => nickname).sort()).toEqual(['b', 'c', 'd'])
    expect(all.map(({ radio }) => radio.links)).toEqual([1, 2, 2, 1])
    const text = 'a long text that does not fit one packet '.repeat(100)
    a.radio.run((mesh, now) => mesh.sendPublic(now, text))
    const messageId = a.radio.run((mesh, now) => mesh.sendPrivate(now, d.mesh.id, 'between us'))
    await world.run(50_000)
    expect(of(d, 'public-message').map((event) => event.text)).toEqual([text])
    expect(of(d, 'private-message')).toEqual([expect.objectContaining({ text: 'between us', messageId })])
    expect(of(a, 'delivered')).toHaveLength(1)
    await world.settled(d.radio.close())
    await world.settled(d.radio.close())
    await world.run(60_000)
    expect(a.mesh.peers.map(({ nickname }) => nickname).sort()).toEqual(['b', 'c'])
    for (const { radio } of all) await world.settled(radio.close())
    expect(all.map(({ radio }) => radio.links)).toEqual([0, 0, 0, 0])
  })

  test('no more links are opened than allowed, and none to what is hardly heard', async () => {
    const names = Array.from({ length: 5 }, (_, i) => `p${i}`)
    const reach = (from: string, to: string) => (from === 'far' || to === 'far' ? { rssi: -99 } : { rssi: -60 })
    const { world, participant } = setUp({ reach })
    const far = await participant('far', { minRssiIsolated: -95 })
    for (const name of names) await participant(name, { maxDialledLinks: 1 })
    await world.run(30_000)
    expect(far.radio.links).toBe(0)
  })

  test('after a link is lost it comes back, and what was missed is told', async () => {
    let near = true
    const { world, air, participant } = setUp({ reach: () => (near ? {} : undefined) })
    const [a, b] = [await participant('a'), await participant('b')]
    await world.run(10_000)
    near = false
    air.changed()
    await world.run(30_000)
    expect([a.radio.links, b.radio.links]).toEqual([0, 0])
    a.radio.run((mesh, now) => mesh.sendPublic(now, 'while you were away'))
    near = true
    air.changed()
    await world.run(80_000)
    expect(of(b, 'public-message').map(({ text }) => text)).toEqual(['while you were away'])
    for (const { radio } of [a, b]) await world.settled(radio.close())
  })

  test('a slow link with a short queue loses nothing of a long text', async () => {
    const { world, participant } = setUp({ windowPackets: 1, bytesPerSecond: 3_000 })
    const [a, b] = [await participant('a'), await participant('b')]
    await world.run(10_000)
    const text = Array.from(new SeededRandom('text').bytes(8_000), (byte) => byte.toString(16)).join('')
    a.radio.run((mesh, now) => mesh.sendPublic(now, text))
    await world.run(40_000)
    expect(of(b, 'public-message').map((event) => event.text)).toEqual([text])
    for (const { radio } of [a, b]) await world.settled(radio[Symbol.asyncDispose]())
  })

  test('who has no place for a link is left alone for a while, and the others talk', async () => {
    const { world, participant } = setUp({}, { maxLinks: 1 })
    const all = [await participant('a'), await participant('b'), await participant('c')]
    await world.run(60_000)
    expect(all.map(({ radio }) => radio.links).sort()).toEqual([0, 1, 1])
    for (const { radio } of all) await world.settled(radio.close())
  })

  test('a radio that goes down by itself is reported, and nothing follows', async () => {
    const { world, air, participant } = setUp()
    const [a, b] = [await participant('a'), await participant('b')]
    await world.run(10_000)
    expect(a.radio.links).toBe(1)
    air.radio('a').powerOff()
    await world.run(20_000)
    expect([a.down.length, a.radio.links, b.radio.links]).toEqual([1, 0, 0])
    const before = a.events.length
    a.radio.run((mesh, now) => mesh.sendPublic(now, 'into the void'))
    await world.run(100_000)
    expect(a.events).toHaveLength(before)
    await world.settled(a.radio.close())
    await world.settled(b.radio.close())
  })
})
