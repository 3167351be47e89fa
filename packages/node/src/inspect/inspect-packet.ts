import {
  decodeAcknowledgement,
  decodeEnvelope,
  decodeHello,
  decodeLinkAck,
  decodeLinkEnvelope,
  decodePing,
  decodeProtocol,
  decodeRecordPacket,
  EnvelopeType,
  envelopeAuthenticatorLength,
  LinkFlag,
  MessageKind,
  PacketKind,
  protocolFieldLength,
} from '@aiv/routing'
import { deviceTypeFromByte } from '@aiv/transport-api'
import { decodeFileAnswer, decodeFileRequest, FILE_PROTOCOL } from '../file/file-protocol.js'
import { priorityName } from '../priority-name.js'
import { FieldReader, shownHex, shownText, shownTime } from './field-reader.js'
import { inspectRecord } from './inspect-identity.js'
import type { InspectedPart } from './inspection.js'

type Parts = readonly InspectedPart[]

const kindNames = new Map<number, string>([
  [PacketKind.Envelope, 'envelope'],
  [PacketKind.Link, 'link envelope'],
  [PacketKind.Hello, 'HELLO'],
  [PacketKind.LinkAck, 'link acknowledgement'],
  [PacketKind.Ping, 'ping'],
  [PacketKind.RecordRequest, 'record request or reply'],
  [PacketKind.Routes, 'routes'],
  [PacketKind.Mailbox, 'mailbox'],
  [PacketKind.Ack, 'acknowledgement'],
])

const messageKinds = new Map<number, string>([
  [MessageKind.Message, 'message'],
  [MessageKind.Request, 'request'],
  [MessageKind.Response, 'response'],
  [MessageKind.Failure, 'failure'],
])

/** True when the codec of its kind takes `bytes` as a packet. */
export function isPacket(bytes: Uint8Array): boolean {
  switch (bytes[0]) {
    case PacketKind.Envelope:
      return decodeEnvelope(bytes) !== undefined
    case PacketKind.Link:
      return decodeLinkEnvelope(bytes) !== undefined
    case PacketKind.Hello:
      return decodeHello(bytes) !== undefined
    case PacketKind.LinkAck:
      return decodeLinkAck(bytes) !== undefined
    case PacketKind.Ping:
      return decodePing(bytes) !== undefined
    case PacketKind.RecordRequest:
      return decodeRecordPacket(bytes) !== undefined
    case PacketKind.Ack:
      return decodeAcknowledgement(bytes) !== undefined
    default:
      return false
  }
}

/** What one packet is; its record, or the message of the file protocol in it, is a part of its own. */
export function inspectPacket(bytes: Uint8Array, base: number, unixNow: number): Parts {
  const kind = kindNames.get(bytes[0] ?? -1)
  const reader = new FieldReader(bytes, base)
  reader.u8('kind', () => kind ?? 'unknown')
  const inside: InspectedPart[] = []
  switch (bytes[0]) {
    case PacketKind.Envelope:
      envelope(reader)
      break
    case PacketKind.Link:
      inside.push(...linkEnvelope(reader, bytes, base))
      break
    case PacketKind.Hello:
      inside.push(...hello(reader, base, unixNow))
      break
    case PacketKind.LinkAck:
      linkAck(reader)
      break
    case PacketKind.Ping:
      reader.u8('type', (type) => (type === 0 ? 'ping' : type === 1 ? 'pong' : 'neither ping nor pong'))
      reader.bytes('opaque', 8)
      break
    case PacketKind.RecordRequest: {
      const type = reader.u8('type', (value) => (value === 0 ? 'request' : value === 1 ? 'reply' : 'neither'))
      reader.bytes('node', 16)
      if (type === 1 && reader.left > 0) {
        const at = base + reader.at
        const record = reader.bytes('record', reader.left)
        if (record !== undefined) inside.push(...inspectRecord(record, at, unixNow))
      }
      break
    }
    case PacketKind.Ack:
      while (reader.left >= 16) reader.bytes('proof', 16, { note: 'k: shows that the envelope was opened' })
      break
  }
  if (reader.left > 0) reader.bytes('rest', reader.left, { note: kind === undefined ? '' : 'more than belongs here' })
  const error = isPacket(bytes) ? {} : { error: { code: 'PACKET_MALFORMED', message: 'its codec refuses it' } }
  const title = kind === undefined ? 'packet' : `packet: ${kind}`
  return [{ title, offset: base, length: bytes.length, fields: reader.fields, ...error }, ...inside]
}

function linkEnvelope(reader: FieldReader, bytes: Uint8Array, base: number): Parts {
  const flags = reader.u8('flags', (value) => {
    const names = [`priority ${priorityName(value & 3)}`, messageKinds.get((value >> 5) & 3) ?? '']
    if (value & LinkFlag.Compressed) names.push('compressed')
    if (value & LinkFlag.Ordered) names.push('ordered')
    if (value & LinkFlag.Acknowledge) names.push('acknowledgement wanted')
    if (value & 0x80) names.push('reserved bit set')
    return names.join(', ')
  })
  reader.varint('counter')
  reader.varint('lifetime', () => 's')
  const protocol = decodeProtocol(bytes, reader.at)
  const protocolBytes = protocolFieldLength(bytes[reader.at] ?? 0)
  const show = (): string => (protocol === undefined ? 'invalid' : JSON.stringify(protocol))
  if (protocolBytes > 0) reader.bytes('protocol', protocolBytes, { show })
  if (flags !== undefined && ((flags >> 5) & 3) !== MessageKind.Message) reader.varint('request id')
  const at = base + reader.at
  const payload = reader.bytes('payload', reader.left, { show: shownText })
  const isFile = protocol === FILE_PROTOCOL && flags !== undefined && !(flags & LinkFlag.Compressed)
  return isFile && payload !== undefined && payload.length > 0 ? [inspectFileMessage(payload, at)] : []
}

