import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  decodePeerRecord,
  deviceTypeFromByte,
  deviceTypeToByte,
  encodePeerRecordBody,
  fromHex,
  joinBytes,
  MAX_PEER_RECORD_BYTES,
  nodeIdFromBytes,
  toHex,
  type DeviceType,
  type PeerRecordFields,
} from '../src/index.js'

const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const nodeId = exactly(16).map(nodeIdFromBytes)
const types: readonly DeviceType[] = ['mobile', 'desktop', 'server', 'fog']
const fields: fc.Arbitrary<PeerRecordFields> = fc.record({
  publicKey: exactly(32),
  noiseKey: exactly(32),
  deviceType: fc.constantFrom(...types),
  addresses: fc.array(fc.string({ maxLength: 20, unit: 'grapheme' }).filter(isWellFormed), { maxLength: 4 }),
  relays: fc.array(nodeId, { maxLength: 4 }),
  mailboxRelays: fc.array(nodeId, { maxLength: 4 }),
  signedPrekey: optional(fc.uint8Array({ maxLength: 110 })),
  onionKey: optional(exactly(32)),
  capabilities: fc
    .uint8Array({ maxLength: 9 })
    .map((bytes) => bytes.subarray(0, bytes.findLastIndex((b) => b !== 0) + 1)),
  sequence: fc.maxSafeNat(),
  expiresAt: fc.maxSafeNat(),
  nextKeyHash: optional(exactly(32)),
})

function isWellFormed(text: string): boolean {
  // no lone surrogate, which UTF-8 cannot hold, and no mark at the start, which a decoder takes away
  return new TextDecoder().decode(new TextEncoder().encode(text)) === text
}

const signature = new Uint8Array(64).fill(0xee)
const sign = (body: Uint8Array) => joinBytes([body, signature])
const minimal: PeerRecordFields = {
  publicKey: new Uint8Array(32).fill(1),
  noiseKey: new Uint8Array(32).fill(2),
  deviceType: 'server',
  addresses: [],
  relays: [],
  mailboxRelays: [],
  signedPrekey: undefined,
  onionKey: undefined,
  capabilities: new Uint8Array(0),
  sequence: 1_735_689_600_000,
  expiresAt: 1_735_776_000_000,
  nextKeyHash: undefined,
}
const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })

