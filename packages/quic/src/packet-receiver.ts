import { type Priority, readVarint, varintLengthFrom } from '@aiv/transport-api'
import { EARLY_OPENING_BYTES, hasEarlyMark } from './early-data.js'
import { QuicError } from './errors.js'
import type { QuicStreams } from './quic-engine.js'
import { GATHERED_BYTES, readHead } from './stream-format.js'

/** Read of a stream before it is known whose turn it is: so much is held for one that has to wait. */
const FIRST_READ_BYTES = 256
/** What is set aside at first for a packet whose end is not here; more as it comes. */
const FIRST_PART_BYTES = 65_536

export interface PacketReceiverHandler {
  onPacket(bytes: Uint8Array): void
  /** The first stream opened with the mark of early data. False: stop reading, the connection is being closed. */
  onEarlyOpening(opening: Uint8Array): boolean
  /** Memory for `bytes` more of an unfinished packet; false: there is none. */
  reserve(bytes: number): boolean
  release(bytes: number): void
  /** Nothing more is to be given out now. */
  isStopped(): boolean
}

const NOTHING = new Uint8Array(0)

interface IncomingStream {
  readonly id: number
  /** What was read before its turn; afterwards at most the beginning of a length. */
  held: Uint8Array
  ended: boolean
  priority: Priority
  order: number
  /** The packet that is not complete. */
  part: Uint8Array | undefined
  partLength: number
  filled: number
}

/**
 * Streams of packets into packets, in order per priority: a stream that comes before its turn is left in the engine,
 * but for its first bytes, so that credit for it is withheld. A state machine.
 *
 * @throws QuicError from {@link read} when the other side sends what cannot be; the owner closes the connection.
 */
export class PacketReceiver {
  readonly #handler: PacketReceiverHandler
  readonly #maxPacketBytes: number
  readonly #scratch: Uint8Array
  readonly #streams = new Map<number, IncomingStream>()
  /** By priority: streams whose head is known, by their place. */
  readonly #waiting: readonly Map<number, IncomingStream>[] = [new Map(), new Map(), new Map(), new Map()]
  readonly #turn: [number, number, number, number] = [0, 0, 0, 0]
  #opened = false

  /** @param scratch - at least 64 KiB, used within calls only; may be shared. */
  constructor(handler: PacketReceiverHandler, maxPacketBytes: number, scratch: Uint8Array) {
    this.#handler = handler
    this.#maxPacketBytes = maxPacketBytes
    this.#scratch = scratch
  }

