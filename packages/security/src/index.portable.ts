// What index.ts and index.browser.ts have in common.
export {
  Identity,
  type IdentitySecrets,
  NOISE_KEY_LIFE_MS,
  generateIdentity,
  identityFromSeed,
  nodeIdOf,
} from './identity.js'
export { secureChannels, type SecureChannelComponents } from './secure-channel.js'
export { HandshakeError } from './handshake-error.js'
export { MAX_HANDSHAKE_PAYLOAD_BYTES } from './full-handshake.js'
export { MAX_TICKETS, TICKET_LIFETIME_MS } from './resumption-tickets.js'
export {
  signPeerRecord,
  verifyPeerRecord,
  type OwnRecordFields,
  type RecordTimes,
  PeerRecordError,
  type PeerRecordErrorCode,
} from './peer-record.js'
export { portableCrypto } from './crypto.portable.js'
export { ReplayWindow } from '@aiv/transport-api'

// For those who bring a platform of their own, or speak Noise themselves
export { type Crypto, type Aead, type X25519KeyPair, type Ed25519KeyPair, NONCE_BYTES, TAG_BYTES } from './crypto.js'
export { seededCrypto } from './seeded-crypto.js'
export { isAllZero, isLowOrderX25519Key, isStrictEd25519Signature, isStrongEd25519Point } from './key-checks.js'
export {
  CERTIFICATE_BYTES,
  CLOCK_SKEW_S,
  MAX_CERTIFICATE_LIFE_S,
  type Certificate,
  certificateBody,
  encodeCertificate,
  verifyCertificate,
} from './certificate.js'
export { signedBytes } from './signed-bytes.js'
export { SessionKey } from './aead-key.js'
export { CipherState } from './noise/cipher-state.js'
export { SymmetricState } from './noise/symmetric-state.js'
export { HandshakeState, type HandshakeStateOptions, MAX_NOISE_MESSAGE_BYTES } from './noise/handshake-state.js'
export { noisePattern, type NoisePattern, type NoiseToken } from './noise/patterns.js'
export { NoiseError, type NoiseErrorCode, type NoiseFault } from './noise/noise-error.js'
