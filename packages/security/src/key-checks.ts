import { fromHex } from '@aiv/transport-api'

/**
 * What is refused before a platform's own verification is asked, so that every platform gives the same verdict.
 * Platforms differ here: node:crypto takes the key `01 00 … 00` (the neutral element, under which anybody's signature
 * of anything is valid) and libsodium does not.
 *
 * All numbers are 32 bytes, little-endian. docs/wire/identity.md
 */

// y of the points of small order on edwards25519: the neutral element, order 2, order 4, and both pairs of order 8.
// Each stands for both signs of x.
const smallOrderY = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map(fromHex)

// u of the points of low order on curve25519 and its twist, with the two that are not reduced mod p = 2^255 − 19:
// exactly those whose X25519 with a clamped scalar is zero
const lowOrderU = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map(fromHex)

/** ℓ, the order of the base point: 2^252 + 27742317777372353535851937790883648493. */
const order = fromHex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010')

/** True for 32 bytes whose y is below p and that are no point of small order. Says nothing about being on the curve. */
export function isStrongEd25519Point(point: Uint8Array): boolean {
  return point.length === 32 && hasCanonicalY(point) && !matchesAny(point, smallOrderY)
}

/** True for 64 bytes R ‖ S with a strong R and S below ℓ. */
export function isStrictEd25519Signature(signature: Uint8Array): boolean {
  return signature.length === 64 && isStrongEd25519Point(signature.subarray(0, 32)) && isReduced(signature.subarray(32))
}

/** True for a 32-byte X25519 public key that gives no shared secret: the result would be all zeros. */
export function isLowOrderX25519Key(publicKey: Uint8Array): boolean {
  return matchesAny(publicKey, lowOrderU)
}

/** True when all bytes are zero; looks at every byte whatever they are. */
export function isAllZero(bytes: Uint8Array): boolean {
  let seen = 0
  // by index: an iterator would cost more than all else here while this is not compiled
  for (let i = 0; i < bytes.length; i++) seen |= bytes[i] as number
  return seen === 0
}

/** y < p, the sign of x in the highest bit aside. */
function hasCanonicalY(point: Uint8Array): boolean {
  if (((point[31] as number) & 0x7f) !== 0x7f) return true
  for (let i = 30; i > 0; i--) if (point[i] !== 0xff) return true
  return (point[0] as number) < 0xed
}

/** Compares 32 bytes without the highest bit. */
function matchesAny(point: Uint8Array, list: readonly Uint8Array[]): boolean {
  return list.some((entry) => {
    for (let i = 0; i < 31; i++) if (point[i] !== entry[i]) return false
    return ((point[31] as number) & 0x7f) === entry[31]
  })
}

function isReduced(scalar: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) {
    const digit = scalar[i] as number
    const limit = order[i] as number
    if (digit !== limit) return digit < limit
  }
  return false
}
