import {
  ArgumentError,
  MAX_PEER_RECORD_BYTES,
  NODE_ID_BYTES,
  nodeIdFromBytes,
  nodeIdToBytes,
  type NodeId,
} from '@aiv/transport-api'
import { PacketKind } from './packet.js'

/** Asks a neighbour for the signed peer record of a node, or answers. */
export type RecordPacket =
  | { readonly type: 'request'; readonly node: NodeId }
  /** `record` is unverified, and a view into the packet when decoded; `undefined`: the neighbour has none. */
  | { readonly type: 'reply'; readonly node: NodeId; readonly record: Uint8Array | undefined }

const HEAD_BYTES = 2 + NODE_ID_BYTES

/**
 * Packet 05, in a new buffer: `05 ‖ u8 0 request, 1 reply ‖ node id 16 ‖ record (reply only; empty: none)`.
 * @throws ArgumentError when the record is empty or over 960 bytes. docs/wire/packets.md
 */
export function encodeRecordPacket(packet: RecordPacket): Uint8Array {
  const record = packet.type === 'reply' ? packet.record : undefined
  if (record !== undefined && (record.length === 0 || record.length > MAX_PEER_RECORD_BYTES)) {
    throw new ArgumentError(`a peer record of ${record.length} bytes`)
  }
  const out = new Uint8Array(HEAD_BYTES + (record?.length ?? 0))
  out[0] = PacketKind.RecordRequest
  out[1] = packet.type === 'request' ? 0 : 1
  out.set(nodeIdToBytes(packet.node), 2)
  if (record !== undefined) out.set(record, HEAD_BYTES)
  return out
}

/** Reads packet 05; `undefined` for another kind, a wrong length, or a type that is neither. */
export function decodeRecordPacket(bytes: Uint8Array): RecordPacket | undefined {
  const type = bytes[1]
  if (bytes[0] !== PacketKind.RecordRequest || bytes.length < HEAD_BYTES) return undefined
  const node = nodeIdFromBytes(bytes.subarray(2, HEAD_BYTES))
  if (type === 0) return bytes.length === HEAD_BYTES ? { type: 'request', node } : undefined
  if (type !== 1 || bytes.length > HEAD_BYTES + MAX_PEER_RECORD_BYTES) return undefined
  return { type: 'reply', node, record: bytes.length === HEAD_BYTES ? undefined : bytes.subarray(HEAD_BYTES) }
}
