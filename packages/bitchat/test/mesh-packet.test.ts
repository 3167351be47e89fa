import { describe, expect, test } from '@jest/globals'
import { ArgumentError, type NodeId, type Priority, fromHex, nodeIdFromBytes, toHex } from '@aiv/transport-api'
import fc from 'fast-check'
import {
  MAX_HOP_ACKS,
  MAX_MESH_PACKET_BYTES,
  type MeshPacket,
  MeshPacketType,
  type MeshPassage,
  decodeMesh,
  encodeHopAck,
  encodeMeshHeader,
  encodeMeshPacket,
  fingerprintFromHash,
  setPassage,
  withoutPassage,
} from '../src/mesh-packet.js'

const source = '21fe31dfa154a261626bf854046fd227' as NodeId
const destination = '000102030405060708090a0b0c0d0e0f' as NodeId
const first: MeshPassage = { ttl: 7, hopCount: 0, custody: 0, hopAckWanted: false }

const data: MeshPacket = {
  type: MeshPacketType.Data,
  priority: 2,
  flood: false,
  proofWanted: true,
  source,
  destination,
  id: fromHex('f0f1f2f3f4f5f6f7'),
  payload: new TextEncoder().encode('hello'),
}
const broadcast: MeshPacket = { ...data, type: MeshPacketType.Broadcast, proofWanted: false, destination: undefined }

describe('golden bytes of docs/wire/bitchat-native.md', () => {
  test.each([
    [
      'a directed packet at its source',
      encodeMeshPacket(data, first),
      '010415070021fe31dfa154a261626bf854046fd227000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f768656c6c6f',
    ],
    [
      'the same after three hops, handed on once, to be acknowledged',
      encodeMeshPacket(data, { ttl: 4, hopCount: 3, custody: 1, hopAckWanted: true }),
      '010415a40321fe31dfa154a261626bf854046fd227000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f768656c6c6f',
    ],
    [
      'a broadcast',
      encodeMeshPacket(broadcast, first),
      '010210070021fe31dfa154a261626bf854046fd227f0f1f2f3f4f5f6f768656c6c6f',
    ],
    ['a hop acknowledgement of two', encodeHopAck([1, 2 ** 52 - 1]), '01060000000000000001000fffffffffffff'],
  ])('%s', (_name, bytes, hex) => {
    expect(toHex(bytes)).toBe(hex)
  })

  test('what is signed and sealed with a packet does not change on its way', () => {
    const atStart = encodeMeshPacket(data, first)
    const later = encodeMeshPacket(data, { ttl: 1, hopCount: 6, custody: 3, hopAckWanted: true })
    expect(withoutPassage(atStart)).toEqual(withoutPassage(later))
    expect(withoutPassage(later).subarray(0, 45)).toEqual(encodeMeshHeader(data))
  })
})

const node = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(nodeIdFromBytes)
const anyPacket = fc
  .record({
    type: fc.constantFrom(...Object.values(MeshPacketType)),
    priority: fc.integer({ min: 0, max: 3 }).map((value) => value as Priority),
    flood: fc.boolean(),
    proofWanted: fc.boolean(),
    source: node,
    destination: node,
    id: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    payload: fc.uint8Array({ maxLength: 199 }),
  })
  .map((packet) => ({
    ...packet,
    destination: packet.type <= MeshPacketType.Broadcast ? undefined : packet.destination,
  }))
const anyPassage = fc.integer({ min: 1, max: 7 }).chain((ttl) =>
  fc.record({
    ttl: fc.constant(ttl),
    hopCount: fc.integer({ min: 0, max: 7 - ttl }),
    custody: fc.integer({ min: 0, max: 3 }),
    hopAckWanted: fc.boolean(),
  }),
)

describe('the codec', () => {
  test('what is written is read again', () => {
    fc.assert(
      fc.property(anyPacket, anyPassage, (packet, passage) => {
        expect(decodeMesh(encodeMeshPacket(packet, passage))).toEqual({ kind: 'packet', packet, passage })
      }),
    )
  })

  test('any bytes are read without throwing, and what is taken is written the same', () => {
    const near = fc.tuple(anyPacket, anyPassage, fc.integer({ min: 0, max: 250 }), fc.nat(255)).map((values) => {
      const [packet, passage, at, byte] = values
      const bytes = encodeMeshPacket(packet, passage)
      bytes[at % bytes.length] = byte
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 260 }), near), (bytes) => {
        const decoded = decodeMesh(bytes)
        if (decoded?.kind === 'packet') expect(encodeMeshPacket(decoded.packet, decoded.passage)).toEqual(bytes)
        if (decoded?.kind === 'hop-ack') expect(encodeHopAck(decoded.fingerprints)).toEqual(bytes)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['another version', (bytes: Uint8Array) => (bytes[0] = 2)],
    ['an unknown type', (bytes: Uint8Array) => (bytes[1] = 7)],
    ['a reserved flag', (bytes: Uint8Array) => (bytes[2] = 0x21)],
    ['a directed packet without the flag for it', (bytes: Uint8Array) => (bytes[2] = 0)],
    ['a reserved bit beside the TTL', (bytes: Uint8Array) => (bytes[3] = 0x0f)],
    ['no hops left', (bytes: Uint8Array) => (bytes[3] = 0)],
    ['more hops than there are', (bytes: Uint8Array) => (bytes[4] = 1)],
  ])('%s is refused', (_name, bend) => {
    const bytes = encodeMeshPacket(data, first)
    bend(bytes)
    expect(decodeMesh(bytes)).toBeUndefined()
  })

  test('a packet that was cut in its header, and one that is too long, are refused', () => {
    const bytes = encodeMeshPacket({ ...data, payload: new Uint8Array(0) }, first)
    for (let length = 0; length < bytes.length; length++) expect(decodeMesh(bytes.subarray(0, length))).toBeUndefined()
    expect(decodeMesh(new Uint8Array(MAX_MESH_PACKET_BYTES + 1).fill(1))).toBeUndefined()
  })

  test('our own mistakes are said at once', () => {
    expect(() => encodeMeshPacket({ ...data, payload: new Uint8Array(200) }, first)).toThrow(ArgumentError)
    expect(() => encodeMeshPacket({ ...data, id: new Uint8Array(7) }, first)).toThrow(ArgumentError)
    expect(() => encodeMeshPacket({ ...data, destination: undefined }, first)).toThrow(ArgumentError)
    expect(() => encodeMeshPacket({ ...broadcast, destination }, first)).toThrow(ArgumentError)
    expect(() => setPassage(new Uint8Array(45), { ...first, ttl: 8 })).toThrow(ArgumentError)
    expect(() => setPassage(new Uint8Array(45), { ...first, custody: 4 })).toThrow(ArgumentError)
    expect(() => encodeHopAck([])).toThrow(ArgumentError)
    expect(() => encodeHopAck(new Array<number>(MAX_HOP_ACKS + 1).fill(1))).toThrow(ArgumentError)
  })

  test('a fingerprint is the first 52 bits of a hash', () => {
    expect(fingerprintFromHash(fromHex('fffffffffffff000'))).toBe(2 ** 52 - 1)
    expect(fingerprintFromHash(fromHex('0000000000001fff'))).toBe(1)
  })
})
