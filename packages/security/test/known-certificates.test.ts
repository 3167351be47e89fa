import { describe, expect, test } from '@jest/globals'
import { identityFromSeed, nodeCrypto, verifyCertificate } from '../src/index.js'
import { KnownCertificates, MAX_KNOWN_CERTIFICATES } from '../src/known-certificates.js'

const unixNow = 1_750_000_000_000

function certified(seed: number): { certificate: Uint8Array; noiseKey: Uint8Array } {
  const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(seed))
  return { certificate: identity.certificate(unixNow), noiseKey: identity.noiseStatic.publicKey }
}

describe('certificates that were verified before', () => {
  test('cost no second verification, and say the same', () => {
    const { certificate, noiseKey } = certified(1)
    const known = new KnownCertificates()
    let verifications = 0
    const crypto: typeof nodeCrypto = {
      ...nodeCrypto,
      verify: (...args) => {
        verifications += 1
        return nodeCrypto.verify(...args)
      },
    }
    const first = verifyCertificate(crypto, certificate, noiseKey, unixNow, known)
    expect(verifyCertificate(crypto, certificate, noiseKey, unixNow, known)).toEqual(first)
    expect(verifications).toBe(1)
  })

  test('are looked at against the clock each time', () => {
    const { certificate, noiseKey } = certified(1)
    const known = new KnownCertificates()
    expect(verifyCertificate(nodeCrypto, certificate, noiseKey, unixNow, known)).toMatchObject({})
    expect(verifyCertificate(nodeCrypto, certificate, noiseKey, unixNow + 30 * 86_400_000, known)).toBe(
      'CERTIFICATE_EXPIRED',
    )
  })

  test('vouch for no other byte and no other Noise key', () => {
    const { certificate, noiseKey } = certified(1)
    const known = new KnownCertificates()
    verifyCertificate(nodeCrypto, certificate, noiseKey, unixNow, known)
    expect(verifyCertificate(nodeCrypto, certificate, certified(2).noiseKey, unixNow, known)).toBe(
      'CERTIFICATE_INVALID',
    )
    for (let at = 32; at < certificate.length; at++) {
      const changed = Uint8Array.from(certificate)
      changed[at] = (changed[at] as number) ^ 1
      expect(verifyCertificate(nodeCrypto, changed, noiseKey, unixNow, known)).toBe('CERTIFICATE_INVALID')
    }
    expect(known.size).toBe(1)
  })

  test('are forgotten when there are too many, the one unused for longest first', () => {
    const known = new KnownCertificates()
    const noiseKey = new Uint8Array(32)
    const numbered = (i: number): Uint8Array => {
      const certificate = new Uint8Array(100)
      new DataView(certificate.buffer).setUint32(0, i)
      return certificate
    }
    for (let i = 0; i < MAX_KNOWN_CERTIFICATES; i++) known.add(numbered(i), noiseKey)
    expect(known.has(numbered(0), noiseKey)).toBe(true)
    known.add(numbered(MAX_KNOWN_CERTIFICATES), noiseKey)
    expect(known.size).toBe(MAX_KNOWN_CERTIFICATES)
    expect(known.has(numbered(0), noiseKey)).toBe(true)
    expect(known.has(numbered(1), noiseKey)).toBe(false)
  })
})
