import { describe, expect, test } from '@jest/globals'
import {
  encodePeerRecordBody,
  joinBytes,
  MAX_PEER_RECORD_LIFE_MS,
  toHex,
  type PeerRecordFields,
} from '@aiv/transport-api'
import {
  identityFromSeed,
  nodeCrypto,
  PeerRecordError,
  signPeerRecord,
  verifyPeerRecord,
  type OwnRecordFields,
} from '../src/index.js'
import { cryptos } from './cryptos.js'

const now = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000
const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(1))
const other = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(2))
const fields: OwnRecordFields = {
  deviceType: 'server',
  addresses: ['htx://192.0.2.7:8888', 'ws://example.org/p2p'],
  relays: [other.nodeId],
  mailboxRelays: [],
  signedPrekey: undefined,
  onionKey: undefined,
  capabilities: Uint8Array.of(3),
  nextKeyHash: undefined,
}
const record = signPeerRecord(identity, fields, { now, lifeMs: HOUR })
const codeOf = (result: unknown) => (result instanceof PeerRecordError ? result.code : 'ok')
const judge = (bytes: Uint8Array, at = now, expected = identity.nodeId) =>
  codeOf(verifyPeerRecord(nodeCrypto, bytes, at, expected))

/** Signs whatever it is told to. */
function forge(changes: Partial<PeerRecordFields>): Uint8Array {
  const body = encodePeerRecordBody({ ...record, ...changes })
  return joinBytes([body, identity.sign('aiv-peer/1', body)])
}

describe('peer record', () => {
  test.each(cryptos)('%s believes what was signed', (_, crypto) => {
    const result = verifyPeerRecord(crypto, record.bytes, now)
    expect(result).toMatchObject({ ...fields, sequence: now, expiresAt: now + HOUR })
    expect(result).toHaveProperty('noiseKey', identity.noiseStatic.publicKey)
  })

  test.each(cryptos)('%s notices every changed byte', (_, crypto) => {
    for (let at = 0; at < record.bytes.length; at++) {
      const changed = new Uint8Array(record.bytes)
      changed[at] = (changed[at] as number) ^ 1
      expect([at, verifyPeerRecord(crypto, changed, now)]).toEqual([at, expect.any(PeerRecordError)])
    }
  })

  test('the signature covers the bytes as received: an unknown TLV stays in and counts', () => {
    const body = joinBytes([encodePeerRecordBody(record), Uint8Array.of(200, 2, 7, 7)])
    const bytes = joinBytes([body, identity.sign('aiv-peer/1', body)])
    const result = verifyPeerRecord(nodeCrypto, bytes, now)
    expect(result).toHaveProperty('bytes', bytes)
    expect(judge(joinBytes([encodePeerRecordBody(record), bytes.subarray(body.length)]))).toBe('RECORD_SIGNATURE')
  })

  test('the result does not change with the buffer that it came from', () => {
    const bytes = new Uint8Array(record.bytes)
    const result = verifyPeerRecord(nodeCrypto, bytes, now)
    bytes.fill(0)
    expect(result).toHaveProperty('publicKey', identity.publicKey)
  })

  test('a signature under another tag, by another node or missing is RECORD_SIGNATURE', () => {
    const body = encodePeerRecordBody(record)
    expect(judge(joinBytes([body, identity.sign('aiv-route/1', body)]))).toBe('RECORD_SIGNATURE')
    expect(judge(joinBytes([body, other.sign('aiv-peer/1', body)]))).toBe('RECORD_SIGNATURE')
    expect(judge(joinBytes([body, new Uint8Array(64)]))).toBe('RECORD_SIGNATURE')
  })

  test('keys that give no security are refused', () => {
    expect(judge(forge({ noiseKey: new Uint8Array(32) }))).toBe('RECORD_SIGNATURE')
    const neutral = new Uint8Array(32)
    neutral[0] = 1
    const body = encodePeerRecordBody({ ...record, publicKey: neutral })
    const bytes = joinBytes([body, neutral, new Uint8Array(32)])
    for (const [, crypto] of cryptos) expect(codeOf(verifyPeerRecord(crypto, bytes, now))).toBe('RECORD_SIGNATURE')
  })

  test('the record of another node than expected is RECORD_MISMATCH', () => {
    expect(judge(record.bytes, now, other.nodeId)).toBe('RECORD_MISMATCH')
  })

  test('bytes that are no record are RECORD_MALFORMED', () => {
    expect(judge(new Uint8Array(0))).toBe('RECORD_MALFORMED')
    expect(judge(new Uint8Array(961))).toBe('RECORD_MALFORMED')
    expect(judge(record.bytes.subarray(1))).toBe('RECORD_MALFORMED')
  })

  test('it expires to the millisecond', () => {
    expect(judge(record.bytes, now + HOUR - 1)).toBe('ok')
    expect(judge(record.bytes, now + HOUR)).toBe('RECORD_EXPIRED')
  })

  test('it may come from up to 120 s in the future, to the millisecond', () => {
    expect(judge(record.bytes, now - 120_000)).toBe('ok')
    expect(judge(record.bytes, now - 120_001)).toBe('RECORD_FUTURE')
  })

  test('it lasts 7 days at most, and more than nothing', () => {
    expect(judge(forge({ expiresAt: now + MAX_PEER_RECORD_LIFE_MS }))).toBe('ok')
    expect(judge(forge({ expiresAt: now + MAX_PEER_RECORD_LIFE_MS + 1 }))).toBe('RECORD_LIFE')
    expect(judge(forge({ expiresAt: now }))).toBe('RECORD_LIFE')
    expect(judge(forge({ expiresAt: 0 }))).toBe('RECORD_LIFE')
    expect(judge(forge({ sequence: Number.MAX_SAFE_INTEGER, expiresAt: Number.MAX_SAFE_INTEGER }))).toBe('RECORD_LIFE')
  })

  test('a sequence of 2^64 − 1 is no time and so no record', () => {
    const text = toHex(record.bytes)
    const sequence = `0a08${now.toString(16).padStart(16, '0')}`
    expect(text).toContain(sequence)
    const bytes = Uint8Array.from(Buffer.from(text.replace(sequence, `0a08${'ff'.repeat(8)}`), 'hex'))
    expect(judge(bytes)).toBe('RECORD_MALFORMED')
  })

  test('ours rise even when the clock goes back', () => {
    const next = signPeerRecord(identity, fields, { now: now - HOUR, previousSequence: record.sequence })
    expect(next.sequence).toBe(record.sequence + 1)
    expect(judge(next.bytes)).toBe('ok')
  })

  test('a life that is none and fields that do not fit are our own mistake', () => {
    const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
    for (const lifeMs of [0, -1, NaN, MAX_PEER_RECORD_LIFE_MS + 1]) {
      expect(() => signPeerRecord(identity, fields, { now, lifeMs })).toThrow(invalid)
    }
    const addresses = Array.from({ length: 40 }, (_, i) => `htx://192.0.2.${i}:8888`)
    expect(() => signPeerRecord(identity, { ...fields, addresses }, { now })).toThrow(invalid)
  })
})
