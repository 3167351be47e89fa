import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError, joinBytes, nodeIdFromBytes, type DeviceType, type Priority } from '@aiv/transport-api'
import {
  BROADCAST_DESTINATION,
  decodeAcknowledgement,
  decodeEnvelope,
  decodeEnvelopePlaintext,
  decodeHello,
  decodeLinkAck,
  decodeLinkEnvelope,
  decodePing,
  decodeRecordPacket,
  encodeAcknowledgement,
  encodeEnvelopeHeader,
  encodeEnvelopePlaintextHeader,
  encodeHello,
  encodeLinkAck,
  encodeLinkEnvelopeHeader,
  encodePing,
  encodeRecordPacket,
  envelopeAuthenticatorInput,
  envelopeAuthenticatorLength,
  envelopeDigestInput,
  envelopePacket,
  EnvelopeType,
  epochFromBytes,
  epochToBytes,
  isMessageIdOf,
  messageIdInput,
  MessageKind,
  packetKind,
  PacketKind,
  type CounterRange,
  type EnvelopeHeader,
  type EnvelopePlaintextFields,
  type Hello,
  type LinkEnvelopeFields,
} from '../src/index.js'
import { golden } from './golden-packets.js'

const decoders: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  decodeAcknowledgement,
  decodeEnvelope,
  decodeEnvelopePlaintext,
  decodeHello,
  decodeLinkAck,
  decodeLinkEnvelope,
  decodePing,
  decodeRecordPacket,
  packetKind,
}

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const varint = fc.oneof(fc.nat({ max: 70 }), fc.nat({ max: 0x3fffffff }), fc.maxSafeNat())
const priority = fc.constantFrom<Priority>(0, 1, 2, 3)
const kind = fc.constantFrom<MessageKind>(0, 1, 2, 3)
const protocol = fc.oneof(
  fc.constantFrom('', 'aiv-file/1', 'chat/1', 'ünïcode/9'),
  fc.string({ unit: 'grapheme', maxLength: 8 }).filter((name) => !name.startsWith('#') && utf8Length(name) <= 32),
)
const epoch = bytes(8).map(epochFromBytes)
const nodeId = bytes(16).map(nodeIdFromBytes)

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length
}

const linkFields: fc.Arbitrary<LinkEnvelopeFields> = fc
  .record({
    priority,
    compressed: fc.boolean(),
    ordered: fc.boolean(),
    acknowledge: fc.boolean(),
    kind,
    counter: varint,
    lifetimeS: fc.nat({ max: 604_800 }),
    protocol,
    requestId: varint,
  })
  .map((fields) => ({ ...fields, requestId: fields.kind === MessageKind.Message ? undefined : fields.requestId }))

describe('all decoders', () => {
  test.each(Object.keys(decoders))('%s survives any bytes', (name) => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (input) => void decoders[name]?.(input)))
    fc.assert(
      fc.property(fc.nat({ max: 8 }), fc.uint8Array({ maxLength: 300 }), (first, input) => {
        decoders[name]?.(Uint8Array.of(first, ...input))
      }),
    )
  })

  test.each(golden)('$title: no byte of it can be changed so that decoding throws', ({ encode, decode }) => {
    const valid = encode()
    for (let at = 0; at < valid.length; at++) {
      for (const value of [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff]) {
        decode(Uint8Array.from(valid, (byte, i) => (i === at ? value : byte)))
      }
    }
  })

  test.each(golden)('$title: cut off anywhere, it is something else or nothing', ({ encode, decode, fields }) => {
    const valid = encode()
    for (let end = 0; end < valid.length; end++) expect(decode(valid.subarray(0, end))).not.toEqual(fields)
  })

  test.each(golden)('$title: reads the same out of the middle of a larger buffer', ({ encode, decode, fields }) => {
    const valid = encode()
    const larger = new Uint8Array(valid.length + 20).fill(0xee)
    larger.set(valid, 7)
    expect(decode(larger.subarray(7, 7 + valid.length))).toEqual(fields)
  })
})

describe('packetKind', () => {
  test('tells known, private and unknown kinds apart', () => {
    expect(packetKind(new Uint8Array(0))).toBeUndefined()
    expect(packetKind(Uint8Array.of(PacketKind.Link))).toBe(PacketKind.Link)
    expect(packetKind(Uint8Array.of(PacketKind.Ack, 1))).toBe(PacketKind.Ack)
    expect(packetKind(Uint8Array.of(0x09))).toBeUndefined()
    expect(packetKind(Uint8Array.of(0x7f))).toBeUndefined()
    expect(packetKind(Uint8Array.of(0x80))).toBe('private')
    expect(packetKind(Uint8Array.of(0xff))).toBe('private')
  })
})

