import { createHash, createHmac } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { fromHex, joinBytes, toHex, type Random } from '@aiv/transport-api'
import { createNodeCrypto, nodeCrypto, seededCrypto, type Aead, type Crypto } from '../src/index.js'
import { cryptos } from './cryptos.js'

const utf8 = new TextEncoder()
const fill = (byte: number, length: number) => new Uint8Array(length).fill(byte)
const [, [, portable]] = cryptos as readonly [unknown, readonly [string, Crypto]]

describe.each(cryptos)('%s', (_, crypto) => {
  test('HMAC-SHA256 gives the values of RFC 4231, also with a key longer than a block', () => {
    expect(toHex(crypto.hmacSha256(fill(0x0b, 20), utf8.encode('Hi There')))).toBe(
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    )
    const text = utf8.encode('Test Using Larger Than Block-Size Key - Hash Key First')
    expect(toHex(crypto.hmacSha256(fill(0xaa, 131), text.subarray(0, 7), text.subarray(7)))).toBe(
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    )
  })

  test('SHA-256 and HMAC-SHA256 are those of node:crypto for pieces, keys and messages of any size', () => {
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' })
    const pieces = fc.array(fc.oneof(bytes(40), bytes(700)), { maxLength: 4 })
    fc.assert(
      fc.property(bytes(140), pieces, (key, parts) => {
        const whole = joinBytes(parts)
        expect(toHex(crypto.sha256(...parts))).toBe(createHash('sha256').update(whole).digest('hex'))
        expect(toHex(crypto.hmacSha256(key, ...parts))).toBe(createHmac('sha256', key).update(whole).digest('hex'))
      }),
    )
  })

  test('HKDF gives the values of RFC 5869 A.1', () => {
    const key = crypto.hkdfExtract(fromHex('000102030405060708090a0b0c'), fill(0x0b, 22))
    expect(toHex(key)).toBe('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5')
    expect(toHex(crypto.hkdfExpand(key, fromHex('f0f1f2f3f4f5f6f7f8f9'), 42))).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    )
  })

  test('HKDF gives 0 to 8,160 bytes and not one more', () => {
    expect(crypto.hkdfExpand(fill(1, 32), 'x', 0).length).toBe(0)
    expect(crypto.hkdfExpand(fill(1, 32), 'x', 8160).length).toBe(8160)
    expect(() => crypto.hkdfExpand(fill(1, 32), 'x', 8161)).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
    )
  })

  test('X25519 gives the first value of RFC 7748 section 5.2', () => {
    const own = crypto.x25519KeyPair(fromHex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4'))
    const u = fromHex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')
    expect(toHex(crypto.x25519(own, u) ?? fill(0, 0))).toBe(
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    )
  })

  test('Ed25519 gives the key and signature of RFC 8032 test 1', () => {
    const key = crypto.ed25519FromSeed(fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'))
    expect(toHex(key.publicKey)).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
    const signature = crypto.sign(key, fill(0, 0))
    expect(toHex(signature)).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155' +
        '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    )
    expect(crypto.verify(key.publicKey, fill(0, 0), signature)).toBe(true)
    expect(crypto.verify(key.publicKey, fill(0, 1), signature)).toBe(false)
  })

  test('ChaCha20-Poly1305 gives the values of RFC 8439 section 2.8.2', () => {
    const aead = crypto.aead(
      'chacha20-poly1305',
      Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i),
    )
    const nonce = fromHex('070000004041424344454647')
    const aad = fromHex('50515253c0c1c2c3c4c5c6c7')
    const plain = utf8.encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    )
    const sealed = joinBytes(aead.seal(nonce, aad, plain))
    expect(toHex(sealed.subarray(0, 16))).toBe('d31a8d34648e60db7b86afbc53ef7ec2')
    expect(toHex(sealed.subarray(plain.length))).toBe('1ae10b594f09e26a7e902ecbd0600691')
    expect(aead.open(nonce, aad, sealed)).toEqual(expect.objectContaining({ length: plain.length }))
  })

  test('a key pair from a seed is always the same, one without is always another', () => {
    expect(crypto.x25519KeyPair(fill(7, 32)).publicKey).toEqual(crypto.x25519KeyPair(fill(7, 32)).publicKey)
    expect(crypto.x25519KeyPair().publicKey).not.toEqual(crypto.x25519KeyPair().publicKey)
  })

  test('what has the wrong size is our own mistake, and a signature of the wrong size is no signature', () => {
    const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
    expect(() => crypto.x25519KeyPair(fill(1, 31))).toThrow(invalid)
    expect(() => crypto.ed25519FromSeed(fill(1, 33))).toThrow(invalid)
    expect(() => crypto.x25519(crypto.x25519KeyPair(), fill(9, 31))).toThrow(invalid)
    expect(() => crypto.aead('chacha20-poly1305', fill(1, 16))).toThrow(invalid)
    expect(() => crypto.aead('rot13' as 'aes-256-gcm', fill(1, 32))).toThrow(invalid)
    const key = crypto.ed25519FromSeed(fill(1, 32))
    const signature = crypto.sign(key, fill(0, 4))
    expect(crypto.verify(key.publicKey, fill(0, 4), signature.subarray(0, 63))).toBe(false)
    expect(crypto.verify(key.publicKey.subarray(1), fill(0, 4), signature)).toBe(false)
    expect(crypto.verify(key.publicKey, fill(0, 4), new Uint8Array(0))).toBe(false)
  })

  test('keys of another implementation are refused', () => {
    const other = crypto === nodeCrypto ? portable : nodeCrypto
    const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
    expect(() => crypto.x25519(other.x25519KeyPair(), fill(9, 32))).toThrow(invalid)
    expect(() => crypto.sign(other.ed25519FromSeed(fill(1, 32)), fill(9, 32))).toThrow(invalid)
  })

  test.each(crypto.suites)('%s: a tag of any length but 16 is refused', (suite) => {
    const aead = crypto.aead(suite, fill(1, 32))
    const sealed = joinBytes(aead.seal(fill(2, 12), fill(3, 3), fill(4, 40)))
    for (let length = 0; length < sealed.length; length++) {
      expect(aead.open(fill(2, 12), fill(3, 3), sealed.subarray(0, length))).toBeUndefined()
    }
    for (const length of [0, 4, 8, 12, 13, 14, 15]) {
      const opener = aead.opener(fill(2, 12), fill(3, 3))
      opener.update(sealed.subarray(0, 40))
      expect(opener.finish(sealed.subarray(40, 40 + length))).toBeUndefined()
    }
  })

  test.each(crypto.suites)('%s: an empty message is a tag, in all three ways', (suite) => {
    const aead = crypto.aead(suite, fill(1, 32))
    const [nonce, aad] = [fill(2, 12), fill(3, 3)]
    for (const nothing of [fill(0, 0), [], [fill(0, 0), fill(0, 0)]]) {
      const sealed = joinBytes(aead.seal(nonce, aad, nothing))
      expect(sealed.length).toBe(16)
      expect(aead.open(nonce, aad, sealed)?.length).toBe(0)
      expect(joinBytes(aead.opener(nonce, aad).finish(sealed) ?? [fill(9, 9)]).length).toBe(0)
    }
  })

  test.each(crypto.suites)(
    '%s: a wiped key can no longer be used, an opener under way ends as it would have',
    (suite) => {
      const aead = crypto.aead(suite, fill(1, 32))
      const [body, tag] = aead.seal(fill(2, 12), fill(3, 3), fill(4, 4)) as [Uint8Array, Uint8Array]
      const opener = aead.opener(fill(2, 12), fill(3, 3))
      opener.update(body)
      aead.wipe()
      const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
      expect(() => aead.seal(fill(2, 12), fill(3, 3), fill(4, 4))).toThrow(invalid)
      expect(() => aead.open(fill(2, 12), fill(3, 3), fill(4, 24))).toThrow(invalid)
      expect(() => aead.opener(fill(2, 12), fill(3, 3))).toThrow(invalid)
      expect(joinBytes(opener.finish(tag) ?? []).length).toBe(4)
    },
  )

  test.each(crypto.suites)('%s: a key is the same however often it was used, and wiped at any time', (suite) => {
    const [nonce, aad, plain] = [fill(2, 12), fill(3, 3), fill(4, 40)]
    const expected = joinBytes(crypto.aead(suite, fill(1, 32)).seal(nonce, aad, plain))
    for (let uses = 0; uses < 8; uses++) {
      const key = fill(1, 32)
      const aead = crypto.aead(suite, key)
      key.fill(0)
      for (let i = 0; i < uses; i++) {
        expect(joinBytes(aead.seal(nonce, aad, plain))).toEqual(expected)
        expect(aead.open(nonce, aad, expected)).toBeDefined()
      }
      aead.wipe()
      expect(() => aead.seal(nonce, aad, plain)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }))
    }
  })

  test('fresh key pairs are all different, more of them than are made ahead', () => {
    const keys = Array.from({ length: 24 }, () => toHex(crypto.x25519KeyPair().publicKey))
    expect(new Set(keys).size).toBe(24)
  })

  test('the key and the nonce given to an AEAD may be overwritten after the call', () => {
    const [key, nonce] = [fill(1, 32), fill(2, 12)]
    const aead = crypto.aead('chacha20-poly1305', key)
    key.fill(0)
    const sealed = joinBytes(aead.seal(nonce, fill(3, 3), fill(4, 4)))
    const opener = aead.opener(nonce, fill(3, 3))
    nonce.fill(0)
    opener.update(sealed.subarray(0, 4))
    expect(opener.finish(sealed.subarray(4))).toBeDefined()
    expect(crypto.aead('chacha20-poly1305', fill(1, 32)).open(fill(2, 12), fill(3, 3), sealed)).toBeDefined()
  })
})

