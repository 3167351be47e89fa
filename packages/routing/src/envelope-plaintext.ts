import { ArgumentError } from '@aiv/transport-api'
import { PROOF_BYTES } from './acknowledgement.js'
import { EPOCH_BYTES, epochFromBytes, epochToBytes, type Epoch } from './epoch.js'
import { MessageKind } from './link-envelope.js'
import { decodeProtocol, encodeProtocol, protocolFieldLength } from './protocol.js'

/** What the bytes are, as far as compressing them matters. */
export const ContentType = {
  /** Not said. */
  Bytes: 0,
  /** UTF-8. */
  Text: 1,
  Json: 2,
  Cbor: 3,
  /** Images, archives, sealed things: compressing gains nothing. */
  Dense: 4,
} as const
export type ContentType = (typeof ContentType)[keyof typeof ContentType]

/** Compression of a plaintext's content. */
export const ContentCompression = { None: 0, Lz4: 1 } as const
export type ContentCompression = (typeof ContentCompression)[keyof typeof ContentCompression]

const FLAGS_OFFSET = PROOF_BYTES + 2 * EPOCH_BYTES
const HEAD_BYTES = FLAGS_OFFSET + 1
const ORDERED = 0x08
const KIND_SHIFT = 5
const FLAG_MASK = ORDERED | (3 << KIND_SHIFT)

/** All that stands before the content of a sealed envelope. */
export interface EnvelopePlaintextFields {
  /** k, 16 random bytes: shown by the recipient as proof of receipt. A view when decoded. */
  readonly proof: Uint8Array
  readonly epoch: Epoch
  /** Per (destination, priority), at most 2^53 − 1; u64 on the wire. */
  readonly counter: number
  readonly ordered: boolean
  readonly kind: MessageKind
  readonly protocol: string
  /** Any u8; see {@link ContentType}. */
  readonly contentType: number
  readonly compression: ContentCompression
  /** As in a link envelope, but a u64 on the wire. */
  readonly requestId: number | undefined
}

export interface EnvelopePlaintext extends EnvelopePlaintextFields {
  /** A view. */
  readonly content: Uint8Array
}

/**
 * What stands before the content, in a new buffer:
 *
 * ```
 * k 16 ‖ epoch u64 ‖ counter u64 ‖ flags u8 ‖ protocol ‖ content type u8 ‖ compression u8 ‖ [request id u64] ‖ content
 * ```
 *
 * @throws ArgumentError when a field is out of range. docs/wire/envelope.md
 */
export function encodeEnvelopePlaintextHeader(fields: EnvelopePlaintextFields): Uint8Array {
  const { proof, counter, kind, contentType, compression, requestId } = fields
  if (proof.length !== PROOF_BYTES) throw new ArgumentError(`k has ${PROOF_BYTES} bytes, not ${proof.length}`)
  if (!(contentType >= 0 && contentType <= 255)) throw new ArgumentError(`content type ${contentType}`)
  if ((requestId === undefined) !== (kind === MessageKind.Message)) {
    throw new ArgumentError('a request id belongs to requests, responses and failures, and to nothing else')
  }
  const protocol = encodeProtocol(fields.protocol)
  const out = new Uint8Array(HEAD_BYTES + protocol.length + 2 + (requestId === undefined ? 0 : 8))
  const view = new DataView(out.buffer)
  out.set(proof, 0)
  out.set(epochToBytes(fields.epoch), PROOF_BYTES)
  view.setBigUint64(PROOF_BYTES + EPOCH_BYTES, u64(counter))
  out[FLAGS_OFFSET] = (fields.ordered ? ORDERED : 0) | (kind << KIND_SHIFT)
  out.set(protocol, HEAD_BYTES)
  const at = HEAD_BYTES + protocol.length
  out[at] = contentType
  out[at + 1] = compression
  if (requestId !== undefined) view.setBigUint64(at + 2, u64(requestId))
  return out
}

/**
 * Reads an opened plaintext; views into `bytes`. `undefined` when it is cut off, has an unknown flag or compression, an
 * invalid protocol field, or a number over 2^53 − 1.
 */
export function decodeEnvelopePlaintext(bytes: Uint8Array): EnvelopePlaintext | undefined {
  if (bytes.length < HEAD_BYTES + 3) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const flags = bytes[FLAGS_OFFSET] as number
  if (flags & ~FLAG_MASK) return undefined
  const counter = readU64(view, PROOF_BYTES + EPOCH_BYTES)
  const protocol = decodeProtocol(bytes, HEAD_BYTES)
  if (counter === undefined || protocol === undefined) return undefined
  let at = HEAD_BYTES + protocolFieldLength(bytes[HEAD_BYTES] as number)
  const contentType = bytes[at]
  const compression = bytes[at + 1]
  if (contentType === undefined || (compression !== 0 && compression !== 1)) return undefined
  at += 2
  const kind = ((flags >>> KIND_SHIFT) & 3) as MessageKind
  let requestId: number | undefined
  if (kind !== MessageKind.Message) {
    requestId = at + 8 <= bytes.length ? readU64(view, at) : undefined
    if (requestId === undefined) return undefined
    at += 8
  }
  return {
    proof: bytes.subarray(0, PROOF_BYTES),
    epoch: epochFromBytes(bytes.subarray(PROOF_BYTES, PROOF_BYTES + EPOCH_BYTES)),
    counter,
    ordered: (flags & ORDERED) !== 0,
    kind,
    protocol,
    contentType,
    compression,
    requestId,
    content: bytes.subarray(at),
  }
}

function u64(value: number): bigint {
  if (!Number.isSafeInteger(value) || value < 0) throw new ArgumentError(`${value}: 0 to 2^53 − 1`)
  return BigInt(value)
}

function readU64(view: DataView, offset: number): number | undefined {
  const value = view.getBigUint64(offset)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined
}
