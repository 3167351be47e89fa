import {
  ArgumentError,
  readVarint,
  varintLength,
  varintLengthFrom,
  writeVarint,
  type Priority,
} from '@aiv/transport-api'
import { PacketKind } from './packet.js'
import { decodeProtocol, encodeProtocol, protocolFieldLength } from './protocol.js'

/** What a message is to its application. */
export const MessageKind = { Message: 0, Request: 1, Response: 2, Failure: 3 } as const
export type MessageKind = (typeof MessageKind)[keyof typeof MessageKind]

/** Longest life of a message: 7 days, in seconds. */
export const MAX_LIFETIME_S = 604_800

/** Bits of the flags byte. Bits 0–1 are the priority, bits 5–6 the message kind, bit 7 is 0. */
export const LinkFlag = { Compressed: 0x04, Ordered: 0x08, Acknowledge: 0x10 } as const
const KIND_SHIFT = 5
const RESERVED = 0x80

/** All that stands before the payload. */
export interface LinkEnvelopeFields {
  readonly priority: Priority
  /** The payload is an LZ4 block with a leading u32 of its original size. */
  readonly compressed: boolean
  /** False: delivered as it comes, waiting for nothing. */
  readonly ordered: boolean
  /** The sender wants to hear what became of it. */
  readonly acknowledge: boolean
  readonly kind: MessageKind
  /** Per (sender's epoch, destination, priority), from 0. */
  readonly counter: number
  /** For how long delivering it makes sense, in whole seconds; 0 to {@link MAX_LIFETIME_S}. */
  readonly lifetimeS: number
  /** `''`, a name of ours, or any other of at most 32 bytes. */
  readonly protocol: string
  /** Names the request that is made or answered; `undefined` for a message, required for the other kinds. */
  readonly requestId: number | undefined
}

/** A message from this connection's own remote to us; never forwarded, stored, or sent as early data. */
export interface LinkEnvelope extends LinkEnvelopeFields {
  /** A view into the packet. */
  readonly payload: Uint8Array
}

/**
 * Packet 01 up to the payload, in a new buffer; the payload follows as a piece of its own and is not copied.
 *
 * ```
 * 01 ‖ flags u8 ‖ varint counter ‖ varint lifetime s ‖ protocol ‖ [varint request id] ‖ payload
 * ```
 *
 * @throws ArgumentError when the counter or the request id is no varint, the lifetime is out of range, the protocol
 * name is invalid, or the request id is missing or not wanted. docs/wire/link-envelope.md
 */
export function encodeLinkEnvelopeHeader(fields: LinkEnvelopeFields): Uint8Array {
  const { kind, counter, lifetimeS, requestId } = fields
  if (!(lifetimeS >= 0 && lifetimeS <= MAX_LIFETIME_S)) throw new ArgumentError(`a lifetime of ${lifetimeS} s`)
  if ((requestId === undefined) !== (kind === MessageKind.Message)) {
    throw new ArgumentError('a request id belongs to requests, responses and failures, and to nothing else')
  }
  const protocol = encodeProtocol(fields.protocol)
  const out = new Uint8Array(
    2 +
      varintLength(counter) +
      varintLength(lifetimeS) +
      protocol.length +
      (requestId === undefined ? 0 : varintLength(requestId)),
  )
  out[0] = PacketKind.Link
  out[1] =
    fields.priority |
    (fields.compressed ? LinkFlag.Compressed : 0) |
    (fields.ordered ? LinkFlag.Ordered : 0) |
    (fields.acknowledge ? LinkFlag.Acknowledge : 0) |
    (kind << KIND_SHIFT)
  let at = writeVarint(out, 2, counter)
  at = writeVarint(out, at, lifetimeS)
  for (let i = 0; i < protocol.length; i++) out[at++] = protocol[i] as number
  if (requestId !== undefined) writeVarint(out, at, requestId)
  return out
}

/**
 * Reads packet 01. The payload is a view into `bytes`.
 * `undefined` when the bytes are no link envelope: another kind, cut off, bit 7 set, a lifetime over
 * {@link MAX_LIFETIME_S}, an invalid protocol field.
 */
export function decodeLinkEnvelope(bytes: Uint8Array): LinkEnvelope | undefined {
  if (bytes.length < 5 || bytes[0] !== PacketKind.Link) return undefined
  const flags = bytes[1] as number
  if (flags & RESERVED) return undefined
  let at = 2
  const counter = readVarint(bytes, at)
  if (counter < 0) return undefined
  at += varintLengthFrom(bytes[at] as number)
  const lifetimeS = readVarint(bytes, at)
  if (lifetimeS < 0 || lifetimeS > MAX_LIFETIME_S) return undefined
  at += varintLengthFrom(bytes[at] as number)
  const protocol = decodeProtocol(bytes, at)
  if (protocol === undefined) return undefined
  at += protocolFieldLength(bytes[at] as number)
  const kind = ((flags >>> KIND_SHIFT) & 3) as MessageKind
  let requestId: number | undefined
  if (kind !== MessageKind.Message) {
    requestId = readVarint(bytes, at)
    if (requestId < 0) return undefined
    at += varintLengthFrom(bytes[at] as number)
  }
  return {
    priority: (flags & 3) as Priority,
    compressed: (flags & LinkFlag.Compressed) !== 0,
    ordered: (flags & LinkFlag.Ordered) !== 0,
    acknowledge: (flags & LinkFlag.Acknowledge) !== 0,
    kind,
    counter,
    lifetimeS,
    protocol,
    requestId,
    payload: bytes.subarray(at),
  }
}
