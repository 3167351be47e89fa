import {
  CERTIFICATE_BYTES,
  isStrongEd25519Point,
  nodeCrypto,
  nodeIdOf,
  PeerRecordError,
  verifyCertificate,
  verifyPeerRecord,
} from '@aiv/security'
import { decodePeerRecord, deviceTypeFromByte, nodeIdFromBytes, parseAddress, toHex } from '@aiv/transport-api'
import { FieldReader, shownHex, shownText, shownTime } from './field-reader.js'
import type { InspectedPart } from './inspection.js'

const SIGNATURE_BYTES = 64

const recordFields = new Map([
  [1, 'Ed25519 key'],
  [2, 'Noise static key'],
  [3, 'device type'],
  [4, 'address'],
  [5, 'relay'],
  [6, 'mailbox relay'],
  [7, 'signed prekey'],
  [8, 'onion key'],
  [9, 'capabilities'],
  [10, 'sequence'],
  [11, 'expires'],
  [12, 'hash of the next key'],
])

/** True when `bytes` begins as a peer record does: with the Ed25519 key. */
export function looksLikeRecord(bytes: Uint8Array): boolean {
  return bytes[0] === 1 && bytes[1] === 32 && bytes[34] === 2 && bytes[35] === 32
}

/** A signed peer record, its signature and times checked. */
export function inspectRecord(bytes: Uint8Array, base: number, unixNow: number): InspectedPart[] {
  const reader = new FieldReader(bytes, base)
  const end = decodePeerRecord(bytes) === undefined ? bytes.length : bytes.length - SIGNATURE_BYTES
  const verdict = verifyPeerRecord(nodeCrypto, bytes, unixNow)
  while (reader.at < end) {
    const type = reader.u8('type', (value) => recordFields.get(value) ?? 'unknown, kept')
    const length = reader.u8('length')
    if (type === undefined || length === undefined) break
    const note = type === 1 && length === 32 ? `node ${nodeIdOf(nodeCrypto, peek(bytes, reader.at, 32))}` : ''
    if (reader.bytes(recordFields.get(type) ?? 'value', length, { show: recordValue(type), note }) === undefined) break
  }
  if (end < bytes.length) {
    const right = !(verdict instanceof PeerRecordError)
    reader.bytes('signature', SIGNATURE_BYTES, { note: right ? 'right' : '' })
  }
  const error = verdict instanceof PeerRecordError ? { error: { code: verdict.code, message: verdict.message } } : {}
  return [{ title: 'peer record', offset: base, length: bytes.length, fields: reader.fields, ...error }]
}

function peek(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return bytes.slice(at, at + length)
}

function recordValue(type: number): (bytes: Uint8Array) => string {
  return (bytes) => {
    if (type === 3 && bytes.length === 1) return deviceTypeFromByte(bytes[0] ?? -1) ?? shownHex(bytes)
    if (type === 4) return shownText(bytes)
    if ((type === 10 || type === 11) && bytes.length === 8) {
      const ms = BigInt(`0x${toHex(bytes)}`)
      return `${ms} ${shownTime(ms)}`
    }
    return shownHex(bytes)
  }
}

/** True for 100 bytes that begin with a usable Ed25519 key and an end of validity in this century. */
export function looksLikeCertificate(bytes: Uint8Array): boolean {
  if (bytes.length !== CERTIFICATE_BYTES) return false
  const notAfter = new DataView(bytes.buffer, bytes.byteOffset).getUint32(32)
  return notAfter > 1_577_836_800 && isStrongEd25519Point(bytes.slice(0, 32))
}

