import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'
import { decodeBitField, encodeBitField } from './bit-field.js'
import { MAX_PARAMETER, MAX_SET_BYTES, type GolombSet } from './golomb-set.js'
import { PacketType } from './packet.js'
import { decodeText, decodeTlvs, encodeText, encodeTlvs, type Tlv } from './tlv.js'

const Field = { Parameter: 1, Modulus: 2, Data: 3, Types: 4, Since: 5, Fragments: 6 } as const

/** Fragment ids in one request at most. */
export const MAX_REQUESTED_FRAGMENTS = 60

/** Asks a neighbour for the packets it has and we have not. */
export interface SyncRequest {
  /** What we have: of each packet the {@link packetId}, hashed. */
  readonly have: GolombSet
  /** Bits of {@link typeBits}; `undefined`: announcements and messages. */
  readonly types: bigint | undefined
  /** Only packets that are not older, Unix ms. */
  readonly since: bigint | undefined
  /** Only fragments of these, 16 hex characters each. */
  readonly fragments: readonly string[]
}

/** Bit of a packet type in {@link SyncRequest.types}. */
export const typeBits: ReadonlyMap<number, bigint> = new Map([
  [PacketType.Announce, 1n],
  [PacketType.Message, 2n],
  [PacketType.Fragment, 1n << 5n],
  [PacketType.FileTransfer, 1n << 7n],
])

/** @throws ArgumentError for more fragments than a request may name. */
export function encodeSyncRequest({ have, types, since, fragments }: SyncRequest): Uint8Array {
  if (fragments.length > MAX_REQUESTED_FRAGMENTS) throw new ArgumentError('a request names at most 60 fragments')
  const modulus = new Uint8Array(4)
  new DataView(modulus.buffer).setUint32(0, have.modulus)
  const tlvs: Tlv[] = [
    { type: Field.Parameter, value: Uint8Array.of(have.parameter) },
    { type: Field.Modulus, value: modulus },
    { type: Field.Data, value: have.data },
  ]
  if (types !== undefined) tlvs.push({ type: Field.Types, value: encodeBitField(types) })
  if (since !== undefined) {
    const value = new Uint8Array(8)
    new DataView(value.buffer).setBigUint64(0, since)
    tlvs.push({ type: Field.Since, value })
  }
  if (fragments.length > 0) tlvs.push({ type: Field.Fragments, value: encodeText(fragments.join(',')) })
  return encodeTlvs(tlvs, 2)
}

/** `undefined` when it is cut off, lacks the set, or a field has a size or value it cannot have. Copies the set. */
export function decodeSyncRequest(bytes: Uint8Array): SyncRequest | undefined {
  const fields = new Map(decodeTlvs(bytes, 2)?.map(({ type, value }) => [type, value]))
  const parameter = fields.get(Field.Parameter)
  const modulusBytes = fields.get(Field.Modulus)
  const data = fields.get(Field.Data)
  if (parameter?.length !== 1 || modulusBytes?.length !== 4 || data === undefined) return undefined
  const p = parameter[0] as number
  const modulus = new DataView(modulusBytes.buffer, modulusBytes.byteOffset).getUint32(0)
  if (p > MAX_PARAMETER || p === 0 || modulus === 0 || data.length > MAX_SET_BYTES) return undefined
  const typeBytes = fields.get(Field.Types)
  const types = typeBytes && decodeBitField(typeBytes)
  if (typeBytes !== undefined && types === undefined) return undefined
  const sinceBytes = fields.get(Field.Since)
  if (sinceBytes !== undefined && sinceBytes.length !== 8) return undefined
  const list = fields.get(Field.Fragments)
  const fragments = list === undefined ? [] : decodeText(list)?.split(',')
  if (fragments === undefined || fragments.length > MAX_REQUESTED_FRAGMENTS) return undefined
  if (fragments.some((id) => !/^[0-9a-fA-F]{16}$/.test(id))) return undefined
  return {
    have: { parameter: p, modulus, data: new Uint8Array(data) },
    types,
    since: sinceBytes && new DataView(sinceBytes.buffer, sinceBytes.byteOffset).getBigUint64(0),
    fragments: fragments.map((id) => toHex(fromHex(id))),
  }
}
