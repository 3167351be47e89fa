import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { fromHex } from '@aiv/transport-api'
import { HciFault } from '../src/index.js'
import { att, bench, FIRST, Host, le, linked } from './bench.js'

/** Command, what a controller answers. Bytes: Core Specification 5.4, Vol 4, Part E, sections 7.1 to 7.8. */
const golden: readonly (readonly [name: string, command: string, answer: string])[] = [
  ['Reset', '01030c00', '040e0401030c00'],
  [
    'LE Read Local Supported Features: data length extension, nothing extended',
    '01032000',
    '040e0c010320002000000000000000',
  ],
  ['Set Event Mask', '01010c08fffffbff07f8bf3d', '040e0401010c00'],
  ['LE Set Event Mask', '010120085f00000000000000', '040e0401012000'],
  ['Read Local Version: 5.0', '01011000', '040e0c0101100009000009ffff0000'],
  ['Read BD_ADDR, little-endian', '01091000', '040e0a010910000100' + '00eeffc0'],
  ['LE Read Maximum Data Length', '012f2000', '040e0c012f2000fb004808fb004808'],
  ['Write LE Host Support', '016d0c020100', '040e04016d0c00'],
  ['Read LE Host Support', '016c0c00', '040e06016c0c000100'],
  ['LE Read Buffer Size', '01022000', '040e0701022000fb0008'],
  ['Read Buffer Size', '01051000', '040e0b0105100' + '0fb000008000000'],
  ['LE Set Scan Parameters', '010b200701120012000000', '040e04010b2000'],
  ['LE Set Scan Enable', '010c20020101', '040e04010c2000'],
  ['LE Set Advertising Parameters', '0106200fa000a0000000000000000000000700', '040e0401062000'],
  ['LE Set Advertising Enable', '010a200101', '040e04010a2000'],
  ['LE Create Connection', '010d2019600030000000020000eeffc0000600120000002a0004000600', '040f0400010d20'],
  ['LE Create Connection Cancel without one', '010e2000', '040e04010e200c'],
  ['Disconnect of an unknown link', '01060403400013', '040f0402010604'],
  ['Read RSSI of an unknown link', '010514024000', '040e070105140240' + '0000'],
]