/** A static-key certificate. Whether its signature is right shows only beside the Noise key that it vouches for. */
export function inspectCertificate(
  bytes: Uint8Array,
  noiseKey: Uint8Array | undefined,
  unixNow: number,
): InspectedPart[] {
  const reader = new FieldReader(bytes, 0)
  const key = bytes.slice(0, 32)
  const strong = key.length === 32 && isStrongEd25519Point(key)
  reader.bytes('Ed25519 key', 32, { note: strong ? `node ${nodeIdOf(nodeCrypto, key)}` : 'no usable key' })
  const notAfter = reader.uint('not after', 4, (s) => shownTime(s * 1000n))
  const unchecked = 'not checked: give the Noise key with --noise-key'
  let verdict: string | undefined
  if (bytes.length !== CERTIFICATE_BYTES) verdict = 'HANDSHAKE_MALFORMED'
  else if (noiseKey !== undefined) {
    const result = verifyCertificate(nodeCrypto, bytes, noiseKey, unixNow)
    if (typeof result === 'string') verdict = result
  } else if (!strong) verdict = 'KEY_INVALID'
  else if (notAfter !== undefined && Number(notAfter) + 120 < unixNow / 1000) verdict = 'CERTIFICATE_EXPIRED'
  reader.bytes('signature', SIGNATURE_BYTES, {
    note: noiseKey === undefined ? unchecked : verdict === undefined ? 'right' : '',
  })
  if (reader.left > 0) reader.bytes('rest', reader.left, { note: 'more than belongs here' })
  const messages: Readonly<Record<string, string>> = {
    HANDSHAKE_MALFORMED: 'a certificate has 100 bytes',
    KEY_INVALID: 'the key gives no security',
    CERTIFICATE_EXPIRED: 'it has expired',
    CERTIFICATE_INVALID: 'not signed by the key it names, for another Noise key, or valid for too long',
  }
  const error = verdict === undefined ? {} : { error: { code: verdict, message: messages[verdict] ?? 'not valid' } }
  return [{ title: 'static-key certificate', offset: 0, length: bytes.length, fields: reader.fields, ...error }]
}

/** 16 bytes that name a node. */
export function inspectNodeId(bytes: Uint8Array): InspectedPart[] {
  const fields = [{ offset: 0, length: 16, name: 'node id', value: nodeIdFromBytes(bytes), note: '' }]
  return [{ title: 'node id', offset: 0, length: 16, fields }]
}

/** 32 bytes that are a node's key. */
export function inspectPublicKey(bytes: Uint8Array): InspectedPart[] {
  const strong = isStrongEd25519Point(new Uint8Array(bytes))
  const note = strong ? `node ${nodeIdOf(nodeCrypto, bytes)}` : 'small-order, or no canonical point'
  const fields = [{ offset: 0, length: 32, name: 'Ed25519 key', value: toHex(bytes), note }]
  const error = strong ? {} : { error: { code: 'KEY_INVALID', message: 'the key gives no security' } }
  return [{ title: 'Ed25519 public key', offset: 0, length: 32, fields, ...error }]
}

/** An address, part by part; offsets count characters. */
export function inspectAddress(text: string): InspectedPart[] {
  const part = { title: 'address', offset: 0, length: text.length }
  try {
    const { scheme, nodeId, host, port, path } = parseAddress(text)
    const at = (name: string, value: string | undefined, note = '') =>
      value === undefined || value === ''
        ? []
        : [{ offset: Math.max(0, text.indexOf(value)), length: value.length, name, value, note }]
    return [
      {
        ...part,
        fields: [
          ...at('scheme', scheme, schemes.get(scheme) ?? 'unknown to this program'),
          ...at('node id', nodeId),
          ...at('host', host),
          ...at('port', port === undefined ? undefined : String(port)),
          ...at('path', path),
        ],
      },
    ]
  } catch (thrown) {
    return [{ ...part, fields: [], error: { code: 'ADDRESS_INVALID', message: (thrown as Error).message } }]
  }
}

const schemes = new Map([
  ['htx', 'HTX over TCP'],
  ['ws', 'HTX over WebSocket'],
  ['wss', 'HTX over WebSocket with TLS'],
])
