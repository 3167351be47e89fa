import type { Random } from '@aiv/transport-api'
import type { Crypto } from './crypto.js'

/**
 * `base` with its chance taken from `random`: the same seed gives the same keys, and so the same bytes on the wire.
 * For simulations and tests only: its keys are as predictable as `random` is.
 */
export function seededCrypto(base: Crypto, random: Random): Crypto {
  return {
    ...base,
    randomBytes: (length) => random.bytes(length),
    x25519KeyPair: (seed) => base.x25519KeyPair(seed ?? random.bytes(32)),
  }
}
