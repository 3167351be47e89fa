import { ArgumentError } from '@aiv/transport-api'
import { PacketKind } from './packet.js'

/** Bytes that a ping carries and its pong gives back. */
export const PING_OPAQUE_BYTES = 8
const PING_BYTES = 2 + PING_OPAQUE_BYTES

export interface Ping {
  /** `pong` answers a `ping` with the same bytes. */
  readonly type: 'ping' | 'pong'
  /** Eight bytes of the asker's; a view into the packet when decoded. */
  readonly opaque: Uint8Array
}

/**
 * Packet 04, in a new buffer: `04 ‖ u8 0 ping, 1 pong ‖ 8 opaque bytes`. docs/wire/packets.md
 * @throws ArgumentError unless there are 8 opaque bytes.
 */
export function encodePing({ type, opaque }: Ping): Uint8Array {
  if (opaque.length !== PING_OPAQUE_BYTES) throw new ArgumentError(`a ping carries 8 bytes, not ${opaque.length}`)
  const out = new Uint8Array(PING_BYTES)
  out[0] = PacketKind.Ping
  out[1] = type === 'ping' ? 0 : 1
  out.set(opaque, 2)
  return out
}

/** Reads packet 04; `undefined` for another kind or length, or a type that is neither. */
export function decodePing(bytes: Uint8Array): Ping | undefined {
  const type = bytes[1]
  if (bytes.length !== PING_BYTES || bytes[0] !== PacketKind.Ping || type === undefined || type > 1) return undefined
  return { type: type === 0 ? 'ping' : 'pong', opaque: bytes.subarray(2) }
}
