/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes, RFC 8410 section 4. */
const SPKI_HEAD = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]
const KEY_BYTES = 32

const SEQUENCE = 0x30
const INTEGER = 0x02
/** `[0]`, constructed: the version, which is left out in version 1. */
const VERSION = 0xa0

/**
 * The Ed25519 key of an X.509 certificate in a new buffer; `undefined` for another kind of key and for what is no
 * certificate. Reads nothing but the lengths before the key (RFC 5280 section 4.1): TLS has parsed all of it before,
 * and a general parser takes a tenth of the time of a handshake.
 */
export function certifiedKey(certificate: Uint8Array): Uint8Array | undefined {
  const body = open(certificate, open(certificate, 0, SEQUENCE), SEQUENCE)
  if (body === undefined) return undefined
  let at: number | undefined = body
  if (certificate[at] === VERSION) at = skip(certificate, at, VERSION)
  // Serial number, signature algorithm, issuer, validity, subject
  for (const tag of [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE]) at = skip(certificate, at, tag)
  if (at === undefined || at + SPKI_HEAD.length + KEY_BYTES > certificate.length) return undefined
  const start = at
  if (SPKI_HEAD.some((byte, i) => certificate[start + i] !== byte)) return undefined
  return certificate.slice(start + SPKI_HEAD.length, start + SPKI_HEAD.length + KEY_BYTES)
}

/** Where the content of the element at `at` begins. */
function open(bytes: Uint8Array, at: number | undefined, tag: number): number | undefined {
  return at === undefined ? undefined : element(bytes, at, tag)?.start
}

/** Where the element after the one at `at` begins. */
function skip(bytes: Uint8Array, at: number | undefined, tag: number): number | undefined {
  return at === undefined ? undefined : element(bytes, at, tag)?.end
}

/** DER: definite lengths in their shortest form, here of up to two bytes. */
function element(
  bytes: Uint8Array,
  at: number,
  tag: number,
): { readonly start: number; readonly end: number } | undefined {
  const first = bytes[at + 1]
  if (bytes[at] !== tag || first === undefined) return undefined
  let start = at + 2
  let length = first
  if (first >= 0x80) {
    const size = first & 0x7f
    if (size < 1 || size > 2 || start + size > bytes.length) return undefined
    length = 0
    for (let i = 0; i < size; i++) length = (length << 8) | (bytes[start + i] as number)
    if (length < (size === 1 ? 0x80 : 0x100)) return undefined
    start += size
  }
  return start + length > bytes.length ? undefined : { start, end: start + length }
}
