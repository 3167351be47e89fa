import type { Compressor } from '@aiv/transport-api'
import { MAX_PAYLOAD_BYTES, type Packet } from './packet.js'

/** Shorter ones are not worth it. */
const MIN_BYTES = 100
/** Share of different byte values from which data counts as compressed already. */
const MAX_VARIETY = 0.9
/** DEFLATE cannot do better (258 bytes in 2 bits, and a little for a short stream): a larger claim is a lie. */
const MAX_RATIO = 1_032
const SLACK_BYTES = 256

/** Payload and original size as they go into a packet; compressed only where the deployed encoder would, too. */
export function compressPayload(compressor: Compressor, payload: Uint8Array): Pick<Packet, 'payload' | 'originalSize'> {
  const plain = { payload, originalSize: undefined }
  if (payload.length < MIN_BYTES) return plain
  if (new Set(payload).size / Math.min(payload.length, 256) >= MAX_VARIETY) return plain
  const compressed = compressor.compress(payload)
  if (compressed === undefined || compressed.length >= payload.length) return plain
  return { payload: compressed, originalSize: payload.length }
}

/**
 * The payload as it was before compression; `undefined` when it is corrupt, not exactly of the size it claims, or claims
 * more than {@link MAX_PAYLOAD_BYTES} or than DEFLATE can do, which is found without inflating anything.
 */
export function plainPayload(
  compressor: Compressor,
  packet: Pick<Packet, 'payload' | 'originalSize'>,
): Uint8Array | undefined {
  const { payload, originalSize } = packet
  if (originalSize === undefined) return payload
  if (originalSize > MAX_PAYLOAD_BYTES || originalSize > payload.length * MAX_RATIO + SLACK_BYTES) return undefined
  const plain = compressor.decompress(payload, originalSize)
  return plain?.length === originalSize ? plain : undefined
}
