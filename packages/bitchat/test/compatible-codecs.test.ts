import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { ArgumentError, equalBytes, fromHex, joinBytes, toHex } from '@aiv/transport-api'
import { decodeAnnouncement, encodeAnnouncement } from '../src/profiles/bitchat-compatible/announcement.js'
import { decodeBitField, encodeBitField } from '../src/profiles/bitchat-compatible/bit-field.js'
import { decodeChatMessage, encodeChatMessage } from '../src/profiles/bitchat-compatible/chat-message.js'
import { compressPayload, plainPayload } from '../src/profiles/bitchat-compatible/compression.js'
import { decodeFile, encodeFile } from '../src/profiles/bitchat-compatible/file.js'
import { FrameAssembler } from '../src/profiles/bitchat-compatible/frame-assembler.js'
import { cutPacket, decodeFragment, encodeFragment } from '../src/profiles/bitchat-compatible/fragment.js'
import { decodeGolombSet, encodeGolombSet, hashNumber, reduce } from '../src/profiles/bitchat-compatible/golomb-set.js'
import {
  decodePacket,
  encodePacket,
  frameOf,
  MAX_PAYLOAD_BYTES,
  packetLength,
  PacketType,
  signaturePreimage,
  type Packet,
} from '../src/profiles/bitchat-compatible/packet.js'
import { pad, paddingLength } from '../src/profiles/bitchat-compatible/padding.js'
import { parsePeerId, peerIdFromBytes, peerIdOf } from '../src/profiles/bitchat-compatible/peer-id.js'
import { decodePrivatePayload, encodePrivatePayload } from '../src/profiles/bitchat-compatible/private-payload.js'
import { rawDeflate } from '../src/profiles/bitchat-compatible/raw-deflate.node.js'
import { packetId } from '../src/profiles/bitchat-compatible/seen-packets.js'
import { decodeSyncRequest, encodeSyncRequest } from '../src/profiles/bitchat-compatible/sync-request.js'
import { compatibleCrypto } from './compatible-net.js'

const packet: Packet = {
  version: 1,
  type: PacketType.Message,
  ttl: 7,
  timestamp: 0x0102030405060708n,
  sender: parsePeerId('1011121314151617'),
  recipient: undefined,
  route: [],
  payload: fromHex('aabbcc'),
  originalSize: undefined,
  signature: undefined,
  solicited: false,
}

const golden = {
  message: '01020701020304050607080000031011121314151617aabbcc',
  routed:
    '021105000000000000002a0b00000002' +
    '0102030405060708' +
    '1112131415161718' +
    '02' +
    '2122232425262728' +
    '3132333435363738' +
    'dead' +
    '5a'.repeat(64),
  fragment: '00010203040506070001000302aabb',
  privateMessage: '0100026d3101026869',
  syncRequest: '0100011302000401020304030002aabb',
  announcement: `0103626f62${'0220'}${'11'.repeat(32)}${'0320'}${'22'.repeat(32)}05020001`,
  file: '01000161020004000000020300016d0400000002dead',
  chat: '00010203040506070802696403626f6200026869',
}

const routed: Packet = {
  ...packet,
  version: 2,
  type: PacketType.NoiseEncrypted,
  ttl: 5,
  timestamp: 42n,
  sender: parsePeerId('0102030405060708'),
  recipient: parsePeerId('1112131415161718'),
  route: [parsePeerId('2122232425262728'), parsePeerId('3132333435363738')],
  payload: fromHex('dead'),
  signature: new Uint8Array(64).fill(0x5a),
}

const chat = { timestamp: 0x0102030405060708n, id: 'id', sender: 'bob', content: 'hi' }
const file = { name: 'a', mime: 'm', content: fromHex('dead') }
const announcement = {
  nickname: 'bob',
  noiseKey: new Uint8Array(32).fill(0x11),
  signingKey: new Uint8Array(32).fill(0x22),
  neighbours: [],
  capabilities: 1n << 8n,
  geohash: undefined,
}
const syncRequest = {
  have: { parameter: 19, modulus: 0x01020304, data: fromHex('aabb') },
  types: undefined,
  since: undefined,
  fragments: [],
}

