import { afterEach, describe, expect, test } from '@jest/globals'
import { closeAirs, type Line, radioOn, Station, until, virtualAir } from './virtual-radios.js'

const NODES = 8
const PACKETS = 50

const stations: Station[] = []
afterEach(async () => {
  await Promise.all(stations.splice(0).map(({ radio }) => radio.close()))
  closeAirs()
})

/** The last byte of an address counts the controllers. */
const position = (address: string): number => parseInt(address.slice(-2), 16)

describe('eight nodes in a line, each of which hears its neighbours only', () => {
  test('packets of 244 bytes cross seven links in order, and a cut in the middle is noticed on both sides', async () => {
    const air = virtualAir({ signal: (a, b) => (Math.abs(position(a) - position(b)) === 1 ? -60 : undefined) })
    for (let n = 1; n <= NODES; n++) {
      const station = await Station.start(radioOn(air.create()))
      stations.push(station)
      station.advertise(n)
      station.scan()
    }
    // all dial their right neighbour at the same time, while they are dialled by their left one
    await Promise.all(stations.slice(0, -1).map(async (station, n) => station.connect(await station.sees(n + 2))))
    await until(() => stations.slice(1).every(({ lines }) => lines.some(({ link }) => link.role === 'peripheral')))
    for (const { sightings } of stations) expect([...sightings.keys()].length).toBeLessThanOrEqual(2)

    const side = (n: number, role: 'central' | 'peripheral'): Line =>
      stations[n]?.lines.find(({ link }) => link.role === role) as Line
    const packets = Array.from({ length: PACKETS }, (_, i) => new Uint8Array(244).fill(i))
    // hop by hop, each as soon as it has something
    await Promise.all(
      stations.slice(0, -1).map(async (_, n) => {
        for (const [i, packet] of packets.entries()) {
          if (n > 0) await until(() => side(n, 'peripheral').packets.length > i)
          const next = n === 0 ? packet : (side(n, 'peripheral').packets[i] as Uint8Array)
          while (!side(n, 'central').link.write(next)) await new Promise((resolve) => setTimeout(resolve, 1))
        }
      }),
    )
    await until(() => side(NODES - 1, 'peripheral').packets.length === PACKETS)
    expect(side(NODES - 1, 'peripheral').packets).toEqual(packets)

    const [third, fourth] = [air.controllers[3], air.controllers[4]]
    if (third === undefined || fourth === undefined) throw new Error('too few controllers')
    air.cut(third, fourth)
    await until(() => side(3, 'central').closed !== undefined && side(4, 'peripheral').closed !== undefined)
    expect([side(3, 'central').closed, side(4, 'peripheral').closed]).toEqual([
      'SUPERVISION_TIMEOUT',
      'SUPERVISION_TIMEOUT',
    ])
    expect(side(2, 'central').closed).toBeUndefined()
  }, 30_000)
})
