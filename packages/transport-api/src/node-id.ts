import { ArgumentError } from './errors.js'
import { fromHex, toHex } from './hex.js'

declare const brand: unique symbol

/**
 * Names a node: the first 16 bytes of SHA-256 of its Ed25519 public key. In the API 32 lowercase hex characters, so
 * that it can be a `Map` key; on the wire 16 bytes. An id is believed only together with the full key.
 */
export type NodeId = string & { readonly [brand]: 'NodeId' }

/** Bytes of a node id on the wire. */
export const NODE_ID_BYTES = 16

/** True when `text` is 32 lowercase hex characters. */
export function isNodeId(text: string): text is NodeId {
  return /^[0-9a-f]{32}$/.test(text)
}

/** @throws ArgumentError unless `text` is 32 lowercase hex characters. */
export function parseNodeId(text: string): NodeId {
  if (!isNodeId(text)) throw new ArgumentError(`"${text.slice(0, 64)}" is no node id: 32 lowercase hex characters`)
  return text
}

/** @throws ArgumentError unless there are exactly 16 bytes. */
export function nodeIdFromBytes(bytes: Uint8Array): NodeId {
  if (bytes.length !== NODE_ID_BYTES)
    throw new ArgumentError(`a node id has ${NODE_ID_BYTES} bytes, not ${bytes.length}`)
  return toHex(bytes) as NodeId
}

/** A new buffer of 16 bytes. */
export function nodeIdToBytes(id: NodeId): Uint8Array {
  return fromHex(id)
}

/** Negative, 0 or positive, in the order of the 16 bytes read as one number. */
export function compareNodeIds(a: NodeId, b: NodeId): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** XOR distance of Kademlia (Maymounkov and Mazières, 2002), as 16 bytes in a new buffer. */
export function xorDistance(a: NodeId, b: NodeId): Uint8Array {
  const out = fromHex(a)
  const other = fromHex(b)
  for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) ^ (other[i] as number)
  return out
}
