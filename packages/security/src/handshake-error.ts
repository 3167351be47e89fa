import { AivError, type HandshakeErrorCode } from '@aiv/transport-api'
import type { NoiseFault } from './noise/noise-error.js'

/** A handshake failed; nothing was established. */
export class HandshakeError extends AivError<HandshakeErrorCode> {}

/** The error of a code, with its sentence. */
export function handshakeError(code: HandshakeErrorCode): HandshakeError {
  return new HandshakeError(code, descriptions[code])
}

/** What a fault of a Noise message is called outside. */
export const faultCodes: Readonly<Record<NoiseFault, HandshakeErrorCode>> = {
  malformed: 'HANDSHAKE_MALFORMED',
  decrypt: 'HANDSHAKE_DECRYPT',
  key: 'KEY_INVALID',
}

const descriptions: Readonly<Record<HandshakeErrorCode, string>> = {
  HANDSHAKE_MALFORMED: 'a handshake message of the wrong size or out of turn',
  HANDSHAKE_DECRYPT: 'a handshake message does not open: other keys, another prologue, or tampering',
  HANDSHAKE_REPLAYED: 'somebody repeats the first message of another handshake',
  KEY_INVALID: 'the other side uses a key that gives no security',
  CERTIFICATE_INVALID: 'the certificate is not signed by its node, is for another key, or runs too long',
  CERTIFICATE_EXPIRED: 'the certificate has expired, or a clock is wrong',
  IDENTITY_MISMATCH: 'another node answered than the one that was expected',
  IDENTITY_OWN: 'this is ourselves',
}