describe('link envelope', () => {
  test('decoding gives back what was encoded', () => {
    fc.assert(
      fc.property(linkFields, fc.uint8Array({ maxLength: 40 }), (fields, payload) => {
        const packet = joinBytes([encodeLinkEnvelopeHeader(fields), payload])
        expect(decodeLinkEnvelope(packet)).toEqual({ ...fields, payload })
      }),
    )
  })

  test('the payload is a view, not a copy', () => {
    const fields = decodeLinkEnvelope(
      golden.find(({ document }) => document === 'link-envelope')?.encode() ?? bytesOf(),
    )
    expect(fields?.payload.buffer.byteLength).toBe(11)
  })

  test('the header stays within 11 bytes for a protocol of ours', () => {
    const fields: LinkEnvelopeFields = {
      priority: 3,
      compressed: true,
      ordered: true,
      acknowledge: true,
      kind: MessageKind.Message,
      counter: 0x3fffffff,
      lifetimeS: 604_800,
      protocol: 'aiv-file/1',
      requestId: undefined,
    }
    expect(encodeLinkEnvelopeHeader(fields)).toHaveLength(11)
  })

  test('a protocol number that nobody knows yet reads as # and the number', () => {
    expect(decodeLinkEnvelope(Uint8Array.of(1, 0, 0, 0, 0x7f))?.protocol).toBe('#127')
  })

  test.each([
    ['bit 7 of the flags', [1, 0x80, 0, 0, 0]],
    ['a lifetime over seven days', [1, 0, 0, 0x80, 0x09, 0x3a, 0x81, 0]],
    ['a counter over 2^53 − 1', [1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]],
    ['a name of no bytes', [1, 0, 0, 0, 0x80]],
    ['a name of 33 bytes', [1, 0, 0, 0, 0xa1, ...new Array<number>(33).fill(0x61)]],
    ['a name that is cut off', [1, 0, 0, 0, 0x83, 0x61, 0x62]],
    ['a name that is no UTF-8', [1, 0, 0, 0, 0x82, 0xc3, 0x28]],
    ['a name that begins with #', [1, 0, 0, 0, 0x82, 0x23, 0x31]],
    ['a request without its id', [1, 0x20, 0, 0, 0]],
    ['another kind of packet', [2, 0, 0, 0, 0]],
  ])('%s is refused', (_, packet) => {
    expect(decodeLinkEnvelope(Uint8Array.from(packet))).toBeUndefined()
  })

  test('remembered names never stand in for others, however many there are', () => {
    const header = (name: string): Uint8Array =>
      encodeLinkEnvelopeHeader({
        priority: 2,
        compressed: false,
        ordered: true,
        acknowledge: true,
        kind: MessageKind.Message,
        counter: 0,
        lifetimeS: 0,
        protocol: name,
        requestId: undefined,
      })
    const names = Array.from({ length: 300 }, (_, i) => `p${i % 7}-${i}-${'x'.repeat(i % 20)}`)
    for (const name of [...names, ...names.reverse(), 'aiv-file/1', '']) {
      expect(decodeLinkEnvelope(header(name))?.protocol).toBe(name)
    }
    expect(header('aiv-file/1')).toHaveLength(5)
  })

  test('the caller hears of what cannot be at once', () => {
    const valid: LinkEnvelopeFields = {
      priority: 2,
      compressed: false,
      ordered: true,
      acknowledge: true,
      kind: MessageKind.Message,
      counter: 0,
      lifetimeS: 1,
      protocol: '',
      requestId: undefined,
    }
    const wrong: Partial<LinkEnvelopeFields>[] = [
      { counter: -1 },
      { counter: 1.5 },
      { counter: 2 ** 53 },
      { lifetimeS: 604_801 },
      { lifetimeS: -1 },
      { lifetimeS: NaN },
      { requestId: 1 },
      { kind: MessageKind.Request },
      { protocol: '#1' },
      { protocol: 'x'.repeat(33) },
      { protocol: 'ü'.repeat(17) },
      { protocol: 'lone \ud800' },
    ]
    for (const fields of wrong) {
      expect(() => encodeLinkEnvelopeHeader({ ...valid, ...fields })).toThrow(ArgumentError)
    }
  })
})

