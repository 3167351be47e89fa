import { FRAME_OVERHEAD } from '@aiv/htx-codec'
import { type Bytes, type Compressor, joinBytes } from '@aiv/transport-api'
import { HtxSessionError } from './errors.js'

/** Smaller payloads are not worth the try. */
const MIN_COMPRESSED_BYTES = 1_024
/** Largest payload that a compressed one may stand for; larger frames go as they are. */
export const MAX_COMPRESSED_PLAIN_BYTES = 65_536 - FRAME_OVERHEAD
/** Frames passed over after one that did not shrink; doubled with each further one. */
const FIRST_REST_FRAMES = 8
const MAX_REST_FRAMES = 1_024

/**
 * LZ4 on whole DATA payloads. Only frames that hold one message come here: a frame that gathers messages of several
 * origins would tell, by its length, what one of them knows of another.
 */
export class CompressionGate {
  readonly #compressor: Compressor | undefined
  /** Both sides want it. Reading does not ask for this: what we said we read, we read. */
  allowed = false
  #resting = 0
  #rest = FIRST_REST_FRAMES

  constructor(compressor: Compressor | undefined) {
    this.#compressor = compressor?.name === 'lz4' ? compressor : undefined
  }

  /** The payload to send instead, or `undefined`: send it as it is. */
  compress(plain: Bytes, bytes: number): Uint8Array | undefined {
    if (!this.allowed || this.#compressor === undefined) return undefined
    if (bytes < MIN_COMPRESSED_BYTES || bytes > MAX_COMPRESSED_PLAIN_BYTES) return undefined
    if (this.#resting > 0) {
      this.#resting -= 1
      return undefined
    }
    const packed = this.#compressor.compress(joinBytes(plain))
    if (packed === undefined) {
      this.#resting = this.#rest
      this.#rest = Math.min(this.#rest * 2, MAX_REST_FRAMES)
    } else this.#rest = FIRST_REST_FRAMES
    return packed
  }

  /** @throws HtxSessionError MALFORMED for what is corrupt, too large, or more than we said we read. */
  decompress(packed: Uint8Array): Uint8Array {
    const plain = this.#compressor?.decompress(packed, MAX_COMPRESSED_PLAIN_BYTES)
    if (plain === undefined) throw new HtxSessionError('MALFORMED', 'a compressed payload that cannot be unpacked')
    return plain
  }
}
