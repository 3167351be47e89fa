import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { fromHex, toHex } from '@aiv/transport-api'
import { H4Framer } from '../src/h4-framer.js'
import { HciFault } from '../src/index.js'

const stream = ['01030c00', '02402007000300040002' + '1700', '040e0401030c00']

describe('cutting a byte stream into HCI packets', () => {
  test('gives the same packets wherever the stream is split', () => {
    const bytes = fromHex(stream.join(''))
    for (let at = 0; at <= bytes.length; at++) {
      const framer = new H4Framer()
      const packets = [...framer.push(bytes.subarray(0, at)), ...framer.push(bytes.subarray(at))]
      expect(packets.map(toHex)).toEqual(stream)
    }
  })

  test('takes any bytes without another error than HCI_PACKET, and holds no more than one packet', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (pieces) => {
        const framer = new H4Framer()
        try {
          for (const piece of pieces) for (const packet of framer.push(piece)) expect(packet.length).toBeLessThan(4097)
        } catch (error) {
          expect(error).toBeInstanceOf(HciFault)
          expect((error as HciFault).code).toBe('HCI_PACKET')
        }
      }),
    )
  })

  test('refuses a packet that no controller has a buffer for', () => {
    expect(() => new H4Framer().push(fromHex('024000ffff'))).toThrow(HciFault)
  })
})
