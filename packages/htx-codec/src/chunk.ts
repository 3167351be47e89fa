import { type Bytes, byteLength, readVarint, varintLength, writeVarint } from '@aiv/transport-api'
import { ChunkError } from './errors.js'

/*
 * Payload of a DATA frame (docs/wire/htx-frame.md): chunks, one after another. Varints are those of RFC 9000 section 16.
 *
 *   varint  message number × 2 + final    numbers rise by one per sender, from 1; 0 is padding, which is always final
 *   varint  length                        of the bytes that follow
 *   varint  total length                  only where a message opens that is not complete in this chunk; above `length`
 *   bytes
 */

/** Most bytes that a chunk's head takes: three varints. */
export const MAX_CHUNK_HEADER_BYTES = 24
/** Message numbers stay below 2^52, so that number × 2 + final is a safe integer. */
export const MAX_MESSAGE_NUMBER = 2 ** 52 - 1
/** The number that padding goes under. */
export const PADDING_NUMBER = 0

/** What stands before the bytes of a chunk. */
export interface ChunkHead {
  /** 1 to {@link MAX_MESSAGE_NUMBER}, or 0 for padding. */
  readonly number: number
  /** The message, or the padding, ends with this chunk. */
  readonly final: boolean
  /** Bytes in this chunk. Zero only in a final one. */
  readonly length: number
  /** Bytes in the whole message: given where a message opens that is not complete in this chunk, and nowhere else. */
  readonly total?: number | undefined
}

/** Bytes that {@link writeChunkHeader} will use. */
export function chunkHeaderLength(head: ChunkHead): number {
  const both = varintLength(head.number * 2) + varintLength(head.length)
  return head.total === undefined ? both : both + varintLength(head.total)
}

/**
 * Writes the head of a chunk at `offset` and returns the offset after it, where its bytes go. What the peer would
 * refuse (see {@link readChunks}) is the caller's to avoid.
 * @throws ArgumentError when a value is no integer within its range.
 */
export function writeChunkHeader(target: Uint8Array, offset: number, head: ChunkHead): number {
  let at = writeVarint(target, offset, head.number * 2 + (head.final ? 1 : 0))
  at = writeVarint(target, at, head.length)
  return head.total === undefined ? at : writeVarint(target, at, head.total)
}

/**
 * Whole messages that follow one another, each in one chunk: what small messages come as. They are read in one loop,
 * without a call for each, as long as nothing about them is out of the ordinary.
 */
export interface MessageRun {
  /** The number that the next message has to have, of one that none of which came before. */
  next: number
  /** Bytes that may come, each message with {@link costBytes} more. */
  leftBytes: number
  readonly maxMessageBytes: number
  readonly costBytes: number
  /** Where they go, as views. */
  readonly messages: Uint8Array[]
}

/** Where {@link readChunks} puts what it finds. */
export interface ChunkSink {
  /**
   * Asked where a whole message lies. This one and those behind it that keep to what it says go there; all else, with its
   * faults, goes the way of single chunks. A sink without it gets only those.
   */
  beginRun?(): MessageRun
  /** Follows {@link beginRun}, with what the run has become; perhaps nothing. */
  endRun?(run: MessageRun): void
  /** Whether chunks of this message came before, and its final one did not: then no total length stands in the head. */
  isOpen(number: number): boolean
  /** A whole message in one chunk that no run took, lying in one piece at `bytes[start, end)`. */
  onMessage(number: number, bytes: Uint8Array, start: number, end: number): void
  /**
   * The head of any other chunk. `total` is the length of the whole message where one opens here (equal to `length` when
   * it also ends here), and `undefined` where one goes on.
   */
  onChunkStart(number: number, final: boolean, length: number, total: number | undefined): void
  /** Its bytes in order, as views; none when it is empty. */
  onChunkBytes(bytes: Uint8Array): void
  onChunkEnd(): void
  /** Padding of so many bytes, which are skipped. It counts against flow control as any chunk. */
  onPadding(length: number): void
}

/**
 * Reads the chunks of one DATA payload, which may lie in several pieces split anywhere. Nothing is copied and nothing
 * kept between calls.
 *
 * Whatever is handed to `sink` lies whole within the payload. Whether a number may open, whether the chunks of a message
 * add up to its total, and what it may cost is the sink's to judge; what it throws leaves this function at once.
 *
 * @throws ChunkError CHUNK_MALFORMED, after the chunks before the fault were delivered: a head or a chunk that goes
 * beyond the payload, an empty chunk that is not final, padding that is not final, a total that is not above the length
 * of its first chunk, or a number above 2^53 − 1.
 */
export function readChunks(payload: Bytes, sink: ChunkSink): void {
  let start = 0
  if (payload instanceof Uint8Array) {
    start = runOf(payload, 0, sink)
    if (start === payload.length) return
  }
  const cursor = spare ?? new PieceCursor()
  spare = undefined
  try {
    cursor.open(payload, start)
    while (cursor.left > 0) readChunk(cursor, sink)
  } finally {
    cursor.close()
    spare = cursor
  }
}

function runOf(bytes: Uint8Array, start: number, sink: ChunkSink): number {
  const run = sink.beginRun?.()
  if (run === undefined) return start
  const end = readRun(bytes, start, run)
  sink.endRun?.(run)
  return end
}