describe('HELLO', () => {
  const hello: fc.Arbitrary<Hello> = fc.record({
    version: fc.integer({ min: 1, max: 255 }),
    capabilities: fc.nat({ max: 0xffffffff }),
    deviceType: fc.constantFrom<DeviceType | undefined>(undefined, 'mobile', 'desktop', 'server', 'fog'),
    record: fc.option(fc.uint8Array({ maxLength: 960 }), { nil: undefined }),
    observedAddress: fc.option(fc.string({ maxLength: 255 }), { nil: undefined }),
    epoch,
    firstCounters: fc.option(fc.tuple(varint, varint, varint, varint), { nil: undefined }),
    heard: fc.boolean(),
  })

  test('decoding gives back what was encoded', () => {
    fc.assert(fc.property(hello, (fields) => expect(decodeHello(encodeHello(fields))).toEqual(fields)))
  })

  test('fields that this version does not know are passed over', () => {
    const known = golden.find(({ title }) => title === 'HELLO, epoch alone')
    const packet = joinBytes([known?.encode() ?? bytesOf(), Uint8Array.of(0x40, 3, 1, 2, 3)])
    expect(decodeHello(packet)).toEqual(known?.fields)
  })

  test('capabilities beyond the first 32 bits are ignored', () => {
    const packet = Uint8Array.of(2, 1, 1, 6, 1, 0, 0, 0x80, 1, 1, 5, 8, 0, 0, 0, 0, 0, 0, 0, 0)
    expect(decodeHello(packet)?.capabilities).toBe(0x80000001)
  })

  const epochField = [5, 8, 0, 0, 0, 0, 0, 0, 0, 0]
  test.each([
    ['no epoch', [2, 1]],
    ['version 0', [2, 0, ...epochField]],
    ['an epoch of 7 bytes', [2, 1, 5, 7, 0, 0, 0, 0, 0, 0, 0]],
    ['a field twice', [2, 1, ...epochField, ...epochField]],
    ['fields out of order', [2, 1, ...epochField, 2, 1, 0]],
    ['an unknown device type', [2, 1, 2, 1, 4, ...epochField]],
    ['an address that is no UTF-8', [2, 1, 4, 2, 0xc3, 0x28, ...epochField]],
    ['three counters', [2, 1, ...epochField, 6, 3, 0, 0, 0]],
    ['five counters', [2, 1, ...epochField, 6, 5, 0, 0, 0, 0, 0]],
    ['a heard with a value', [2, 1, ...epochField, 7, 1, 0]],
    ['a length over the end', [2, 1, ...epochField, 8, 2, 0]],
    ['over 2,048 bytes', [2, 1, ...epochField, 0x40, 0x48, 0x00, ...new Array<number>(2048).fill(0)]],
  ])('%s is refused', (_, packet) => {
    expect(decodeHello(Uint8Array.from(packet))).toBeUndefined()
  })

  test('the caller hears of what cannot be at once', () => {
    const valid = golden.find(({ title }) => title === 'HELLO, epoch alone')?.fields as Hello
    const wrong: Partial<Hello>[] = [
      { version: 0 },
      { version: 256 },
      { capabilities: -1 },
      { capabilities: 2 ** 32 },
      { record: new Uint8Array(961) },
      { observedAddress: 'a'.repeat(256) },
      { epoch: '12' },
      { firstCounters: [0, 0, 0, -1] },
    ]
    for (const fields of wrong) expect(() => encodeHello({ ...valid, ...fields })).toThrow(ArgumentError)
  })
})

