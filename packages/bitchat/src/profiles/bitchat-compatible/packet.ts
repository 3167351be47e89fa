import { ArgumentError } from '@aiv/transport-api'
import { pad } from './padding.js'
import { BROADCAST, PEER_ID_BYTES, peerIdFromBytes, peerIdToBytes, type PeerId } from './peer-id.js'

/** First byte but one of a packet. Others than these are relayed and not read. */
export const PacketType = {
  Announce: 0x01,
  Message: 0x02,
  Leave: 0x03,
  NoiseHandshake: 0x10,
  NoiseEncrypted: 0x11,
  Fragment: 0x20,
  RequestSync: 0x21,
  FileTransfer: 0x22,
  Ping: 0x26,
  Pong: 0x27,
} as const

const Flag = { Recipient: 0x01, Signature: 0x02, Compressed: 0x04, Route: 0x08, Solicited: 0x10 } as const

/** TTL that a packet starts with, and the highest that is believed. */
export const MAX_TTL = 7
/** Bytes before the sender: version 1, version 2. */
const HEADER_BYTES = { 1: 14, 2: 16 } as const
const SIGNATURE_BYTES = 64
/** iOS: 1 MiB and the allowance for what goes with a file. */
export const MAX_PAYLOAD_BYTES = 1_048_576 + 131_088 + 96

/**
 * A packet as it is on the air, byte for byte: docs/wire/bitchat-compatible.md.
 *
 * offset  bytes  field (version 1; version 2 has a length of 4 bytes)
 *      0      1  version: 1, 2
 *      1      1  type
 *      2      1  TTL
 *      3      8  timestamp, Unix ms
 *     11      1  flags
 *     12      2  length of original size and payload together
 *     14      8  sender, then [recipient 8] [hops of the route: count 1, 8 each; version 2]
 *                [original size 2; 4 in version 2] payload [signature 64]
 */
export interface Packet {
  readonly version: 1 | 2
  readonly type: number
  /** Hops it may still make; neither signed nor otherwise protected. */
  readonly ttl: number
  /** Unix ms. */
  readonly timestamp: bigint
  readonly sender: PeerId
  /** `undefined` or {@link BROADCAST}: for everybody. Both occur, and the signature tells them apart. */
  readonly recipient: PeerId | undefined
  /** Source route without sender and recipient, only in version 2. */
  readonly route: readonly PeerId[]
  /** As on the wire: raw DEFLATE when {@link originalSize} is given. */
  readonly payload: Uint8Array
  readonly originalSize: number | undefined
  readonly signature: Uint8Array | undefined
  /** Answers our request for synchronisation (flag RSR). */
  readonly solicited: boolean
}

/** True when everybody is addressed. */
export function isBroadcast(packet: Pick<Packet, 'recipient'>): boolean {
  return packet.recipient === undefined || packet.recipient === BROADCAST
}

/**
 * A new buffer, without padding.
 * @throws ArgumentError for a payload that is too long for its version, a route in version 1 or over 255 hops, a
 * signature that has not 64 bytes.
 */
export function encodePacket(packet: Packet): Uint8Array {
  const { version, recipient, route, originalSize, payload, signature } = packet
  const sizeBytes = version === 1 ? 2 : 4
  const length = payload.length + (originalSize === undefined ? 0 : sizeBytes)
  if (version === 1 && (length > 0xffff || route.length > 0))
    throw new ArgumentError('that takes a packet of version 2')
  if (length > MAX_PAYLOAD_BYTES || route.length > 255) throw new ArgumentError('too long for a packet')
  if (signature !== undefined && signature.length !== SIGNATURE_BYTES) throw new ArgumentError('no Ed25519 signature')
  const ids = PEER_ID_BYTES * (recipient === undefined ? 1 : 2)
  const hops = route.length === 0 ? 0 : 1 + PEER_ID_BYTES * route.length
  const out = new Uint8Array(HEADER_BYTES[version] + ids + hops + length + (signature?.length ?? 0))
  const view = new DataView(out.buffer)
  out[0] = version
  out[1] = packet.type
  out[2] = packet.ttl
  view.setBigUint64(3, packet.timestamp)
  out[11] =
    (recipient === undefined ? 0 : Flag.Recipient) |
    (signature === undefined ? 0 : Flag.Signature) |
    (originalSize === undefined ? 0 : Flag.Compressed) |
    (route.length === 0 ? 0 : Flag.Route) |
    (packet.solicited ? Flag.Solicited : 0)
  if (version === 1) view.setUint16(12, length)
  else view.setUint32(12, length)
  let at: number = HEADER_BYTES[version]
  const put = (bytes: Uint8Array): void => {
    out.set(bytes, at)
    at += bytes.length
  }
  put(peerIdToBytes(packet.sender))
  if (recipient !== undefined) put(peerIdToBytes(recipient))
  if (route.length > 0) put(Uint8Array.of(route.length))
  for (const hop of route) put(peerIdToBytes(hop))
  if (originalSize !== undefined) {
    if (version === 1) view.setUint16(at, originalSize)
    else view.setUint32(at, originalSize)
    at += sizeBytes
  }
  put(payload)
  if (signature !== undefined) put(signature)
  return out
}

