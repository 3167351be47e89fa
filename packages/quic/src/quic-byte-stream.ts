import {
  ArgumentError,
  type ByteStream,
  type ByteStreamHandler,
  type Bytes,
  type Priority,
  byteLength,
} from '@aiv/transport-api'
import type { QuicStreams } from './quic-engine.js'

/** What waits in a stream before `write` says false. */
const HIGH_WATER_BYTES = 256 * 1024
const READ_BYTES = 65_536
/** Sent with the end of a stream that nobody here takes. */
export const STREAM_REFUSED = 1

export interface ByteStreamOwner {
  readonly streams: QuicStreams
  /** Has {@link QuicByteStream.pump} and {@link QuicByteStream.read} called soon. */
  wake(stream: QuicByteStream): void
  forget(stream: QuicByteStream): void
}

/** A bidirectional stream. The one that opens it sends its priority as the first byte. docs/wire/quic.md */
export class QuicByteStream implements ByteStream {
  readonly id: number
  readonly #owner: ByteStreamOwner
  #handler: ByteStreamHandler | undefined
  /** Known at once to the side that opens it, and after the first byte to the other. */
  #priority: Priority | undefined
  #pieces: Uint8Array[] = []
  #queued = 0
  #ending = false
  #writeOver = false
  #readOver = false
  #blocked = false
  #paused = false

  constructor(id: number, owner: ByteStreamOwner, opened: Priority | undefined) {
    this.id = id
    this.#owner = owner
    if (opened === undefined) return
    this.#setPriority(opened)
    this.#pieces.push(Uint8Array.of(opened))
    this.#queued = 1
  }

  get isOver(): boolean {
    return this.#writeOver && this.#readOver
  }

  /** All that was written is with the engine. */
  get isFlushed(): boolean {
    return this.#queued === 0 && (!this.#ending || this.#writeOver)
  }

  /** True once the priority is known: the stream can be shown to its owner. */
  get isOpen(): boolean {
    return this.#priority !== undefined
  }

  get hasHandler(): boolean {
    return this.#handler !== undefined
  }

  attach(handler: ByteStreamHandler): void {
    if (this.#handler !== undefined) throw new ArgumentError('a stream takes one handler')
    this.#handler = handler
    this.#owner.wake(this)
  }

  write(bytes: Bytes, options: { readonly end: boolean } = { end: false }): boolean {
    if (this.#ending || this.#writeOver) return false
    for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) if (piece.length > 0) this.#pieces.push(piece)
    this.#queued += byteLength(bytes)
    this.#ending = options.end
    this.#owner.wake(this)
    if (this.#queued <= HIGH_WATER_BYTES) return true
    this.#blocked = true
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#owner.wake(this)
  }

  reset(code: number): void {
    const { streams } = this.#owner
    if (!this.#writeOver) streams.reset(this.id, code)
    if (!this.#readOver) streams.stopReading(this.id, code)
    this.end()
    this.#owner.forget(this)
    this.#owner.wake(this)
  }

  /** True when the engine took anything. */
  pump(): boolean {
    const { streams } = this.#owner
    let wrote = false
    while (!this.#writeOver && (this.#pieces.length > 0 || this.#ending)) {
      const [piece = new Uint8Array(0)] = this.#pieces
      const last = this.#ending && this.#pieces.length <= 1
      const taken = streams.write(this.id, piece, last)
      if (taken < 0) this.#stopWriting()
      else {
        wrote ||= taken > 0
        this.#queued -= taken
        if (taken < piece.length) {
          this.#pieces[0] = piece.subarray(taken)
          break
        }
        this.#pieces.shift()
        if (last) this.#writeOver = true
      }
    }
    if (this.#blocked && this.#queued <= HIGH_WATER_BYTES / 2) {
      this.#blocked = false
      this.#handler?.onDrain()
    }
    if (this.isOver) this.#owner.forget(this)
    return wrote
  }

  read(): void {
    const { streams } = this.#owner
    while (!this.#readOver && (this.#priority === undefined || (this.#handler !== undefined && !this.#paused))) {
      const into = new Uint8Array(this.#priority === undefined ? 1 : READ_BYTES)
      const { length, end, code } = streams.read(this.id, into)
      if (length < 0) {
        this.#readOver = true
        this.#handler?.onReset(code)
      } else if (length > 0 && this.#priority === undefined) {
        this.#setPriority(Math.min(into[0] as number, 3) as Priority)
        if (end) this.#readOver = true
        // Its owner sees it before anything of it is read
        return
      } else if (length > 0) {
        // What is kept must not hold 64 KiB for a few bytes
        this.#handler?.onData(length < READ_BYTES / 2 ? into.slice(0, length) : into.subarray(0, length))
      }
      if (end && !this.#readOver) {
        this.#readOver = true
        this.#handler?.onEnd()
      }
      if (length <= 0) break
    }
    if (this.isOver) this.#owner.forget(this)
  }

  /** The connection is over, or the stream was reset: nothing more is read or written. */
  end(): void {
    this.#writeOver = true
    this.#readOver = true
    this.#pieces = []
    this.#queued = 0
  }

  #setPriority(priority: Priority): void {
    this.#priority = priority
    // Streams of one priority share what there is; packets of that priority come first
    this.#owner.streams.prioritise(this.id, priority, true)
  }

  #stopWriting(): void {
    this.#writeOver = true
    this.#pieces = []
    this.#queued = 0
  }
}
