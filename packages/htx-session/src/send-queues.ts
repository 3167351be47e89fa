import { type Bytes, type Millis, type PerPriority, type Priority, priorities } from '@aiv/transport-api'
import { Fifo } from './fifo.js'
import { BATCHED_MESSAGE_BYTES, KEY_BYTES, MessageBatch, SLAB_BYTES, writeBatchKey } from './message-batch.js'

/** What a queued message is counted for beside its bytes, so that empty ones are bounded as well. */
export const QUEUED_MESSAGE_BYTES = 64
/** Expired messages deep in a queue are looked for no more often than this. */
const SWEEP_MS = 20

/** A message on its way out: one small object, whatever its size. */
export class OutgoingMessage {
  readonly bytes: Bytes
  readonly length: number
  readonly tag: number | undefined
  readonly expiresAt: Millis
  /** 0 until its first chunk is made. */
  number: number
  /** Bytes that are in chunks already. */
  offset: number
  /** When the last of them was made. */
  movedAt: Millis
  // where `offset` is, when the message is in pieces; not private, as private fields cost at every construction
  piece: number
  pieceOffset: number

  constructor(bytes: Bytes, length: number, tag: number | undefined, expiresAt: Millis) {
    this.bytes = bytes
    this.length = length
    this.tag = tag
    this.expiresAt = expiresAt
    this.number = 0
    this.offset = 0
    this.movedAt = 0
    this.piece = 0
    this.pieceOffset = 0
  }

  /** Hands the next `count` bytes to `take`, in views, and moves on. */
  advance(count: number, take: (view: Uint8Array) => void): void {
    if (this.bytes instanceof Uint8Array) {
      take(count === this.length ? this.bytes : this.bytes.subarray(this.offset, this.offset + count))
    } else {
      for (let left = count; left > 0;) {
        const piece = this.bytes[this.piece] as Uint8Array
        const size = Math.min(left, piece.length - this.pieceOffset)
        if (size > 0) take(piece.subarray(this.pieceOffset, this.pieceOffset + size))
        left -= size
        this.pieceOffset += size
        if (this.pieceOffset === piece.length) {
          this.piece += 1
          this.pieceOffset = 0
        }
      }
    }
    this.offset += count
  }
}

/** What happens to tagged messages. */
export interface SendObserver {
  onSent(tag: number): void
  onDropped(tag: number, code: string): void
}

/** One queue per priority, each with a bound of its own. */
export class SendQueues {
  readonly #maxQueuedBytes: number
  readonly #observer: SendObserver
  readonly #queues: PerPriority<Fifo<OutgoingMessage | MessageBatch>> = [new Fifo(), new Fifo(), new Fifo(), new Fifo()]
  readonly #bytes: [number, number, number, number] = [0, 0, 0, 0]
  readonly #refused: [boolean, boolean, boolean, boolean] = [false, false, false, false]
  #anyRefused = false
  /** No queued message expires before this. */
  #expiresAt: Millis = Infinity
  #sweptAt: Millis = -Infinity
  #messages = 0
  /** Messages that were taken and not dropped before they had a number: the next one's, if none overtakes another. */
  #numbers = 0
  #batching = true

  constructor(maxQueuedBytes: number, observer: SendObserver) {
    this.#maxQueuedBytes = maxQueuedBytes
    this.#observer = observer
  }

  /** Messages of all priorities. */
  get messages(): number {
    return this.#messages
  }

  /** Of all priorities, with what each message is counted for. */
  get bytes(): number {
    const [emergency, high, normal, low] = this.#bytes
    return emergency + high + normal + low
  }

  has(priority: Priority): boolean {
    return this.#queues[priority].length > 0
  }