describe('golden bytes of the deployed protocol', () => {
  test('a message of version 1', () => {
    expect(toHex(encodePacket(packet))).toBe(golden.message)
    expect(decodePacket(fromHex(golden.message))).toEqual(packet)
  })

  test('a routed, signed packet of version 2', () => {
    expect(toHex(encodePacket(routed))).toBe(golden.routed)
    expect(decodePacket(fromHex(golden.routed))).toEqual(routed)
  })

  test('a fragment', () => {
    const fragment = { id: '0001020304050607', index: 1, total: 3, type: 2, data: fromHex('aabb') }
    expect(toHex(encodeFragment(fragment))).toBe(golden.fragment)
    expect(decodeFragment(fromHex(golden.fragment))).toEqual(fragment)
  })

  test('a private message', () => {
    const payload = { type: 'message', messageId: 'm1', text: 'hi' } as const
    expect(toHex(encodePrivatePayload(payload))).toBe(golden.privateMessage)
    expect(decodePrivatePayload(fromHex(golden.privateMessage))).toEqual(payload)
  })

  test('a request for synchronisation', () => {
    expect(toHex(encodeSyncRequest(syncRequest))).toBe(golden.syncRequest)
    expect(decodeSyncRequest(fromHex(golden.syncRequest))).toEqual(syncRequest)
  })

  test('an announcement', () => {
    expect(toHex(encodeAnnouncement(announcement))).toBe(golden.announcement)
    expect(decodeAnnouncement(fromHex(golden.announcement))).toEqual(announcement)
  })

  test('a file', () => {
    expect(toHex(encodeFile(file))).toBe(golden.file)
    expect(decodeFile(fromHex(golden.file))).toEqual(file)
  })

  test('the older chat payload', () => {
    expect(toHex(encodeChatMessage(chat))).toBe(golden.chat)
    expect(decodeChatMessage(fromHex(golden.chat))).toEqual(chat)
  })

  test('packet id, its number and its place in a set of one', () => {
    const id = packetId(compatibleCrypto, packet, packet.payload)
    expect(toHex(id)).toBe('7b76e25cec1e467dc618dc3c916996e9')
    const hash = hashNumber(compatibleCrypto.sha256(id))
    expect(hash.toString(16)).toBe('246f99a733e1b1d9')
    expect(reduce(hash, 128)).toBe(89)
    const set = encodeGolombSet([hash], 7, 400)
    expect([set.modulus, toHex(set.data)]).toEqual([128, '58'])
    expect(decodeGolombSet(set)).toEqual(new Set([89]))
  })

  test('the peer id of a Noise key (RFC 7748, section 6.1)', () => {
    const alice = fromHex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')
    expect(peerIdOf(compatibleCrypto, alice)).toBe('300c9c9603b92a4b')
  })

  test('raw DEFLATE, and the zlib wrapping that Android takes, too', () => {
    const plain = new Uint8Array(120).fill(0x61)
    expect(rawDeflate.decompress(fromHex('4b4c1c180000'), 120)).toEqual(plain)
    expect(rawDeflate.decompress(new Uint8Array(deflateSync(plain)), 120)).toEqual(plain)
  })
})

