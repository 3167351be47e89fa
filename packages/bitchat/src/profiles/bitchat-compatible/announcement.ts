import { ArgumentError, joinBytes } from '@aiv/transport-api'
import { decodeBitField, encodeBitField } from './bit-field.js'
import { PEER_ID_BYTES, peerIdFromBytes, peerIdToBytes, type PeerId } from './peer-id.js'
import { decodeText, decodeTlvs, encodeText, encodeTlvs, type Tlv } from './tlv.js'

const Field = { Nickname: 1, NoiseKey: 2, SigningKey: 3, Neighbours: 4, Capabilities: 5, Geohash: 6 } as const

/** Direct neighbours that an announcement names at most. */
export const MAX_NEIGHBOURS = 10
const MAX_GEOHASH_BYTES = 12

/** Payload of an announce packet. It is believed only with the packet's signature by {@link signingKey}. */
export interface Announcement {
  /** At most 255 bytes of UTF-8. */
  readonly nickname: string
  /** X25519, 32 bytes: the sender's id must follow from it. */
  readonly noiseKey: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly signingKey: Uint8Array
  /** At most 10. */
  readonly neighbours: readonly PeerId[]
  /** Bit field; the bits are in docs/wire/bitchat-compatible.md. */
  readonly capabilities: bigint | undefined
  /** Where a bridge is, at most 12 bytes. */
  readonly geohash: string | undefined
}

/** @throws ArgumentError when a field is longer than it may be. */
export function encodeAnnouncement(announcement: Announcement): Uint8Array {
  const { nickname, noiseKey, signingKey, neighbours, capabilities, geohash } = announcement
  if (noiseKey.length !== 32 || signingKey.length !== 32) throw new ArgumentError('a key has 32 bytes')
  if (neighbours.length > MAX_NEIGHBOURS) throw new ArgumentError('an announcement names at most 10 neighbours')
  const tlvs: Tlv[] = [
    { type: Field.Nickname, value: encodeText(nickname) },
    { type: Field.NoiseKey, value: noiseKey },
    { type: Field.SigningKey, value: signingKey },
  ]
  if (neighbours.length > 0) tlvs.push({ type: Field.Neighbours, value: joinBytes(neighbours.map(peerIdToBytes)) })
  if (capabilities !== undefined) tlvs.push({ type: Field.Capabilities, value: encodeBitField(capabilities) })
  if (geohash !== undefined) {
    const value = encodeText(geohash)
    if (value.length > MAX_GEOHASH_BYTES) throw new ArgumentError('a geohash has at most 12 characters')
    tlvs.push({ type: Field.Geohash, value })
  }
  return encodeTlvs(tlvs, 1)
}

/** `undefined` when it is cut off, lacks a name or a key, or a field has a size that it cannot have. Copies. */
export function decodeAnnouncement(bytes: Uint8Array): Announcement | undefined {
  const fields = new Map<number, Uint8Array>()
  for (const { type, value } of decodeTlvs(bytes, 1) ?? []) fields.set(type, value)
  const name = fields.get(Field.Nickname)
  const nickname = name && decodeText(name)
  const noiseKey = fields.get(Field.NoiseKey)
  const signingKey = fields.get(Field.SigningKey)
  if (nickname === undefined || noiseKey?.length !== 32 || signingKey?.length !== 32) return undefined
  const ids = fields.get(Field.Neighbours) ?? new Uint8Array(0)
  if (ids.length % PEER_ID_BYTES !== 0 || ids.length > MAX_NEIGHBOURS * PEER_ID_BYTES) return undefined
  const neighbours: PeerId[] = []
  for (let at = 0; at < ids.length; at += PEER_ID_BYTES) {
    neighbours.push(peerIdFromBytes(ids.subarray(at, at + PEER_ID_BYTES)))
  }
  const bits = fields.get(Field.Capabilities)
  const capabilities = bits && decodeBitField(bits)
  if (bits !== undefined && capabilities === undefined) return undefined
  const place = fields.get(Field.Geohash)
  const geohash = place && decodeText(place)
  if (place !== undefined && (geohash === undefined || place.length > MAX_GEOHASH_BYTES)) return undefined
  return {
    nickname,
    noiseKey: new Uint8Array(noiseKey),
    signingKey: new Uint8Array(signingKey),
    neighbours,
    capabilities,
    geohash,
  }
}