function inspectFileMessage(bytes: Uint8Array, base: number): InspectedPart {
  const reader = new FieldReader(bytes, base)
  const names = new Map([
    [1, 'OFFER'],
    [2, 'DATA'],
    [3, 'CANCEL'],
    [0x81, 'ANSWER'],
  ])
  const kind = reader.u8('kind', (value) => names.get(value) ?? 'unknown')
  if (kind === 0x81) {
    const { status } = decodeFileAnswer(bytes) ?? { status: 'unknown' }
    reader.u8('status', () => status)
    reader.uint('have', 8, () => 'bytes')
  } else {
    reader.bytes('transfer', 8)
    if (kind === 1) {
      reader.bytes('id', 16)
      reader.uint('size', 8, () => 'bytes')
      reader.bytes('SHA-256', 32)
      const length = reader.varint('name length')
      if (length !== undefined) reader.bytes('name', length, { show: shownText })
    } else if (kind === 2) {
      reader.uint('offset', 8)
      reader.bytes('bytes', reader.left)
    }
  }
  if (reader.left > 0) reader.bytes('rest', reader.left)
  const valid = decodeFileRequest(bytes) !== undefined || decodeFileAnswer(bytes) !== undefined
  const error = { code: 'FILE_MALFORMED', message: 'no message of aiv-file/1' }
  const part = { title: 'aiv-file/1 message', offset: base, length: bytes.length, fields: reader.fields }
  return valid ? part : { ...part, error }
}

function hello(reader: FieldReader, base: number, unixNow: number): Parts {
  const inside: InspectedPart[] = []
  reader.u8('version')
  while (reader.left > 0) {
    const type = reader.u8('type', (value) => helloFields.get(value) ?? 'unknown, ignored')
    const length = reader.varint('length')
    if (type === undefined || length === undefined) break
    const name = helloFields.get(type) ?? 'value'
    const at = base + reader.at
    const show = (bytes: Uint8Array): string => {
      if (type === 2) return deviceTypeFromByte(bytes[0] ?? -1) ?? shownHex(bytes)
      return type === 4 ? shownText(bytes) : shownHex(bytes)
    }
    const value = reader.bytes(name, length, { show })
    if (value === undefined) break
    if (type === 3) inside.push(...inspectRecord(value, at, unixNow))
  }
  return inside
}

const helloFields = new Map([
  [1, 'capabilities'],
  [2, 'device type'],
  [3, 'record'],
  [4, 'observed address'],
  [5, 'epoch'],
  [6, 'first counters'],
  [7, 'heard'],
])

function linkAck(reader: FieldReader): void {
  reader.bytes('epoch', 8)
  while (reader.left > 0) {
    const head = reader.u8(
      'section',
      (value) => `priority ${priorityName(value & 3)}, ${value & 4 ? 'refused' : 'acknowledged'}`,
    )
    const count = reader.varint('ranges')
    if (head === undefined || count === undefined) return
    let floor = 0
    for (let i = 0; i < count; i++) {
      const first = reader.varint('gap', (skip) => `from counter ${floor + skip}`)
      if (first === undefined) return
      const more = reader.varint('more', (length) => `to counter ${floor + first + length}`)
      if (more === undefined) return
      floor += first + more + 2
    }
  }
}

const envelopeTypes = new Map<number, string>([
  [EnvelopeType.Session, 'standard session'],
  [EnvelopeType.Handshake, 'handshake'],
  [EnvelopeType.First, 'first of the private form'],
  [EnvelopeType.Ratchet, 'private session'],
  [EnvelopeType.Onion, 'onion'],
  [EnvelopeType.Broadcast, 'broadcast'],
])

function envelope(reader: FieldReader): void {
  reader.u8('version')
  const type = reader.u8('type', (value) => envelopeTypes.get(value) ?? 'unknown')
  reader.u8('flags', (value) => (value & 1 ? 'acknowledgement wanted' : ''))
  reader.u8('priority', priorityName)
  reader.u8('hop limit', (value) => `${value} more may forward it`)
  reader.uint('session', 4)
  reader.bytes('message id', 16)
  reader.bytes('source', 16)
  reader.bytes('destination', 16)
  reader.uint('timestamp', 8, shownTime)
  reader.uint('lifetime', 4, () => 's')
  const length = reader.uint('payload length', 4)
  if (length === undefined || type === undefined || !envelopeTypes.has(type)) return
  if (reader.bytes('payload', Number(length), { note: 'sealed' }) === undefined) return
  const authenticator = envelopeAuthenticatorLength(type as EnvelopeType)
  if (authenticator > 0) reader.bytes('authenticator', authenticator, { note: 'not checked: that needs the key' })
}
