import { joinBytes, parseNodeId, Priority } from '@aiv/transport-api'
import {
  Capability,
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
  envelopePacket,
  EnvelopeType,
  MessageKind,
  type EnvelopeHeader,
  type EnvelopePlaintextFields,
  type Hello,
  type LinkAck,
  type LinkEnvelopeFields,
} from '../src/index.js'

/** A packet as it stands in a document under docs/wire. */
export interface Golden {
  readonly document: 'packets' | 'envelope' | 'link-envelope'
  /** First cell of its row. */
  readonly title: string
  readonly encode: () => Uint8Array
  /** What the bytes are read as; `undefined` when they are not read. */
  readonly decode: (bytes: Uint8Array) => unknown
  /** What they have to be read as. */
  readonly fields: unknown
}

const text = new TextEncoder()
const run = (first: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => first + i)
const hello = text.encode('hello')
const epoch = '0102030405060708'
const alice = parseNodeId('21fe31dfa154a261626bf854046fd227')
const bob = parseNodeId('00112233445566778899aabbccddeeff')

const smallHello: Hello = {
  version: 1,
  capabilities: 0,
  deviceType: undefined,
  record: undefined,
  observedAddress: undefined,
  epoch,
  firstCounters: undefined,
  heard: false,
}
const fullHello: Hello = {
  version: 1,
  capabilities: Capability.Lz4,
  deviceType: 'server',
  record: run(0xa0, 4),
  observedAddress: 'htx://192.0.2.7:8888',
  epoch,
  firstCounters: [0, 1, 64, 16_384],
  heard: true,
}
const linkAck: LinkAck = {
  epoch,
  acknowledged: [[], [], [{ first: 0, last: 9 }, { first: 12, last: 12 }], [{ first: 100, last: 100 }]], // prettier-ignore
  refused: [[], [], [{ first: 10, last: 11 }], []],
}
const link: LinkEnvelopeFields = {
  priority: Priority.Normal,
  compressed: false,
  ordered: true,
  acknowledge: true,
  kind: MessageKind.Message,
  counter: 0,
  lifetimeS: 300,
  protocol: '',
  requestId: undefined,
}
const request: LinkEnvelopeFields = {
  ...link,
  priority: Priority.Low,
  compressed: true,
  ordered: false,
  kind: MessageKind.Request,
  counter: 70_000,
  lifetimeS: 60,
  protocol: 'aiv-file/1',
  requestId: 5,
}
const named: LinkEnvelopeFields = { ...link, priority: Priority.Emergency, counter: 63, protocol: 'chat/1' }

const header: EnvelopeHeader = {
  type: EnvelopeType.Session,
  flags: 1,
  priority: Priority.Normal,
  hopLimit: 10,
  session: 0x01020304,
  messageId: run(0x10, 16),
  source: alice,
  destination: bob,
  timestamp: 1_735_689_600_000,
  lifetimeS: 300,
}
const authenticator = run(0xf0, 16)
const plaintext: EnvelopePlaintextFields = {
  proof: run(0, 16),
  epoch,
  counter: 7,
  ordered: true,
  kind: MessageKind.Request,
  protocol: 'chat/1',
  contentType: 1,
  compression: 0,
  requestId: 9,
}

const linkPacket = (fields: LinkEnvelopeFields): Uint8Array => joinBytes([encodeLinkEnvelopeHeader(fields), hello])

/** Every kind of packet that has a body, and what is sealed inside of an envelope. */
export const golden: readonly Golden[] = [
  {
    document: 'packets',
    title: 'HELLO, epoch alone',
    encode: () => encodeHello(smallHello),
    decode: decodeHello,
    fields: smallHello,
  },
  {
    document: 'packets',
    title: 'HELLO, every field',
    encode: () => encodeHello(fullHello),
    decode: decodeHello,
    fields: fullHello,
  },
  {
    document: 'packets',
    title: 'link acknowledgement',
    encode: () => encodeLinkAck(linkAck),
    decode: decodeLinkAck,
    fields: linkAck,
  },
  {
    document: 'packets',
    title: 'ping',
    encode: () => encodePing({ type: 'ping', opaque: run(1, 8) }),
    decode: decodePing,
    fields: { type: 'ping', opaque: run(1, 8) },
  },
  {
    document: 'packets',
    title: 'pong',
    encode: () => encodePing({ type: 'pong', opaque: run(1, 8) }),
    decode: decodePing,
    fields: { type: 'pong', opaque: run(1, 8) },
  },
  {
    document: 'packets',
    title: 'record request',
    encode: () => encodeRecordPacket({ type: 'request', node: alice }),
    decode: decodeRecordPacket,
    fields: { type: 'request', node: alice },
  },
  {
    document: 'packets',
    title: 'record reply',
    encode: () => encodeRecordPacket({ type: 'reply', node: alice, record: run(0xa0, 4) }),
    decode: decodeRecordPacket,
    fields: { type: 'reply', node: alice, record: run(0xa0, 4) },
  },
  {
    document: 'packets',
    title: 'record reply, none',
    encode: () => encodeRecordPacket({ type: 'reply', node: alice, record: undefined }),
    decode: decodeRecordPacket,
    fields: { type: 'reply', node: alice, record: undefined },
  },
  {
    document: 'packets',
    title: 'acknowledgement of two',
    encode: () => encodeAcknowledgement([run(0, 16), run(0x20, 16)]),
    decode: decodeAcknowledgement,
    fields: [run(0, 16), run(0x20, 16)],
  },
  {
    document: 'link-envelope',
    title: 'message for no protocol',
    encode: () => linkPacket(link),
    decode: decodeLinkEnvelope,
    fields: { ...link, payload: hello },
  },
  {
    document: 'link-envelope',
    title: 'request of a protocol of ours',
    encode: () => linkPacket(request),
    decode: decodeLinkEnvelope,
    fields: { ...request, payload: hello },
  },
  {
    document: 'link-envelope',
    title: 'emergency of a named protocol',
    encode: () => linkPacket(named),
    decode: decodeLinkEnvelope,
    fields: { ...named, payload: hello },
  },
  {
    document: 'envelope',
    title: 'envelope of a session',
    encode: () => joinBytes(envelopePacket(encodeEnvelopeHeader(header, hello.length), hello, authenticator)),
    decode: decodeEnvelope,
    fields: { ...header, payload: hello, authenticator, headerBytes: encodeEnvelopeHeader(header, hello.length) },
  },
  {
    document: 'envelope',
    title: 'plaintext',
    encode: () => joinBytes([encodeEnvelopePlaintextHeader(plaintext), hello]),
    decode: decodeEnvelopePlaintext,
    fields: { ...plaintext, content: hello },
  },
]