/**
 * Length of the packet that begins with `bytes`, which may be cut off; `undefined` until enough of it is there to tell,
 * −1 when no packet begins so.
 */
export function packetLength(bytes: Uint8Array): number | undefined {
  const version = bytes[0]
  if (version === undefined) return undefined
  if (version !== 1 && version !== 2) return -1
  const header = HEADER_BYTES[version]
  if (bytes.length < header) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const flags = bytes[11] as number
  const length = version === 1 ? view.getUint16(12) : view.getUint32(12)
  if (length > MAX_PAYLOAD_BYTES) return -1
  let total = header + PEER_ID_BYTES + ((flags & Flag.Recipient) !== 0 ? PEER_ID_BYTES : 0)
  if (version === 2 && (flags & Flag.Route) !== 0) {
    const hops = bytes[total]
    if (hops === undefined) return undefined
    total += 1 + PEER_ID_BYTES * hops
  }
  return total + length + ((flags & Flag.Signature) !== 0 ? SIGNATURE_BYTES : 0)
}

/**
 * The packet at the start of `bytes`; `undefined` when there is none or it is cut off. What follows it (padding, mostly)
 * is ignored, as the deployed decoder does. Payload and signature are views of `bytes`.
 */
export function decodePacket(bytes: Uint8Array): Packet | undefined {
  const total = packetLength(bytes)
  if (total === undefined || total < 0 || bytes.length < total) return undefined
  const version = bytes[0] === 1 ? 1 : 2
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const flags = bytes[11] as number
  let at: number = HEADER_BYTES[version]
  const take = (length: number): Uint8Array => bytes.subarray(at, (at += length))
  const id = (): PeerId => peerIdFromBytes(take(PEER_ID_BYTES))
  const sender = id()
  const recipient = (flags & Flag.Recipient) === 0 ? undefined : id()
  const hops = version === 2 && (flags & Flag.Route) !== 0 ? (take(1)[0] as number) : 0
  const route = Array.from({ length: hops }, id)
  let length = version === 1 ? view.getUint16(12) : view.getUint32(12)
  let originalSize: number | undefined
  if ((flags & Flag.Compressed) !== 0) {
    const sizeBytes = version === 1 ? 2 : 4
    if (length < sizeBytes) return undefined
    originalSize = version === 1 ? view.getUint16(at) : view.getUint32(at)
    at += sizeBytes
    length -= sizeBytes
  }
  const payload = take(length)
  return {
    version,
    type: bytes[1] as number,
    ttl: bytes[2] as number,
    timestamp: view.getBigUint64(3),
    sender,
    recipient,
    route,
    payload,
    originalSize,
    signature: (flags & Flag.Signature) === 0 ? undefined : take(SIGNATURE_BYTES),
    solicited: (flags & Flag.Solicited) !== 0,
  }
}

/**
 * What is signed: the packet with TTL 0, without signature and RSR flag, *padded*, the payload as it was received.
 * Compressing again with another encoder would give other bytes.
 */
export function signaturePreimage(packet: Packet): Uint8Array {
  return pad(encodePacket({ ...packet, ttl: 0, signature: undefined, solicited: false }))
}

/** The packet ready for the air: only Noise packets are padded there. */
export function frameOf(encoded: Uint8Array): Uint8Array {
  const type = encoded[1]
  return type === PacketType.NoiseHandshake || type === PacketType.NoiseEncrypted ? pad(encoded) : encoded
}
