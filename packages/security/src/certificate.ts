import type { HandshakeErrorCode } from '@aiv/transport-api'
import type { Crypto } from './crypto.js'
import { isStrongEd25519Point } from './key-checks.js'
import { signedBytes } from './signed-bytes.js'

/**
 * Static-key certificate: a node key vouches for a Noise static key, which travels beside it and is not repeated.
 *
 * offset  bytes  field
 *      0     32  Ed25519 public key
 *     32      4  not-after, s since 1970, u32 big-endian
 *     36     64  Ed25519 over "aiv-noise-static/1" ‖ 00 ‖ Ed25519 key ‖ X25519 key ‖ not-after
 *
 * docs/wire/identity.md
 */
export const CERTIFICATE_BYTES = 100
/** Longest time from now to not-after, in s: 7 days. */
export const MAX_CERTIFICATE_LIFE_S = 604_800
/** How far the two clocks may be apart, in s. */
export const CLOCK_SKEW_S = 120

/** What a certificate says, once its signature was verified. */
export interface Certificate {
  /** Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** s since 1970. */
  readonly notAfter: number
}

/** The body under tag `aiv-noise-static/1`: Ed25519 key ‖ X25519 key ‖ not-after. */
export function certificateBody(publicKey: Uint8Array, noiseKey: Uint8Array, notAfter: number): Uint8Array {
  const body = new Uint8Array(68)
  body.set(publicKey)
  body.set(noiseKey, 32)
  new DataView(body.buffer).setUint32(64, notAfter)
  return body
}

/** 100 bytes in a new buffer. */
export function encodeCertificate(certificate: Certificate, signature: Uint8Array): Uint8Array {
  const out = new Uint8Array(CERTIFICATE_BYTES)
  out.set(certificate.publicKey)
  new DataView(out.buffer).setUint32(32, certificate.notAfter)
  out.set(signature, 36)
  return out
}

/**
 * Checks a certificate against the Noise static key that came with it.
 *
 * In force until not-after + 120 s; one that ends more than 7 days + 120 s from now is refused, so that a stolen key
 * never serves longer than that.
 */
export function verifyCertificate(
  crypto: Crypto,
  bytes: Uint8Array,
  noiseKey: Uint8Array,
  unixNow: number,
): Certificate | HandshakeErrorCode {
  if (bytes.length !== CERTIFICATE_BYTES) return 'HANDSHAKE_MALFORMED'
  const publicKey = new Uint8Array(bytes.subarray(0, 32))
  if (!isStrongEd25519Point(publicKey)) return 'KEY_INVALID'
  const notAfter = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(32)
  const body = certificateBody(publicKey, noiseKey, notAfter)
  if (!crypto.verify(publicKey, signedBytes('aiv-noise-static/1', body), bytes.subarray(36))) {
    return 'CERTIFICATE_INVALID'
  }
  return certificateTimeFault(notAfter, unixNow) ?? { publicKey, notAfter }
}

/** What the clock says against a certificate. */
export function certificateTimeFault(notAfter: number, unixNow: number): HandshakeErrorCode | undefined {
  const now = unixNow / 1000
  if (notAfter + CLOCK_SKEW_S < now) return 'CERTIFICATE_EXPIRED'
  if (notAfter > now + MAX_CERTIFICATE_LIFE_S + CLOCK_SKEW_S) return 'CERTIFICATE_INVALID'
  return undefined
}
