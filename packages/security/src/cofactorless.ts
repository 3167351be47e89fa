import { equalBytes, joinBytes } from '@aiv/transport-api'
import type { Sodium } from './sodium.js'

/** 1/8 mod ℓ is computed from this. */
const EIGHT = Uint8Array.of(8, ...new Uint8Array(31))
const NEUTRAL = Uint8Array.of(1, ...new Uint8Array(31))

/**
 * The exact equation S·B = R + h·A, for a signature that libsodium has accepted.
 *
 * libsodium multiplies both sides by the cofactor 8 and OpenSSL does not, so whoever holds a key A with a part of small
 * order could make signatures that one platform takes and the other refuses: a node would be believed by some and not
 * by others. RFC 8032 section 5.1.7 allows both; we take the exact one, which OpenSSL cannot leave.
 */
export function verifyCofactorless(
  sodium: Sodium,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const r = signature.subarray(0, 32)
  // With A in the prime-order group, S·B − h·A is too, and equals R exactly when R is
  if (sodium.crypto_core_ed25519_is_valid_point(publicKey)) return sodium.crypto_core_ed25519_is_valid_point(r)
  try {
    return equalBytes(r, expectedR(sodium, publicKey, message, signature))
  } catch {
    return false // a zero scalar, which no honest signer has
  }
}

/** S·B − h·A for an A with a part of small order, which libsodium multiplies only after it is split off. */
function expectedR(sodium: Sodium, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Uint8Array {
  const digest = sodium.crypto_hash_sha512(joinBytes([signature.subarray(0, 32), publicKey, message]))
  const h = sodium.crypto_core_ed25519_scalar_reduce(digest)
  let eightfold = publicKey
  for (let i = 0; i < 3; i++) eightfold = sodium.crypto_core_ed25519_add(eightfold, eightfold)
  const prime = sodium.crypto_scalarmult_ed25519_noclamp(sodium.crypto_core_ed25519_scalar_invert(EIGHT), eightfold)
  const small = sodium.crypto_core_ed25519_sub(publicKey, prime)
  let smallPart: Uint8Array = NEUTRAL
  for (let i = (h[0] as number) & 7; i > 0; i--) smallPart = sodium.crypto_core_ed25519_add(smallPart, small)
  const hA = sodium.crypto_core_ed25519_add(sodium.crypto_scalarmult_ed25519_noclamp(h, prime), smallPart)
  const sB = sodium.crypto_scalarmult_ed25519_base_noclamp(signature.subarray(32))
  return sodium.crypto_core_ed25519_sub(sB, hA)
}
