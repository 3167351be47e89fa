import { ArgumentError } from '@aiv/transport-api'

/*
 * Key schedule of the Betanet 1.2 proposal, section 8.3. Its "HKDF-Expand-Label" is plain HKDF-Expand (RFC 5869) with
 * "betanet " ‖ label as info, not the structure of TLS 1.3.
 *
 * The proposal contradicts itself: section 8.2.2 derives other keys from its Noise variant. This is section 8.3, which
 * its published example follows.
 */

/** HKDF with SHA-256, RFC 5869; handed in. */
export interface HkdfSha256 {
  extract(salt: Uint8Array, inputKey: Uint8Array): Uint8Array
  expand(key: Uint8Array, info: Uint8Array, length: number): Uint8Array
}

/** One direction's keys of one generation. */
export interface BetanetTrafficKeys {
  /** 32 bytes, for ChaCha20-Poly1305. */
  readonly key: Uint8Array
  /** 12 bytes; see {@link betanetNonce}. */
  readonly nonceSalt: Uint8Array
}

/** The first secret of each direction, 32 bytes each, from what the outer channel exports. */
export function betanetTrafficSecrets(
  hkdf: HkdfSha256,
  exported: Uint8Array,
): { readonly client: Uint8Array; readonly server: Uint8Array } {
  const root = hkdf.extract(new Uint8Array(32), exported)
  return { client: expandLabel(hkdf, root, 'ts_c', 32), server: expandLabel(hkdf, root, 'ts_s', 32) }
}

/** What frames are sealed with under a traffic secret. */
export function betanetTrafficKeys(hkdf: HkdfSha256, secret: Uint8Array): BetanetTrafficKeys {
  return { key: expandLabel(hkdf, secret, 'key', 32), nonceSalt: expandLabel(hkdf, secret, 'nonce', 12) }
}

/** The secret after a KEY_UPDATE; the counter begins at 0 again. */
export function nextBetanetTrafficSecret(hkdf: HkdfSha256, secret: Uint8Array): Uint8Array {
  return expandLabel(hkdf, secret, 'next', 32)
}

/**
 * Nonce of the frame with this counter, which begins at 0 and rises by one a frame: the salt XOR (counter as u64,
 * little-endian ‖ four zero bytes). A new buffer.
 * @throws ArgumentError when the counter is no integer from 0 to 2^53 − 1, or the salt has not 12 bytes.
 */
export function betanetNonce(nonceSalt: Uint8Array, counter: number): Uint8Array {
  if (nonceSalt.length !== 12) throw new ArgumentError(`a nonce salt of ${nonceSalt.length} bytes`)
  if (!Number.isSafeInteger(counter) || counter < 0) throw new ArgumentError(`counter ${counter}`)
  const nonce = Uint8Array.from(nonceSalt)
  let rest = counter
  for (let i = 0; i < 8; i++) {
    nonce[i] = (nonce[i] as number) ^ (rest % 256)
    rest = Math.floor(rest / 256)
  }
  return nonce
}

function expandLabel(hkdf: HkdfSha256, secret: Uint8Array, label: string, length: number): Uint8Array {
  return hkdf.expand(secret, new TextEncoder().encode(`betanet ${label}`), length)
}
