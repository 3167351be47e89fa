import { ArgumentError } from '@aiv/transport-api'
import { type Crc32, crc32Range, portableCrc32 } from './crc32.js'
import { FrameError } from './errors.js'
import {
  FRAME_OVERHEAD,
  type Frame,
  type FrameHeader,
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  TRAILER_BYTES,
  checkFrameHeader,
  frameBytesAt,
  readFrameHeader,
  readFrameTrailer,
} from './frame.js'

/**
 * Where a {@link FrameDecoder} puts what it finds. The header object is the decoder's and is written again for the next
 * frame; read what you need. `headerBytes` (20 bytes, the additional data of the AEAD) stays as it is until the next
 * frame. Payloads and pieces are views into the input, valid as long as that is.
 */
export interface FrameSink {
  /** A frame that lies whole within one input; its CRC is right. */
  onFrame(header: FrameHeader, headerBytes: Uint8Array, payload: Uint8Array): void
  /** A frame that does not: its header. Nothing of it is checked but the header's form. */
  onFrameStart(header: FrameHeader, headerBytes: Uint8Array): void
  /** Its payload as it arrives, in order; pieces are never empty, and an empty payload has none. */
  onFramePiece(piece: Uint8Array): void
  /** Its end; the CRC was right. */
  onFrameEnd(): void
}

/** Options of a {@link FrameDecoder}. */
export interface FrameDecoderOptions {
  /** Largest whole frame that is taken, overhead included: 24 to 16,777,239. */
  readonly maxFrameBytes: number
  /** Hand in this package's `crc32`, which is the platform's fastest. @defaultValue the portable one */
  readonly crc32?: Crc32
}

/** Up to this many bytes the portable sum, taken in place, beats a view and a call. */
const IN_PLACE_BYTES = 200

