import { describe, expect, test } from '@jest/globals'
import { type Clock, toHex } from '@aiv/transport-api'
import { type HciTransport, VirtualAir } from '../src/index.js'
import { start } from './stacks.js'

/** Deterministic chance and no time: nothing here waits for an advertisement. */
const clock: Clock = { now: () => 0, unixNow: () => 0, setTimeout: () => ({ clear: () => undefined }) }
const random = { bytes: (length: number) => new Uint8Array(length), uniform: () => 0 }

function recorded(): { readonly transport: HciTransport; readonly take: () => string[] } {
  const controller = new VirtualAir({ clock, random }).create()
  const written: string[] = []
  return {
    transport: {
      handlePacket: (packet) => {
        written.push(toHex(packet))
        controller.handlePacket(packet)
      },
      listen: (listener) => controller.listen(listener),
      isUp: true,
    },
    take: () => written.splice(0),
  }
}

describe('what the stacks write, byte for byte, recorded with noble 2.8.0 and bleno 0.12.4', () => {
  test('noble resets, asks for what it needs, and scans with a window as long as its interval', async () => {
    const { transport, take } = recorded()
    const noble = await start('noble', transport)
    const written = take()
    expect(written.slice(0, 8)).toEqual([
      '01030c00',
      '01032000',
      '01010c08fffffbff07f8bf3d',
      '010120085f00000000000000',
      '01011000',
      '01091000',
      '012f2000',
      '01010c08fffffbff07f8bf3d',
    ])
    expect(written).toContain('016d0c020100')
    expect(written).toContain('01022000')
    expect(written).toContain('010b200701120012000000')
    noble.startScanning([], false)
    await Promise.resolve()
    expect(take().slice(-3)).toEqual(['010c20020001', '010b200701120012000000', '010c20020101'])
    noble.stop()
  })

  test('bleno sets its advertising parameters once, and the data before and after it enables', async () => {
    const { transport, take } = recorded()
    const bleno = await start('bleno', transport)
    expect(take()).toEqual([
      '01010c08fffffbff07f8bf3d',
      '010120081f00000000000000',
      '01011000',
      '016d0c020100',
      '016c0c00',
      '01091000',
      '01022000',
      '010a200100',
      '0106200fa000a0000000000000000000000700',
    ])
    bleno.startAdvertising('peripheral', ['f47b5e2d4a9e4c5a9b3f8e1d2c3a4b5c'])
    await Promise.resolve()
    const response = '010920200c0b08' + '7065726970686572616c' + '00'.repeat(19)
    const data = '0108202015' + '020106' + '11065c4b3a2c1d8e3f9b5a4c9e4a2d5e7bf4' + '00'.repeat(10)
    expect(take()).toEqual([response, data, '010a200101', response, data])
    bleno.stop()
  })
})
