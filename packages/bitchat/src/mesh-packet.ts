import {
  ArgumentError,
  type NodeId,
  NODE_ID_BYTES,
  type Priority,
  nodeIdFromBytes,
  nodeIdToBytes,
} from '@aiv/transport-api'

/**
 * A packet of the mesh: what crosses one radio link at a time, at most {@link MAX_MESH_PACKET_BYTES} with its header, so
 * that it fits one ATT write of an MTU of 247. docs/wire/bitchat-native.md
 *
 * | offset | bytes | field |
 * |--:|--:|---|
 * | 0 | 1 | version, 1 |
 * | 1 | 1 | type |
 * | 2 | 1 | flags |
 * | 3 | 1 | hop acknowledgement wanted 1 bit, custody 2 bits, reserved 2, TTL 3: changes on the way |
 * | 4 | 1 | hop count: changes on the way |
 * | 5 | 16 | source |
 * | 21 | 16 | destination, when directed |
 * | 21 or 37 | 8 | packet id |
 * | 29 or 45 | n | payload |
 */
export interface MeshPacket {
  readonly type: MeshPacketType
  readonly priority: Priority
  /** Directed, but every node is to pass it on: routes are not trusted for it. */
  readonly flood: boolean
  /** The destination answers with an {@link MeshPacketType.Acknowledgement}; one that stays away is held against the route. */
  readonly proofWanted: boolean
  readonly source: NodeId
  /** `undefined`: a broadcast. */
  readonly destination: NodeId | undefined
  /** {@link PACKET_ID_BYTES}, unique for the source. */
  readonly id: Uint8Array
  readonly payload: Uint8Array
}

/** What changes on the way, outside of what is signed or sealed. */
export interface MeshPassage {
  /** Links that the packet may still cross, this one included; 1 to {@link MAX_HOPS}. */
  readonly ttl: number
  /** Links that it crossed before this one. */
  readonly hopCount: number
  /** How often a node that kept it has handed it on anew; 0 to {@link MAX_CUSTODY}. */
  readonly custody: number
  /** The neighbour is to say that it has it. */
  readonly hopAckWanted: boolean
}

export const MeshPacketType = { Announcement: 1, Broadcast: 2, Handshake: 3, Data: 4, Acknowledgement: 5 } as const
export type MeshPacketType = (typeof MeshPacketType)[keyof typeof MeshPacketType]

/** Largest packet, header included: an ATT MTU of 247 less three bytes. */
export const MAX_MESH_PACKET_BYTES = 244
export const DIRECTED_HEADER_BYTES = 45
export const BROADCAST_HEADER_BYTES = 29
export const PACKET_ID_BYTES = 8
export const SIGNATURE_BYTES = 64
/** Links that a packet crosses at most. */
export const MAX_HOPS = 7
export const MAX_CUSTODY = 3
/** Largest content of a signed broadcast. */
export const MAX_BROADCAST_BYTES = MAX_MESH_PACKET_BYTES - BROADCAST_HEADER_BYTES - SIGNATURE_BYTES

const VERSION = 1
/** Never relayed: version, this type, and 1 to {@link MAX_HOP_ACKS} fingerprints. */
const HOP_ACK_TYPE = 6
const HOP_ACK_HEADER_BYTES = 2
export const FINGERPRINT_BYTES = 8
export const MAX_HOP_ACKS = Math.floor((MAX_MESH_PACKET_BYTES - HOP_ACK_HEADER_BYTES) / FINGERPRINT_BYTES)

const Flag = { Directed: 0x01, Flood: 0x02, ProofWanted: 0x04, PriorityMask: 0x18, Reserved: 0xe0 } as const
const PRIORITY_SHIFT = 3
const Passage = { HopAckWanted: 0x80, CustodyMask: 0x60, Reserved: 0x18, TtlMask: 0x07 } as const
const CUSTODY_SHIFT = 5
const PASSAGE_OFFSET = 3

