import { nodeIdFromBytes, nodeIdToBytes, NODE_ID_BYTES, type NodeId } from './node-id.js'
import { ArgumentError } from './errors.js'
import { MAX_ADDRESS_LENGTH } from './address.js'
import type { DeviceType } from './priority.js'

/**
 * What a node says of itself, as fields. `security` signs and verifies; here are the bytes.
 *
 * A record is TLVs (`u8 type · u8 length · value`), types ascending, repeatable ones side by side, then 64 bytes of
 * signature over the tag `aiv-peer/1` and everything before it, as received. Unknown types are kept and ignored.
 *
 * | type | value |
 * |--:|---|
 * | 01 | Ed25519 public key, 32 |
 * | 02 | X25519 Noise static key, 32 |
 * | 03 | device type, 1: 0 mobile, 1 desktop, 2 server, 3 fog |
 * | 04 | address, UTF-8, repeatable |
 * | 05 | relay, node id 16, repeatable |
 * | 06 | mailbox relay, node id 16, repeatable |
 * | 07 | signed prekey, opaque |
 * | 08 | onion key, X25519 32 |
 * | 09 | capabilities, little-endian bit field, trailing zero bytes dropped |
 * | 0a | sequence = issue time, ms since 1970, u64 |
 * | 0b | expiry, ms since 1970, u64; at most 7 days after issue |
 * | 0c | SHA-256 of the next identity key, 32 |
 *
 * docs/wire/identity.md
 */
export interface PeerRecordFields {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** X25519, 32 bytes. */
  readonly noiseKey: Uint8Array
  readonly deviceType: DeviceType
  readonly addresses: readonly string[]
  readonly relays: readonly NodeId[]
  readonly mailboxRelays: readonly NodeId[]
  readonly signedPrekey: Uint8Array | undefined
  readonly onionKey: Uint8Array | undefined
  /** Bit field, least significant byte first. */
  readonly capabilities: Uint8Array
  /** Issue time in Unix ms; the highest valid one wins. */
  readonly sequence: number
  /** Unix ms. */
  readonly expiresAt: number
  readonly nextKeyHash: Uint8Array | undefined
}

/** A decoded record; its signature has been checked only by whoever says so. */
export interface PeerRecord extends PeerRecordFields {
  /** As received, signature included: this is what is passed on. */
  readonly bytes: Uint8Array
}

/** One BEP 44 value, never split. */
export const MAX_PEER_RECORD_BYTES = 960
/** Longest life of a record, 7 days in ms. */
export const MAX_PEER_RECORD_LIFE_MS = 604_800_000
const SIGNATURE_BYTES = 64

const Tlv = {
  PublicKey: 1,
  NoiseKey: 2,
  DeviceType: 3,
  Address: 4,
  Relay: 5,
  MailboxRelay: 6,
  SignedPrekey: 7,
  OnionKey: 8,
  Capabilities: 9,
  Sequence: 10,
  ExpiresAt: 11,
  NextKeyHash: 12,
} as const

const deviceTypes: readonly DeviceType[] = ['mobile', 'desktop', 'server', 'fog']

/** The number that stands for a device type on the wire. */
export function deviceTypeToByte(type: DeviceType): number {
  return deviceTypes.indexOf(type)
}

/** The inverse; `undefined` for a number that stands for none. */
export function deviceTypeFromByte(byte: number): DeviceType | undefined {
  return deviceTypes[byte]
}

/**
 * The part of a record that is signed, in a new buffer.
 * @throws ArgumentError when a field has the wrong size or the signed record would exceed 960 bytes.
 */
