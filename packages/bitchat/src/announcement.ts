import {
  ArgumentError,
  type LocalIdentity,
  NODE_ID_BYTES,
  type NodeId,
  Priority,
  joinBytes,
  nodeIdFromBytes,
} from '@aiv/transport-api'
import {
  MAX_BROADCAST_BYTES,
  MeshPacketType,
  type MeshPacket,
  PACKET_ID_BYTES,
  SIGNATURE_BYTES,
  encodeMeshHeader,
} from './mesh-packet.js'
import type { AnnouncedKey, MeshCrypto } from './mesh-types.js'

/**
 * A node says that it is there: its keys, signed, with the time at which it said so. It is the only source of routes.
 *
 * | offset | bytes | field |
 * |--:|--:|---|
 * | 0 | 32 | Ed25519 public key; the source is its id |
 * | 32 | 32 | X25519 static key |
 * | 64 | 4 | not-after of that key, Unix s |
 * | 68 | 8 | issue time, Unix ms |
 * | 76 | 0 to 75 | more, for layers above |
 * | n | 64 | Ed25519 signature over `aiv-mesh/1` ‖ 00 ‖ header ‖ all of the above |
 */
export interface Announcement {
  readonly node: NodeId
  readonly publicKey: Uint8Array
  readonly staticKey: AnnouncedKey
  /** Unix ms, on the clock of the node that announces itself. */
  readonly issuedAt: number
  readonly more: Uint8Array
}

const FIXED_BYTES = 76
/** Room for layers above in an announcement. */
export const MAX_ANNOUNCED_MORE_BYTES = MAX_BROADCAST_BYTES - FIXED_BYTES
/** An announcement is taken when it was issued no further than this from now, in ms, in either direction. */
export const MAX_ANNOUNCEMENT_SKEW_MS = 120_000

const TAG = 'aiv-mesh/1'
const tagBytes = new TextEncoder().encode(`${TAG}\0`)

/** @throws ArgumentError when `more` is too long or the static key has not 32 bytes. */
export function signAnnouncement(
  identity: LocalIdentity,
  fields: Pick<Announcement, 'staticKey' | 'issuedAt' | 'more'> & { readonly id: Uint8Array },
): MeshPacket {
  const { staticKey, issuedAt, more, id } = fields
  if (more.length > MAX_ANNOUNCED_MORE_BYTES) throw new ArgumentError(`${more.length} bytes more in an announcement`)
  if (staticKey.publicKey.length !== 32) throw new ArgumentError('a static key has 32 bytes')
  const content = new Uint8Array(FIXED_BYTES + more.length)
  const view = new DataView(content.buffer)
  content.set(identity.publicKey)
  content.set(staticKey.publicKey, 32)
  view.setUint32(64, staticKey.notAfter)
  view.setBigUint64(68, BigInt(Math.floor(issuedAt)))
  content.set(more, FIXED_BYTES)
  return signBroadcast(identity, MeshPacketType.Announcement, id, content)
}

/** A signed packet for everybody. @throws ArgumentError when the content is over {@link MAX_BROADCAST_BYTES}. */
export function signBroadcast(
  identity: LocalIdentity,
  type: typeof MeshPacketType.Announcement | typeof MeshPacketType.Broadcast,
  id: Uint8Array,
  content: Uint8Array,
  priority: Priority = Priority.Normal,
): MeshPacket {
  if (content.length > MAX_BROADCAST_BYTES) throw new ArgumentError(`a broadcast of ${content.length} bytes`)
  if (id.length !== PACKET_ID_BYTES) throw new ArgumentError(`a packet id has 8 bytes, not ${id.length}`)
  const header = {
    type,
    priority,
    flood: false,
    proofWanted: false,
    source: identity.nodeId,
    destination: undefined,
    id,
  }
  const payload = new Uint8Array(content.length + SIGNATURE_BYTES)
  payload.set(content)
  payload.set(identity.sign(TAG, joinBytes([encodeMeshHeader(header), content])), content.length)
  return { ...header, payload }
}

/** The content of a broadcast when its signature by `publicKey` is right. A view. */
export function verifyBroadcast(crypto: MeshCrypto, packet: MeshPacket, publicKey: Uint8Array): Uint8Array | undefined {
  const split = packet.payload.length - SIGNATURE_BYTES
  if (split < 0) return undefined
  const content = packet.payload.subarray(0, split)
  const message = joinBytes([tagBytes, encodeMeshHeader(packet), content])
  return crypto.verify(publicKey, message, packet.payload.subarray(split)) ? content : undefined
}

/** What an announcement says of itself: nothing of it is proven before {@link verifyAnnouncement}. Copies. */
export function readAnnouncement(packet: MeshPacket): Announcement | undefined {
  const { payload } = packet
  if (payload.length < FIXED_BYTES + SIGNATURE_BYTES) return undefined
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  const issuedAt = Number(view.getBigUint64(68))
  if (!Number.isSafeInteger(issuedAt)) return undefined
  return {
    node: packet.source,
    publicKey: payload.slice(0, 32),
    staticKey: { publicKey: payload.slice(32, 64), notAfter: view.getUint32(64) },
    issuedAt,
    more: payload.slice(FIXED_BYTES, payload.length - SIGNATURE_BYTES),
  }
}

/** True when the source is the id of the key in it and that key signed it. The cheap check comes first. */
export function verifyAnnouncement(crypto: MeshCrypto, packet: MeshPacket, announcement: Announcement): boolean {
  const id = nodeIdFromBytes(crypto.sha256(announcement.publicKey).subarray(0, NODE_ID_BYTES))
  return id === packet.source && verifyBroadcast(crypto, packet, announcement.publicKey) !== undefined
}