describe('a virtual controller answers with the bytes of the specification', () => {
  test.each(golden)('%s', (_name, command, answer) => {
    const { host } = bench()
    const one = host()
    one.write(command)
    expect(one.take()).toEqual([answer])
  })

  test('a scan hears the advertisement and, when active, the scan response, once when duplicates are filtered', async () => {
    const { host, pass } = bench()
    const scanner = host()
    const advertiser = host()
    advertiser.write('01 0820 20 03 020106' + '00'.repeat(28), '01 0920 20 04 03086131' + '00'.repeat(27))
    scanner.write('01 0b20 07 01 1200 1200 00 00', '01 0c20 02 01 01')
    scanner.take()
    advertiser.advertise()
    await pass(350)
    expect(scanner.take()).toEqual([
      '043e0f0201' + '0000' + '020000eeffc0' + '03' + '020106' + 'ce',
      '043e100201' + '0400' + '020000eeffc0' + '04' + '03086131' + 'ce',
    ])
  })

  test('without the filter every advertisement is reported, at its interval', async () => {
    const { host, pass } = bench()
    const scanner = host()
    const advertiser = host()
    scanner.write('01 0b20 07 00 1200 1200 00 00', '01 0c20 02 01 00')
    scanner.take()
    advertiser.advertise()
    await pass(1050)
    // one at once, then every 100 to 110 ms
    expect([10, 11]).toContain(scanner.take().length)
  })

  test('a connection is announced to both sides with their own handle and role, and ends the advertising', async () => {
    const { host, pass } = bench()
    const central = host()
    const peripheral = host()
    peripheral.advertise()
    peripheral.take()
    central.connect(peripheral)
    central.take()
    await pass(200)
    expect(central.take()).toEqual([
      '043e1301' + '00' + FIRST + '00' + '00' + '020000eeffc0' + '1200' + '0000' + '2a00' + '00',
    ])
    expect(peripheral.take()).toEqual([
      '043e1301' + '00' + FIRST + '01' + '00' + '010000eeffc0' + '1200' + '0000' + '2a00' + '00',
    ])
    expect(peripheral.controller.isAdvertising).toBe(false)
  })

  test('data arrives with the handle of the receiver and its start marked as such, and gives the buffer back', async () => {
    const { central, peripheral, pass } = await linked()
    central.write(att(FIRST, '021700'))
    await pass(1)
    expect(central.take()).toEqual(['0413050140000100'])
    expect(peripheral.take()).toEqual(['02402007000300040002' + '1700'])
  })

  test('a disconnection names the reason on the other side', async () => {
    const { central, peripheral } = await linked()
    central.write('01 0604 03 4000 13')
    expect(central.take()).toEqual(['040f0400010604', '0405040040' + '00' + '16'])
    expect(peripheral.take()).toEqual(['0405040040' + '00' + '13'])
  })

  test('a cancelled connection attempt completes with Unknown Connection Identifier', () => {
    const { host } = bench()
    const central = host()
    const absent = host()
    central.connect(absent)
    central.take()
    central.write('01 0e20 00')
    expect(central.take()).toEqual([
      '040e04010e2000',
      '043e1301' + '02' + '0000' + '00' + '00' + '020000eeffc0' + '120000002a0000',
    ])
  })

  test('a connection update reaches both sides, and its supervision timeout counts from then on', async () => {
    const { air, central, peripheral, pass } = await linked()
    central.write('01 1320 0e 4000 0600 1200 0000 6400 0000 0000')
    expect(central.take()).toEqual(['040f0400011320', '043e0a03004000' + '1200' + '0000' + '6400'])
    expect(peripheral.take()).toEqual(['043e0a03004000' + '1200' + '0000' + '6400'])
    air.cut(central.controller, peripheral.controller)
    await pass(999)
    expect(central.take()).toEqual([])
    await pass(2)
    expect(central.take()).toEqual(['0405040040' + '0008'])
  })

  test('a second link to the same device is refused, whichever side made the first', async () => {
    const { central, peripheral } = await linked()
    central.advertise()
    peripheral.connect(central)
    expect(peripheral.take().at(-1)).toBe('040f040b010d20')
  })

  test('the limit of links is refused at the initiator, and not overstepped at the advertiser', async () => {
    const { host, pass } = bench({ maxLinks: 1 })
    const [a, b, c] = [host(), host(), host()]
    b.advertise()
    a.connect(b)
    await pass(200)
    a.connect(c)
    expect(a.take().at(-1)).toBe('040f0409010d20')
    b.take()
    b.write('01 0a20 01 01')
    expect(b.take()).toEqual(['040e04010a2009'])
    c.connect(b)
    await pass(500)
    expect(b.controller.linkCount).toBe(1)
  })

  test('signal strength follows the air', async () => {
    const { central } = await linked({ signal: () => -71 })
    central.write('01 0514 02 4000')
    expect(central.take()).toEqual(['040e0701051400' + '4000' + 'b9'])
  })
})

