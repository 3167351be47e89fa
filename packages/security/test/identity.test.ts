import { describe, expect, test } from '@jest/globals'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { fromHex, joinBytes, toHex } from '@aiv/transport-api'
import {
  createIdentity,
  Identity,
  identityFromSeed,
  nodeCrypto,
  nodeIdOf,
  NOISE_KEY_LIFE_MS,
  signedBytes,
  verifyCertificate,
} from '../src/index.js'
import { createIdentity as createInBrowser } from '../src/index.browser.js'
import { cryptos } from './cryptos.js'

const seed = fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
const now = Date.UTC(2026, 0, 1)
const DAY = 86_400_000

describe.each(cryptos)('with %s', (_, crypto) => {
  test('the node id is the start of the hash of the key: RFC 8032 test key 1', () => {
    const identity = identityFromSeed(crypto, seed)
    expect(toHex(identity.publicKey)).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
    expect(identity.nodeId).toBe('21fe31dfa154a261626bf854046fd227')
    expect(nodeIdOf(crypto, identity.publicKey)).toBe(identity.nodeId)
  })

  test('a certificate verifies for its own static key and for no other', () => {
    const identity = identityFromSeed(crypto, seed)
    const bytes = identity.certificate(now)
    expect(bytes.length).toBe(100)
    const { publicKey: noiseKey } = identity.noiseStatic
    const notAfter = now / 1000 + 6 * 86_400
    expect(verifyCertificate(crypto, bytes, noiseKey, now)).toEqual({ publicKey: identity.publicKey, notAfter })
    const other = crypto.x25519KeyPair().publicKey
    expect(verifyCertificate(crypto, bytes, other, now)).toBe('CERTIFICATE_INVALID')
  })

  test('every changed byte of a certificate is noticed', () => {
    const identity = identityFromSeed(crypto, seed)
    const bytes = identity.certificate(now)
    for (let at = 0; at < bytes.length; at++) {
      const changed = new Uint8Array(bytes)
      changed[at] = (changed[at] as number) ^ 1
      const verdict = verifyCertificate(crypto, changed, identity.noiseStatic.publicKey, now)
      expect([at, typeof verdict]).toEqual([at, 'string'])
    }
    expect(verifyCertificate(crypto, bytes.subarray(1), identity.noiseStatic.publicKey, now)).toBe(
      'HANDSHAKE_MALFORMED',
    )
  })

  test('a certificate under a key of small order is KEY_INVALID', () => {
    const bytes = new Uint8Array(100)
    bytes[0] = 1
    expect(verifyCertificate(crypto, bytes, new Uint8Array(32).fill(9), now)).toBe('KEY_INVALID')
  })
})

describe('identity', () => {
  const identity = identityFromSeed(nodeCrypto, seed)
  const noiseKey = identity.noiseStatic.publicKey
  const at = (unixNow: number) => verifyCertificate(nodeCrypto, identity.certificate(now), noiseKey, unixNow)

  test('a certificate is in force until 120 s after its end, to the second', () => {
    const end = now + 6 * DAY
    expect(at(end + 120_000)).toHaveProperty('notAfter', end / 1000)
    expect(at(end + 120_001)).toBe('CERTIFICATE_EXPIRED')
  })

  test('a certificate that ends more than 7 days and 120 s from now is refused, to the second', () => {
    const earliest = now + 6 * DAY - 7 * DAY - 120_000
    expect(at(earliest)).toHaveProperty('publicKey')
    expect(at(earliest - 1)).toBe('CERTIFICATE_INVALID')
  })

  test('a certificate is cached, and made anew when half of its life is over or the clock went back', () => {
    const own = identityFromSeed(nodeCrypto, seed)
    const first = own.certificate(now)
    expect(own.certificate(now + 3 * DAY)).toBe(first)
    const second = own.certificate(now + 3 * DAY + 1000)
    expect(second).not.toEqual(first)
    expect(own.certificate(now + 3 * DAY + 1000)).toBe(second)
    expect(own.certificate(now)).toEqual(first)
  })

  test('signs tag, a zero and the body, under the tags that there are', () => {
    const body = Uint8Array.of(1, 2, 3)
    const signature = identity.sign('aiv-route/1', body)
    const signed = joinBytes([new TextEncoder().encode('aiv-route/1'), Uint8Array.of(0), body])
    expect(signedBytes('aiv-route/1', body)).toEqual(signed)
    expect(nodeCrypto.verify(identity.publicKey, signed, signature)).toBe(true)
    expect(nodeCrypto.verify(identity.publicKey, signedBytes('aiv-mesh/1', body), signature)).toBe(false)
    for (const tag of ['', 'aiv-route/2', 'toString', 'aiv-route/1\0']) {
      expect(() => identity.sign(tag as 'aiv-route/1', body)).toThrow(
        expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
      )
    }
  })

  test('gives its key as PKCS#8 to TLS stacks', () => {
    const der = identity.privateKeyPkcs8()
    const key = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(12)
    expect(toHex(raw)).toBe(toHex(identity.publicKey))
    der.fill(0)
    expect(identity.privateKeyPkcs8()).not.toEqual(der)
  })

  test('the static key is replaced after 90 days of use, and its certificate with it', () => {
    const own = identityFromSeed(nodeCrypto, seed)
    const before = own.noiseStatic.publicKey
    const certificate = own.certificate(now)
    expect(own.rotateNoiseKey(now + NOISE_KEY_LIFE_MS - 1)).toBe(false)
    expect(own.noiseStatic.publicKey).toBe(before)
    expect(own.rotateNoiseKey(now + NOISE_KEY_LIFE_MS)).toBe(true)
    expect(own.noiseStatic.publicKey).not.toEqual(before)
    const later = now + NOISE_KEY_LIFE_MS
    expect(own.certificate(later)).not.toEqual(certificate)
    expect(verifyCertificate(nodeCrypto, own.certificate(later), own.noiseStatic.publicKey, later)).toHaveProperty(
      'notAfter',
    )
    expect(own.rotateNoiseKey(later + 1)).toBe(false)
    expect(own.nodeId).toBe(identity.nodeId)
  })

  test('a static key that came into use in the future begins its life now', () => {
    const secrets = { ...identity.exportSecrets(), noiseSince: now + 1000 * DAY }
    const own = new Identity(nodeCrypto, secrets)
    expect(own.rotateNoiseKey(now)).toBe(false)
    expect(own.exportSecrets().noiseSince).toBe(now)
  })

  test('what is exported makes the same identity again, and is a copy', () => {
    const secrets = identity.exportSecrets()
    const again = new Identity(nodeCrypto, secrets)
    secrets.seed.fill(0)
    secrets.noisePrivateKey.fill(0)
    expect(again.nodeId).toBe(identity.nodeId)
    expect(again.noiseStatic.publicKey).toEqual(noiseKey)
    expect(again.exportSecrets().seed).toEqual(seed)
  })

  test('a fresh one is never the same, and its two keys are independent', async () => {
    const [first, second] = [await createIdentity(), await createIdentity()]
    expect(first.nodeId).not.toBe(second.nodeId)
    expect(first.noiseStatic.publicKey).not.toEqual(second.noiseStatic.publicKey)
    expect(first.crypto).toBe(nodeCrypto)
    const inBrowser = await createInBrowser()
    expect(inBrowser.crypto.suites).toEqual(['chacha20-poly1305'])
    expect((await createInBrowser({ crypto: nodeCrypto })).crypto).toBe(nodeCrypto)
  })
})
