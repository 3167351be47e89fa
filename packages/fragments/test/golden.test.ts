import { describe, expect, test } from '@jest/globals'
import { type Random, fromHex, joinBytes, toHex } from '@aiv/transport-api'
import { Fragmenter, Reassembler, acknowledges, decodeBlockAck, decodeFragment, encodeBlockAck } from '../src/index.js'
import { sha256 } from './carrier.js'

// docs/wire/fragments.md
const first = '000102030405060700000002' + '61'.repeat(52)
const last = '000102030405060700010002' + '61'.repeat(38) + '6b2ec79170f50ea5'
const random: Random = { bytes: (length) => Uint8Array.from({ length }, (_, i) => i), uniform: () => 0.5 }

describe('golden values of docs/wire/fragments.md', () => {
  test('90 bytes of "a" in fragments of 64 bytes', () => {
    const fragmenter = new Fragmenter({ sha256, random }, { fragmentBytes: 64 })
    fragmenter.send(new Uint8Array(90).fill(0x61))
    const out = [fragmenter.pollOutput(0), fragmenter.pollOutput(0)].map((bytes) => toHex(joinBytes(bytes ?? [])))
    expect(out).toEqual([first, last])
    expect(fragmenter.pollOutput(0)).toBeUndefined()
  })

  test('are put together, and acknowledged', () => {
    const reassembler = new Reassembler<string>({ sha256 })
    const acks: string[] = []
    for (const bytes of [last, first])
      reassembler.handleInput(0, { peer: 'a', bytes: fromHex(bytes) ?? new Uint8Array() })
    for (let out = reassembler.pollOutput(); out !== undefined; out = reassembler.pollOutput())
      acks.push(toHex(out.bytes))
    expect(acks).toEqual(['0001020304050607010002'])
    expect(reassembler.pollEvent()).toEqual({ type: 'message', peer: 'a', bytes: new Uint8Array(90).fill(0x61) })
  })

  test('an acknowledgement that misses fragments 3, 5 and all from 8 on', () => {
    const id = Uint8Array.from({ length: 8 }, (_, i) => i)
    const ack = { id, state: 'arriving', first: 3, bitmap: Uint8Array.of(0b11010) } as const
    expect(toHex(encodeBlockAck(ack))).toBe('00010203040506070000031a')
    expect(decodeBlockAck(fromHex('00010203040506070000031a') ?? new Uint8Array())).toEqual(ack)
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8].filter((index) => !acknowledges(ack, index))).toEqual([3, 5, 8])
  })

  test.each([
    ['without a byte of data', '000102030405060700000001'],
    ['with an index as large as the total', '00010203040506070002000261'],
    ['with a total of 0', '00010203040506070000000061'],
    ['cut off', '0001020304'],
  ])('a fragment %s is none', (_, hex) => {
    expect(decodeFragment(fromHex(hex) ?? new Uint8Array())).toBeUndefined()
  })

  test.each([
    ['cut off', '00010203040506070000'],
    ['with an unknown state', '0001020304050607030000'],
    ['with too long a bitmap', '0001020304050607000000' + '00'.repeat(33)],
  ])('an acknowledgement %s is none', (_, hex) => {
    expect(decodeBlockAck(fromHex(hex) ?? new Uint8Array())).toBeUndefined()
  })
})