test('both implementations seal, hash, agree and sign alike', () => {
  const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max })
  fc.assert(
    fc.property(bytes(32, 32), bytes(12, 12), bytes(0, 40), bytes(0, 200), (key, nonce, aad, plain) => {
      const results = [nodeCrypto, portable].map((crypto) => {
        const pair = crypto.x25519KeyPair(key)
        const signing = crypto.ed25519FromSeed(key)
        return [
          joinBytes(crypto.aead('chacha20-poly1305', key).seal(nonce, aad, [plain, aad])),
          crypto.sha256(aad, plain),
          crypto.hmacSha256(plain, aad, key),
          crypto.hkdfExpand(key, aad, 77),
          pair.publicKey,
          crypto.x25519(pair, crypto.sha256(plain)) ?? new Uint8Array(0),
          signing.publicKey,
          crypto.sign(signing, plain),
        ].map(toHex)
      })
      expect(results[0]).toEqual(results[1])
    }),
    { numRuns: 100 },
  )
})

test('nodeCrypto prefers AES-256-GCM, portableCrypto has ChaCha20-Poly1305 only', () => {
  expect(nodeCrypto.suites).toEqual(['aes-256-gcm', 'chacha20-poly1305'])
  expect(portable.suites).toEqual(['chacha20-poly1305'])
})

test('a faster AEAD can be handed in, and its suite be preferred', () => {
  const made: string[] = []
  const faster = (key: Uint8Array): Aead => {
    made.push(toHex(key))
    return portable.aead('chacha20-poly1305', key)
  }
  const crypto = createNodeCrypto({
    aeads: { 'chacha20-poly1305': faster },
    suites: ['chacha20-poly1305', 'aes-256-gcm'],
  })
  expect(crypto.suites[0]).toBe('chacha20-poly1305')
  crypto.aead('aes-256-gcm', fill(1, 32))
  crypto.aead('chacha20-poly1305', fill(2, 32))
  expect(made).toEqual(['02'.repeat(32)])
})

test('with a seed the same keys come again', () => {
  const counting = (): Random => {
    let next = 0
    return { bytes: (length) => new Uint8Array(length).fill(++next), uniform: () => 0 }
  }
  const keys = () => {
    const crypto = seededCrypto(nodeCrypto, counting())
    return [crypto.randomBytes(4), crypto.x25519KeyPair().publicKey, crypto.x25519KeyPair().publicKey].map(toHex)
  }
  expect(keys()).toEqual(keys())
  expect(new Set(keys()).size).toBe(3)
})
