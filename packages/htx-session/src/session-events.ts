import type { Crc32 } from '@aiv/htx-codec'
import type {
  AivError,
  CipherSuite,
  CloseReason,
  Compressor,
  HandshakePattern,
  NodeId,
  PeerIdentity,
  Priority,
  SecureChannels,
} from '@aiv/transport-api'
import type { Capabilities } from './capabilities.js'
import type { VerifiedHtxSessionOptions } from './options.js'
import type { ReassemblyBudget } from './reassembly-budget.js'

/** What an HTX session tells its owner. */
export type HtxSessionEvent =
  /** The other side is proven; nothing is received before. */
  | {
      readonly type: 'established'
      readonly remote: PeerIdentity
      /** The other side's X25519 static key, to be remembered for XK. */
      readonly remoteStatic: Uint8Array
      readonly pattern: HandshakePattern
      readonly suite: CipherSuite
      readonly remoteCapabilities: Capabilities
      /** The handshake built on the last one with this node. */
      readonly resumed: boolean
      /** Responder: the other side sent something early, and `confirmed` will say whether it is still there. */
      readonly early: boolean
    }
  /** After an early `established`: the other side's first sealed frame has come. */
  | { readonly type: 'confirmed' }
  /** A whole message. `bytes` belongs to the receiver and may be a view into a larger buffer. */
  | { readonly type: 'packet'; readonly bytes: Uint8Array }
  /** After a `full`: `lowest` and every priority above it have room again. */
  | { readonly type: 'drain'; readonly lowest: Priority }
  /** The message with this tag left the queue with its last chunk. */
  | { readonly type: 'sent'; readonly tag: number }
  /** The message with this tag will not be sent: EXPIRED, or CLOSED with the session. */
  | { readonly type: 'dropped'; readonly tag: number; readonly code: string }
  /** On each change, and `alive` in answer to a probe. */
  | { readonly type: 'liveness'; readonly state: 'alive' | 'suspect' }
  /** Exactly once, last. Bytes may still have to be polled: the CLOSE frame. */
  | {
      readonly type: 'closed'
      readonly reason: CloseReason
      readonly error?: AivError
      /** What the other side's CLOSE said, if one came. */
      readonly remoteClose?: { readonly code: number; readonly reason: string }
    }

/** What a session is made from. */
export interface HtxSessionStart {
  readonly role: 'initiator' | 'responder'
  readonly secure: SecureChannels
  /** The only node that is accepted; `undefined`: whoever answers. */
  readonly expected: NodeId | undefined
  /** Initiator: the other side's X25519 static key when it is known; XK then, else XX. */
  readonly remoteStatic: Uint8Array | undefined
  /**
   * Initiator that builds on the last handshake: the first message waits for what is sent first, a millisecond at most,
   * and carries it. @defaultValue false
   */
  readonly early?: boolean | undefined
  readonly options: VerifiedHtxSessionOptions
  /** Shared by all sessions of a node. */
  readonly budget: ReassemblyBudget
  /** LZ4, used only where `options.compression` allows it and the other side has it. */
  readonly compressor: Compressor | undefined
  /** What sums up frames. @defaultValue the fastest that the platform has */
  readonly crc32?: Crc32 | undefined
}