describe('link acknowledgement', () => {
  const ranges = fc
    .array(fc.record({ skip: fc.nat({ max: 1000 }), more: fc.nat({ max: 100_000 }) }), { maxLength: 30 })
    .map((steps) => {
      const out: CounterRange[] = []
      let floor = 0
      for (const { skip, more } of steps) {
        out.push({ first: floor + skip, last: floor + skip + more })
        floor += skip + more + 2
      }
      return out
    })
  const ack = fc.record({
    epoch,
    acknowledged: fc.tuple(ranges, ranges, ranges, ranges),
    refused: fc.tuple(ranges, ranges, ranges, ranges),
  })

  test('decoding gives back what was encoded', () => {
    fc.assert(
      fc.property(ack, (fields) => {
        const count = [...fields.acknowledged, ...fields.refused].flat().length
        fc.pre(count > 0 && count <= 256)
        expect(decodeLinkAck(encodeLinkAck(fields))).toEqual(fields)
      }),
    )
  })

  test('takes 256 ranges and no more, whatever the number that is claimed', () => {
    const many = (count: number): CounterRange[] =>
      Array.from({ length: count }, (_, i) => ({ first: 2 * i, last: 2 * i }))
    const fields = { epoch: '0000000000000000', refused: [[], [], [], []] as const }
    const full = encodeLinkAck({ ...fields, acknowledged: [many(128), many(128), [], []] })
    expect(decodeLinkAck(full)?.acknowledged[1]).toHaveLength(128)
    expect(() => encodeLinkAck({ ...fields, acknowledged: [many(257), [], [], []] })).toThrow(ArgumentError)
    expect(() => encodeLinkAck({ ...fields, acknowledged: [[], [], [], []] })).toThrow(ArgumentError)
    expect(decodeLinkAck(joinBytes([full, Uint8Array.of(2, 1, 0, 0)]))).toBeUndefined()
    expect(decodeLinkAck(Uint8Array.of(3, ...new Array<number>(8).fill(0), 0, 0xbf, 0xff, 0xff, 0xff))).toBeUndefined()
  })

  const head = [3, 0, 0, 0, 0, 0, 0, 0, 0]
  test.each([
    ['no section', head],
    ['an empty section', [...head, 0, 0]],
    ['a section twice', [...head, 1, 1, 0, 0, 1, 1, 0, 0]],
    ['sections out of order', [...head, 2, 1, 0, 0, 1, 1, 0, 0]],
    ['an unknown section', [...head, 8, 1, 0, 0]],
    ['a range that is cut off', [...head, 0, 1, 0]],
    ['a counter over 2^53 − 1', [...head, 0, 1, 0xc0, 0x1f, ...new Array<number>(6).fill(0xff), 1]],
  ])('%s is refused', (_, packet) => {
    expect(decodeLinkAck(Uint8Array.from(packet))).toBeUndefined()
  })

  test('ranges that touch, overlap or run backwards are our own mistake', () => {
    for (const wrong of [
      [{ first: 5, last: 4 }],
      [{ first: 0, last: 4 }, { first: 5, last: 6 }], // prettier-ignore
      [{ first: 4, last: 9 }, { first: 0, last: 1 }], // prettier-ignore
    ]) {
      const acknowledged = [wrong, [], [], []] as const
      expect(() => encodeLinkAck({ epoch: '0000000000000000', acknowledged, refused: [[], [], [], []] })).toThrow(
        ArgumentError,
      )
    }
  })
})

describe('ping, record request, acknowledgement, epoch', () => {
  test('decoding gives back what was encoded', () => {
    fc.assert(
      fc.property(bytes(8), fc.constantFrom('ping' as const, 'pong' as const), (opaque, type) => {
        expect(decodePing(encodePing({ type, opaque }))).toEqual({ type, opaque })
        expect(epochToBytes(epochFromBytes(opaque))).toEqual(opaque)
      }),
    )
    fc.assert(
      fc.property(
        nodeId,
        fc.option(fc.uint8Array({ minLength: 1, maxLength: 960 }), { nil: undefined }),
        (node, record) => {
          for (const packet of [{ type: 'request', node } as const, { type: 'reply', node, record } as const]) {
            expect(decodeRecordPacket(encodeRecordPacket(packet))).toEqual(packet)
          }
        },
      ),
    )
    fc.assert(
      fc.property(fc.array(bytes(16), { minLength: 1, maxLength: 64 }), (proofs) => {
        expect(decodeAcknowledgement(encodeAcknowledgement(proofs))).toEqual(proofs)
      }),
    )
  })

  test('what is too long or of the wrong length is refused', () => {
    expect(decodePing(Uint8Array.of(4, 2, 0, 0, 0, 0, 0, 0, 0, 0))).toBeUndefined()
    expect(decodePing(Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))).toBeUndefined()
    expect(decodeRecordPacket(Uint8Array.of(5, 0, ...new Uint8Array(17)))).toBeUndefined()
    expect(decodeRecordPacket(Uint8Array.of(5, 2, ...new Uint8Array(16)))).toBeUndefined()
    expect(decodeRecordPacket(Uint8Array.of(5, 1, ...new Uint8Array(16 + 961)))).toBeUndefined()
    expect(decodeAcknowledgement(Uint8Array.of(8))).toBeUndefined()
    expect(decodeAcknowledgement(Uint8Array.of(8, ...new Uint8Array(17)))).toBeUndefined()
    expect(decodeAcknowledgement(Uint8Array.of(8, ...new Uint8Array(65 * 16)))).toBeUndefined()
  })

  test('the caller hears of what cannot be at once', () => {
    const node = BROADCAST_DESTINATION
    expect(() => encodePing({ type: 'ping', opaque: new Uint8Array(7) })).toThrow(ArgumentError)
    expect(() => encodeRecordPacket({ type: 'reply', node, record: new Uint8Array(0) })).toThrow(ArgumentError)
    expect(() => encodeRecordPacket({ type: 'reply', node, record: new Uint8Array(961) })).toThrow(ArgumentError)
    expect(() => encodeAcknowledgement([])).toThrow(ArgumentError)
    expect(() => encodeAcknowledgement(new Array<Uint8Array>(65).fill(new Uint8Array(16)))).toThrow(ArgumentError)
    expect(() => encodeAcknowledgement([new Uint8Array(15)])).toThrow(ArgumentError)
    expect(() => epochFromBytes(new Uint8Array(9))).toThrow(ArgumentError)
    expect(() => epochToBytes('ABCDEF0123456789')).toThrow(ArgumentError)
  })
})