  /** Reads what there is of a stream, and of those whose turn comes by it. */
  read(id: number, streams: QuicStreams): void {
    let stream = this.#streams.get(id)
    if (stream === undefined) {
      stream = {
        id,
        held: NOTHING,
        ended: false,
        priority: 0,
        order: -1,
        part: undefined,
        partLength: 0,
        filled: 0,
      }
      this.#streams.set(id, stream)
    }
    if (stream.order < 0 && !this.#readFirst(stream, streams)) return
    if (stream.order === this.#turn[stream.priority]) this.#take(stream, streams)
  }

  /** Goes on with what was held when {@link PacketReceiverHandler.isStopped} said so. */
  resume(streams: QuicStreams): void {
    if (this.#streams.size === 0) return
    for (const waiting of this.#waiting) {
      for (const stream of waiting.values()) {
        if (stream.order !== this.#turn[stream.priority]) continue
        this.#take(stream, streams)
        break
      }
    }
  }

  /** Gives back what was reserved. */
  close(): void {
    for (const { part } of this.#streams.values()) if (part !== undefined) this.#handler.release(part.length)
    this.#streams.clear()
    for (const waiting of this.#waiting) waiting.clear()
  }

  /** Until the head is known. False: not yet. */
  #readFirst(stream: IncomingStream, streams: QuicStreams): boolean {
    const room = this.#scratch.subarray(0, FIRST_READ_BYTES)
    const { length, end } = streams.read(stream.id, room)
    if (length < 0) throw malformed('a stream of packets was reset')
    if (length === 0 && !end && stream.held.length === 0) {
      // Read to its end a moment ago, when its turn came
      this.#streams.delete(stream.id)
      return false
    }
    const bytes = stream.held.length === 0 ? room.subarray(0, length) : joined(stream.held, room.subarray(0, length))
    stream.ended = end
    let start = 0
    if (hasEarlyMark(bytes)) {
      if (bytes.length < EARLY_OPENING_BYTES) return this.#incomplete(stream, bytes)
      start = EARLY_OPENING_BYTES
    }
    const read = readHead(bytes, start)
    if (read === undefined) return this.#incomplete(stream, bytes)
    if (read === false) throw malformed('a stream opens with no head')
    if (start > 0) {
      if (this.#opened) throw malformed('a second stream opens early data')
      // what TLS did not take comes again in 1-RTT, and then other streams may be before it
      this.#opened = true
      if (!this.#handler.onEarlyOpening(bytes.slice(0, start))) return false
    }
    const { priority, order } = read.head
    const waiting = this.#waiting[priority] as Map<number, IncomingStream>
    if (order < this.#turn[priority] || waiting.has(order)) throw malformed('two streams for one place')
    stream.priority = priority
    stream.order = order
    stream.held = NOTHING
    waiting.set(order, stream)
    const rest = bytes.subarray(read.end)
    if (order === this.#turn[priority]) this.#parse(stream, rest)
    else stream.held = rest.slice()
    return true
  }

  #incomplete(stream: IncomingStream, bytes: Uint8Array): false {
    if (stream.ended) throw malformed('a stream ends within its head')
    stream.held = bytes.slice()
    return false
  }

  /** It is its turn, and that of those that follow once it has ended. */
  #take(first: IncomingStream, streams: QuicStreams): void {
    for (let stream: IncomingStream | undefined = first; stream !== undefined;) {
      if (!this.#drain(stream, streams)) return
      const { priority, order, id }: IncomingStream = stream
      if (stream.part !== undefined || stream.held.length > 0) throw malformed('a stream ends within a packet')
      const waiting = this.#waiting[priority] as Map<number, IncomingStream>
      waiting.delete(order)
      this.#streams.delete(id)
      this.#turn[priority] = order + 1
      stream = waiting.get(order + 1)
    }
  }

  /** True at its end. */
  #drain(stream: IncomingStream, streams: QuicStreams): boolean {
    if (stream.held.length > 0) {
      const held = stream.held
      stream.held = NOTHING
      this.#parse(stream, held)
    }
    while (!stream.ended) {
      if (this.#handler.isStopped()) return false
      const { part, filled } = stream
      const into = part === undefined ? this.#scratch : part.subarray(filled)
      const { length, end } = streams.read(stream.id, into)
      if (length < 0) throw malformed('a stream of packets was reset')
      stream.ended = end
      if (part !== undefined) this.#advance(stream, part, length)
      else if (length > 0) this.#parse(stream, this.#scratch.subarray(0, length))
      if (length < into.length && !end) return false
    }
    return !this.#handler.isStopped() || stream.held.length === 0
  }

  /** Complete packets in `bytes` are given out; what is left over begins a part, or is held. */
  #parse(stream: IncomingStream, bytes: Uint8Array): void {
    if (stream.held.length > 0) {
      bytes = joined(stream.held, bytes)
      stream.held = NOTHING
    }
    for (let at = 0; at < bytes.length;) {
      // What was stopped at is read again from here
      if (this.#handler.isStopped()) {
        stream.held = bytes.slice(at)
        return
      }
      const start = at + varintLengthFrom(bytes[at] as number)
      if (start > bytes.length) {
        stream.held = bytes.slice(at)
        return
      }
      const length = readVarint(bytes, at)
      if (length < 0 || length > this.#maxPacketBytes) {
        throw new QuicError('MESSAGE_TOO_LARGE', `a packet of ${length} bytes, ${this.#maxPacketBytes} are allowed`)
      }
      if (start + length <= bytes.length) {
        this.#handler.onPacket(bytes.slice(start, start + length))
        at = start + length
        continue
      }
      stream.part = this.#allocate(Math.min(length, Math.max(FIRST_PART_BYTES, bytes.length - start)))
      stream.partLength = length
      stream.filled = 0
      stream.part.set(bytes.subarray(start))
      this.#advance(stream, stream.part, bytes.length - start)
      return
    }
  }

  /** More of the incomplete packet is there: give it out, or make room for the rest as it comes. */
  #advance(stream: IncomingStream, part: Uint8Array, bytes: number): void {
    stream.filled += bytes
    if (stream.filled === stream.partLength) {
      stream.part = undefined
      this.#handler.release(part.length)
      this.#handler.onPacket(part)
    } else if (stream.filled === part.length) {
      const larger = this.#allocate(Math.min(stream.partLength, part.length * 4))
      larger.set(part)
      this.#handler.release(part.length)
      stream.part = larger
    }
  }

  #allocate(bytes: number): Uint8Array {
    if (!this.#handler.reserve(bytes)) throw new QuicError('REASSEMBLY_BUSY', 'no memory for unfinished packets')
    return new Uint8Array(bytes)
  }
}

/** Bytes that a receiver's scratch has to have. */
export const SCRATCH_BYTES = GATHERED_BYTES

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

function malformed(message: string): QuicError {
  return new QuicError('MALFORMED', message)
}
