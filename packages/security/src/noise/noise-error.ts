import { AivError } from '@aiv/transport-api'

/** A Noise state was used against its rules; always our own caller's mistake. */
export type NoiseErrorCode =
  | 'NOISE_NONCE_EXHAUSTED' // 2^64 − 1 messages under one key
  | 'NOISE_OUT_OF_TURN' // the other side's message is due, or the handshake is over

/** Thrown at whoever drives a Noise state. What the peer sends never throws. */
export class NoiseError extends AivError<NoiseErrorCode> {}

/** What is wrong with a message of the peer's. */
export type NoiseFault =
  | 'malformed' // too short or too long
  | 'decrypt' // a tag is wrong
  | 'key' // a public key of low order
