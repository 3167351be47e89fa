import {
  InboundDelivery,
  MessageKind,
  decodeAcknowledgement,
  decodeEnvelope,
  decodeEnvelopePlaintext,
  decodeHello,
  decodeLinkAck,
  decodeLinkEnvelope,
  decodePing,
  decodeProtocol,
  decodeRecordPacket,
  encodeAcknowledgement,
  encodeEnvelopeHeader,
  encodeEnvelopePlaintextHeader,
  encodeHello,
  encodeLinkAck,
  encodeLinkEnvelopeHeader,
  encodePing,
  encodeRecordPacket,
  packetKind,
} from '@aiv/routing'
import { joinBytes, toHex } from '@aiv/transport-api'
import { codec, ensure } from '../expect.mjs'

/** A number that no name is known for reads as #n, and is not written: whoever answers keeps the bytes. */
const rewritable = (value) => !value.protocol.startsWith('#')
const bytes = (length, step = 7) => Uint8Array.from({ length }, (_, i) => i * step)
const epoch = '0123456789abcdef'
const node = '00112233445566778899aabbccddeeff'

const link = (fields, payload = bytes(20)) =>
  joinBytes([
    encodeLinkEnvelopeHeader({
      priority: 2,
      compressed: false,
      ordered: true,
      acknowledge: true,
      kind: MessageKind.Message,
      counter: 0,
      lifetimeS: 30,
      protocol: 'chat/1',
      requestId: undefined,
      ...fields,
    }),
    payload,
  ])

const linkSeeds = [
  link({}),
  link({ counter: 2 ** 40, protocol: '', compressed: true, lifetimeS: 604_800 }),
  link({ kind: MessageKind.Request, requestId: 70_000, protocol: 'aiv-file/1', priority: 0 }),
  link({ kind: MessageKind.Failure, requestId: 2 ** 50, ordered: false, acknowledge: false }, new Uint8Array(0)),
]

const helloSeeds = [
  { capabilities: 0, deviceType: undefined, record: undefined, observedAddress: undefined, firstCounters: undefined },
  {
    capabilities: 1,
    deviceType: 'server',
    record: bytes(200),
    observedAddress: 'htx://192.0.2.1:8888',
    firstCounters: [0, 70_000, 2 ** 40, 3],
  },
].map((fields, heard) => encodeHello({ version: 1, epoch, heard: heard === 1, ...fields }))

const none = [[], [], [], []]
const ackSeeds = [
  { epoch, acknowledged: [[], [], [{ first: 0, last: 9 }], []], refused: none },
  {
    epoch,
    acknowledged: [
      [{ first: 3, last: 3 }],
      [],
      [
        { first: 0, last: 2 ** 40 },
        { first: 2 ** 41, last: 2 ** 42 },
      ],
      [],
    ],
    refused: [[], [{ first: 1, last: 1 }], [], [{ first: 5, last: 70_000 }]],
  },
].map(encodeLinkAck)

const envelopeSeeds = [0, 1, 3, 5].map((type) => {
  const payload = bytes(40)
  const header = encodeEnvelopeHeader(
    {
      type,
      flags: 1,
      priority: 1,
      hopLimit: 10,
      session: 7,
      messageId: bytes(16),
      source: node,
      destination: type === 5 ? 'f'.repeat(32) : node,
      timestamp: 1_750_000_000_000,
      lifetimeS: 3_600,
    },
    payload.length,
  )
  return joinBytes([Uint8Array.of(0), header, payload, bytes({ 0: 16, 1: 0, 3: 16, 5: 96 }[type])])
})

const plaintextSeeds = [
  { kind: MessageKind.Message, requestId: undefined, protocol: 'chat/1', contentType: 1, compression: 0 },
  { kind: MessageKind.Request, requestId: 2 ** 50, protocol: '', contentType: 200, compression: 1 },
].map((fields) =>
  joinBytes([
    encodeEnvelopePlaintextHeader({ proof: bytes(16), epoch, counter: 2 ** 45, ordered: true, ...fields }),
    bytes(30),
  ]),
)

