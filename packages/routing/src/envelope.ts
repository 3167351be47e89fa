import {
  ArgumentError,
  equalBytes,
  NODE_ID_BYTES,
  nodeIdFromBytes,
  nodeIdToBytes,
  type Bytes,
  type NodeId,
  type Priority,
} from '@aiv/transport-api'
import { MAX_LIFETIME_S } from './link-envelope.js'
import { PacketKind } from './packet.js'

/** What an envelope holds, and so which authenticator stands at its end. */
export const EnvelopeType = {
  /** Sealed in a standard session; HMAC. */
  Session: 0x00,
  /** Opens a standard session; its header is in the prologue; none. */
  Handshake: 0x01,
  /** Of the private form, and opens a session; its header is additional data; none. */
  First: 0x02,
  /** Of the private form, in a session; HMAC. */
  Ratchet: 0x03,
  /** A packet of an onion, between two hops; HMAC. */
  Onion: 0x04,
  /** For everyone; Ed25519 key and signature. */
  Broadcast: 0x05,
} as const
export type EnvelopeType = (typeof EnvelopeType)[keyof typeof EnvelopeType]

/** Bits of the flags; the rest must be 0. */
export const EnvelopeFlag = {
  /** The sender wants to be shown k: relays keep a breadcrumb. */
  Acknowledge: 0x01,
} as const

export const ENVELOPE_VERSION = 1
export const ENVELOPE_HEADER_BYTES = 73
/** Nodes that may forward an envelope. */
export const FIRST_HOP_LIMIT = 10
export const MESSAGE_ID_BYTES = 16
/** Longest payload, in bytes. */
export const MAX_ENVELOPE_PAYLOAD_BYTES = 16 * 1024 * 1024
/** The destination of a broadcast. */
export const BROADCAST_DESTINATION = 'ffffffffffffffffffffffffffffffff' as NodeId

const authenticatorBytes: Readonly<Record<EnvelopeType, number>> = Object.freeze({
  [EnvelopeType.Session]: 16,
  [EnvelopeType.Handshake]: 0,
  [EnvelopeType.First]: 0,
  [EnvelopeType.Ratchet]: 16,
  [EnvelopeType.Onion]: 16,
  [EnvelopeType.Broadcast]: 96,
})
const LAST_TYPE = EnvelopeType.Broadcast
const HOP_LIMIT_OFFSET = 4

export interface EnvelopeHeader {
  readonly type: EnvelopeType
  /** Sum of {@link EnvelopeFlag} bits. */
  readonly flags: number
  readonly priority: Priority
  /** Nodes that may still forward it, 0 to 255; no digest covers it. */
  readonly hopLimit: number
  /** u32; 0 where there is no session. */
  readonly session: number
  /** 16 bytes: SHA-256("aiv-ack/1" ‖ k)[0..16]. */
  readonly messageId: Uint8Array
  readonly source: NodeId
  /** {@link BROADCAST_DESTINATION} on broadcasts. */
  readonly destination: NodeId
  /** Unix ms when it was made. */
  readonly timestamp: number
  /** Whole seconds, at most {@link MAX_LIFETIME_S}. */
  readonly lifetimeS: number
}

export interface Envelope extends EnvelopeHeader {
  /** A view. */
  readonly payload: Uint8Array
  /** A view: 16 bytes of HMAC, key 32 ‖ signature 64, or none, as the type says. */
  readonly authenticator: Uint8Array
  /** The 73 bytes of the header as received; a view. */
  readonly headerBytes: Uint8Array
}

/** Bytes of the authenticator of a type: 0, 16 or 96. */
export function envelopeAuthenticatorLength(type: EnvelopeType): number {
  return authenticatorBytes[type]
}

/**
 * The header, in a new buffer of 73 bytes. The packet is `00 ‖ header ‖ payload ‖ authenticator`.
 * @throws ArgumentError when a field is out of range. docs/wire/envelope.md
 */
export function encodeEnvelopeHeader(header: EnvelopeHeader, payloadLength: number): Uint8Array {
  const { type, flags, hopLimit, session, messageId, timestamp, lifetimeS } = header
  if (flags & ~EnvelopeFlag.Acknowledge) throw new ArgumentError(`envelope flags ${flags}`)
  if (!(hopLimit >= 0 && hopLimit <= 255)) throw new ArgumentError(`a hop limit of ${hopLimit}`)
  if (messageId.length !== MESSAGE_ID_BYTES) throw new ArgumentError(`a message id of ${messageId.length} bytes`)
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) throw new ArgumentError(`a timestamp of ${timestamp}`)
  if (!Number.isInteger(session) || session < 0 || session > 0xffffffff) throw new ArgumentError(`session ${session}`)
  if (!Number.isInteger(lifetimeS) || lifetimeS < 0 || lifetimeS > MAX_LIFETIME_S) {
    throw new ArgumentError(`a lifetime of ${lifetimeS} s`)
  }
  if (!(payloadLength >= 0 && payloadLength <= MAX_ENVELOPE_PAYLOAD_BYTES)) {
    throw new ArgumentError(`an envelope payload of ${payloadLength} bytes`)
  }
  if ((type === EnvelopeType.Broadcast) !== (header.destination === BROADCAST_DESTINATION)) {
    throw new ArgumentError('broadcasts, and nothing else, are for everyone')
  }
  const out = new Uint8Array(ENVELOPE_HEADER_BYTES)
  const view = new DataView(out.buffer)
  out[0] = ENVELOPE_VERSION
  out[1] = type
  out[2] = flags
  out[3] = header.priority
  out[HOP_LIMIT_OFFSET] = hopLimit
  view.setUint32(5, session)
  out.set(messageId, 9)
  out.set(nodeIdToBytes(header.source), 25)
  out.set(nodeIdToBytes(header.destination), 41)
  view.setBigUint64(57, BigInt(timestamp))
  view.setUint32(65, lifetimeS)
  view.setUint32(69, payloadLength)
  return out
}