describe('range', () => {
  test('whoever is out of range is neither heard nor connected to', async () => {
    const { host, pass } = bench({ signal: () => undefined })
    const [a, b] = [host(), host()]
    b.advertise()
    a.write('01 0c20 02 01 00')
    a.connect(b)
    a.take()
    await pass(1000)
    expect(a.take()).toEqual([])
  })

  test('a cut ends a link on both sides when the supervision timeout is over, and not before', async () => {
    const { air, central, peripheral, pass } = await linked()
    air.cut(central.controller, peripheral.controller)
    await pass(419)
    expect([...central.take(), ...peripheral.take()]).toEqual([])
    await pass(2)
    expect(central.take()).toEqual(['0405040040' + '0008'])
    expect(peripheral.take()).toEqual(['0405040040' + '0008'])
  })

  test('a cut that heals in time loses nothing', async () => {
    const { air, central, peripheral, pass } = await linked()
    air.cut(central.controller, peripheral.controller)
    central.write(att(FIRST, '021700'))
    await pass(300)
    expect(central.take()).toEqual([])
    air.heal(central.controller, peripheral.controller)
    await pass(1)
    expect(peripheral.take()).toEqual(['02402007000300040002' + '1700'])
    await pass(1000)
    expect(central.take()).toEqual(['0413050140000100'])
  })

  test('latency delays each packet by as much', async () => {
    const { central, peripheral, pass } = await linked({ latencyMs: 30 })
    central.write(att(FIRST, '021700'))
    await pass(29)
    expect(peripheral.take()).toEqual([])
    await pass(1)
    expect(peripheral.take()).toHaveLength(1)
  })

  test('a reset says nothing to its own host, and leaves the other side to its supervision timeout', async () => {
    const { central, peripheral, pass } = await linked()
    central.write('01 030c 00')
    expect(central.take()).toEqual(['040e0401030c00'])
    await pass(500)
    expect(central.take()).toEqual([])
    expect(peripheral.take()).toEqual(['0405040040' + '0008'])
  })

  test('a controller that is switched off is gone from the air', async () => {
    const { air, central, peripheral, pass } = await linked()
    central.controller.close()
    await pass(500)
    expect(peripheral.take()).toEqual(['0405040040' + '0008'])
    expect(air.controllers).toHaveLength(1)
  })
})

/** What a host did wrong, and what it was answered. */
function faults(run: (host: Host) => void, controller = bench().air.create()) {
  const host = new Host(controller)
  try {
    run(host)
    return [undefined, host.take()] as const
  } catch (error) {
    return [error instanceof HciFault ? error.code : error, host.take()] as const
  }
}

describe('a host that breaks the rules', () => {
  test.each([
    ['an unknown opcode', '01412000', 'HCI_UNKNOWN_OPCODE'],
    ['parameters of another length', '010c200101', 'HCI_PARAMETERS'],
    ['an advertisement over 31 bytes', '01082020' + '20' + '00'.repeat(31), 'HCI_PARAMETERS'],
    ['an advertising interval below 20 ms', '0106200f1f00a0000000000000000000000700', 'HCI_PARAMETERS'],
    ['a scan window longer than its interval', '010b200701120013000000', 'HCI_PARAMETERS'],
    [
      'a supervision timeout shorter than two intervals',
      '010d201960003000' + '0000' + '020000eeffc0' + '00' + '8000' + '8000' + '0000' + '0a00' + '04000600',
      'HCI_PARAMETERS',
    ],
    ['a packet type that no host sends', '040e00', 'HCI_PACKET'],
    ['a cut-off packet', '0103', 'HCI_PACKET'],
  ])('%s is named', (_name, packet, code) => {
    expect(faults((host) => host.write(packet))[0]).toBe(code)
  })

  test('is answered as by hardware when faults are only noted', () => {
    const noted: string[] = []
    const { host } = bench({ onFault: ({ code }) => noted.push(code) })
    const one = host()
    one.write('01412000')
    expect(one.take()).toEqual(['040e0401412001'])
    expect(noted).toEqual(['HCI_UNKNOWN_OPCODE'])
  })

  test('may not change parameters while they are in use', () => {
    const { host } = bench()
    const one = host()
    one.write('010c20020101', '010b200701120012000000', '010a200101', '0106200fa000a0000000000000000000000700')
    expect(one.take().map((event) => event.slice(-2))).toEqual(['00', '0c', '00', '0c'])
  })

  test('gets a fault for an ACL packet longer than a buffer, one too many, and an unknown link is ignored', async () => {
    const { central, air } = await linked({ aclBytes: 27, aclCount: 2 })
    expect(faults((host) => host.write('0240001c00' + '00'.repeat(28)), central.controller)[0]).toBe('HCI_ACL_TOO_LONG')
    const small = att(FIRST, '021700')
    expect(faults((host) => host.write(small, small), central.controller)[0]).toBeUndefined()
    const [code, heard] = faults((host) => host.write(small), central.controller)
    expect(code).toBe('HCI_ACL_OVERRUN')
    expect(heard).toEqual(['041a0101'])
    expect(faults((host) => host.write(att('ff0e', '021700')), air.create())).toEqual([undefined, []])
  })

  test('has as many buffers as hosts share the controller', async () => {
    const { central } = await linked({ aclCount: 1, hosts: 2 })
    const small = att(FIRST, '021700')
    expect(faults((host) => host.write(small, small), central.controller)[0]).toBeUndefined()
    expect(faults((host) => host.write(small), central.controller)[0]).toBe('HCI_ACL_OVERRUN')
  })

  test('gets a fault for fragments that make up no frame', async () => {
    const continuation = '0240100100' + '00'
    expect(faults((host) => host.write(continuation), (await linked()).central.controller)[0]).toBe('HCI_ACL_FRAGMENT')
    const { central } = await linked()
    const start = '0240000600' + le(3) + '0400' + '0217'
    expect(faults((host) => host.write(start, '0240100200' + '0000'), central.controller)[0]).toBe('HCI_ACL_FRAGMENT')
  })

  test('gets a fault for an attribute PDU over the MTU, which is 23 until both sides agreed on another', async () => {
    const { central, peripheral, pass } = await linked()
    const write = (bytes: number): string => att(FIRST, '520300' + '00'.repeat(bytes - 3))
    expect(faults((host) => host.write(write(24)), central.controller)[0]).toBe('ATT_TOO_LONG')
    central.write(write(23), att(FIRST, '02b900'))
    peripheral.write(att(FIRST, '030001'))
    await pass(1)
    expect(faults((host) => host.write(write(185)), central.controller)[0]).toBeUndefined()
    expect(faults((host) => host.write(write(186)), central.controller)[0]).toBe('ATT_TOO_LONG')
    expect(faults((host) => host.write(write(185)), peripheral.controller)[0]).toBeUndefined()
  })
})

