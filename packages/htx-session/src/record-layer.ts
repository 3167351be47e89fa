import {
  AEAD_TAG_BYTES,
  type Crc32,
  FRAME_OVERHEAD,
  FrameFlag,
  type FrameHeader,
  HEADER_BYTES,
  TRAILER_BYTES,
  crc32 as platformCrc32,
  writeFrameHeader,
  writeFrameTrailer,
} from '@aiv/htx-codec'
import type { AeadKey, AeadOpener, Bytes, Millis } from '@aiv/transport-api'
import { HtxSessionError } from './errors.js'
import { appendOutput } from './output-pool.js'

/** Most frames under one key, the KEY_UPDATE that ends it included. */
export const MAX_KEY_FRAMES = 2 ** 20
/** Most bytes of frames under one key. */
export const MAX_KEY_BYTES = 64 * 2 ** 30
/** What a receiver lets pass beyond those, for the sake of a sender that counts otherwise. */
export const KEY_FRAMES_SLACK = 1_024
export const KEY_BYTES_SLACK = 2 ** 20
/** Two KEY_UPDATEs nearer to each other than both of these are an attack on our time. */
export const MIN_KEY_FRAMES = 1_024
export const MIN_KEY_MS = 1_000

/** Turns plaintext into sealed frames of one direction. The seam for a native record layer. */
export interface RecordSealer {
  /** Frames and bytes under the present key. */
  readonly frames: number
  readonly bytes: number
  /**
   * Appends the pieces of one frame to `out` and returns its size. Numbers frames by itself, from 1. `plain` may be
   * overwritten once this returns; the pieces are new.
   */
  seal(type: number, flags: number, plain: Bytes, plainBytes: number, timestamp: number, out: Uint8Array[]): number
  /** Goes to the next key and wipes this one. The KEY_UPDATE was the last frame under it. */
  next(): void
}

/**
 * Turns sealed frames of one direction into plaintext. Every method throws HtxSessionError for what the other side did
 * wrong; the session is over then. The seam for a native record layer.
 */
export interface RecordOpener {
  /** A frame that lies whole; the plaintext is a new buffer. */
  open(header: FrameHeader, headerBytes: Uint8Array, sealed: Uint8Array): Uint8Array
  /** A frame that arrives in pieces: decrypted as it comes, given out by `finish` once the tag is right. */
  start(header: FrameHeader, headerBytes: Uint8Array): void
  update(piece: Uint8Array): void
  finish(): readonly Uint8Array[]
  /** The other side's KEY_UPDATE: goes to the next key and wipes this one. */
  next(now: Millis): void
}

/**
 * Pieces of an arriving frame that are smaller than this are gathered to runs of this size before the cipher sees them.
 * It gives a buffer for each piece that it is given: one for each byte would make a hundred of every byte held.
 */
const GATHER_BYTES = 1_024
/** Frames up to this size are put together in one buffer: one write is cheaper than the copy. */
const SMALL_PLAIN_BYTES = 2_048
/** A first piece up to this size (chunk heads, mostly) shares a buffer with the header. */
const HEAD_PLAIN_BYTES = 512

/** {@link RecordSealer} over any {@link AeadKey}. */
export class AeadRecordSealer implements RecordSealer {
  readonly #crc32: Crc32
  #key: AeadKey
  #bytes = 0
  /** Sequence number of the last frame sealed under this key, which is also how many there were. */
  #sequence = 0

  constructor(key: AeadKey, crc32: Crc32 = platformCrc32) {
    this.#key = key
    this.#crc32 = crc32
  }

  get frames(): number {
    return this.#sequence
  }

  get bytes(): number {
    return this.#bytes
  }

  seal(type: number, flags: number, plain: Bytes, plainBytes: number, timestamp: number, out: Uint8Array[]): number {
    const length = plainBytes + AEAD_TAG_BYTES
    const size = length + FRAME_OVERHEAD
    this.#sequence += 1
    this.#bytes += size
    if (plainBytes <= SMALL_PLAIN_BYTES) this.#sealSmall(type, flags, plain, length, timestamp, out)
    else this.#sealLarge(type, flags, plain, length, timestamp, out)
    return size
  }

  next(): void {
    this.#key = this.#key.next()
    this.#sequence = 0
    this.#bytes = 0
  }

