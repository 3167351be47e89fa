/**
 * What a connection carries is a packet; its first byte says which kind. docs/wire/packets.md
 *
 * `Routes` and `Mailbox` are numbers only: their bodies are defined by whoever first sends them.
 */
export const PacketKind = {
  /** Sealed end to end, may be forwarded: `envelope.ts`. */
  Envelope: 0x00,
  /** From this connection's own remote to us: `link-envelope.ts`. */
  Link: 0x01,
  Hello: 0x02,
  LinkAck: 0x03,
  Ping: 0x04,
  RecordRequest: 0x05,
  Routes: 0x06,
  Mailbox: 0x07,
  /** Proofs of receipt that travel back along the path: `acknowledgement.ts`. */
  Ack: 0x08,
} as const
export type PacketKind = (typeof PacketKind)[keyof typeof PacketKind]

/** Kinds from here on are private to those who agreed on them. */
export const FIRST_PRIVATE_PACKET_KIND = 0x80

/** The kind of a packet; `undefined` when it is empty or its kind is unknown (08 < kind < 80): ignore and count it. */
export function packetKind(packet: Uint8Array): PacketKind | 'private' | undefined {
  const first = packet[0]
  if (first === undefined) return undefined
  if (first <= PacketKind.Ack) return first as PacketKind
  return first >= FIRST_PRIVATE_PACKET_KIND ? 'private' : undefined
}
