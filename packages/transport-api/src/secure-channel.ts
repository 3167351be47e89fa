import type { Bytes } from './bytes.js'
import type { AivError } from './errors.js'
import type { PeerIdentity } from './identity.js'
import type { NodeId } from './node-id.js'

/** Noise handshake patterns that connections use. XK when the responder's static key is known, else XX. */
export type HandshakePattern = 'XX' | 'XK'

/** AEADs; SHA-256 and X25519 go with both. */
export type CipherSuite = 'aes-256-gcm' | 'chacha20-poly1305'

/** What a handshake is started with. */
export interface HandshakeOptions {
  readonly role: 'initiator' | 'responder'
  readonly pattern: HandshakePattern
  readonly suite: CipherSuite
  /**
   * Names the protocol that uses the keys, e.g. `aiv-htx/1.1`: the keys of generation g are
   * HKDF-Expand(s_g, label ‖ " key" | " salt" | " next"). Two protocols never share keys, even over one handshake.
   */
  readonly label: string
  /** Mixed into the handshake hash: both sides must have the same. */
  readonly prologue: Uint8Array
  /** Sent sealed in our first message that can be, beside our certificate where it shows one. At most 512 bytes. */
  readonly payload: Uint8Array
  /** Initiator: the only node that is accepted; `undefined` accepts whoever answers. */
  readonly expected: NodeId | undefined
  /** Initiator with XK: the responder's X25519 static key. */
  readonly remoteStatic: Uint8Array | undefined
  /**
   * Both sides keep what their next XX may begin with, and begin with it where they have it: one round trip as ever,
   * without certificates and with half of the key agreements. For those who wait for the first record before they believe {@link
   * SecureSession.resumed}. @defaultValue false
   */
  readonly resume?: boolean
}

/**
 * Turns whole messages into an authenticated, encrypted session. No framing: it runs over a stream and over seven lossy
 * hops alike; whoever owns it repeats lost messages.
 */
export interface SecureChannels {
  /** Suites that this platform has, the preferred one first. */
  readonly suites: readonly CipherSuite[]
  /** Whether a handshake that we begin with this node, `resume` set, can build on the last one. Never, when missing. */
  canResume?(node: NodeId): boolean
  /** @throws ArgumentError for XK without `remoteStatic` and for a suite that is not in {@link suites}. */
  start(options: HandshakeOptions): Handshake
}

/** Why a handshake failed. Nothing was established and no key is left. */
export type HandshakeErrorCode =
  | 'HANDSHAKE_MALFORMED' // a message of the wrong size or out of turn
  | 'HANDSHAKE_DECRYPT' // a tag is wrong: other keys, another prologue, or tampering
  | 'HANDSHAKE_REPLAYED' // a first message whose early part was read already
  | 'KEY_INVALID' // small-order or non-canonical key, or an all-zero shared secret
  | 'CERTIFICATE_INVALID' // not signed by the node key it names, or for another static key
  | 'CERTIFICATE_EXPIRED'
  | 'IDENTITY_MISMATCH' // not the node that was expected
  | 'IDENTITY_OWN' // ourselves

/** What the first message of a handshake that builds on the last one can carry beside it: with it, one IP packet. */
export const MAX_EARLY_BYTES = 1_200

/** One handshake in progress. */
export interface Handshake {
  /** A message from the other side; a fault shows in {@link outcome}, nothing is thrown. */
  handleMessage(message: Uint8Array): void
  /**
   * The next message to send, or `undefined`. `early`: goes sealed with the first message of an initiator that
   * {@link resumes}, at most {@link MAX_EARLY_BYTES}; with any other message it is not looked at.
   */
  pollMessage(early?: Uint8Array): Uint8Array | undefined
  /**
   * Initiator whose handshake builds on the last one: the node that was proven then, the only one that can read what our
   * first message holds, and what it had to say. Otherwise `undefined`.
   */
  readonly resumes?: Pick<SecureSession, 'remote' | 'remotePayload'> | undefined
  /**
   * Responder: what came early. It is read once, is at most 30 s old, and an initiator that is told that it was not read
   * may send it again: the responder sees to it that it is told the truth.
   */
  readonly early?: Uint8Array | undefined
  /**
   * `undefined` while it goes on. The initiator has a session once its last message has been polled or, where the
   * handshake builds on the last one, message 2 was read.
   */
  readonly outcome: SecureSession | AivError<HandshakeErrorCode> | undefined
}

/** Both sides are proven and agree on keys. */
export interface SecureSession {
  readonly remote: PeerIdentity
  /** The other side's X25519 static key, 32 bytes. */
  readonly remoteStatic: Uint8Array
  /** What the other side sent as {@link HandshakeOptions.payload}. */
  readonly remotePayload: Uint8Array
  /**
   * It builds on the last one. What the initiator sent early was read then, and otherwise nothing of it was. A responder
   * has proof that the other side is there when it has opened its first record, not before: until then somebody may only
   * have held its message back. The initiator therefore has to send one, even if it has nothing to say.
   * @defaultValue false
   */
  readonly resumed?: boolean
  /** The same on both sides, unique to this handshake. */
  readonly handshakeHash: Uint8Array
  readonly sending: AeadKey
  readonly receiving: AeadKey
}

/**
 * One direction's key of one generation. The nonce is explicit: HTX counts, a mesh opens out of order behind a replay
 * window. Nonce: salt 4 ‖ generation u32 ‖ sequence u32, big-endian.
 */
export interface AeadKey {
  /** From 0, one more after each {@link next}. */
  readonly generation: number
  /**
   * Seals `plain`; the pieces together are as long as `plain`, and the last piece is the 16-byte tag. New buffers.
   * The caller sees to it that no sequence (u32) is used twice.
   */
  seal(sequence: number, aad: Uint8Array, plain: Bytes): Uint8Array[]
  /** Opens ciphertext ‖ tag into a new buffer; `undefined`: forged. */
  open(sequence: number, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
  /** Opens a long one while it arrives. */
  opener(sequence: number, aad: Uint8Array): AeadOpener
  /** The next generation; this one is wiped and must not be used again. */
  next(): AeadKey
}

/** Decrypts piece by piece, and gives nothing out before the tag is right. */
export interface AeadOpener {
  update(piece: Uint8Array): void
  /** The plaintext pieces in order; `undefined`: forged, and what was decrypted is dropped. */
  finish(tag: Uint8Array): readonly Uint8Array[] | undefined
}
