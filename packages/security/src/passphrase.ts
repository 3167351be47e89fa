import { ArgumentError, fromHex, joinBytes, toHex } from '@aiv/transport-api'
import { loadSodium, type Sodium } from './sodium.js'

/** What one guess costs an attacker: Argon2id (RFC 9106) with one lane. */
export interface ProtectionCost {
  /** Passes over the memory, 1 to 16. */
  readonly passes: number
  /** 8 KiB to 1 GiB. */
  readonly memoryBytes: number
}

/** How a secret is sealed; stored beside it. Bytes in hex. */
export interface Protection extends ProtectionCost {
  readonly kdf: 'argon2id13'
  readonly salt: string
  readonly cipher: 'xchacha20-poly1305'
  readonly nonce: string
}

/** libsodium's "moderate". */
export const defaultProtection: ProtectionCost = Object.freeze({ passes: 3, memoryBytes: 268_435_456 })

/** A file that asks for more is refused: it would hang whoever opens it. */
const limits = { passes: [1, 16], memoryBytes: [8_192, 1_073_741_824] } as const

/**
 * Seals `secret` under a key made from `passphrase` by Argon2id, with XChaCha20-Poly1305. The additional data is
 * "aiv-identity/1" ‖ 00 ‖ `publicKey`. Blocks for as long as Argon2id takes.
 *
 * @throws ArgumentError for an empty passphrase and a cost out of range.
 */
export async function protect(
  secret: Uint8Array,
  passphrase: string,
  publicKey: Uint8Array,
  cost: ProtectionCost,
): Promise<{ readonly protection: Protection; readonly sealed: Uint8Array }> {
  if (passphrase === '') throw new ArgumentError('an empty passphrase protects nothing')
  if (!isWithinLimits(cost)) throw new ArgumentError('Argon2id takes 1 to 16 passes over 8 KiB to 1 GiB')
  const sodium = await loadSodium()
  const salt = sodium.randombytes_buf(16)
  const nonce = sodium.randombytes_buf(24)
  const key = deriveKey(sodium, passphrase, salt, cost)
  const ad = additionalData(publicKey)
  const sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(secret, ad, null, nonce, key)
  key.fill(0)
  const { passes, memoryBytes } = cost
  const protection: Protection = {
    kdf: 'argon2id13',
    passes,
    memoryBytes,
    salt: toHex(salt),
    cipher: 'xchacha20-poly1305',
    nonce: toHex(nonce),
  }
  return { protection, sealed }
}

/** The inverse; `corrupt` when the cost is out of range, `wrong` when the passphrase is, or the file was changed. */
export async function unprotect(
  sealed: Uint8Array,
  passphrase: string,
  publicKey: Uint8Array,
  protection: Protection,
): Promise<Uint8Array | 'corrupt' | 'wrong'> {
  if (!isWithinLimits(protection)) return 'corrupt'
  const sodium = await loadSodium()
  const key = deriveKey(sodium, passphrase, fromHex(protection.salt), protection)
  const ad = additionalData(publicKey)
  const nonce = fromHex(protection.nonce)
  try {
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, ad, nonce, key)
  } catch {
    return 'wrong'
  } finally {
    key.fill(0)
  }
}

function deriveKey(sodium: Sodium, passphrase: string, salt: Uint8Array, cost: ProtectionCost): Uint8Array {
  const { crypto_pwhash_ALG_ARGON2ID13: algorithm } = sodium
  return sodium.crypto_pwhash(32, passphrase.normalize('NFKC'), salt, cost.passes, cost.memoryBytes, algorithm)
}

function isWithinLimits(cost: ProtectionCost): boolean {
  return (['passes', 'memoryBytes'] as const).every((name) => {
    const [least, most] = limits[name]
    return Number.isInteger(cost[name]) && cost[name] >= least && cost[name] <= most
  })
}

function additionalData(publicKey: Uint8Array): Uint8Array {
  return joinBytes([new TextEncoder().encode('aiv-identity/1\0'), publicKey])
}
