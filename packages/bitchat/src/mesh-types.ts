import type { LocalIdentity, NodeId, Random } from '@aiv/transport-api'
import type { Announcement } from './announcement.js'
import type { MeshPacket } from './mesh-packet.js'

/** A packet on one link. `link` is a number of the shell's choice. */
export interface MeshDatagram {
  readonly link: number
  readonly bytes: Uint8Array
}

/** What the mesh needs of a platform's cryptography; `@aiv/security`'s `Crypto` has it. */
export interface MeshCrypto {
  /** SHA-256 of all pieces one after another. */
  sha256(...pieces: readonly Uint8Array[]): Uint8Array
  /** Ed25519 as docs/wire/identity.md asks for it: false for anything weak, not canonical or of the wrong size. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
}

/** Our X25519 static key as it is announced. */
export interface AnnouncedKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** Unix seconds: until when others may use it. */
  readonly notAfter: number
}

/** What a {@link MeshCore} is given. */
export interface MeshComponents {
  readonly identity: LocalIdentity
  readonly crypto: MeshCrypto
  readonly random: Random
  /** Asked for each announcement, since the key changes. */
  readonly staticKey: (unixNowMs: number) => AnnouncedKey
  /** Whose packets are the last to be dropped from the store. @defaultValue nobody's */
  readonly isTrusted?: (node: NodeId) => boolean
}

/** What a link is when it comes up. */
export interface MeshLinkOptions {
  /** dBm; `undefined`: not known. */
  readonly rssi: number | undefined
}

/**
 * What became of a packet that we sent: `routed` to one neighbour, `flooded` to all, `stored` until a neighbour or the
 * destination comes, or `dropped`, since there is no link and no place in the store.
 */
export type MeshSendResult = 'routed' | 'flooded' | 'stored' | 'dropped'

export type MeshEvent =
  /** A packet for us. `hops`: links that it crossed, `link` the last of them. `payload` and `id` are yours to keep. */
  | { readonly type: 'packet'; readonly packet: MeshPacket; readonly hops: number; readonly link: number }
  /** A signed broadcast of somebody whose announcement we have. */
  | { readonly type: 'broadcast'; readonly source: NodeId; readonly payload: Uint8Array; readonly hops: number }
  /** An announcement was verified; `isNew`: nobody could be reached there before. */
  | { readonly type: 'peer'; readonly announcement: Announcement; readonly hops: number; readonly isNew: boolean }
  /** No announcement for so long that the last way to it has run out. */
  | { readonly type: 'peer-lost'; readonly node: NodeId }
  /** The neighbour at the other end sends more than it may, or what nobody can have sent: better without it. */
  | { readonly type: 'link-abuse'; readonly link: number }

/** Next hop to a destination, as it is now. */
export interface MeshRoute {
  readonly link: number
  readonly hops: number
  readonly issuedAt: number
}

/** What a mesh node did so far; only goes up. */
export interface MeshCounters {
  /** Packets given to a link, hop acknowledgements included. */
  transmitted: number
  transmittedBytes: number
  /** Hop acknowledgements among them. */
  hopAcks: number
  /** Packets of others given to a link. */
  relayed: number
  /** Sent again on one link, since no hop acknowledgement came. */
  repeated: number
  delivered: number
  duplicates: number
  /** Flooded packets that were not passed on, or not on every link, since others had done it. */
  cancelled: number
  handedOver: number
  dropped: Record<MeshDropReason, number>
}

export type MeshDropReason =
  | 'malformed'
  | 'rate' // a neighbour over its rate
  | 'hop-limit' // for others and at the end of its hops
  | 'forged' // a signature, proof or key that is wrong
  | 'stale' // an announcement from the past or the future, or an older one than the last
  | 'unknown-source' // a broadcast of somebody who has not announced himself
  | 'queue' // a link's queue was full
  | 'no-route'
