import { readFile } from 'node:fs/promises'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { fromHex, toHex } from '@aiv/transport-api'
import type { HciTransport, VirtualAirOptions, VirtualController } from '@aiv/ble-virtual'
import type { NobleBlenoOptions } from '../src/noble-bleno-options.js'
import { closeAirs, type Line, radioOn, Station, until, virtualAir } from './virtual-radios.js'

const opened: Station[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ radio }) => radio.close()))
  closeAirs()
})

/** So many stations in reach of each other, station n advertising n four times. */
async function stations(count: number, air: Partial<VirtualAirOptions> = {}, options: NobleBlenoOptions = {}) {
  const shared = virtualAir(air)
  const made: Station[] = []
  for (let n = 1; n <= count; n++) {
    const station = await Station.start(radioOn(shared.create(), options))
    opened.push(station)
    made.push(station)
    station.advertise(n)
  }
  return { air: shared, made, controllers: shared.controllers }
}

/** Two stations and the link between them: `a` dialled. */
async function linked(air: Partial<VirtualAirOptions> = {}, options: NobleBlenoOptions = {}) {
  const { made, controllers, ...rest } = await stations(2, air, options)
  const [a, b] = made as [Station, Station]
  a.scan()
  const from = await a.connect(await a.sees(2))
  await until(() => b.lines.length === 1)
  return {
    ...rest,
    a,
    b,
    from,
    to: b.lines[0] as Line,
    controllers: controllers as [VirtualController, VirtualController],
  }
}

/** Writes all, waiting whenever the window is full; how often it was. */
async function writeAll(line: Line, packets: readonly Uint8Array[]): Promise<number> {
  let full = 0
  for (const packet of packets) {
    while (!line.link.write(packet)) {
      full++
      const before = line.writable
      await until(() => line.writable > before || line.closed !== undefined)
    }
  }
  return full
}

const numbered = (count: number, length: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => new Uint8Array(length).fill(i))

