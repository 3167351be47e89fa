import type { NodeId, PeerIdentity } from '@aiv/transport-api'

/**
 * What memory transports say to each other, as objects: nothing is encoded and nothing is secret. `id` names the
 * connection, the same at both ends.
 *
 * The handshake has three messages as Noise has, so that the dialler knows who answered before the listener sees a
 * connection: dial, hello, confirm.
 */
export type Frame =
  | { readonly type: 'dial'; readonly id: number; readonly from: PeerIdentity; readonly to: string }
  | { readonly type: 'hello'; readonly id: number; readonly from: PeerIdentity }
  | { readonly type: 'confirm'; readonly id: number }
  | { readonly type: 'refuse'; readonly id: number }
  | {
      readonly type: 'packet'
      readonly id: number
      readonly bytes: Uint8Array
      readonly delivery: 'reliable' | 'datagram'
      /** Gives the sender its credit back; does nothing when called again. */
      readonly taken: () => void
    }
  | { readonly type: 'ping' | 'pong'; readonly id: number; readonly sentAt: number }
  | { readonly type: 'close' | 'closed'; readonly id: number }
  | { readonly type: 'reset'; readonly id: number }

/** About what a small TCP segment costs. */
export const CONTROL_BYTES = 64
/** Added to every packet, about what framing costs. */
export const PACKET_OVERHEAD_BYTES = 40

/** Where a connection sends its frames; what it is told about the network. */
export interface Wire {
  readonly remote: NodeId
  /** `gone` is called when the network lost it: bookkeeping only. */
  send(frame: Frame, bytes: number, gone?: () => void): void
  /** For how long the link is still busy with what it has; 0 or less: not at all. */
  busyForMs(): number
}