/** Delivery is what decoded link envelopes do next: fed with nonsense it must neither hold too much nor deliver twice. */
function delivery() {
  const limits = {
    gapTimeoutMs: 2_000,
    windowCounters: 64,
    maxHeldMessages: 8,
    maxHeldBytes: 512,
    maxPendingRanges: 16,
  }
  const number = (input, at) => {
    // small ones mostly, and now and then one from the far end
    const wide = input[at] & 0xc0
    return wide === 0xc0
      ? Number.MAX_SAFE_INTEGER - (input[at] & 7)
      : wide === 0x80
        ? (input[at] & 63) * 2 ** 30
        : input[at]
  }
  return {
    seeds: [bytes(40, 3), bytes(40, 8), Uint8Array.from({ length: 60 }, (_, i) => [0, i, 2][i % 3])],
    run(input) {
      const inbound = new InboundDelivery({ source: node, epoch }, limits)
      const delivered = new Set()
      const last = [-1, -1, -1, -1]
      const take = ({ priority, counter, ordered }) => {
        const name = `${priority} ${counter}`
        ensure(!delivered.has(name), `${name} was delivered twice`)
        delivered.add(name)
        if (!ordered) return
        ensure(counter > last[priority], `${name} was delivered out of order`)
        last[priority] = counter
      }
      let now = 0
      for (let at = 0; at + 2 < input.length; at += 3) {
        const what = input[at]
        const priority = what & 3
        const counter = number(input, at + 1)
        if ((what & 0x70) === 0x70) inbound.skipTo(now, priority, counter)
        else if ((what & 0x70) === 0x60) inbound.handleTimeout((now += counter % 5_000))
        else {
          const message = {
            priority,
            counter,
            ordered: (what & 4) === 0,
            acknowledge: (what & 8) === 0,
            payload: new Uint8Array(input[at + 2]),
          }
          if (inbound.handle(now, message) === 'deliver') take(message)
        }
        for (let ready; (ready = inbound.pollReady()) !== undefined;) take(ready)
        ensure(
          inbound.heldMessages <= limits.maxHeldMessages && inbound.heldBytes <= limits.maxHeldBytes,
          'holds too much',
        )
        if ((what & 0x80) !== 0) {
          for (let ack, n = 0; (ack = inbound.pollAcknowledgement()) !== undefined; n++) {
            ensure(n < 20 && decodeLinkAck(ack) !== undefined, 'an acknowledgement that cannot be read')
          }
        }
      }
      return `${Math.min(delivered.size, 20)} delivered`
    },
  }
}

export const packetTargets = {
  'packet-kind': codec({ seeds: [...linkSeeds, bytes(3)], decode: packetKind, kind: String }),
  protocol: codec({
    seeds: linkSeeds.map((seed) => seed.subarray(4)),
    decode: (input) => decodeProtocol(input, 0),
    kind: (name) => `${name.length} characters`,
  }),
  'link-envelope': codec({
    seeds: linkSeeds,
    decode: decodeLinkEnvelope,
    rewritable,
    encode: (value) => joinBytes([encodeLinkEnvelopeHeader(value), value.payload]),
    kind: ({ kind, priority }) => `kind ${kind} priority ${priority}`,
  }),
  hello: codec({
    seeds: helloSeeds,
    decode: decodeHello,
    encode: encodeHello,
    kind: ({ deviceType }) => `${deviceType}`,
  }),
  'link-ack': codec({
    seeds: ackSeeds,
    decode: decodeLinkAck,
    encode: encodeLinkAck,
    kind: ({ acknowledged, refused }) =>
      `${[...acknowledged, ...refused].map(({ length }) => Math.min(length, 3)).join('')}`,
  }),
  ping: codec({ seeds: [encodePing({ type: 'ping', opaque: bytes(8) })], decode: decodePing, encode: encodePing }),
  'record-packet': codec({
    seeds: [
      encodeRecordPacket({ type: 'request', node }),
      encodeRecordPacket({ type: 'reply', node, record: bytes(99) }),
    ],
    decode: decodeRecordPacket,
    encode: encodeRecordPacket,
    kind: ({ type }) => type,
  }),
  acknowledgement: codec({
    seeds: [encodeAcknowledgement([bytes(16)]), encodeAcknowledgement([bytes(16), bytes(16, 5)])],
    decode: decodeAcknowledgement,
    encode: encodeAcknowledgement,
    kind: ({ length }) => `${length}`,
  }),
  envelope: codec({
    seeds: envelopeSeeds,
    decode: decodeEnvelope,
    encode: (value) => {
      const header = encodeEnvelopeHeader(value, value.payload.length)
      ensure(toHex(header) === toHex(value.headerBytes), 'another header than was read')
      return joinBytes([Uint8Array.of(0), header, value.payload, value.authenticator])
    },
    kind: ({ type }) => `type ${type}`,
  }),
  'envelope-plaintext': codec({
    seeds: plaintextSeeds,
    decode: decodeEnvelopePlaintext,
    rewritable,
    encode: (value) => joinBytes([encodeEnvelopePlaintextHeader(value), value.content]),
    kind: ({ kind }) => `kind ${kind}`,
  }),
  'inbound-delivery': delivery,
}