export function encodePeerRecordBody(fields: PeerRecordFields): Uint8Array {
  const out: number[] = []
  const put = (type: number, value: Uint8Array, size?: number): void => {
    if ((size !== undefined && value.length !== size) || value.length > 255) {
      throw new ArgumentError(`peer record field ${type} has ${value.length} bytes`)
    }
    out.push(type, value.length, ...value)
  }
  const text = new TextEncoder()
  put(Tlv.PublicKey, fields.publicKey, 32)
  put(Tlv.NoiseKey, fields.noiseKey, 32)
  put(Tlv.DeviceType, Uint8Array.of(deviceTypeToByte(fields.deviceType)))
  for (const address of fields.addresses) put(Tlv.Address, text.encode(address))
  for (const relay of fields.relays) put(Tlv.Relay, nodeIdToBytes(relay))
  for (const relay of fields.mailboxRelays) put(Tlv.MailboxRelay, nodeIdToBytes(relay))
  if (fields.signedPrekey !== undefined) put(Tlv.SignedPrekey, fields.signedPrekey)
  if (fields.onionKey !== undefined) put(Tlv.OnionKey, fields.onionKey, 32)
  let used = fields.capabilities.length
  while (used > 0 && fields.capabilities[used - 1] === 0) used--
  if (used > 0) put(Tlv.Capabilities, fields.capabilities.subarray(0, used))
  put(Tlv.Sequence, u64(fields.sequence))
  put(Tlv.ExpiresAt, u64(fields.expiresAt))
  if (fields.nextKeyHash !== undefined) put(Tlv.NextKeyHash, fields.nextKeyHash, 32)
  if (out.length + SIGNATURE_BYTES > MAX_PEER_RECORD_BYTES) {
    throw new ArgumentError(
      `a peer record has at most ${MAX_PEER_RECORD_BYTES} bytes, not ${out.length + SIGNATURE_BYTES}`,
    )
  }
  return Uint8Array.from(out)
}

/**
 * Splits a record into its fields, the signed body and the signature; `undefined` when the bytes are no record:
 * too long, cut off, types not ascending, a field missing, repeated or of the wrong size. Views into `bytes`.
 */
export function decodePeerRecord(
  bytes: Uint8Array,
): { readonly record: PeerRecord; readonly body: Uint8Array; readonly signature: Uint8Array } | undefined {
  if (bytes.length > MAX_PEER_RECORD_BYTES || bytes.length < SIGNATURE_BYTES) return undefined
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES)
  const single = new Map<number, Uint8Array>()
  const addresses: string[] = []
  const relays: NodeId[] = []
  const mailboxRelays: NodeId[] = []
  const text = new TextDecoder('utf-8', { fatal: true })
  let last = 0
  for (let at = 0; at < body.length;) {
    const type = body[at] as number
    const length = body[at + 1]
    if (length === undefined || at + 2 + length > body.length || type < last) return undefined
    const value = body.subarray(at + 2, at + 2 + length)
    at += 2 + length
    if (type === Tlv.Address) {
      try {
        addresses.push(text.decode(value))
      } catch {
        return undefined
      }
      if (value.length > MAX_ADDRESS_LENGTH) return undefined
    } else if (type === Tlv.Relay || type === Tlv.MailboxRelay) {
      if (length !== NODE_ID_BYTES) return undefined
      ;(type === Tlv.Relay ? relays : mailboxRelays).push(nodeIdFromBytes(value))
    } else if (type <= Tlv.NextKeyHash) {
      if (type === last) return undefined
      single.set(type, value)
    }
    last = type
  }
  const sized = (type: number, size: number): Uint8Array | undefined => {
    const value = single.get(type)
    return value?.length === size ? value : undefined
  }
  const publicKey = sized(Tlv.PublicKey, 32)
  const noiseKey = sized(Tlv.NoiseKey, 32)
  const device = sized(Tlv.DeviceType, 1)
  const deviceType = device === undefined ? undefined : deviceTypeFromByte(device[0] as number)
  const sequence = readU64(sized(Tlv.Sequence, 8))
  const expiresAt = readU64(sized(Tlv.ExpiresAt, 8))
  const onionKey = sized(Tlv.OnionKey, 32)
  const nextKeyHash = sized(Tlv.NextKeyHash, 32)
  if (publicKey === undefined || noiseKey === undefined || deviceType === undefined) return undefined
  if (sequence === undefined || expiresAt === undefined) return undefined
  if (onionKey === undefined && single.has(Tlv.OnionKey)) return undefined
  if (nextKeyHash === undefined && single.has(Tlv.NextKeyHash)) return undefined
  const record: PeerRecord = {
    bytes,
    publicKey,
    noiseKey,
    deviceType,
    addresses,
    relays,
    mailboxRelays,
    signedPrekey: single.get(Tlv.SignedPrekey),
    onionKey,
    capabilities: single.get(Tlv.Capabilities) ?? new Uint8Array(0),
    sequence,
    expiresAt,
    nextKeyHash,
  }
  return { record, body, signature: bytes.subarray(body.length) }
}

function u64(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new ArgumentError(`${value} is no time in ms`)
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt(value))
  return out
}

function readU64(value: Uint8Array | undefined): number | undefined {
  if (value === undefined) return undefined
  const number = new DataView(value.buffer, value.byteOffset, 8).getBigUint64(0)
  return number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : undefined
}
