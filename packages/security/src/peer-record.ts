import {
  AivError,
  ArgumentError,
  decodePeerRecord,
  encodePeerRecordBody,
  joinBytes,
  MAX_PEER_RECORD_LIFE_MS,
  type NodeId,
  type PeerRecord,
  type PeerRecordFields,
} from '@aiv/transport-api'
import { CLOCK_SKEW_S } from './certificate.js'
import type { Crypto } from './crypto.js'
import { nodeIdOf, type Identity } from './identity.js'
import { isLowOrderX25519Key } from './key-checks.js'
import { signedBytes } from './signed-bytes.js'

/** How long a record lasts unless said otherwise: 24 h in ms. */
const DEFAULT_LIFE_MS = 86_400_000

/** What a node says of itself beyond what follows from its keys and the time. */
export type OwnRecordFields = Omit<PeerRecordFields, 'publicKey' | 'noiseKey' | 'sequence' | 'expiresAt'>

/** When a record is made, and for how long. */
export interface RecordTimes {
  /** Unix ms. */
  readonly now: number
  /** @defaultValue 24 h; at most 7 days */
  readonly lifeMs?: number
  /** Sequence of our record before this one: the new one is higher even if the clock went back. */
  readonly previousSequence?: number
}

/** Why a record is not believed. */
export type PeerRecordErrorCode =
  | 'RECORD_MALFORMED'
  | 'RECORD_MISMATCH' // of another node than expected
  | 'RECORD_LIFE' // longer than 7 days, or it ends before it begins
  | 'RECORD_FUTURE' // issued more than 120 s from now
  | 'RECORD_EXPIRED'
  | 'RECORD_SIGNATURE' // not signed by the key that it names, or with a key that gives no security

/** A record is not believed; returned, never thrown. */
export class PeerRecordError extends AivError<PeerRecordErrorCode> {}

/**
 * A record of ours, signed.
 * @throws ArgumentError when a field has the wrong size, the record exceeds 960 bytes, or its life is not 1 ms to 7 days.
 */
export function signPeerRecord(identity: Identity, fields: OwnRecordFields, times: RecordTimes): PeerRecord {
  const { now, lifeMs = DEFAULT_LIFE_MS, previousSequence = -1 } = times
  if (!(lifeMs >= 1 && lifeMs <= MAX_PEER_RECORD_LIFE_MS)) {
    throw new ArgumentError(`a record lasts 1 ms to ${MAX_PEER_RECORD_LIFE_MS} ms, not ${lifeMs}`)
  }
  const sequence = Math.max(Math.floor(now), previousSequence + 1)
  const body = encodePeerRecordBody({
    ...fields,
    publicKey: identity.publicKey,
    noiseKey: identity.noiseStatic.publicKey,
    sequence,
    expiresAt: sequence + Math.floor(lifeMs),
  })
  const decoded = decodePeerRecord(joinBytes([body, identity.sign('aiv-peer/1', body)]))
  if (decoded === undefined) throw new ArgumentError('fields that no record can hold')
  return decoded.record
}

/**
 * Decodes a record and checks all that can be checked of it alone; which of several is the newest is for its reader to
 * say (`sequence`). The signature is checked over the bytes as received. The result holds a copy of `bytes`.
 */
export function verifyPeerRecord(
  crypto: Crypto,
  bytes: Uint8Array,
  unixNow: number,
  expected?: NodeId,
): PeerRecord | PeerRecordError {
  const decoded = decodePeerRecord(new Uint8Array(bytes))
  if (decoded === undefined) return new PeerRecordError('RECORD_MALFORMED', 'these bytes are no peer record')
  const { record, body, signature } = decoded
  const { publicKey, noiseKey, sequence, expiresAt } = record
  if (expected !== undefined && nodeIdOf(crypto, publicKey) !== expected) {
    return new PeerRecordError('RECORD_MISMATCH', 'the record of another node')
  }
  if (expiresAt <= sequence || expiresAt - sequence > MAX_PEER_RECORD_LIFE_MS) {
    return new PeerRecordError('RECORD_LIFE', 'the record lasts longer than 7 days, or not at all')
  }
  if (sequence > unixNow + CLOCK_SKEW_S * 1000) {
    return new PeerRecordError('RECORD_FUTURE', 'the record was issued in the future, or a clock is wrong')
  }
  if (expiresAt <= unixNow) return new PeerRecordError('RECORD_EXPIRED', 'the record has expired')
  if (isLowOrderX25519Key(noiseKey) || !crypto.verify(publicKey, signedBytes('aiv-peer/1', body), signature)) {
    return new PeerRecordError('RECORD_SIGNATURE', 'the record is not signed by the node it names')
  }
  return record
}
