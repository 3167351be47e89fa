import type { Random } from '@aiv/transport-api'
import type { Crypto } from './crypto.js'

/**
 * `base` with its chance taken from `random`: the same seed gives the same keys, and so the same bytes on the wire.
 * For simulations and tests only: its keys are as predictable as `random` is.
 */
export function seededCrypto(base: Crypto, random: Random): Crypto {
  return {
    suites: base.suites,
    randomBytes: (length) => random.bytes(length),
    sha256: (...pieces) => base.sha256(...pieces),
    hmacSha256: (key, ...pieces) => base.hmacSha256(key, ...pieces),
    hkdfExtract: (salt, keyMaterial) => base.hkdfExtract(salt, keyMaterial),
    hkdfExpand: (key, info, length) => base.hkdfExpand(key, info, length),
    x25519KeyPair: (seed) => base.x25519KeyPair(seed ?? random.bytes(32)),
    x25519: (own, publicKey) => base.x25519(own, publicKey),
    ed25519FromSeed: (seed) => base.ed25519FromSeed(seed),
    sign: (key, message) => base.sign(key, message),
    verify: (publicKey, message, signature) => base.verify(publicKey, message, signature),
    aead: (suite, key) => base.aead(suite, key),
  }
}