/**
 * The packet as pieces, none of which is copied.
 * @throws ArgumentError when a length does not fit the header.
 */
export function envelopePacket(
  headerBytes: Uint8Array,
  payload: Uint8Array,
  authenticator: Uint8Array,
): readonly Uint8Array[] {
  const type = headerBytes[1] as EnvelopeType
  if (headerBytes.length !== ENVELOPE_HEADER_BYTES || authenticator.length !== authenticatorBytes[type]) {
    throw new ArgumentError('the authenticator does not fit the type of the envelope')
  }
  if (payload.length !== payloadLengthOf(headerBytes)) {
    throw new ArgumentError('the payload has another length than its header says')
  }
  return [Uint8Array.of(PacketKind.Envelope), headerBytes, payload, authenticator]
}

/**
 * Reads packet 00; views into `bytes`. Nothing is verified: neither authenticator nor age.
 * `undefined` when the bytes are no envelope: another kind, version, an unknown type, priority or flag, a lifetime over
 * 7 days, a length that does not add up, a destination that does not fit the type, a timestamp over 2^53 − 1.
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  if (bytes.length < 1 + ENVELOPE_HEADER_BYTES || bytes[0] !== PacketKind.Envelope) return undefined
  const headerBytes = bytes.subarray(1, 1 + ENVELOPE_HEADER_BYTES)
  const at = (offset: number): number => headerBytes[offset] as number
  const type = at(1)
  const flags = at(2)
  const priority = at(3)
  if (at(0) !== ENVELOPE_VERSION || type > LAST_TYPE || priority > 3) return undefined
  if (flags & ~EnvelopeFlag.Acknowledge) return undefined
  const view = new DataView(headerBytes.buffer, headerBytes.byteOffset, ENVELOPE_HEADER_BYTES)
  const timestamp = view.getBigUint64(57)
  const lifetimeS = view.getUint32(65)
  const payloadLength = view.getUint32(69)
  if (timestamp > BigInt(Number.MAX_SAFE_INTEGER) || lifetimeS > MAX_LIFETIME_S) return undefined
  const authenticatorLength = authenticatorBytes[type as EnvelopeType]
  if (payloadLength > MAX_ENVELOPE_PAYLOAD_BYTES) return undefined
  if (bytes.length !== 1 + ENVELOPE_HEADER_BYTES + payloadLength + authenticatorLength) return undefined
  const destination = nodeIdFromBytes(headerBytes.subarray(41, 41 + NODE_ID_BYTES))
  if ((type === EnvelopeType.Broadcast) !== (destination === BROADCAST_DESTINATION)) return undefined
  const payloadStart = 1 + ENVELOPE_HEADER_BYTES
  return {
    type: type as EnvelopeType,
    flags,
    priority: priority as Priority,
    hopLimit: at(HOP_LIMIT_OFFSET),
    session: view.getUint32(5),
    messageId: headerBytes.subarray(9, 25),
    source: nodeIdFromBytes(headerBytes.subarray(25, 25 + NODE_ID_BYTES)),
    destination,
    timestamp: Number(timestamp),
    lifetimeS,
    payload: bytes.subarray(payloadStart, payloadStart + payloadLength),
    authenticator: bytes.subarray(payloadStart + payloadLength),
    headerBytes,
  }
}

/** The header with a hop limit of zero, in a new buffer: the part of it that no relay changes. */
export function immutableEnvelopeHeader(headerBytes: Uint8Array): Uint8Array {
  const out = headerBytes.slice()
  out[HOP_LIMIT_OFFSET] = 0
  return out
}

/** What HMAC or signature covers, as pieces: immutable header ‖ payload. */
export function envelopeAuthenticatorInput(envelope: Pick<Envelope, 'headerBytes' | 'payload'>): Bytes {
  return [immutableEnvelopeHeader(envelope.headerBytes), envelope.payload]
}

/** What SHA-256 makes the digest of that relays remember, as pieces: immutable header ‖ payload ‖ authenticator. */
export function envelopeDigestInput(envelope: Pick<Envelope, 'headerBytes' | 'payload' | 'authenticator'>): Bytes {
  return [immutableEnvelopeHeader(envelope.headerBytes), envelope.payload, envelope.authenticator]
}

/** What SHA-256, cut to 16 bytes, makes the message id of: "aiv-ack/1" ‖ k. */
export function messageIdInput(proof: Uint8Array): Bytes {
  return [new TextEncoder().encode('aiv-ack/1'), proof]
}

/** True when `digest`, SHA-256 over {@link messageIdInput} of a shown k, belongs to `messageId`. Neither is a secret. */
export function isMessageIdOf(messageId: Uint8Array, digest: Uint8Array): boolean {
  return equalBytes(messageId, digest.subarray(0, MESSAGE_ID_BYTES))
}

function payloadLengthOf(headerBytes: Uint8Array): number {
  return new DataView(headerBytes.buffer, headerBytes.byteOffset, ENVELOPE_HEADER_BYTES).getUint32(69)
}