  get queuedBytes(): PerPriority<number> {
    return [...this.#bytes]
  }

  /**
   * False, and the message is not taken, when its priority has no room: say so with {@link refused}.
   *
   * A small message is written to the last batch here, and not by a method of that batch: this runs for every message
   * that is sent, and code that is small enough to be inlined is compiled once for each of its callers' callers
   * (docs/decisions/0136-hot-code-in-few-pieces.md).
   */
  push(bytes: Bytes, length: number, priority: Priority, tag: number | undefined, expiresAt: Millis): boolean {
    const cost = length + QUEUED_MESSAGE_BYTES
    const queued = this.#bytes[priority]
    if (queued > 0 && queued + cost > this.#maxQueuedBytes) return false
    this.#bytes[priority] = queued + cost
    this.#messages += 1
    const number = (this.#numbers += 1)
    const queue = this.#queues[priority]
    if (expiresAt < this.#expiresAt) this.#expiresAt = expiresAt
    // a lone message is better off as it is
    if (length > BATCHED_MESSAGE_BYTES || queue.length === 0 || !this.#batching) {
      queue.push(new OutgoingMessage(bytes, length, tag, expiresAt))
      return true
    }
    let batch = queue.last()
    if (!(batch instanceof MessageBatch) || batch.end + KEY_BYTES + 2 + length > SLAB_BYTES) {
      batch = new MessageBatch()
      queue.push(batch)
    }
    const { slab, end } = batch
    writeBatchKey(slab, end, number)
    let at = end + KEY_BYTES
    // a varint, RFC 9000 section 16
    if (length < 0x40) slab[at++] = length
    else {
      slab[at++] = 0x40 | (length >>> 8)
      slab[at++] = length
    }
    batch.end = at + length
    if (bytes instanceof Uint8Array) slab.set(bytes, at)
    else
      for (let i = 0; i < bytes.length; i++) {
        const piece = bytes[i] as Uint8Array
        slab.set(piece, at)
        at += piece.length
      }
    const place = batch.taken + batch.messages
    if (tag !== undefined) (batch.tags ??= [])[place] = tag
    if (expiresAt !== Infinity) {
      ;(batch.deadlines ??= [])[place] = expiresAt
      if (expiresAt < batch.expiresAt) batch.expiresAt = expiresAt
    }
    if (batch.messages === 0) batch.number = number
    else if (batch.number + batch.messages !== number) batch.number = 0
    batch.messages += 1
    batch.messageBytes += length
    return true
  }

  /** {@link push} took nothing: {@link pollDrain} says when this priority has room again. */
  refused(priority: Priority): void {
    this.#refused[priority] = true
    this.#anyRefused = true
  }

  /** No more batches: their messages would get numbers that have no room there. */
  endBatching(): void {
    this.#batching = false
  }

  /** What is next at this priority; messages that expired before their first chunk are dropped on the way. */
  peek(now: Millis, priority: Priority): OutgoingMessage | MessageBatch | undefined {
    const queue = this.#queues[priority]
    for (let message; (message = queue.peek()) !== undefined;) {
      if (message.expiresAt > now) return message
      if (message instanceof MessageBatch) this.#dissolve(now, priority)
      else if (message.number !== 0) return message
      else {
        queue.shift()
        this.#forget(message, priority, 'EXPIRED')
      }
    }
    return undefined
  }

  /** Batches with a message that expired become single ones again, in the same places. */
  #dissolve(now: Millis, priority: Priority): void {
    const queue = this.#queues[priority]
    for (let left = queue.length; left > 0; left--) {
      const message = queue.shift() as OutgoingMessage | MessageBatch
      if (message instanceof MessageBatch && message.expiresAt <= now)
        for (const { bytes, tag, expiresAt } of message.each())
          queue.push(new OutgoingMessage(bytes, bytes.length, tag, expiresAt))
      else queue.push(message)
    }
  }

  /** So many messages of the first batch went into a frame, all of it perhaps. */
  movedFromBatch(batch: MessageBatch, messages: number, bytes: number, priority: Priority): void {
    this.#bytes[priority] -= bytes + messages * QUEUED_MESSAGE_BYTES
    this.#messages -= messages
    const { tags, taken } = batch
    if (tags !== undefined)
      for (let place = taken - messages; place < taken; place++) {
        const tag = tags[place]
        if (tag !== undefined) this.#observer.onSent(tag)
      }
    if (batch.messages === 0) this.#queues[priority].shift()
  }

  /** So many bytes of the first message went into a chunk. */
  moved(bytes: number, priority: Priority): void {
    this.#bytes[priority] -= bytes
  }

  /** The first message is all in chunks, with so many bytes in the last one. */
  finished(bytes: number, priority: Priority): void {
    const message = this.#queues[priority].shift()
    this.#bytes[priority] -= bytes + QUEUED_MESSAGE_BYTES
    this.#messages -= 1
    if (message instanceof OutgoingMessage && message.tag !== undefined) this.#observer.onSent(message.tag)
  }

  /**
   * The lowest priority that, like all above it, has room again after one of them had none; else `undefined`.
   * `emptyOnly`: where nothing was sent half a queue is no room yet, since what was refused may still not fit.
   */
  pollDrain(emptyOnly = false): Priority | undefined {
    if (!this.#anyRefused) return undefined
    let lowest = -1
    let waiting = false
    for (let priority = 0; priority < 4; priority++) {
      const refused = this.#refused[priority as Priority]
      const most = refused ? (emptyOnly ? 0 : this.#maxQueuedBytes / 2) : this.#maxQueuedBytes
      if (this.#bytes[priority as Priority] > most) break
      waiting ||= refused
      if (waiting) lowest = priority
    }
    if (lowest < 0) return undefined
    for (let priority = 0; priority <= lowest; priority++) this.#refused[priority as Priority] = false
    this.#anyRefused = this.#refused.includes(true)
    return lowest as Priority
  }

  /** When {@link dropExpired} has something to do, at the earliest. */
  nextExpiryAt(): Millis {
    return Math.max(this.#expiresAt, this.#sweptAt + SWEEP_MS)
  }

  /** Drops every message that expired before its first chunk, wherever it stands. */
  dropExpired(now: Millis): void {
    this.#sweptAt = now
    let next = Infinity
    for (const priority of priorities) {
      this.#dissolve(now, priority)
      this.#queues[priority].remove((message) => {
        if (message instanceof MessageBatch) {
          next = Math.min(next, message.expiresAt)
          return false
        }
        const expired = message.expiresAt <= now && message.number === 0
        if (expired) this.#forget(message, priority, 'EXPIRED')
        else if (message.number === 0) next = Math.min(next, message.expiresAt)
        return expired
      })
    }
    this.#expiresAt = next
  }

  /** The session is over: nothing of what waits will be sent. */
  dropAll(code: string): void {
    for (const priority of priorities) {
      const queue = this.#queues[priority]
      for (let message; (message = queue.shift()) !== undefined;) {
        if (!(message instanceof MessageBatch)) this.#forget(message, priority, code)
        else {
          for (const { tag } of message.each()) if (tag !== undefined) this.#observer.onDropped(tag, code)
          message.recycle()
        }
      }
      this.#bytes[priority] = 0
    }
    this.#messages = 0
  }

  #forget(message: OutgoingMessage, priority: Priority, code: string): void {
    this.#bytes[priority] -= message.length - message.offset + QUEUED_MESSAGE_BYTES
    this.#messages -= 1
    if (message.number === 0) this.#numbers -= 1
    if (message.tag !== undefined) this.#observer.onDropped(message.tag, code)
  }
}
