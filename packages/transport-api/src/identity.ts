import type { NodeId } from './node-id.js'

/** Another node, proven: its full key and the id that follows from it. */
export interface PeerIdentity {
  readonly nodeId: NodeId
  /** Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
}

/** What a node key signs, and nothing else: `tag ‖ 00 ‖ body`. See docs/wire/identity.md. */
export type SignatureTag =
  | 'aiv-noise-static/1'
  | 'aiv-peer/1'
  | 'aiv-prekeys/1'
  | 'aiv-envelope/1'
  | 'aiv-mesh/1'
  | 'aiv-route/1'
  | 'aiv-succession/1'

/** Our own key. There is no way to sign a caller's raw bytes with it. */
export interface LocalIdentity extends PeerIdentity {
  /** Ed25519 over `tag ‖ 00 ‖ body`; 64 bytes in a new buffer. */
  sign(tag: SignatureTag, body: Uint8Array): Uint8Array
  /** The Ed25519 private key as PKCS#8 DER, for TLS stacks that want the key itself. A new buffer: wipe it after use. */
  privateKeyPkcs8(): Uint8Array
}