describe('the real stacks over virtual controllers', () => {
  test('a sighting has the four bytes, a link takes 244 bytes, and packets arrive in order both ways', async () => {
    const { a, from, to } = await linked()
    expect([...a.sightings.values()].map(({ payload, rssi }) => [toHex(payload), rssi])).toEqual([['02020202', -50]])
    expect([from.link.role, to.link.role]).toEqual(['central', 'peripheral'])
    expect([from.link.maxPacketBytes, to.link.maxPacketBytes]).toEqual([244, 244])
    const packets = numbered(100, 244)
    await Promise.all([writeAll(from, packets), writeAll(to, packets)])
    await until(() => from.packets.length === 100 && to.packets.length === 100)
    expect(from.packets).toEqual(packets)
    expect(to.packets).toEqual(packets)
  })

  test('small controller buffers cut packets, and nothing else changes', async () => {
    const { from, to } = await linked({ aclBytes: 27, aclCount: 1, dataLengthExtension: false })
    const packets = numbered(20, 244)
    await Promise.all([writeAll(from, packets), writeAll(to, packets)])
    await until(() => from.packets.length === 20 && to.packets.length === 20)
    expect(from.packets).toEqual(packets)
  })

  test('a packet over the limit is our caller’s mistake, and does not leave', async () => {
    const { from, to } = await linked({}, { attMtu: 100 })
    for (const { link } of [from, to]) {
      expect(link.maxPacketBytes).toBe(97)
      expect(() => link.write(new Uint8Array(98))).toThrow('98 bytes on a link that takes 1 to 97')
      expect(() => link.write([new Uint8Array(97), new Uint8Array(1)])).toThrow('98 bytes')
      expect(() => link.write(new Uint8Array(0))).toThrow('0 bytes')
      expect(link.write([new Uint8Array(96), new Uint8Array(1)])).toBe(true)
    }
  })

  test('the window refuses what the stacks would pile up, and says when there is room', async () => {
    const { from, to } = await linked({ latencyMs: 20 }, { windowPackets: 3 })
    for (const line of [from, to]) {
      const taken = numbered(10, 50).map((packet) => line.link.write(packet))
      expect(taken).toEqual([true, true, true, false, false, false, false, false, false, false])
      await until(() => line.writable === 1)
      expect(line.link.write(new Uint8Array(50))).toBe(true)
    }
  })

  test('closing one end closes both, each with its own word for it', async () => {
    const { from, to } = await linked()
    from.link.close()
    from.link.close()
    await until(() => from.closed !== undefined && to.closed !== undefined)
    expect([from.closed, to.closed]).toEqual(['CLOSED', 'REMOTE_CLOSED'])
    expect(from.link.write(new Uint8Array(1))).toBe(false)
  })

  test('the peripheral may close too, and the two connect again', async () => {
    const { a, b, from, to } = await linked()
    to.link.close()
    await until(() => from.closed !== undefined && to.closed !== undefined)
    expect([from.closed, to.closed]).toEqual(['REMOTE_CLOSED', 'CLOSED'])
    await a.connect(from.link.device)
    await until(() => b.lines.length === 2)
    expect(b.lines[1]?.link.id).not.toBe(to.link.id)
  })

  test('out of range is told to both when the supervision timeout is over', async () => {
    const { air, controllers, from, to } = await linked()
    air.cut(...controllers)
    from.link.write(new Uint8Array(10))
    await until(() => from.closed !== undefined && to.closed !== undefined)
    expect([from.closed, to.closed]).toEqual(['SUPERVISION_TIMEOUT', 'SUPERVISION_TIMEOUT'])
  })

  test('a window that does not move is given up', async () => {
    const { air, controllers, from } = await linked({}, { stallTimeoutMs: 50, supervisionTimeoutMs: 5000 })
    air.cut(...controllers)
    expect(from.link.write(new Uint8Array(10))).toBe(true)
    await until(() => from.closed !== undefined)
    expect(from.closed).toBe('STALLED')
  })

  test('one link per pair, whoever asks', async () => {
    const { a, b, from, to } = await linked()
    await expect(a.radio.connect(from.link.device)).rejects.toMatchObject({ code: 'LINK_EXISTS' })
    b.scan()
    await b.sees(1)
    await expect(b.radio.connect(to.link.device)).rejects.toMatchObject({ code: 'LINK_EXISTS' })
  })

  test('the limit of links is refused here and there', async () => {
    const { made } = await stations(3, {}, { maxLinks: 1 })
    const [a, b, c] = made as [Station, Station, Station]
    a.scan()
    c.scan()
    const toB = await a.connect(await a.sees(2))
    await expect(a.radio.connect(await a.sees(3))).rejects.toMatchObject({ code: 'LINK_LIMIT', retryable: true })
    await expect(c.radio.connect(await c.sees(2))).rejects.toMatchObject({ code: 'UNREACHABLE' })
    expect(b.lines).toHaveLength(1)
    expect(toB.closed).toBeUndefined()
  })

  test('a connect to somebody who is gone ends in time, blocks nobody, and the scan goes on', async () => {
    const { air, made, controllers } = await stations(3, {}, { initiateTimeoutMs: 100 })
    const [a, b, c] = made as [Station, Station, Station]
    a.scan()
    const [gone, there] = [await a.sees(2), await a.sees(3)]
    air.cut(controllers[0] as VirtualController, controllers[1] as VirtualController)
    const [first, second] = await Promise.allSettled([a.radio.connect(gone), a.connect(there)])
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'TIMEOUT', retryable: true } })
    expect(second.status).toBe('fulfilled')
    expect(c.lines).toHaveLength(1)
    a.sightings.clear()
    await a.sees(3)
    air.heal(controllers[0] as VirtualController, controllers[1] as VirtualController)
    await a.sees(2)
    await a.connect(gone)
    expect(b.lines).toHaveLength(1)
  })

  test('a connect ends with its signal’s reason, at any moment, and another one follows', async () => {
    const { made } = await stations(2)
    const [a, b] = made as [Station, Station]
    a.scan()
    const device = await a.sees(2)
    const reason = new Error('changed my mind')
    await expect(a.radio.connect(device, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    for (const turns of [0, 1, 3, 10, 30]) {
      const controller = new AbortController()
      const connecting = a.radio.connect(device, { signal: controller.signal })
      for (let i = 0; i < turns; i++) await Promise.resolve()
      controller.abort(reason)
      await expect(connecting).rejects.toBe(reason)
    }
    await a.connect(device)
    await until(() => b.lines.length === 1)
  })

  test('too many connects at once are refused', async () => {
    const { made } = await stations(2, {}, { maxWaitingConnects: 1 })
    const [a] = made as [Station, Station]
    a.scan()
    const device = await a.sees(2)
    const [first, second, third] = await Promise.allSettled([1, 2, 3].map(() => a.radio.connect(device)))
    expect(first?.status).toBe('fulfilled')
    expect(second).toMatchObject({ reason: { code: 'LINK_EXISTS' } })
    expect(third).toMatchObject({ reason: { code: 'LINK_LIMIT' } })
  })

  test('a device that was never seen is not dialled', async () => {
    const { made } = await stations(1)
    await expect(made[0]?.radio.connect('c0ffee000099')).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  test('advertising goes on after connects, dialled and accepted, although noble resets the controller', async () => {
    const { made } = await stations(3)
    const [a, b, c] = made as [Station, Station, Station]
    b.scan()
    await b.connect(await b.sees(3))
    c.scan()
    a.scan()
    await a.connect(await a.sees(2))
    expect(b.lines.map(({ link }) => link.role)).toEqual(['central', 'peripheral'])
    for (const station of [a, b, c]) station.sightings.clear()
    await Promise.all([a.sees(2), a.sees(3), c.sees(1), c.sees(2)])
  })

  test('a new payload is seen at once, and none after the end of the advertising', async () => {
    const { made, controllers } = await stations(2)
    const [a, b] = made as [Station, Station]
    a.scan()
    await a.sees(2)
    b.advertise(7)
    await a.sees(7)
    b.radio.advertise(undefined)
    await until(() => controllers[1]?.isAdvertising === false)
  })

  test('the advertisement and the scan response are those of docs/wire/bitchat-ble.md, at the interval that was asked for', async () => {
    const document = await readFile(new URL('../../../docs/wire/bitchat-ble.md', import.meta.url), 'utf8')
    const golden = [...document.matchAll(/^(?:advertisement|scan response) +([0-9a-f]+)$/gm)].map(([, hex = '']) => hex)
    expect(golden).toHaveLength(2)
    const controller = virtualAir().create()
    const written: string[] = []
    const recorded: HciTransport = {
      handlePacket: (packet) => {
        written.push(toHex(packet))
        controller.handlePacket(packet)
      },
      listen: (listener) => controller.listen(listener),
      isUp: true,
    }
    const station = await Station.start(radioOn(recorded))
    opened.push(station)
    written.length = 0
    station.radio.advertise({ payload: fromHex('0123abff'), intervalMs: 250 })
    await until(() => controller.isAdvertising)
    const data = (opcode: string, hex: string) =>
      `01${opcode}20${toHex(Uint8Array.of(hex.length / 2))}${hex.padEnd(62, '0')}`
    expect(written).toContain(data('0820', golden[0] as string))
    expect(written).toContain(data('0920', golden[1] as string))
    expect(written).toContain('0106200f' + '90019001' + '00000000000000000007' + '00')
  })

  test('a scan window opens and closes by itself', async () => {
    const { made, controllers } = await stations(1)
    made[0]?.radio.scan({ windowMs: 30, intervalMs: 60 })
    for (const expected of [true, false, true, false]) await until(() => controllers[0]?.isScanning === expected)
    made[0]?.radio.scan(undefined)
    const { scanMs, advertiseMs } = made[0]?.radio.airtime() ?? { scanMs: 0, advertiseMs: 0 }
    expect(scanMs).toBeGreaterThan(50)
    expect(advertiseMs).toBeGreaterThan(0)
  })

  test('airtime counts packets with their headers', async () => {
    const { a, b, from, to } = await linked()
    from.link.write(new Uint8Array(244))
    await until(() => to.packets.length === 1)
    expect(a.radio.airtime().transmitMs).toBeCloseTo(2.12)
    expect(b.radio.airtime().receiveMs).toBeCloseTo(2.12)
  })
})

describe('a stranger', () => {
  /** A host that is driven by hand, connected to a station. */
  async function stranger(options: NobleBlenoOptions = {}) {
    const air = virtualAir()
    const station = await Station.start(radioOn(air.create(), options))
    opened.push(station)
    station.advertise(1)
    const controller = air.create()
    const heard: string[] = []
    controller.listen((packet) => heard.push(toHex(packet)))
    controller.handlePacket(
      fromHex('010d2019600030000000' + '010000eeffc0' + '00' + '060012000000' + '2a00' + '04000600'),
    )
    await until(() => heard.some((packet) => packet.startsWith('043e1301')))
    return { station, controller, heard, write: (pdu: string) => controller.handlePacket(fromHex(acl(pdu))) }
  }

  const acl = (pdu: string): string => {
    const bytes = pdu.length / 2
    return `024000${le(bytes + 4)}${le(bytes)}0400${pdu}`
  }
  const le = (value: number): string => toHex(Uint8Array.of(value, value >> 8))
  const ended = (heard: readonly string[]) => heard.some((packet) => packet.startsWith('0405040040'))

  test('who connects and says nothing is sent away', async () => {
    const { heard } = await stranger({ setupTimeoutMs: 50 })
    await until(() => ended(heard))
  })

  test.each(['02', '0a', '12', '1601', '52'])(
    'a cut-off request %s ends its link, and not the process',
    async (pdu) => {
      const { heard, write, station } = await stranger()
      write(pdu)
      await until(() => ended(heard))
      expect(station.down).toBeUndefined()
    },
  )

  test('data before the subscription reaches nobody', async () => {
    const { heard, write, station } = await stranger()
    // value and configuration handles of the only characteristic, behind the two standard services
    write('120c00' + 'aa')
    await until(() => heard.some((packet) => packet.endsWith('13')))
    expect(station.lines).toEqual([])
    write('120d00' + '0100')
    await until(() => station.lines.length === 1)
    write('520c00' + 'bb')
    await until(() => station.lines[0]?.packets.length === 1)
    expect(station.lines[0]?.packets).toEqual([Uint8Array.of(0xbb)])
    expect(station.lines[0]?.link.maxPacketBytes).toBe(20)
    write('120d00' + '0000')
    await until(() => station.lines[0]?.closed === 'REMOTE_CLOSED')
  })

  /** A controller that advertises as one of us, and whoever hears what it is told. */
  async function impostor(answer: (pdu: string) => string | undefined, options: NobleBlenoOptions) {
    const air = virtualAir()
    const station = await Station.start(radioOn(air.create(), options))
    opened.push(station)
    const controller = air.create()
    const heard: string[] = []
    controller.listen((packet) => {
      const hex = toHex(packet)
      heard.push(hex)
      const pdu = hex.startsWith('02') ? answer(hex.slice(18)) : undefined
      if (pdu !== undefined) queueMicrotask(() => controller.handlePacket(fromHex(acl(pdu))))
    })
    const service = '11' + '06' + '8ed105cd3ae7f1ad404052288e1b30a6'
    controller.handlePacket(fromHex(`0108202015020106${service}` + '00'.repeat(10)))
    controller.handlePacket(fromHex('010920200a09083037303730373037' + '00'.repeat(21)))
    controller.handlePacket(fromHex('0106200f20002000' + '00'.repeat(9) + '0700'))
    controller.handlePacket(fromHex('010a200101'))
    station.scan()
    return { connecting: station.radio.connect(await station.sees(7)), heard, station }
  }

  test('who takes a connection and never answers is left in time', async () => {
    const { connecting, heard } = await impostor(() => undefined, { connectTimeoutMs: 100 })
    await expect(connecting).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true })
    await until(() => ended(heard))
  })

  test('who lacks the service is no node of ours', async () => {
    // MTU response; then Error Response, Attribute Not Found, to everything else
    const answer = (pdu: string) => (pdu.startsWith('02') ? '031700' : `01${pdu.slice(0, 2)}01000a`)
    const { connecting, heard } = await impostor(answer, {})
    await expect(connecting).rejects.toMatchObject({ code: 'UNREACHABLE' })
    await until(() => ended(heard))
  })

  /** Attribute PDUs: any bytes, and those that begin as one does that the stacks know. */
  const pdu = fc
    .tuple(
      fc.option(fc.constantFrom(0x01, 0x02, 0x03, 0x09, 0x0b, 0x11, 0x12, 0x13, 0x16, 0x18, 0x1b, 0x1d, 0x52)),
      fc.uint8Array({ minLength: 1, maxLength: 22 }),
    )
    .map(([opcode, bytes]) => toHex(opcode === null ? bytes : Uint8Array.of(opcode, ...bytes.subarray(1))))

  test('whatever a central writes, the radio lives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(pdu, { minLength: 1, maxLength: 6 }), async (pdus) => {
        const { station, controller, write } = await stranger()
        for (const each of pdus) write(each)
        // what it was answered, if anything, came before
        await new Promise((resolve) => setTimeout(resolve, 3))
        expect(station.down).toBeUndefined()
        controller.close()
        await station.radio.close()
      }),
      { numRuns: 50 },
    )
  }, 30_000)

  test('whatever a peripheral answers, the connect ends, and the radio lives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(pdu, { minLength: 1, maxLength: 6 }), async (pdus) => {
        const left = [...pdus]
        const { connecting, station } = await impostor(() => left.shift(), { connectTimeoutMs: 30 })
        await expect(connecting).rejects.toMatchObject({
          code: expect.stringMatching(/TIMEOUT|UNREACHABLE/) as unknown,
        })
        expect(station.down).toBeUndefined()
        closeAirs()
        await station.radio.close()
      }),
      { numRuns: 50 },
    )
  }, 30_000)

  test('names of another form are not told of, unless asked for', async () => {
    const air = virtualAir()
    const plain = await Station.start(radioOn(air.create()))
    const open = await Station.start(
      radioOn(air.create(), { unnamed: true, service: 'f47b5e2d-4a9e-4c5a-9b3f-8e1d2c3a4b5c' }),
    )
    opened.push(plain, open)
    const controller = air.create()
    controller.handlePacket(fromHex('0108202015' + '020106' + '11065c4b3a2c1d8e3f9b5a4c9e4a2d5e7bf4' + '00'.repeat(10)))
    controller.handlePacket(fromHex('01092020' + '0a' + '09084d616c6c6f727921' + '00'.repeat(21)))
    controller.handlePacket(fromHex('0106200f' + '2000200000000000000000000000' + '0700'.slice(0, 2)))
    controller.handlePacket(fromHex('010a200101'))
    plain.scan()
    open.scan()
    await until(() => open.sightings.size === 1)
    expect([...open.sightings.values()][0]?.payload).toEqual(new Uint8Array(0))
    expect(plain.sightings.size).toBe(0)
  })
})

