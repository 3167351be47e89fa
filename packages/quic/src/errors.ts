import { AivError } from '@aiv/transport-api'

/** Why QUIC does not run here, and what ends a connection from inside. */
export type QuicErrorCode =
  | 'QUIC_UNAVAILABLE' // the engine has no binary for this platform, or it is not installed
  | 'CERTIFICATE_INVALID' // not exactly one self-signed Ed25519 certificate
  | 'MALFORMED' // a stream or a datagram that is not what docs/wire/quic.md says
  | 'MESSAGE_TOO_LARGE'
  | 'REASSEMBLY_BUSY' // no memory left for unfinished packets
  | 'EARLY_REFUSED' // early data that may be a replay, or is none that may be early
  | 'STALLED' // nothing moves after a change of address: dial again
  | 'NOT_ADMITTED'
  | 'ABORTED'

/** Told by code; {@link QuicErrorCode} says which. */
export class QuicError extends AivError<QuicErrorCode> {}
