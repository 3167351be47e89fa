import { expect, test } from '@jest/globals'
import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'
import { identityFromSeed, nodeCrypto } from '@aiv/security'
import {
  MAX_ANNOUNCED_MORE_BYTES,
  readAnnouncement,
  signAnnouncement,
  signBroadcast,
  verifyAnnouncement,
  verifyBroadcast,
} from '../src/announcement.js'
import { MAX_MESH_PACKET_BYTES, MeshPacketType, decodeMesh, encodeMeshPacket } from '../src/mesh-packet.js'

// RFC 8032 section 7.1, test 1
const identity = identityFromSeed(
  nodeCrypto,
  fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
)
const fields = {
  staticKey: { publicKey: new Uint8Array(32).fill(0x22), notAfter: 1_750_500_000 },
  issuedAt: 1_750_000_000_000,
  more: new Uint8Array(0),
  id: fromHex('0011223344556677'),
}
const first = { ttl: 7, hopCount: 0, custody: 0, hopAckWanted: false }

test('golden bytes of docs/wire/bitchat-native.md', () => {
  expect(toHex(encodeMeshPacket(signAnnouncement(identity, fields), first))).toBe(
    '010110070021fe31dfa154a261626bf854046fd2270011223344556677' +
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a' +
      '22'.repeat(32) +
      '685682a0' +
      '000001977420dc00' +
      '0eac97fbeb7c37a5aed14a595885ca8f54f7a0451f09f1da73704a084c3f976c' +
      'ca772b439d73d7b92e7e5d5a69aa5da7b733316aa6f3d676235ffe20ace9b20c',
  )
})

test('an announcement with all that it has room for fills a packet, and is read and verified', () => {
  const more = new Uint8Array(MAX_ANNOUNCED_MORE_BYTES).map((_, at) => at)
  const bytes = encodeMeshPacket(signAnnouncement(identity, { ...fields, more }), first)
  expect(bytes).toHaveLength(MAX_MESH_PACKET_BYTES)
  const decoded = decodeMesh(bytes)
  if (decoded?.kind !== 'packet') throw new Error('no packet')
  const announcement = readAnnouncement(decoded.packet)
  expect(announcement).toEqual({
    node: identity.nodeId,
    publicKey: identity.publicKey,
    staticKey: fields.staticKey,
    issuedAt: fields.issuedAt,
    more,
  })
  if (announcement === undefined) return
  expect(verifyAnnouncement(nodeCrypto, decoded.packet, announcement)).toBe(true)
})

test('every changed byte of what is signed is noticed, and what changes on the way is not', () => {
  const bytes = encodeMeshPacket(signAnnouncement(identity, fields), first)
  for (let at = 0; at < bytes.length; at++) {
    const bent = bytes.slice()
    bent[at] = (bent[at] as number) ^ 1
    const decoded = decodeMesh(bent)
    const announcement = decoded?.kind === 'packet' ? readAnnouncement(decoded.packet) : undefined
    if (decoded?.kind !== 'packet' || announcement === undefined) continue
    const isOnTheWay = at === 3 || at === 4
    expect([at, verifyAnnouncement(nodeCrypto, decoded.packet, announcement)]).toEqual([at, isOnTheWay])
  }
})

test('one that is cut is none', () => {
  const packet = signAnnouncement(identity, fields)
  for (let length = 0; length < packet.payload.length; length++) {
    const cut = { ...packet, payload: packet.payload.subarray(0, length) }
    const announcement = readAnnouncement(cut)
    if (announcement !== undefined) expect(verifyAnnouncement(nodeCrypto, cut, announcement)).toBe(false)
  }
})

test('what does not fit is refused at once', () => {
  expect(() => signAnnouncement(identity, { ...fields, more: new Uint8Array(76) })).toThrow(ArgumentError)
  const staticKey = { publicKey: new Uint8Array(31), notAfter: 0 }
  expect(() => signAnnouncement(identity, { ...fields, staticKey })).toThrow(ArgumentError)
  expect(() => signBroadcast(identity, MeshPacketType.Broadcast, fields.id, new Uint8Array(152))).toThrow(ArgumentError)
  expect(() => signBroadcast(identity, MeshPacketType.Broadcast, new Uint8Array(7), fields.more)).toThrow(ArgumentError)
})

test('a broadcast is believed with the key of its source only', () => {
  const content = new TextEncoder().encode('to everybody')
  const packet = signBroadcast(identity, MeshPacketType.Broadcast, fields.id, content)
  expect(verifyBroadcast(nodeCrypto, packet, identity.publicKey)).toEqual(content)
  const other = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(3))
  expect(verifyBroadcast(nodeCrypto, packet, other.publicKey)).toBeUndefined()
})
