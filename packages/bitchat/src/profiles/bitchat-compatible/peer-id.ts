import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'
import type { CompatibleCrypto } from './crypto.js'

declare const brand: unique symbol

/**
 * Names a bitchat peer: the first 8 bytes of SHA-256 of its X25519 key, as 16 lowercase hex characters. Too short to be
 * believed alone; see {@link PeerTable}.
 */
export type PeerId = string & { readonly [brand]: 'PeerId' }

/** Bytes of a peer id on the wire. */
export const PEER_ID_BYTES = 8

/** Addressed to everybody, as an alternative to no recipient at all. */
export const BROADCAST = 'ffffffffffffffff' as PeerId

/** The id that follows from a Noise static key. */
export function peerIdOf(crypto: Pick<CompatibleCrypto, 'sha256'>, noiseKey: Uint8Array): PeerId {
  return peerIdFromBytes(crypto.sha256(noiseKey).subarray(0, PEER_ID_BYTES))
}

/** @throws ArgumentError unless there are exactly 8 bytes. */
export function peerIdFromBytes(bytes: Uint8Array): PeerId {
  if (bytes.length !== PEER_ID_BYTES) throw new ArgumentError(`a peer id has 8 bytes, not ${bytes.length}`)
  return toHex(bytes) as PeerId
}

/** @throws ArgumentError unless `text` is 16 lowercase hex characters. */
export function parsePeerId(text: string): PeerId {
  if (!/^[0-9a-f]{16}$/.test(text)) throw new ArgumentError(`"${text.slice(0, 64)}" is no peer id`)
  return text as PeerId
}

/** A new buffer of 8 bytes. */
export function peerIdToBytes(id: PeerId): Uint8Array {
  return fromHex(id)
}