  /** One buffer: header, ciphertext, tag, CRC. */
  #sealSmall(type: number, flags: number, plain: Bytes, length: number, timestamp: number, out: Uint8Array[]): void {
    const frame = appendOutput(out, length + FRAME_OVERHEAD)
    const end = HEADER_BYTES + length
    writeFrameHeader(frame, 0, flags | FrameFlag.Encrypted, length, type, this.#sequence, timestamp)
    const pieces = this.#key.seal(this.#sequence, frame.subarray(0, HEADER_BYTES), plain)
    let at = HEADER_BYTES
    for (const piece of pieces) {
      frame.set(piece, at)
      at += piece.length
    }
    writeFrameTrailer(frame, end, this.#crc32(frame.subarray(0, end)))
  }

  /** Pieces as the cipher gave them, and two small buffers before and after: nothing large is copied. */
  #sealLarge(type: number, flags: number, plain: Bytes, length: number, timestamp: number, out: Uint8Array[]): void {
    const first = plain instanceof Uint8Array ? plain : (plain[0] as Uint8Array)
    const shared = first.length <= HEAD_PLAIN_BYTES ? first.length : 0
    const head = appendOutput(out, HEADER_BYTES + shared)
    const aad = shared === 0 ? head : head.subarray(0, HEADER_BYTES)
    writeFrameHeader(head, 0, flags | FrameFlag.Encrypted, length, type, this.#sequence, timestamp)
    const pieces = this.#key.seal(this.#sequence, aad, plain)
    // A cipher cuts where it likes: that of Node gives one piece for each of `plain`, libsodium one for all of them
    let next = 0
    for (let filled = 0; filled < shared;) {
      const piece = pieces[next] as Uint8Array
      const part = piece.subarray(0, shared - filled)
      head.set(part, HEADER_BYTES + filled)
      filled += part.length
      if (part.length < piece.length) pieces[next] = piece.subarray(part.length)
      else next++
    }
    const crc32 = this.#crc32
    let crc = crc32(head)
    const last = pieces.length - 1
    for (; next < last; next++) {
      const piece = pieces[next] as Uint8Array
      crc = crc32(piece, crc)
      out.push(piece)
    }
    const tail = appendOutput(out, AEAD_TAG_BYTES + TRAILER_BYTES)
    const tag = pieces[last] as Uint8Array
    tail.set(tag)
    writeFrameTrailer(tail, AEAD_TAG_BYTES, crc32(tag, crc))
  }
}

/** {@link RecordOpener} over any {@link AeadKey}: its nonce comes from its own count, never from the header. */
export class AeadRecordOpener implements RecordOpener {
  #key: AeadKey
  #sequence = 0
  #bytes = 0
  #lastUpdateAt = -Infinity
  #opener: AeadOpener | undefined
  /** Ciphertext of the frame in hand that is still to come, before its tag. */
  #left = 0
  /** Ciphertext that came in small pieces and is not decrypted yet. */
  #gathered: Uint8Array | undefined
  #gatheredBytes = 0
  readonly #tag = new Uint8Array(AEAD_TAG_BYTES)
  #tagBytes = 0

  constructor(key: AeadKey) {
    this.#key = key
  }

  open(header: FrameHeader, headerBytes: Uint8Array, sealed: Uint8Array): Uint8Array {
    this.#accept(header)
    const plain = this.#key.open(this.#sequence, headerBytes, sealed)
    if (plain === undefined) throw forged()
    return plain
  }

  start(header: FrameHeader, headerBytes: Uint8Array): void {
    this.#accept(header)
    this.#opener = this.#key.opener(this.#sequence, headerBytes)
    this.#left = header.length - AEAD_TAG_BYTES
    this.#tagBytes = 0
  }

  update(piece: Uint8Array): void {
    const cipherBytes = Math.min(this.#left, piece.length)
    if (cipherBytes > 0) {
      this.#decrypt(cipherBytes === piece.length ? piece : piece.subarray(0, cipherBytes))
      this.#left -= cipherBytes
    }
    if (cipherBytes < piece.length) {
      this.#tag.set(piece.subarray(cipherBytes), this.#tagBytes)
      this.#tagBytes += piece.length - cipherBytes
    }
  }

  finish(): readonly Uint8Array[] {
    this.#flush()
    const plain = this.#opener?.finish(this.#tag)
    this.#opener = undefined
    if (plain === undefined) throw forged()
    return plain
  }

  next(now: Millis): void {
    if (this.#sequence < MIN_KEY_FRAMES && now - this.#lastUpdateAt < MIN_KEY_MS)
      throw new HtxSessionError('KEY_LIMIT', `the key was changed twice within ${this.#sequence} frames`)
    this.#key = this.#key.next()
    this.#sequence = 0
    this.#bytes = 0
    this.#lastUpdateAt = now
  }

  #decrypt(piece: Uint8Array): void {
    if (this.#gatheredBytes + piece.length > GATHER_BYTES) this.#flush()
    if (piece.length >= GATHER_BYTES) {
      this.#opener?.update(piece)
      return
    }
    this.#gathered ??= new Uint8Array(GATHER_BYTES)
    this.#gathered.set(piece, this.#gatheredBytes)
    this.#gatheredBytes += piece.length
  }

  #flush(): void {
    if (this.#gatheredBytes > 0) this.#opener?.update((this.#gathered as Uint8Array).subarray(0, this.#gatheredBytes))
    this.#gatheredBytes = 0
  }

  /** All that can be known before the tag. */
  #accept(header: FrameHeader): void {
    if ((header.flags & FrameFlag.Encrypted) === 0)
      throw new HtxSessionError('PLAINTEXT_FRAME', `an unsealed frame of type ${header.type} after the handshake`)
    if (header.length < AEAD_TAG_BYTES)
      throw new HtxSessionError('MALFORMED', `a sealed frame of ${header.length} bytes has no room for its tag`)
    if (header.sequence !== this.#sequence + 1)
      throw new HtxSessionError('REPLAY', `sequence ${header.sequence} instead of ${this.#sequence + 1}`)
    this.#sequence += 1
    this.#bytes += header.length + FRAME_OVERHEAD
    if (this.#sequence > MAX_KEY_FRAMES + KEY_FRAMES_SLACK || this.#bytes > MAX_KEY_BYTES + KEY_BYTES_SLACK)
      throw new HtxSessionError('KEY_LIMIT', `${this.#sequence} frames, ${this.#bytes} bytes under one key`)
  }
}

function forged(): HtxSessionError {
  return new HtxSessionError('FORGED', 'the tag of a frame is wrong')
}
