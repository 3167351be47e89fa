import { isNodeId } from '@aiv/transport-api'
import { inspectBetanet, inspectHtx, looksLikeBetanet, looksLikeHtx } from './inspect-frames.js'
import {
  inspectAddress,
  inspectCertificate,
  inspectNodeId,
  inspectPublicKey,
  inspectRecord,
  looksLikeCertificate,
  looksLikeRecord,
} from './inspect-identity.js'
import { inspectPacket, isPacket } from './inspect-packet.js'
import type { Inspection } from './inspection.js'

/** What a byte string can be taken as. */
export const inspectionKinds = ['htx', 'betanet', 'packet', 'record', 'certificate', 'key', 'id', 'address'] as const
export type InspectionKind = (typeof inspectionKinds)[number]

export interface InspectOptions {
  /** What it is, where that is known. @defaultValue found out */
  readonly as?: InspectionKind
  /** X25519 key that a certificate is for. */
  readonly noiseKey?: Uint8Array
  /** Unix ms, by which validity is judged. */
  readonly unixNow: number
}

/** Says what `bytes` is, field by field, valid or not, and why not. Never throws. */
export function inspectBytes(bytes: Uint8Array, options: InspectOptions): Inspection {
  const { unixNow, noiseKey } = options
  switch (options.as ?? recognise(bytes)) {
    case 'htx':
      return bytes.length === 0 ? unknown(bytes) : { parts: inspectHtx(bytes) }
    case 'betanet':
      return bytes.length === 0 ? unknown(bytes) : { parts: inspectBetanet(bytes) }
    case 'packet':
      return { parts: inspectPacket(bytes, 0, unixNow) }
    case 'record':
      return { parts: inspectRecord(bytes, 0, unixNow) }
    case 'certificate':
      return { parts: inspectCertificate(bytes, noiseKey, unixNow) }
    case 'key':
      return bytes.length === 32 ? { parts: inspectPublicKey(bytes) } : unknown(bytes)
    case 'id':
      return bytes.length === 16 ? { parts: inspectNodeId(bytes) } : unknown(bytes)
    default:
      return unknown(bytes)
  }
}

/** The same for what somebody typed: hexadecimal digits, a node id, or an address. */
export function inspectText(text: string, options: InspectOptions): Inspection {
  const trimmed = text.trim()
  if (options.as === 'address' || (options.as === undefined && trimmed.includes('://'))) {
    return { parts: inspectAddress(trimmed) }
  }
  if (options.as === undefined && isNodeId(trimmed)) {
    return { parts: inspectNodeId(new Uint8Array(Buffer.from(trimmed, 'hex'))) }
  }
  const bytes = readHex(trimmed)
  if (bytes !== undefined) return inspectBytes(bytes, options)
  const error = { code: 'INSPECT_NOT_HEX', message: 'neither hexadecimal, nor a node id, nor an address' }
  return { parts: [{ title: 'text', offset: 0, length: trimmed.length, fields: [], error }] }
}

/** Hexadecimal with or without 0x, white space and colons between the bytes; `undefined` for anything else. */
export function readHex(text: string): Uint8Array | undefined {
  const digits = text.replace(/[\s:]/g, '').replace(/^0x/i, '')
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return undefined
  return new Uint8Array(Buffer.from(digits, 'hex'))
}

/** The most demanding forms first: what begins with a magic or adds up exactly is hardly there by chance. */
function recognise(bytes: Uint8Array): InspectionKind | undefined {
  if (looksLikeHtx(bytes)) return 'htx'
  if (looksLikeRecord(bytes)) return 'record'
  if (isPacket(bytes)) return 'packet'
  if (looksLikeBetanet(bytes)) return 'betanet'
  if (looksLikeCertificate(bytes)) return 'certificate'
  if (bytes.length === 16) return 'id'
  if (bytes.length === 32) return 'key'
  // a packet that its codec refuses; nothing else is left that begins like this
  return bytes.length > 1 && (bytes[0] as number) <= 8 ? 'packet' : undefined
}

function unknown(bytes: Uint8Array): Inspection {
  const error = { code: 'INSPECT_UNKNOWN', message: 'nothing that this program knows looks like this' }
  return { parts: [{ title: 'bytes', offset: 0, length: bytes.length, fields: [], error }] }
}