export type DecodedMesh =
  | { readonly kind: 'packet'; readonly packet: MeshPacket; readonly passage: MeshPassage }
  | { readonly kind: 'hop-ack'; readonly fingerprints: readonly number[] }

/**
 * One new buffer.
 * @throws ArgumentError when it would be too long, the id has another length, or the passage is out of range.
 */
export function encodeMeshPacket(packet: MeshPacket, passage: MeshPassage): Uint8Array {
  const headerLength = meshHeaderLength(packet)
  const { payload } = packet
  if (headerLength + payload.length > MAX_MESH_PACKET_BYTES) {
    throw new ArgumentError(`a payload of ${payload.length} bytes does not fit a mesh packet`)
  }
  const out = new Uint8Array(headerLength + payload.length)
  writeHeader(out, packet)
  setPassage(out, passage)
  out.set(payload, headerLength)
  return out
}

/** The header with everything that changes on the way at zero: what is sealed or signed with the payload. A new buffer. */
export function encodeMeshHeader(packet: Omit<MeshPacket, 'payload'>): Uint8Array {
  const out = new Uint8Array(meshHeaderLength(packet))
  writeHeader(out, packet)
  return out
}

/** 45 or 29 bytes. */
export function meshHeaderLength(packet: { readonly destination: NodeId | undefined }): number {
  return packet.destination === undefined ? BROADCAST_HEADER_BYTES : DIRECTED_HEADER_BYTES
}

/**
 * Views into `bytes`; `undefined` when they are no packet: another version or type, a reserved bit, a destination where
 * there must be none, a TTL of 0, or more hops behind and before it than {@link MAX_HOPS}.
 */
export function decodeMesh(bytes: Uint8Array): DecodedMesh | undefined {
  if (bytes.length > MAX_MESH_PACKET_BYTES || bytes[0] !== VERSION) return undefined
  const type = bytes[1] as number
  if (type === HOP_ACK_TYPE) return decodeHopAck(bytes)
  if (type < MeshPacketType.Announcement || type > MeshPacketType.Acknowledgement) return undefined
  if (bytes.length < BROADCAST_HEADER_BYTES) return undefined
  const [flags, mutable, hopCount] = [bytes[2] as number, bytes[3] as number, bytes[4] as number]
  const ttl = mutable & Passage.TtlMask
  if ((flags & Flag.Reserved) !== 0 || (mutable & Passage.Reserved) !== 0) return undefined
  if (ttl === 0 || ttl + hopCount > MAX_HOPS) return undefined
  const isDirected = (flags & Flag.Directed) !== 0
  if (isDirected === isBroadcastType(type)) return undefined
  const headerLength = isDirected ? DIRECTED_HEADER_BYTES : BROADCAST_HEADER_BYTES
  if (bytes.length < headerLength) return undefined
  const packet: MeshPacket = {
    type: type as MeshPacketType,
    priority: ((flags & Flag.PriorityMask) >> PRIORITY_SHIFT) as Priority,
    flood: (flags & Flag.Flood) !== 0,
    proofWanted: (flags & Flag.ProofWanted) !== 0,
    source: nodeIdFromBytes(bytes.subarray(5, 5 + NODE_ID_BYTES)),
    destination: isDirected ? nodeIdFromBytes(bytes.subarray(21, 21 + NODE_ID_BYTES)) : undefined,
    id: bytes.subarray(headerLength - PACKET_ID_BYTES, headerLength),
    payload: bytes.subarray(headerLength),
  }
  const custody = (mutable & Passage.CustodyMask) >> CUSTODY_SHIFT
  const hopAckWanted = (mutable & Passage.HopAckWanted) !== 0
  return { kind: 'packet', packet, passage: { ttl, hopCount, custody, hopAckWanted } }
}