test('docs/wire/bitchat-compatible.md gives the golden bytes', () => {
  const path = fileURLToPath(new URL('../../../docs/wire/bitchat-compatible.md', import.meta.url))
  const section = readFileSync(path, 'utf8').split('## Golden values')[1] ?? ''
  const rows = new Map<string, string>()
  for (const [, what, bytes] of section.matchAll(/^\| ([^|-]+) \| (.*`.*) \|$/gm))
    rows.set(what ?? '', spelt(bytes ?? ''))
  for (const [what, bytes] of [
    ['message, version 1', golden.message],
    ['its packet id', '7b76e25cec1e467dc618dc3c916996e9'],
    ['set of it alone, P 7, M 128', '58'],
    ['routed and signed, version 2', golden.routed],
    ['fragment', golden.fragment],
    ['private message "hi", id "m1"', golden.privateMessage],
    ['request for synchronisation', golden.syncRequest],
    ['announcement', golden.announcement],
    ['file', golden.file],
    ['older chat payload', golden.chat],
    ['transport message "hi", key 32 × 01, counter 1', '000000012553bcc433ba780ef2db8c8f22d68a26e73f'],
    ['id of the key of Alice in RFC 7748', '300c9c9603b92a4b'],
    ['courier tag for it, day 20000', '7d7f39017f6762abf2388cafbd702227'],
  ] as const) {
    expect([what, rows.get(what)]).toEqual([what, bytes])
    rows.delete(what)
  }
  expect([...rows.keys()]).toEqual([])
})

/** `aa` `bb` 3 × `cc` is aabbcccccc. */
function spelt(text: string): string {
  const parts = text.matchAll(/(?:(\d+) × )?`([0-9a-f]+)`/g)
  return [...parts].map(([, times, bytes]) => (bytes ?? '').repeat(Number(times ?? 1))).join('')
}

describe('packets', () => {
  test('a packet that is cut off anywhere is none', () => {
    for (const text of [golden.message, golden.routed]) {
      const bytes = fromHex(text)
      for (let length = 0; length < bytes.length; length++) {
        expect(decodePacket(bytes.subarray(0, length))).toBeUndefined()
        expect([undefined, bytes.length]).toContain(packetLength(bytes.subarray(0, length)))
      }
    }
  })

  test('what follows a packet is ignored', () => {
    expect(decodePacket(fromHex(`${golden.message}ffff`))).toEqual(packet)
    expect(decodePacket(pad(fromHex(golden.routed)))).toEqual(routed)
  })

  test('other versions, too long a payload, and too short a compressed one are refused', () => {
    expect(decodePacket(fromHex(golden.message.replace(/^01/, '03')))).toBeUndefined()
    const long = fromHex(golden.routed)
    new DataView(long.buffer).setUint32(12, MAX_PAYLOAD_BYTES + 1)
    expect(packetLength(long)).toBe(-1)
    const compressed = encodePacket({ ...packet, payload: new Uint8Array(1) })
    compressed[11] = 0x04
    expect(decodePacket(compressed)).toBeUndefined()
  })

  test('a route flag in version 1 means nothing', () => {
    const bytes = fromHex(golden.message)
    bytes[11] = 0x08
    expect(decodePacket(bytes)).toEqual(packet)
  })

  test('what fits no packet is refused when it is made', () => {
    expect(() => encodePacket({ ...packet, payload: new Uint8Array(65_536) })).toThrow(ArgumentError)
    expect(() => encodePacket({ ...packet, route: routed.route })).toThrow(ArgumentError)
    expect(() => encodePacket({ ...packet, signature: new Uint8Array(63) })).toThrow(ArgumentError)
    expect(() => encodePacket({ ...routed, payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) })).toThrow(ArgumentError)
    expect(() => encodePacket({ ...routed, route: Array<typeof packet.sender>(256).fill(packet.sender) })).toThrow()
  })

  test('TTL, signature and the RSR flag are not signed, padding is', () => {
    const preimage = signaturePreimage(routed)
    expect(preimage).toHaveLength(256)
    expect(signaturePreimage({ ...routed, ttl: 1, solicited: true, signature: undefined })).toEqual(preimage)
    expect(preimage[11]).toBe(0x09)
    expect(preimage[255]).toBe(256 - (fromHex(golden.routed).length - 64))
    expect(signaturePreimage({ ...routed, route: [] })).not.toEqual(preimage)
  })

  test('only Noise packets are padded on the air', () => {
    expect(frameOf(encodePacket(routed))).toHaveLength(256)
    expect(frameOf(encodePacket(packet))).toHaveLength(25)
  })

  const id = fc.uint8Array({ minLength: 8, maxLength: 8 }).map(peerIdFromBytes)
  const anyPacket = fc
    .record({
      version: fc.constantFrom(1 as const, 2 as const),
      type: fc.integer({ min: 0, max: 255 }),
      ttl: fc.integer({ min: 0, max: 255 }),
      timestamp: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      sender: id,
      recipient: fc.option(id, { nil: undefined }),
      route: fc.array(id, { maxLength: 6 }),
      payload: fc.uint8Array({ maxLength: 600 }),
      originalSize: fc.option(fc.integer({ min: 0, max: 0xffff }), { nil: undefined }),
      signature: fc.option(fc.uint8Array({ minLength: 64, maxLength: 64 }), { nil: undefined }),
      solicited: fc.boolean(),
    })
    .map((made): Packet => ({ ...made, route: made.version === 1 ? [] : made.route }))

  test('property: what is encoded decodes to the same', () => {
    fc.assert(
      fc.property(anyPacket, (made) => {
        const bytes = encodePacket(made)
        expect(packetLength(bytes)).toBe(bytes.length)
        expect(decodePacket(bytes)).toEqual(made)
      }),
    )
  })

  test('property: packets come out of a stream however it is cut, with padding between them', () => {
    fc.assert(
      fc.property(
        fc.array(anyPacket, { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 }),
        (packets, cuts) => {
          const stream = joinBytes(packets.map((made) => pad(encodePacket(made))))
          const assembler = new FrameAssembler(4_096)
          const frames: Uint8Array[] = []
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = at + (cuts[i % cuts.length] ?? 1)
            const { frames: more, lost } = assembler.push(0, stream.slice(at, end))
            expect(lost).toBe(false)
            frames.push(...more.map((frame) => frame.slice()))
            at = end
          }
          expect(frames.map(decodePacket)).toEqual(packets)
        },
      ),
    )
  })
})

describe('frames of a link', () => {
  const bytes = fromHex(golden.message)

  test('a packet that stops coming for more than 250 ms is given up', () => {
    const assembler = new FrameAssembler(512)
    expect(assembler.push(0, bytes.subarray(0, 10))).toEqual({ frames: [], lost: false })
    expect(assembler.push(251, bytes)).toEqual({ frames: [bytes], lost: true })
  })

  test('what cannot be a packet costs the rest of the input, and nothing after it', () => {
    const assembler = new FrameAssembler(512)
    expect(assembler.push(0, joinBytes([bytes, fromHex('ffee'), bytes]))).toEqual({ frames: [bytes], lost: true })
    expect(assembler.push(0, bytes)).toEqual({ frames: [bytes], lost: false })
  })

  test('no more is held than the longest packet', () => {
    const assembler = new FrameAssembler(512)
    const long = encodePacket({ ...packet, payload: new Uint8Array(500) })
    expect(assembler.push(0, long.subarray(0, 100)).lost).toBe(true)
    expect(assembler.bytes).toBe(0)
  })
})

describe('padding', () => {
  test.each([
    [1, 256],
    [240, 256],
    [241, 241], // 512 would take 271 bytes
    [256, 256],
    [257, 512],
    [496, 512],
    [497, 497],
    [769, 1024],
    [1008, 1024],
    [1793, 2048],
    [2032, 2048],
    [2033, 2033],
    [5000, 5000],
  ])('%d bytes become %d', (length, expected) => {
    const padded = pad(new Uint8Array(length))
    expect(padded).toHaveLength(expected)
    if (expected > length) expect(paddingLength(padded.subarray(length))).toBe(expected - length)
  })

  test('only a whole run is padding', () => {
    expect(paddingLength(new Uint8Array(16).fill(16))).toBe(16)
    expect(paddingLength(new Uint8Array(15).fill(16))).toBeUndefined()
    expect(paddingLength(new Uint8Array(15).fill(15))).toBe(0)
    expect(paddingLength(Uint8Array.of(...new Uint8Array(15).fill(16), 15))).toBe(0)
    expect(paddingLength(new Uint8Array(0))).toBeUndefined()
  })
})

describe('announcements', () => {
  test('fields that are not known are skipped, of two the last counts', () => {
    const more = fromHex(`${golden.announcement}7701ff0103616c66`)
    expect(decodeAnnouncement(more)).toEqual({ ...announcement, nickname: 'alf' })
  })

  test.each([
    ['cut off', golden.announcement.slice(0, -2)],
    ['without a key', `0103626f62${'0220'}${'11'.repeat(32)}`],
    ['with a short key', `0103626f62${'021f'}${'11'.repeat(31)}${'0320'}${'22'.repeat(32)}`],
    ['with half a neighbour', `${golden.announcement}040411223344`],
    ['with eleven neighbours', `${golden.announcement}0458${'11'.repeat(88)}`],
    ['with capabilities of nine bytes', `${golden.announcement}0509${'01'.repeat(9)}`],
    ['with a name that is no UTF-8', `${golden.announcement}0101ff`],
    ['with a geohash of thirteen characters', `${golden.announcement}060d${'61'.repeat(13)}`],
  ])('one %s is refused', (_, text) => {
    expect(decodeAnnouncement(fromHex(text))).toBeUndefined()
  })

  test('property: what is encoded decodes to the same', () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const made = fc.record({
      nickname: fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => Buffer.byteLength(text) < 256),
      noiseKey: key,
      signingKey: key,
      neighbours: fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }).map(peerIdFromBytes), { maxLength: 10 }),
      capabilities: fc.option(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { nil: undefined }),
      geohash: fc.option(fc.string({ maxLength: 12, unit: fc.constantFrom('a', '1') }), { nil: undefined }),
    })
    fc.assert(fc.property(made, (value) => expect(decodeAnnouncement(encodeAnnouncement(value))).toEqual(value)))
  })

  test('too many neighbours, long names and odd keys are refused when it is made', () => {
    const many = Array<typeof packet.sender>(11).fill(packet.sender)
    expect(() => encodeAnnouncement({ ...announcement, neighbours: many })).toThrow(ArgumentError)
    expect(() => encodeAnnouncement({ ...announcement, nickname: 'x'.repeat(256) })).toThrow(ArgumentError)
    expect(() => encodeAnnouncement({ ...announcement, geohash: 'x'.repeat(13) })).toThrow(ArgumentError)
    expect(() => encodeAnnouncement({ ...announcement, noiseKey: new Uint8Array(31) })).toThrow(ArgumentError)
  })
})

describe('bit fields', () => {
  test('have no zeros at the end, and at least one byte', () => {
    expect(encodeBitField(0n)).toEqual(Uint8Array.of(0))
    expect(encodeBitField(0x8001n)).toEqual(Uint8Array.of(1, 0x80))
    expect(decodeBitField(Uint8Array.of(1, 0, 0))).toBe(1n)
    expect(decodeBitField(new Uint8Array(9))).toBeUndefined()
    expect(() => encodeBitField(1n << 64n)).toThrow(ArgumentError)
  })
})

describe('what is inside a session', () => {
  test.each([
    { type: 'message', messageId: 'id', text: 'text' },
    { type: 'delivered', messageId: 'id' },
    { type: 'read', messageId: 'id' },
    { type: 'file', file: Uint8Array.of(1, 2) },
    { type: 'peer-state', capabilities: 5n, signingKey: new Uint8Array(32).fill(7) },
  ] as const)('a $type is read as it was written', (payload) => {
    expect(decodePrivatePayload(encodePrivatePayload(payload))).toEqual(payload)
  })

  test('the old type of a private file is taken', () => {
    expect(decodePrivatePayload(fromHex('09aa'))).toEqual({ type: 'file', file: fromHex('aa') })
  })

  test.each([
    ['nothing', ''],
    ['an unknown type', '55aa'],
    ['a message without text', '0100026d31'],
    ['an empty receipt', '03'],
    ['a receipt that is no UTF-8', '03ff'],
    ['a peer state of another version', `2102010101${'0220'}${'11'.repeat(32)}`],
    ['a peer state with a field twice', `2101010101010102${'0220'}${'11'.repeat(32)}`],
    ['a peer state with capabilities that are not canonical', `210101020100${'0220'}${'11'.repeat(32)}`],
    ['a peer state without a key', '2101010101'],
  ])('%s is refused', (_, text) => {
    expect(decodePrivatePayload(fromHex(text))).toBeUndefined()
  })
})

describe('files and the older chat payload', () => {
  test('are refused when cut off anywhere, and a file when its size is wrong', () => {
    for (let length = 0; length < golden.file.length; length += 2) {
      expect(decodeFile(fromHex(golden.file.slice(0, length)))).toBeUndefined()
    }
    for (let length = 0; length < golden.chat.length; length += 2) {
      expect(decodeChatMessage(fromHex(golden.chat.slice(0, length)))).toBeUndefined()
    }
    expect(decodeFile(fromHex(golden.file.replace('00000002', '00000003')))).toBeUndefined()
  })

  test('property: what is encoded decodes to the same', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 })
    const short = text.filter((value) => Buffer.byteLength(value) < 256)
    fc.assert(
      fc.property(text, text, fc.uint8Array({ maxLength: 400 }), (name, mime, content) => {
        expect(decodeFile(encodeFile({ name, mime, content }))).toEqual({ name, mime, content })
      }),
    )
    fc.assert(
      fc.property(
        short,
        short,
        text,
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        (id, sender, content, timestamp) => {
          const message = { id, sender, content, timestamp }
          expect(decodeChatMessage(encodeChatMessage(message))).toEqual(message)
        },
      ),
    )
    expect(() => encodeChatMessage({ ...chat, id: 'x'.repeat(256) })).toThrow(ArgumentError)
    expect(() => encodeFile({ ...file, name: 'x'.repeat(65_536) })).toThrow(ArgumentError)
  })
})

describe('fragments', () => {
  test('together are the packet', () => {
    const encoded = encodePacket({ ...packet, payload: new Uint8Array(1_000).fill(3) })
    const pieces = cutPacket('0001020304050607', encoded, 209)
    expect(pieces).toHaveLength(5)
    expect(pieces.every(({ total, type }) => total === 5 && type === PacketType.Message)).toBe(true)
    expect(equalBytes(joinBytes(pieces.map(({ data }) => data)), encoded)).toBe(true)
    expect(() => cutPacket('0001020304050607', new Uint8Array(70_000), 1)).toThrow(ArgumentError)
  })

  test('without data, or with an index that is not below the total, are refused', () => {
    expect(decodeFragment(fromHex('00010203040506070001000302'))).toBeUndefined()
    expect(decodeFragment(fromHex('00010203040506070003000302aa'))).toBeUndefined()
  })
})

describe('requests for synchronisation', () => {
  test('property: what is encoded decodes to the same', () => {
    const hexId = fc.uint8Array({ minLength: 8, maxLength: 8 }).map(toHex)
    const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
    const made = fc.record({
      have: fc.record({
        parameter: fc.integer({ min: 1, max: 32 }),
        modulus: fc.integer({ min: 1, max: 0xffffffff }),
        data: fc.uint8Array({ maxLength: 1_024 }),
      }),
      types: fc.option(u64, { nil: undefined }),
      since: fc.option(u64, { nil: undefined }),
      fragments: fc.array(hexId, { maxLength: 60 }),
    })
    fc.assert(fc.property(made, (value) => expect(decodeSyncRequest(encodeSyncRequest(value))).toEqual(value)))
  })

  test.each([
    ['without a set', '01000113'],
    ['with P of 33', '0100012102000401020304030002aabb'],
    ['with P of 0', '0100010002000401020304030002aabb'],
    ['with M of 0', '0100011302000400000000030002aabb'],
    ['with a set of 1,025 bytes', `010001130200040102030403${'0401'}${'aa'.repeat(1025)}`],
    ['with nine bytes of types', `${golden.syncRequest}040009${'01'.repeat(9)}`],
    ['with a short time', `${golden.syncRequest}05000401020304`],
    ['with a fragment id that is none', `${golden.syncRequest}0600037a7a7a`],
  ])('one %s is refused', (_, text) => {
    expect(decodeSyncRequest(fromHex(text))).toBeUndefined()
  })

  test('more than 60 fragments are refused, read and written', () => {
    const fragments = Array<string>(61).fill('00'.repeat(8))
    expect(() => encodeSyncRequest({ ...syncRequest, fragments })).toThrow(ArgumentError)
    const list = toHex(new TextEncoder().encode(fragments.join(',')))
    const length = (list.length / 2).toString(16).padStart(4, '0')
    expect(decodeSyncRequest(fromHex(`${golden.syncRequest}06${length}${list}`))).toBeUndefined()
  })
})

describe('Golomb-coded sets', () => {
  const hashes = fc.array(fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }), { maxLength: 400 })

  test('property: what was put in is found', () => {
    fc.assert(
      fc.property(hashes, fc.integer({ min: 1, max: 24 }), fc.integer({ min: 8, max: 1_024 }), (made, p, maxBytes) => {
        const set = encodeGolombSet(made, p, maxBytes)
        expect(set.data.length).toBeLessThanOrEqual(maxBytes)
        const numbers = decodeGolombSet(set)
        for (const hash of made.slice(0, set.count)) expect(numbers.has(reduce(hash, set.modulus))).toBe(true)
      }),
    )
  })

  test('property: any bytes give numbers below M, and not more of them than bits', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 1_024 }),
        fc.integer({ min: 1, max: 32 }),
        fc.integer({ min: 1, max: 0xffffffff }),
        (data, parameter, modulus) => {
          const numbers = decodeGolombSet({ parameter, modulus, data })
          expect(numbers.size).toBeLessThanOrEqual(data.length * 8)
          for (const number of numbers) expect(number).toBeLessThan(modulus)
        },
      ),
    )
  })

  test('what was not put in is found once in 2^P', () => {
    const hash = (i: number): bigint => hashNumber(compatibleCrypto.sha256(Uint8Array.of(i >>> 8, i & 0xff)))
    const set = encodeGolombSet(
      Array.from({ length: 300 }, (_, i) => hash(i)),
      7,
      400,
    )
    expect(set.count).toBe(300)
    const numbers = decodeGolombSet(set)
    let found = 0
    for (let i = 1_000; i < 11_000; i++) if (numbers.has(reduce(hash(i), set.modulus))) found++
    expect(found).toBeGreaterThan(40)
    expect(found).toBeLessThan(120)
  })
})

describe('compression', () => {
  const text = new TextEncoder().encode('the same words again and again, '.repeat(20))

  test('is done where it helps', () => {
    const compressed = compressPayload(rawDeflate, text)
    expect(compressed.originalSize).toBe(text.length)
    expect(compressed.payload.length).toBeLessThan(text.length)
    expect(plainPayload(rawDeflate, compressed)).toEqual(text)
  })

  test('is left alone below 100 bytes, and where every byte is another one', () => {
    expect(compressPayload(rawDeflate, text.subarray(0, 99)).originalSize).toBeUndefined()
    const varied = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect(compressPayload(rawDeflate, varied).originalSize).toBeUndefined()
  })

  test('a result of another size than declared, or longer than allowed, is refused', () => {
    const { payload } = compressPayload(rawDeflate, text)
    expect(plainPayload(rawDeflate, { payload, originalSize: text.length - 1 })).toBeUndefined()
    expect(plainPayload(rawDeflate, { payload, originalSize: text.length + 1 })).toBeUndefined()
    expect(plainPayload(rawDeflate, { payload: fromHex('ffff'), originalSize: 10 })).toBeUndefined()
    expect(plainPayload(rawDeflate, { payload: new Uint8Array(0), originalSize: 0 })).toBeUndefined()
  })

  test('a claim that DEFLATE cannot keep is refused without inflating', () => {
    let asked = 0
    const counting = {
      ...rawDeflate,
      decompress: (bytes: Uint8Array, maxBytes: number) => {
        asked++
        return rawDeflate.decompress(bytes, maxBytes)
      },
    }
    expect(plainPayload(counting, { payload: new Uint8Array(20), originalSize: 1_000_000 })).toBeUndefined()
    expect(plainPayload(counting, { payload: new Uint8Array(1_000_000), originalSize: 0xffffffff })).toBeUndefined()
    expect(asked).toBe(0)
  })

  test('the whole range that DEFLATE reaches is taken', () => {
    const zeros = new Uint8Array(1_048_576)
    const compressed = compressPayload(rawDeflate, zeros)
    expect(plainPayload(rawDeflate, compressed)?.length).toBe(zeros.length)
  })
})

test('peer ids are 16 lowercase hex characters', () => {
  expect(() => parsePeerId('0102')).toThrow(ArgumentError)
  expect(() => peerIdFromBytes(new Uint8Array(7))).toThrow(ArgumentError)
})