describe('peer record bytes', () => {
  test('a small record is these 99 bytes and a signature', () => {
    expect(toHex(encodePeerRecordBody({ ...minimal, addresses: ['ws://a'] }))).toBe(
      `0120${'01'.repeat(32)}0220${'02'.repeat(32)}030102040677733a2f2f610a08000001941f297c000b0800000194244fd800`,
    )
  })

  test('what was encoded is decoded again', () => {
    fc.assert(
      fc.property(fields, (value) => {
        let body: Uint8Array
        try {
          body = encodePeerRecordBody(value)
        } catch (error) {
          expect(error).toHaveProperty('code', 'ARGUMENT_INVALID') // over 960 bytes
          return
        }
        const bytes = sign(body)
        const decoded = decodePeerRecord(bytes)
        expect(decoded?.record).toEqual({ ...value, bytes })
        expect(decoded?.body).toEqual(body)
        expect(decoded?.signature).toEqual(signature)
      }),
    )
  })

  test('any bytes are a record or none, and nothing is thrown', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => void decodePeerRecord(bytes)))
    fc.assert(
      fc.property(fields, fc.nat(), fc.nat(255), (value, at, byte) => {
        let bytes: Uint8Array
        try {
          bytes = sign(encodePeerRecordBody(value))
        } catch {
          return
        }
        bytes[at % bytes.length] = byte
        void decodePeerRecord(bytes)
        for (let length = 0; length < bytes.length; length += 17) void decodePeerRecord(bytes.subarray(0, length))
      }),
    )
  })

  test('960 bytes is the limit, for encoder and decoder alike', () => {
    const room = MAX_PEER_RECORD_BYTES - 64 - encodePeerRecordBody(minimal).length
    const address = (length: number) => 'a'.repeat(length - 2)
    const rest = room - 3 * 255
    const addresses = [address(255), address(255), address(255), address(rest)]
    const body = encodePeerRecordBody({ ...minimal, addresses })
    expect(body.length).toBe(896)
    expect(decodePeerRecord(sign(body))).toBeDefined()
    expect(() =>
      encodePeerRecordBody({ ...minimal, addresses: [...addresses.slice(0, 3), address(rest + 1)] }),
    ).toThrow(invalid)
    expect(decodePeerRecord(joinBytes([body, Uint8Array.of(200, 0), signature]))).toBeUndefined()
  })

  test('fields of another size and numbers that are no time are our own mistake', () => {
    const short = new Uint8Array(31)
    for (const changes of [
      { publicKey: short },
      { noiseKey: short },
      { onionKey: short },
      { nextKeyHash: short },
      { signedPrekey: new Uint8Array(256) },
      { addresses: ['a'.repeat(256)] },
      { sequence: -1 },
      { sequence: 1.5 },
      { expiresAt: 2 ** 53 },
    ]) {
      expect(() => encodePeerRecordBody({ ...minimal, ...changes })).toThrow(invalid)
    }
  })

  const keys = `0120${'01'.repeat(32)}0220${'02'.repeat(32)}`
  const times = '0a0800000000000000010b080000000000000002'
  test.each([
    ['all that must be there', `${keys}030102${times}`, true],
    ['an unknown type at the end', `${keys}030102${times}c80107`, true],
    ['an unknown type twice', `${keys}030102${times}c80107c80108`, true],
    ['relays side by side', `${keys}0301020510${'03'.repeat(16)}0510${'04'.repeat(16)}${times}`, true],
    ['types that are not ascending', `${keys}${times}030102`, false],
    ['an unknown type that is not ascending', `${keys}030102${times}c80107c70108`, false],
    ['a key twice', `0120${'01'.repeat(32)}${keys}030102${times}`, false],
    ['no device type', `${keys}${times}`, false],
    ['a device type that there is not', `${keys}030104${times}`, false],
    ['no Ed25519 key', `0220${'02'.repeat(32)}030102${times}`, false],
    ['no Noise key', `0120${'01'.repeat(32)}030102${times}`, false],
    ['no sequence', `${keys}0301020b080000000000000002`, false],
    ['no expiry', `${keys}0301020a080000000000000001`, false],
    ['a sequence of 4 bytes', `${keys}0301020a04000000010b080000000000000002`, false],
    ['a sequence of 2^53', `${keys}0301020a0800200000000000000b080000000000000002`, false],
    ['a sequence of 2^64 − 1', `${keys}0301020a08ffffffffffffffff0b080000000000000002`, false],
    ['a relay of 15 bytes', `${keys}030102050f${'03'.repeat(15)}${times}`, false],
    ['an onion key of 31 bytes', `${keys}030102081f${'03'.repeat(31)}${times}`, false],
    ['a hash of 31 bytes', `${keys}030102${times}0c1f${'03'.repeat(31)}`, false],
    ['an address that is no UTF-8', `${keys}0301020401ff${times}`, false],
    ['a value cut off', `${keys}030102${times}c80207`, false],
    ['a length cut off', `${keys}030102${times}c8`, false],
    ['a type 0, which there is not', `0000${keys}030102${times}`, false],
    ['nothing', '', false],
  ])('%s', (_, body, valid) => {
    expect(decodePeerRecord(sign(fromHex(body))) !== undefined).toBe(valid)
  })

  test('trailing zero bytes of the capabilities are dropped', () => {
    const bytes = sign(encodePeerRecordBody({ ...minimal, capabilities: Uint8Array.of(1, 0, 2, 0, 0) }))
    expect(decodePeerRecord(bytes)?.record.capabilities).toEqual(Uint8Array.of(1, 0, 2))
    expect(encodePeerRecordBody({ ...minimal, capabilities: new Uint8Array(3) })).toEqual(encodePeerRecordBody(minimal))
  })

  test('device types are 0 to 3', () => {
    expect(types.map(deviceTypeToByte)).toEqual([0, 1, 2, 3])
    expect([0, 1, 2, 3].map(deviceTypeFromByte)).toEqual(types)
    expect(deviceTypeFromByte(4)).toBeUndefined()
  })
})