describe('the life of a radio', () => {
  test('is started once, and refuses everything after its end', async () => {
    const { made } = await stations(1)
    const radio = made[0]?.radio
    await expect(radio?.start(made[0] as Station)).rejects.toThrow('a radio is started once')
    await Promise.all([radio?.close(), radio?.close()])
    await expect(radio?.connect('c0ffee000001')).rejects.toMatchObject({ code: 'TRANSPORT_CLOSED' })
    await expect(radioOn(virtualAir().create()).connect('c0ffee000001')).rejects.toMatchObject({
      code: 'TRANSPORT_CLOSED',
    })
  })

  test('closing ends links on both sides and leaves the controller silent', async () => {
    const { a, from, to, controllers } = await linked()
    await a.radio.close()
    expect(from.closed).toBe('CLOSED')
    await until(() => to.closed === 'REMOTE_CLOSED')
    expect([controllers[0].linkCount, controllers[0].isScanning, controllers[0].isAdvertising]).toEqual([
      0,
      false,
      false,
    ])
  })

  test('a radio whose start is aborted leaves nothing open', async () => {
    const radio = radioOn(virtualAir().create())
    const reason = new Error('no')
    const controller = new AbortController()
    const starting = radio.start({} as Station, { signal: controller.signal })
    await Promise.resolve()
    controller.abort(reason)
    await expect(starting).rejects.toBe(reason)
  })

  test('an adapter that is pulled out takes the links and the radio down, and says so once', async () => {
    const { a, b, from, to, controllers } = await linked()
    controllers[0].close()
    await until(() => a.down !== undefined)
    expect(a.down).toMatchObject({ code: 'NO_ADAPTER' })
    expect(from.closed).toBe('ADAPTER_DOWN')
    await until(() => to.closed === 'SUPERVISION_TIMEOUT')
    expect(b.down).toBeUndefined()
    await expect(a.radio.connect(from.link.device)).rejects.toMatchObject({ code: 'TRANSPORT_CLOSED' })
  })

  test('an adapter that is too old, or does not answer, is none, and the console stays empty', async () => {
    const written: unknown[] = []
    const spies = (['log', 'warn', 'error'] as const).map((name) =>
      jest.spyOn(console, name).mockImplementation((...text) => void written.push(text)),
    )
    const controller = virtualAir().create()
    const old: HciTransport = {
      handlePacket: (packet) => controller.handlePacket(packet),
      // Read Local Version: HCI 3.0
      listen: (listener) =>
        controller.listen((packet) => {
          const hex = toHex(packet)
          listener(hex.startsWith('040e0c01011000') ? fromHex(hex.replace('0110000900', '0110000500')) : packet)
        }),
      isUp: true,
    }
    await expect(Station.start(radioOn(old))).rejects.toMatchObject({
      code: 'NO_ADAPTER',
      message: expect.stringContaining('there is no Bluetooth LE adapter') as unknown,
    })
    const silent: HciTransport = { handlePacket: () => undefined, listen: () => () => undefined, isUp: true }
    await expect(Station.start(radioOn(silent, { startTimeoutMs: 50 }))).rejects.toMatchObject({
      code: 'NO_ADAPTER',
      message: expect.stringContaining('does not get ready') as unknown,
    })
    const off: HciTransport = { ...silent, isUp: false }
    await expect(Station.start(radioOn(off, { startTimeoutMs: 2000 }))).rejects.toMatchObject({
      code: 'NO_ADAPTER',
      message: expect.stringContaining('switched off') as unknown,
    })
    for (const spy of spies) spy.mockRestore()
    expect(written).toEqual([])
  })

  test('Ctrl-C is left to the program', async () => {
    const before = process.listenerCount('SIGINT')
    await stations(2)
    expect(process.listenerCount('SIGINT')).toBe(before)
  })

  test('options that cannot be are refused at once', () => {
    const make = (options: NobleBlenoOptions) => () => radioOn(virtualAir().create(), options)
    expect(make({ attMtu: 257 })).toThrow('attMtu 257')
    expect(make({ service: '180d' })).toThrow('no UUID of 128 bits')
    expect(make({ maxLinks: 0 })).toThrow('maxLinks 0')
    expect(make({ supervisionTimeoutMs: Number.NaN })).toThrow('supervisionTimeoutMs NaN')
  })

  test('what cannot be advertised or scanned is refused at once', async () => {
    const { made } = await stations(1)
    expect(() => made[0]?.radio.advertise({ payload: new Uint8Array(5), intervalMs: 100 })).toThrow('5 bytes')
    expect(() => made[0]?.radio.scan({ windowMs: 2, intervalMs: 1 })).toThrow('2 ms in 1')
  })
})
