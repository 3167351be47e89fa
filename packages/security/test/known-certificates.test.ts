import { describe, expect, test } from '@jest/globals'
import { identityFromSeed, NOISE_KEY_LIFE_MS, nodeCrypto } from '../src/index.js'
import { KnownCertificates, MAX_KNOWN_CERTIFICATES } from '../src/known-certificates.js'

const unixNow = 1_750_000_000_000

function certified(seed: number) {
  const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(seed))
  const { nodeId, publicKey, noiseStatic } = identity
  return { certificate: identity.certificate(unixNow), noiseKey: noiseStatic.publicKey, nodeId, publicKey }
}

describe('certificates that were verified before', () => {
  test('cost no second verification, and say the same', () => {
    let verifications = 0
    const known = new KnownCertificates({
      ...nodeCrypto,
      verify: (...args) => {
        verifications += 1
        return nodeCrypto.verify(...args)
      },
    })
    const { certificate, noiseKey, nodeId, publicKey } = certified(1)
    expect(known.prove(certificate, noiseKey, unixNow)).toEqual({ nodeId, publicKey })
    expect(known.prove(certificate, noiseKey, unixNow)).toEqual({ nodeId, publicKey })
    expect(verifications).toBe(1)
  })

  test('are looked at against the clock each time', () => {
    const { certificate, noiseKey, nodeId } = certified(1)
    const known = new KnownCertificates(nodeCrypto)
    expect(known.prove(certificate, noiseKey, unixNow)).toMatchObject({ nodeId })
    expect(known.prove(certificate, noiseKey, unixNow + 30 * 86_400_000)).toBe('CERTIFICATE_EXPIRED')
  })

  test('vouch for no other byte and no other Noise key', () => {
    const { certificate, noiseKey } = certified(1)
    const known = new KnownCertificates(nodeCrypto)
    known.prove(certificate, noiseKey, unixNow)
    expect(known.prove(certificate, certified(2).noiseKey, unixNow)).toBe('CERTIFICATE_INVALID')
    for (let at = 32; at < certificate.length; at++) {
      const changed = Uint8Array.from(certificate)
      changed[at] = (changed[at] as number) ^ 1
      expect(known.prove(changed, noiseKey, unixNow)).toBe('CERTIFICATE_INVALID')
    }
    expect(known.size).toBe(1)
  })

  test('hold the Noise key of a node, the newest that it proved', () => {
    const known = new KnownCertificates(nodeCrypto)
    const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(1))
    const old = Uint8Array.from(identity.noiseStatic.publicKey)
    expect(known.noiseKeyOf(identity.nodeId)).toBeUndefined()
    known.prove(identity.certificate(unixNow), old, unixNow)
    expect(known.noiseKeyOf(identity.nodeId)).toEqual(old)
    expect(known.keptNoiseKey(Uint8Array.from(old))).toBe(known.noiseKeyOf(identity.nodeId))
    identity.rotateNoiseKey(unixNow + NOISE_KEY_LIFE_MS)
    const newer = identity.noiseStatic.publicKey
    known.prove(identity.certificate(unixNow + NOISE_KEY_LIFE_MS), newer, unixNow + NOISE_KEY_LIFE_MS)
    expect(known.noiseKeyOf(identity.nodeId)).toEqual(newer)
    expect(known.keptNoiseKey(old)).toBeUndefined()
    expect(known.size).toBe(1)
  })

  test('are forgotten when there are too many, the one unused for longest first', () => {
    // thousands of signatures take seconds, and whether they are right is not what this is about
    const known = new KnownCertificates({ ...nodeCrypto, verify: () => true })
    const one = certified(1)
    const numbered = (i: number) => {
      const certificate = Uint8Array.from(one.certificate)
      const noiseKey = Uint8Array.from(one.noiseKey)
      for (const bytes of [certificate, noiseKey]) new DataView(bytes.buffer).setUint32(0, i)
      return { certificate, noiseKey }
    }
    const prove = (i: number) => known.prove(numbered(i).certificate, numbered(i).noiseKey, unixNow)
    for (let i = 0; i < MAX_KNOWN_CERTIFICATES; i++) prove(i)
    prove(0)
    prove(MAX_KNOWN_CERTIFICATES)
    expect(known.size).toBe(MAX_KNOWN_CERTIFICATES)
    expect(known.keptNoiseKey(numbered(0).noiseKey)).toBeDefined()
    expect(known.keptNoiseKey(numbered(1).noiseKey)).toBeUndefined()
  })
})
