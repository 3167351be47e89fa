import { describe, expect, test } from '@jest/globals'
import sodium from 'libsodium-wrappers-sumo'
import { fromHex, joinBytes, toHex } from '@aiv/transport-api'
import {
  HandshakeState,
  isLowOrderX25519Key,
  isStrictEd25519Signature,
  isStrongEd25519Point,
  nodeCrypto,
} from '../src/index.js'
import { cryptos } from './cryptos.js'

await sodium.ready

/** Little-endian, 32 bytes, with the sign of x in the highest bit. */
function encode(y: bigint, sign: 0 | 1 = 0): Uint8Array {
  const out = Uint8Array.from({ length: 32 }, (_, i) => Number((y >> BigInt(8 * i)) & 0xffn))
  out[31] = (out[31] as number) | (sign << 7)
  return out
}
const p = 2n ** 255n - 19n
const order = 2n ** 252n + 27742317777372353535851937790883648493n

/** Every point of small order, by adding one of order 8 to itself; found independently of the table in key-checks.ts. */
const ofOrder8 = fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05')
const smallOrder: Uint8Array[] = [encode(1n)]
for (let i = 1; i < 8; i++) smallOrder.push(sodium.crypto_core_ed25519_add(smallOrder[i - 1] as Uint8Array, ofOrder8))

const nonCanonical = [
  // y = p … 2^255 − 1, all of them, with both signs; and x = 0 with a sign
  ...Array.from({ length: 19 }, (_, i) => [encode(p + BigInt(i)), encode(p + BigInt(i), 1)]).flat(),
  encode(1n, 1),
  encode(p - 1n, 1),
]

const message = new TextEncoder().encode('any message')
const honest = nodeCrypto.ed25519FromSeed(new Uint8Array(32).fill(5))
const honestSignature = nodeCrypto.sign(honest, message)

describe('Ed25519', () => {
  test('there are eight points of small order', () => {
    expect(new Set(smallOrder.map(toHex)).size).toBe(8)
  })

  test.each(cryptos)('%s refuses every key of small order and every one that is not canonical', (_, crypto) => {
    for (const key of [...smallOrder, ...nonCanonical]) {
      expect(isStrongEd25519Point(key)).toBe(false)
      // R = neutral element, S = 0 satisfies the equation for the neutral key, whatever the message
      for (const r of smallOrder) {
        expect(crypto.verify(key, message, joinBytes([r, new Uint8Array(32)]))).toBe(false)
      }
      expect(crypto.verify(key, message, honestSignature)).toBe(false)
      // R = S·B: what the key 01 00 … 00 would let anybody sign
      const s = encode(7n)
      const r = sodium.crypto_scalarmult_ed25519_base_noclamp(s)
      expect(crypto.verify(key, message, joinBytes([r, s]))).toBe(false)
    }
  })

  test.each(cryptos)('%s refuses R of small order, R that is not canonical, and S not below ℓ', (_, crypto) => {
    const s = honestSignature.subarray(32)
    for (const r of [...smallOrder, ...nonCanonical]) {
      expect(isStrictEd25519Signature(joinBytes([r, s]))).toBe(false)
      expect(crypto.verify(honest.publicKey, message, joinBytes([r, s]))).toBe(false)
    }
    const value = s.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
    const r = honestSignature.subarray(0, 32)
    expect(crypto.verify(honest.publicKey, message, joinBytes([r, encode(value)]))).toBe(true)
    for (let k = 1n; value + k * order < 2n ** 256n; k++) {
      const same = joinBytes([r, encodeScalar(value + k * order)])
      expect(isStrictEd25519Signature(same)).toBe(false)
      expect(crypto.verify(honest.publicKey, message, same)).toBe(false)
    }
    expect(isStrictEd25519Signature(joinBytes([r, encodeScalar(order - 1n)]))).toBe(true)
    expect(isStrictEd25519Signature(joinBytes([r, encodeScalar(order)]))).toBe(false)
  })

  test.each(cryptos)('%s refuses a key that is no point of the curve', (_, crypto) => {
    let found = 0
    for (let y = 2n; found < 8; y++) {
      const key = encode(y)
      if (sodium.crypto_core_ed25519_is_valid_point(key) || !isStrongEd25519Point(key)) continue
      found++
      expect(crypto.verify(key, message, honestSignature)).toBe(false)
    }
  })

  test('both implementations take exactly S·B = R + h·A, also where key and R have a part of small order', () => {
    const a = sodium.crypto_core_ed25519_scalar_reduce(new Uint8Array(64).fill(3))
    const r = sodium.crypto_core_ed25519_scalar_reduce(new Uint8Array(64).fill(4))
    const A0 = sodium.crypto_scalarmult_ed25519_base_noclamp(a)
    const R0 = sodium.crypto_scalarmult_ed25519_base_noclamp(r)
    const verdicts = { accepted: 0, refused: 0 }
    for (let i = 0; i < 8; i++) {
      for (let j = 0; j < 8; j++) {
        for (let n = 0; n < 4; n++) {
          const A = sodium.crypto_core_ed25519_add(A0, smallOrder[i] as Uint8Array)
          const R = sodium.crypto_core_ed25519_add(R0, smallOrder[j] as Uint8Array)
          const text = Uint8Array.of(i, j, n)
          const h = sodium.crypto_core_ed25519_scalar_reduce(sodium.crypto_hash_sha512(joinBytes([R, A, text])))
          const S = sodium.crypto_core_ed25519_scalar_add(r, sodium.crypto_core_ed25519_scalar_mul(h, a))
          // what is left of the equation is in the group of order 8: j + h·i = 0
          const exact = (j + ((h[0] as number) & 7) * i) % 8 === 0
          const signature = joinBytes([R, S])
          expect([i, j, n, ...cryptos.map(([, crypto]) => crypto.verify(A, text, signature))]).toEqual([
            i,
            j,
            n,
            exact,
            exact,
          ])
          verdicts[exact ? 'accepted' : 'refused']++
        }
      }
    }
    expect(verdicts.accepted).toBeGreaterThan(8)
    expect(verdicts.refused).toBeGreaterThan(8)
  })
})

describe('X25519', () => {
  const lowOrder = [
    encode(0n),
    encode(1n),
    fromHex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
    fromHex('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'),
    encode(p - 1n),
    encode(p),
    encode(p + 1n),
  ].flatMap((u) => [
    u,
    encode(
      u.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
      1,
    ),
  ])

  test.each(cryptos)('%s gives no secret with a key of low order, whatever its highest bit', (_, crypto) => {
    const own = crypto.x25519KeyPair(new Uint8Array(32).fill(9))
    for (const key of lowOrder) {
      expect(isLowOrderX25519Key(key)).toBe(true)
      expect(crypto.x25519(own, key)).toBeUndefined()
    }
    for (let u = 2n; u < 40n; u++) {
      for (const key of [encode(u), encode(p + (u % 17n) + 2n), encode(u, 1)]) {
        expect(isLowOrderX25519Key(key)).toBe(false)
        expect(crypto.x25519(own, key)?.length).toBe(32)
      }
    }
  })

  test.each(cryptos)('%s: a handshake ends where such a key is read', (_, crypto) => {
    for (const key of lowOrder) {
      const responder = new HandshakeState({
        crypto,
        pattern: 'NN',
        suite: 'chacha20-poly1305',
        role: 'responder',
        prologue: new Uint8Array(0),
      })
      expect(responder.readMessage(key)).toBe('key')
      expect(responder.isOurTurn).toBe(false)
    }
  })
})

/** Unlike {@link encode} up to 2^256. */
function encodeScalar(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
}
