import { describe, expect, test } from '@jest/globals'
import { World } from '@aiv/testkit'
import { RadioLink, type RadioLinkOptions } from '../src/radio-link.js'

/** A link over a stack that is played by hand. */
function bench(options: Partial<RadioLinkOptions> = {}) {
  const world = new World({ seed: 1 })
  const sent: number[] = []
  const said: string[] = []
  let disconnects = 0
  const link: RadioLink = new RadioLink({
    id: 1,
    device: 'c0ffee000001',
    role: 'central',
    maxPacketBytes: 244,
    clock: world.clock('link'),
    stack: {
      transmit: ({ length }) => sent.push(length),
      buffersFor: (bytes) => Math.ceil(bytes / 100),
      disconnect: () => disconnects++,
      rssi: () => -60,
    },
    windowPackets: 4,
    stallTimeoutMs: 1000,
    closeTimeoutMs: 500,
    paceMs: undefined,
    onTransmit: () => undefined,
    onReceived: () => undefined,
    onEnded: () => said.push('ended'),
    ...options,
  })
  const attach = (): void =>
    link.attach({
      onPacket: (bytes) => said.push(`packet ${bytes.length}`),
      onWritable: () => said.push('writable'),
      onClosed: (code) => said.push(`closed ${code}`),
    })
  return { world, link, sent, said, attach, disconnects: () => disconnects }
}

const packet = (length: number): Uint8Array => new Uint8Array(length)

describe('a link over a stack without bounds', () => {
  test('a packet leaves the window when all of its buffers are sent', () => {
    const { link, sent, said, attach } = bench()
    attach()
    expect([201, 50, 50, 50, 50].map((bytes) => link.write(packet(bytes)))).toEqual([true, true, true, true, false])
    expect(sent).toEqual([201, 50, 50, 50])
    link.sent(2)
    expect(link.write(packet(1))).toBe(false)
    // the third buffer of the first packet, and the second packet
    link.sent(2)
    expect(said).toEqual(['writable'])
    expect([1, 1, 1].map((bytes) => link.write(packet(bytes)))).toEqual([true, true, false])
    // of which some were not the link's own
    link.sent(100)
    expect(said).toEqual(['writable', 'writable'])
    link.sent(1)
    expect(said).toHaveLength(2)
  })

  test('a window that moves is not stalled, and one that does not is given up', async () => {
    const { world, link, said, attach } = bench()
    attach()
    for (let i = 0; i < 3; i++) link.write(packet(10))
    for (let i = 0; i < 2; i++) {
      await world.advance(900)
      link.sent(1)
    }
    await world.advance(900)
    expect(said).toEqual([])
    await world.advance(1000)
    expect(said).toEqual(['ended', 'closed STALLED'])
  })

  test('without the stack’s word packets count as sent at a pace', async () => {
    const { world, link, said, attach } = bench({ paceMs: 15 })
    attach()
    for (let i = 0; i < 5; i++) link.write(packet(244))
    await world.advance(29)
    expect(said).toEqual([])
    await world.advance(1)
    expect(said).toEqual(['writable'])
    await world.advance(10_000)
    expect(said).toEqual(['writable'])
  })

  test('an end that the stack does not confirm comes all the same, once', async () => {
    const { world, link, said, attach, disconnects } = bench()
    attach()
    link.close()
    link.closeWith('STALLED')
    expect(disconnects()).toBe(1)
    await world.advance(499)
    expect(said).toEqual([])
    await world.advance(1)
    link.ended('REMOTE_CLOSED')
    expect(said).toEqual(['ended', 'closed CLOSED'])
    expect(link.write(packet(1))).toBe(false)
  })

  test('what comes before attach waits, within bounds, and an end is told once, later', async () => {
    const { link, said, attach } = bench()
    link.received(packet(1))
    link.received(packet(2))
    attach()
    link.received(packet(3))
    expect(said).toEqual([])
    await Promise.resolve()
    link.received(packet(4))
    expect(said).toEqual(['packet 1', 'packet 2', 'packet 3', 'packet 4'])

    const flooded = bench()
    for (let i = 0; i < 33; i++) flooded.link.received(packet(1))
    expect(flooded.disconnects()).toBe(1)
    flooded.link.ended('REMOTE_CLOSED')
    flooded.attach()
    expect(flooded.said).toEqual(['ended'])
    await Promise.resolve()
    expect(flooded.said).toEqual(['ended', 'closed STALLED'])

    const ending = bench()
    ending.attach()
    ending.link.ended('REMOTE_CLOSED')
    await Promise.resolve()
    expect(ending.said).toEqual(['ended', 'closed REMOTE_CLOSED'])
    expect(() => ending.attach()).toThrow('attached already')
  })

  test('nothing is told after the end, nor while it is under way', () => {
    const { link, said, attach } = bench()
    attach()
    for (let i = 0; i < 5; i++) link.write(packet(10))
    link.close()
    link.received(packet(1))
    link.sent(5)
    expect(said).toEqual([])
    link.ended('SUPERVISION_TIMEOUT')
    link.received(packet(1))
    link.sent(1)
    expect(said).toEqual(['ended', 'closed CLOSED'])
  })
})