describe('whatever a host writes', () => {
  const opcodes = [0x0406, 0x0c03, 0x1405, 0x2006, 0x2008, 0x200a, 0x200b, 0x200c, 0x200d, 0x200e, 0x2013, 0x2022]
  const command = fc
    .tuple(fc.constantFrom(...opcodes), fc.uint8Array({ maxLength: 33 }))
    .map(([opcode, parameters]) => Uint8Array.of(1, opcode & 0xff, opcode >> 8, parameters.length, ...parameters))
  const data = fc
    .tuple(fc.constantFrom(0x0040, 0x1040, 0x2040), fc.uint8Array({ maxLength: 40 }))
    .map(([flags, bytes]) => Uint8Array.of(2, flags & 0xff, flags >> 8, bytes.length, 0, ...bytes))

  test('nothing is thrown but faults, each is named once, and the buffers stay within their bounds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(command, data, fc.uint8Array({ maxLength: 8 }))), async (packets) => {
        const noted: HciFault[] = []
        const { central, pass } = await linked({ aclCount: 2, onFault: (fault) => noted.push(fault) })
        for (const packet of packets) central.controller.handlePacket(packet)
        await pass(1000)
        expect(noted.length).toBeLessThanOrEqual(packets.length)
        for (const fault of noted) expect(fault).toBeInstanceOf(HciFault)
        expect(central.controller.linkCount).toBeLessThanOrEqual(1)
      }),
      { numRuns: 200 },
    )
  })
})

describe('an air', () => {
  test('refuses addresses that are none or taken, and numbers that no controller has', () => {
    const { air } = bench()
    air.create({ address: 'c0:ff:ee:00:00:01' })
    expect(air.create().address).toBe('c0:ff:ee:00:00:02')
    expect(() => air.create({ address: 'c0:ff:ee:00:00:01' })).toThrow('no free device address')
    expect(() => air.create({ address: 'C0FFEE' })).toThrow('no free device address')
    expect(() => bench({ aclBytes: 26 })).toThrow('aclBytes 26')
    expect(() => bench({ maxLinks: 0 })).toThrow('maxLinks 0')
    expect(() => bench({ latencyMs: Number.NaN })).toThrow('latencyMs NaN')
  })

  test('several hosts of one controller hear the same', () => {
    const { air } = bench()
    const controller = air.create()
    const [one, other] = [new Host(controller), new Host(controller)]
    controller.handlePacket(fromHex('01030c00'))
    expect(one.take()).toEqual(other.take())
  })
})
