import { AivError } from '@aiv/transport-api'

/** Why bytes are no HTX frame. What a type means, and whether it is known, is decided above the codec. */
export type FrameErrorCode =
  | 'HTX_BAD_MAGIC' // does not begin with "HX": not this protocol at all
  | 'HTX_BAD_VERSION' // not 1.1
  | 'HTX_RESERVED_FLAGS' // a flag that 1.1 does not define
  | 'HTX_FRAME_TOO_LARGE' // the whole frame would be larger than the limit
  | 'HTX_BAD_CRC' // damaged on the way; says nothing about intent
  | 'HTX_TRUNCATED' // ends inside a frame: only from those who are handed a complete byte string

/** The bytes are no HTX frame. Fatal on a byte stream, which is never resynchronised by skipping bytes. */
export class FrameError extends AivError<FrameErrorCode> {}

/** Why the payload of a DATA frame is no sequence of chunks. */
export type ChunkErrorCode = 'CHUNK_MALFORMED'

/** The payload of a DATA frame is no sequence of chunks. Fatal for the session. */
export class ChunkError extends AivError<ChunkErrorCode> {
  constructor(message: string, options?: ErrorOptions) {
    super('CHUNK_MALFORMED', message, options)
  }
}