describe('envelope', () => {
  const header: fc.Arbitrary<EnvelopeHeader> = fc
    .record({
      type: fc.constantFrom(...Object.values(EnvelopeType)),
      flags: fc.constantFrom(0, 1),
      priority,
      hopLimit: fc.nat({ max: 255 }),
      session: fc.nat({ max: 0xffffffff }),
      messageId: bytes(16),
      source: nodeId,
      destination: nodeId,
      timestamp: fc.maxSafeNat(),
      lifetimeS: fc.nat({ max: 604_800 }),
    })
    .map((fields) => ({
      ...fields,
      destination: fields.type === EnvelopeType.Broadcast ? BROADCAST_DESTINATION : fields.destination,
    }))
  const pack = (fields: EnvelopeHeader, payload: Uint8Array): Uint8Array =>
    joinBytes(
      envelopePacket(
        encodeEnvelopeHeader(fields, payload.length),
        payload,
        new Uint8Array(envelopeAuthenticatorLength(fields.type)).fill(0xaa),
      ),
    )
  const sample = golden.find(({ document }) => document === 'envelope')?.fields as EnvelopeHeader

  test('decoding gives back what was encoded, for every type', () => {
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 60 }), (fields, payload) => {
        const decoded = decodeEnvelope(pack(fields, payload))
        expect(decoded).toMatchObject({ ...fields, payload })
        expect(decoded?.authenticator).toHaveLength(envelopeAuthenticatorLength(fields.type))
      }),
    )
  })

  test('a relay that counts the hop limit down changes neither digest nor what is authenticated', () => {
    fc.assert(
      fc.property(header, fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 20 }), (fields, hopLimit, payload) => {
        const sent = decodeEnvelope(pack(fields, payload))
        const relayed = decodeEnvelope(pack({ ...fields, hopLimit }, payload))
        if (sent === undefined || relayed === undefined) throw new Error('no envelope')
        expect(joinBytes(envelopeDigestInput(relayed))).toEqual(joinBytes(envelopeDigestInput(sent)))
        expect(joinBytes(envelopeAuthenticatorInput(relayed))).toEqual(joinBytes(envelopeAuthenticatorInput(sent)))
        expect(sent.headerBytes[4]).toBe(fields.hopLimit)
      }),
    )
  })

  test('any other changed bit changes the digest input', () => {
    const packet = pack(sample, new Uint8Array(3))
    const original = decodeEnvelope(packet)
    if (original === undefined) throw new Error('no envelope')
    const before = joinBytes(envelopeDigestInput(original))
    for (let bit = 8; bit < packet.length * 8; bit++) {
      if (bit >> 3 === 5) continue // the hop limit
      const changed = packet.slice()
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      const decoded = decodeEnvelope(changed)
      if (decoded !== undefined) expect(joinBytes(envelopeDigestInput(decoded))).not.toEqual(before)
    }
  })

  const changed = (offset: number, value: number): Uint8Array =>
    Uint8Array.from(pack(sample, new Uint8Array(3)), (byte, i) => (i === 1 + offset ? value : byte))
  test.each([
    ['another version', changed(0, 2)],
    ['an unknown type', changed(1, 6)],
    ['a type with another authenticator', changed(1, 1)],
    ['an unknown flag', changed(2, 2)],
    ['an unknown priority', changed(3, 4)],
    ['a timestamp over 2^53 − 1', changed(57, 0xff)],
    ['a lifetime over seven days', changed(65, 1)],
    ['another payload length', changed(72, 4)],
    ['a payload length over 16 MiB', changed(69, 0xff)],
  ])('%s is refused', (_, packet) => {
    expect(decodeEnvelope(packet)).toBeUndefined()
  })

  test('the caller hears of what cannot be at once', () => {
    const wrong: Partial<EnvelopeHeader>[] = [
      { flags: 2 },
      { hopLimit: 256 },
      { session: 2 ** 32 },
      { messageId: new Uint8Array(15) },
      { timestamp: -1 },
      { lifetimeS: 604_801 },
      { lifetimeS: 0.5 },
      { type: EnvelopeType.Broadcast },
      { destination: BROADCAST_DESTINATION },
    ]
    for (const fields of wrong) expect(() => encodeEnvelopeHeader({ ...sample, ...fields }, 0)).toThrow(ArgumentError)
    expect(() => encodeEnvelopeHeader(sample, 16 * 1024 * 1024 + 1)).toThrow(ArgumentError)
    const good = encodeEnvelopeHeader(sample, 3)
    expect(() => envelopePacket(good, new Uint8Array(3), new Uint8Array(96))).toThrow(ArgumentError)
    expect(() => envelopePacket(good, new Uint8Array(4), new Uint8Array(16))).toThrow(ArgumentError)
  })

  test('the plaintext comes back as it was encoded', () => {
    const plaintext: fc.Arbitrary<EnvelopePlaintextFields> = fc
      .record({
        proof: bytes(16),
        epoch,
        counter: fc.maxSafeNat(),
        ordered: fc.boolean(),
        kind,
        protocol,
        contentType: fc.nat({ max: 255 }),
        compression: fc.constantFrom<0 | 1>(0, 1),
        requestId: fc.maxSafeNat(),
      })
      .map((fields) => ({ ...fields, requestId: fields.kind === MessageKind.Message ? undefined : fields.requestId }))
    fc.assert(
      fc.property(plaintext, fc.uint8Array({ maxLength: 30 }), (fields, content) => {
        const opened = joinBytes([encodeEnvelopePlaintextHeader(fields), content])
        expect(decodeEnvelopePlaintext(opened)).toEqual({ ...fields, content })
      }),
    )
  })

  test('a plaintext with an unknown flag or compression is refused, ours with wrong fields throws', () => {
    const one = golden.find(({ title }) => title === 'plaintext')
    const valid = one?.encode() ?? bytesOf()
    const at = (offset: number, value: number): unknown =>
      decodeEnvelopePlaintext(Uint8Array.from(valid, (byte, i) => (i === offset ? value : byte)))
    expect(at(32, 0x2c)).toBeUndefined()
    expect(at(24, 0xff)).toBeUndefined()
    expect(at(41, 2)).toBeUndefined()
    expect(at(42, 0xff)).toBeUndefined()
    const fields = one?.fields as EnvelopePlaintextFields
    for (const wrong of [
      { proof: new Uint8Array(15) },
      { counter: -1 },
      { contentType: 256 },
      { requestId: undefined },
    ] satisfies Partial<EnvelopePlaintextFields>[]) {
      expect(() => encodeEnvelopePlaintextHeader({ ...fields, ...wrong })).toThrow(ArgumentError)
    }
  })

  test('a message id belongs to the first half of a digest over "aiv-ack/1" and k', () => {
    const input = joinBytes(messageIdInput(Uint8Array.of(1, 2)))
    expect(new TextDecoder().decode(input.subarray(0, 9))).toBe('aiv-ack/1')
    const digest = Uint8Array.from({ length: 32 }, (_, i) => i)
    expect(isMessageIdOf(digest.subarray(0, 16), digest)).toBe(true)
    expect(isMessageIdOf(digest.subarray(1, 17), digest)).toBe(false)
  })
})

function bytesOf(): Uint8Array {
  throw new Error('no such golden value')
}