/** Changes an encoded packet in place. @throws ArgumentError when a value is out of range. */
export function setPassage(bytes: Uint8Array, { ttl, hopCount, custody, hopAckWanted }: MeshPassage): void {
  if (!(ttl >= 1 && hopCount >= 0 && ttl + hopCount <= MAX_HOPS)) {
    throw new ArgumentError(`TTL ${ttl} after ${hopCount} hops`)
  }
  if (!(custody >= 0 && custody <= MAX_CUSTODY)) throw new ArgumentError(`custody ${custody}`)
  bytes[PASSAGE_OFFSET] = (hopAckWanted ? Passage.HopAckWanted : 0) | (custody << CUSTODY_SHIFT) | ttl
  bytes[PASSAGE_OFFSET + 1] = hopCount
}

/** A copy with everything that changes on the way at zero: what a fingerprint and a signature cover. */
export function withoutPassage(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes)
  out.fill(0, PASSAGE_OFFSET, PASSAGE_OFFSET + 2)
  return out
}

/**
 * The neighbour's word that packets have arrived, named by the first 52 bits of their fingerprints.
 * @throws ArgumentError unless there are 1 to {@link MAX_HOP_ACKS}.
 */
export function encodeHopAck(fingerprints: readonly number[]): Uint8Array {
  if (fingerprints.length < 1 || fingerprints.length > MAX_HOP_ACKS) {
    throw new ArgumentError(`${fingerprints.length} packets in one hop acknowledgement`)
  }
  const out = new Uint8Array(HOP_ACK_HEADER_BYTES + fingerprints.length * FINGERPRINT_BYTES)
  const view = new DataView(out.buffer)
  out[0] = VERSION
  out[1] = HOP_ACK_TYPE
  fingerprints.forEach((fingerprint, i) => view.setBigUint64(HOP_ACK_HEADER_BYTES + i * 8, BigInt(fingerprint)))
  return out
}

/** A hash as a number that is exact in a double: its first 52 bits. */
export function fingerprintFromHash(hash: Uint8Array): number {
  const view = new DataView(hash.buffer, hash.byteOffset, hash.length)
  return view.getUint32(0) * 0x100000 + (view.getUint32(4) >>> 12)
}

function decodeHopAck(bytes: Uint8Array): DecodedMesh | undefined {
  const length = bytes.length - HOP_ACK_HEADER_BYTES
  if (length < FINGERPRINT_BYTES || length % FINGERPRINT_BYTES !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const fingerprints: number[] = []
  for (let offset = HOP_ACK_HEADER_BYTES; offset < bytes.length; offset += FINGERPRINT_BYTES) {
    const fingerprint = view.getBigUint64(offset)
    if (fingerprint >= 1n << 52n) return undefined
    fingerprints.push(Number(fingerprint))
  }
  return { kind: 'hop-ack', fingerprints }
}

function isBroadcastType(type: number): boolean {
  return type === MeshPacketType.Announcement || type === MeshPacketType.Broadcast
}

function writeHeader(out: Uint8Array, packet: Omit<MeshPacket, 'payload'>): void {
  const { type, priority, flood, proofWanted, source, destination, id } = packet
  if (id.length !== PACKET_ID_BYTES) throw new ArgumentError(`a packet id has 8 bytes, not ${id.length}`)
  if ((destination === undefined) !== isBroadcastType(type)) {
    throw new ArgumentError(`packets of type ${type} are ${destination === undefined ? 'directed' : 'broadcast'}`)
  }
  out[0] = VERSION
  out[1] = type
  out[2] =
    (destination === undefined ? 0 : Flag.Directed) |
    (flood ? Flag.Flood : 0) |
    (proofWanted ? Flag.ProofWanted : 0) |
    (priority << PRIORITY_SHIFT)
  out.set(nodeIdToBytes(source), 5)
  if (destination !== undefined) out.set(nodeIdToBytes(destination), 21)
  out.set(id, meshHeaderLength(packet) - PACKET_ID_BYTES)
}