/**
 * Cuts a byte stream into frames, however it was split. Holds one header and nothing of any payload: pieces of a frame
 * that is not there yet go on at once.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number
  readonly #crc32: Crc32
  readonly #headerBytes = new Uint8Array(HEADER_BYTES)
  readonly #header: FrameHeader = { flags: 0, length: 0, type: 0, sequence: 0, timestamp: 0 }
  readonly #trailer = new Uint8Array(TRAILER_BYTES)
  /** Bytes of the frame in hand that were taken already: header, payload and trailer together. */
  #taken = 0
  /** Where among them its trailer begins. */
  #trailerAt = 0
  #crc = 0
  #spent = false

  /** @throws ArgumentError when `maxFrameBytes` is out of range. */
  constructor(options: FrameDecoderOptions) {
    const { maxFrameBytes, crc32 = portableCrc32 } = options
    const most = MAX_PAYLOAD_BYTES + FRAME_OVERHEAD
    if (!Number.isInteger(maxFrameBytes) || maxFrameBytes < FRAME_OVERHEAD || maxFrameBytes > most) {
      throw new ArgumentError(`maxFrameBytes ${maxFrameBytes}: ${FRAME_OVERHEAD} to ${most}`)
    }
    this.#maxFrameBytes = maxFrameBytes
    this.#crc32 = crc32
  }

  /** True when the stream, if it ended now, would end inside a frame. */
  get midFrame(): boolean {
    return this.#taken > 0
  }

  /**
   * Takes the next bytes of the stream, of any number, and calls `sink` for what they complete, in order.
   *
   * When a sink throws, that error leaves `push`, the rest of `bytes` is lost and the decoder is spent: a stream with a
   * hole cannot be read on. A spent decoder, and one whose sink calls `push` again, refuses with ArgumentError.
   *
   * @throws FrameError HTX_BAD_MAGIC, HTX_BAD_VERSION, HTX_RESERVED_FLAGS, HTX_FRAME_TOO_LARGE or HTX_BAD_CRC, after the
   * frames before the fault were delivered; the decoder is then spent.
   */
  push(bytes: Uint8Array, sink: FrameSink): void {
    if (this.#spent) throw new ArgumentError('the frame decoder is spent')
    this.#spent = true
    const end = bytes.length
    let at = 0
    while (at < end) {
      if (this.#taken === 0 && end - at >= frameBytesAt(bytes, at)) at = this.#wholeFrame(bytes, at, sink)
      else if (this.#taken < HEADER_BYTES) at = this.#partOfHeader(bytes, at, sink)
      else if (this.#taken < this.#trailerAt) at = this.#partOfPayload(bytes, at, sink)
      else at = this.#partOfTrailer(bytes, at, sink)
    }
    this.#spent = false
  }

  /** Delivers the frame that lies at `at` and returns the offset after it. */
  #wholeFrame(bytes: Uint8Array, at: number, sink: FrameSink): number {
    const fault = checkFrameHeader(bytes, at, HEADER_BYTES, this.#maxFrameBytes)
    if (fault !== undefined) throw new FrameError(fault, 'no HTX frame')
    const header = readFrameHeader(bytes, at, this.#header)
    const payloadAt = at + HEADER_BYTES
    const trailerAt = payloadAt + header.length
    const crc =
      trailerAt - at <= IN_PLACE_BYTES
        ? crc32Range(bytes, at, trailerAt)
        : this.#crc32(bytes.subarray(at, trailerAt), 0)
    if (crc !== readFrameTrailer(bytes, trailerAt)) throw wrongCrc()
    sink.onFrame(header, bytes.subarray(at, payloadAt), bytes.subarray(payloadAt, trailerAt))
    return trailerAt + TRAILER_BYTES
  }

  /*
   * Of a frame that is not all there: takes what there is of one part of it and returns the offset after that. Three
   * functions, because each is run a few times for each frame: as one they are compiled, with all that they call, in the
   * middle of a short transfer (docs/decisions/0136-hot-code-in-few-pieces.md).
   */

  #partOfHeader(bytes: Uint8Array, at: number, sink: FrameSink): number {
    const next = Math.min(bytes.length, at + HEADER_BYTES - this.#taken)
    this.#headerBytes.set(bytes.subarray(at, next), this.#taken)
    this.#taken += next - at
    const fault = checkFrameHeader(this.#headerBytes, 0, this.#taken, this.#maxFrameBytes)
    if (fault !== undefined) throw new FrameError(fault, 'no HTX frame')
    if (this.#taken < HEADER_BYTES) return next
    this.#crc = crc32Range(this.#headerBytes, 0, HEADER_BYTES)
    const header = readFrameHeader(this.#headerBytes, 0, this.#header)
    this.#trailerAt = HEADER_BYTES + header.length
    sink.onFrameStart(header, this.#headerBytes)
    return next
  }

  #partOfPayload(bytes: Uint8Array, at: number, sink: FrameSink): number {
    const next = Math.min(bytes.length, at + this.#trailerAt - this.#taken)
    const piece = bytes.subarray(at, next)
    this.#crc = this.#crc32(piece, this.#crc)
    this.#taken += piece.length
    sink.onFramePiece(piece)
    return next
  }

  #partOfTrailer(bytes: Uint8Array, at: number, sink: FrameSink): number {
    const end = this.#trailerAt + TRAILER_BYTES
    const next = Math.min(bytes.length, at + end - this.#taken)
    this.#trailer.set(bytes.subarray(at, next), this.#taken - this.#trailerAt)
    this.#taken += next - at
    if (this.#taken < end) return next
    if (readFrameTrailer(this.#trailer, 0) !== this.#crc) throw wrongCrc()
    this.#taken = 0
    sink.onFrameEnd()
    return next
  }
}

/**
 * All frames of a complete byte string, for tests and tools; the payloads are views into it.
 * @throws FrameError as {@link FrameDecoder.push} does, and HTX_TRUNCATED when the last frame is cut off.
 */
export function decodeFrames(bytes: Uint8Array, options: FrameDecoderOptions): Frame[] {
  const frames: Frame[] = []
  const decoder = new FrameDecoder(options)
  decoder.push(bytes, {
    onFrame: ({ flags, type, sequence, timestamp }, _headerBytes, payload) => {
      frames.push({ flags, type, sequence, timestamp, payload })
    },
    // one input holds every frame whole or cuts off the last one
    onFrameStart: () => undefined,
    onFramePiece: () => undefined,
    onFrameEnd: () => undefined,
  })
  if (decoder.midFrame) throw new FrameError('HTX_TRUNCATED', 'the bytes end inside a frame')
  return frames
}

function wrongCrc(): FrameError {
  return new FrameError('HTX_BAD_CRC', 'the frame was damaged on the way')
}