/** Returns the offset of the first chunk that is not for the run, or the end. */
function readRun(bytes: Uint8Array, start: number, run: MessageRun): number {
  const { messages, maxMessageBytes, costBytes } = run
  // not bytes.subarray(): on a Buffer that costs twice as much, and would hand a Buffer to the application
  const { buffer, byteOffset, length: end } = bytes
  let { next, leftBytes } = run
  let begin = start
  while (begin < end) {
    if (readVarint(bytes, begin) !== next * 2 + 1) break
    let at = begin + (1 << ((bytes[begin] as number) >>> 6))
    const length = readVarint(bytes, at)
    if (length < 0) break
    at += 1 << ((bytes[at] as number) >>> 6)
    if (length > maxMessageBytes || length + costBytes > leftBytes || at + length > end) break
    messages.push(new Uint8Array(buffer, byteOffset + at, length))
    leftBytes -= length + costBytes
    next += 1
    begin = at + length
  }
  run.next = next
  run.leftBytes = leftBytes
  return begin
}

/** One chunk, or a run that begins with it. */
function readChunk(cursor: PieceCursor, sink: ChunkSink): void {
  const head = cursor.head()
  const headAt = head === cursor.piece ? cursor.offset : 0
  let at = headAt
  const key = readVarint(head, at)
  if (key < 0) throw cutOff()
  at += 1 << ((head[at] as number) >>> 6)
  const length = readVarint(head, at)
  if (length < 0) throw cutOff()
  at += 1 << ((head[at] as number) >>> 6)
  const final = key % 2 === 1
  const number = (key - (final ? 1 : 0)) / 2
  if (!final && (length === 0 || number === PADDING_NUMBER)) throw neverEnds(number)
  const open = number !== PADDING_NUMBER && sink.isOpen(number)
  let total: number | undefined = open ? undefined : length
  if (!final && !open) {
    total = readVarint(head, at)
    if (total < 0) throw cutOff()
    if (total <= length) throw totalTooSmall()
    at += 1 << ((head[at] as number) >>> 6)
  }
  const headBytes = at - headAt
  if (headBytes + length > cursor.left) throw cutOff()
  const whole = final && !open && number !== PADDING_NUMBER
  if (whole && headBytes + length <= cursor.leftInPiece) {
    const behind = runOf(cursor.piece, cursor.offset, sink)
    if (behind > cursor.offset) return cursor.skip(behind - cursor.offset)
  }
  cursor.skip(headBytes)
  if (number === PADDING_NUMBER) {
    sink.onPadding(length)
    cursor.skip(length)
  } else if (whole && length <= cursor.leftInPiece) {
    sink.onMessage(number, cursor.piece, cursor.offset, cursor.offset + length)
    cursor.skip(length)
  } else {
    sink.onChunkStart(number, final, length, total)
    cursor.take(length, sink)
    sink.onChunkEnd()
  }
}

const NOTHING = new Uint8Array(0)
/** Where the head of a chunk is gathered that crosses a border; it is read before the sink is told of the chunk. */
const gathered = new Uint8Array(MAX_CHUNK_HEADER_BYTES)

const NO_PIECES: readonly Uint8Array[] = []

/** A place in a run of bytes that lies in several pieces. */
class PieceCursor {
  #pieces = NO_PIECES
  #index = -1
  /** The piece that the next byte is in, and where. */
  piece: Uint8Array = NOTHING
  offset = 0
  /** Bytes up to the end of the last piece. */
  left = 0

  open(bytes: Bytes, start: number): void {
    this.#pieces = bytes instanceof Uint8Array ? [bytes] : bytes
    this.left = byteLength(bytes)
    this.skip(start)
  }

  /** Lets go of the bytes, wherever it stands. */
  close(): void {
    this.#pieces = NO_PIECES
    this.#index = -1
    this.piece = NOTHING
    this.offset = 0
    this.left = 0
  }

  get leftInPiece(): number {
    return this.piece.length - this.offset
  }

  /** The bytes that the next head is in: the piece, where it cannot go beyond its end, or a copy that begins with it. */
  head(): Uint8Array {
    const wanted = Math.min(MAX_CHUNK_HEADER_BYTES, this.left)
    if (this.leftInPiece >= wanted) return this.piece
    let filled = 0
    let from = this.offset
    for (let i = this.#index; filled < wanted; i++) {
      const part = (this.#pieces[i] as Uint8Array).subarray(from, from + wanted - filled)
      gathered.set(part, filled)
      filled += part.length
      from = 0
    }
    return gathered.subarray(0, wanted)
  }

  /** Hands the next `count` bytes to the sink, in as many views as needed. */
  take(count: number, sink: ChunkSink): void {
    for (let wanted = count; wanted > 0;) {
      const size = Math.min(wanted, this.leftInPiece)
      const view = this.piece.subarray(this.offset, this.offset + size)
      this.skip(size)
      wanted -= size
      sink.onChunkBytes(view)
    }
  }

  skip(count: number): void {
    this.offset += count
    this.left -= count
    this.#settle()
  }

  /** Moves on to the piece that the next byte is in. */
  #settle(): void {
    while (this.offset >= this.piece.length && this.#index < this.#pieces.length - 1) {
      this.offset -= this.piece.length
      this.#index += 1
      this.piece = this.#pieces[this.#index] as Uint8Array
    }
  }
}

/** The one that is used again: see docs/decisions/0146-one-of-them-stays-alive.md. */
let spare: PieceCursor | undefined

function cutOff(): ChunkError {
  return new ChunkError('a chunk goes beyond its frame')
}

function neverEnds(number: number): ChunkError {
  return new ChunkError(number === PADDING_NUMBER ? 'padding that is not final' : 'an empty chunk that is not final')
}

function totalTooSmall(): ChunkError {
  return new ChunkError('the total length of a message is not above that of its first chunk')
}
