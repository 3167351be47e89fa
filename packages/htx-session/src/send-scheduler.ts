import { MAX_CHUNK_HEADER_BYTES } from '@aiv/htx-codec'
import { type Millis, Priority, priorities, readVarint, varintLength, writeVarint } from '@aiv/transport-api'
import { KEY_BYTES, LAST_BATCHED_NUMBER, MessageBatch, writeBatchKey } from './message-batch.js'
import { CHUNK_COST_BYTES, type SendCredit } from './flow-control.js'
import { EMERGENCY_PLACES, MAX_UNFINISHED_BYTES, MAX_UNFINISHED_MESSAGES } from './message-assembler.js'
import { LARGEST_FRAME_BYTES } from './options.js'
import { OutgoingMessage, type SendQueues } from './send-queues.js'

/** Chunks up to this size are copied together, larger ones go to the cipher where they lie. */
const COPIED_BYTES = 16 * 1024
/** A message up to this size is not cut in two to fill a frame: the other side would have to put it together. */
const UNCUT_BYTES = 16 * 1024
/** A batch that does not fit waits for the next frame where less than this is left: a piece more costs more than that. */
const MIN_BATCH_PART_BYTES = 4 * 1024
/** Less than this is not worth a chunk of its own while more is to come. */
const MIN_CHUNK_BYTES = 512
/** With less credit than this a message that needs more waits for it. */
const MIN_CREDIT_BYTES = 1_200
/** Bytes of unfinished messages that are left for emergency ones. */
const EMERGENCY_UNFINISHED_BYTES = 4 * 1024 * 1024
/**
 * A message that was begun and then overtaken for so long gets a share, since the other side closes on a message that
 * does not move (4 KiB/s over 30 s; this is twice as much).
 */
const STARVED_MS = 5_000
const STARVED_SHARE_BYTES = 40 * 1024

/*
 * Chunk heads and small messages are laid out here before they are sealed. One for all sessions, because sealing is over
 * when the call returns, and because ten thousand idle sessions would otherwise hold one each.
 */
let scratch: Uint8Array | undefined

/** What goes into one frame; valid until the next one is filled. */
export interface FramePlan {
  /** To be sealed before the next frame is filled: parts lie in a shared buffer. */
  readonly pieces: readonly Uint8Array[]
  /** Of all pieces together. */
  readonly bytes: number
  /** Without chunk heads. */
  readonly messageBytes: number
  readonly chunks: number
}

/** Messages of a batch that go into one frame: where the last of them ends, how many, and their bytes without heads. */
interface BatchPart {
  end: number
  messages: number
  bytes: number
}

/**
 * Decides which chunk goes next: strictly by priority, messages of one priority one after another, small ones together.
 * A lower priority goes on only where a higher one has nothing to send. Keeps to credit and to the limits on unfinished
 * messages, which the other side enforces.
 */
export class SendScheduler {
  readonly #queues: SendQueues
  readonly #credit: SendCredit
  readonly #pieces: Uint8Array[] = []
  readonly #plan = { pieces: this.#pieces, bytes: 0, messageBytes: 0, chunks: 0 }
  readonly #part: BatchPart = { end: 0, messages: 0, bytes: 0 }
  /** Batches that are all in the plan in hand. */
  readonly #spent: MessageBatch[] = []
  #nextNumber = 1
  #unfinished = 0
  #unfinishedBytes = 0
  /** The priority that gets its share out of turn, and what is left of it. */
  #starved: Priority | undefined
  #starvedBytes = 0
  // the frame in hand
  #scratch: Uint8Array = new Uint8Array(0)
  #at = 0
  #pieceStart = 0
  #left = 0
  #room = 0

  constructor(queues: SendQueues, credit: SendCredit) {
    this.#queues = queues
    this.#credit = credit
  }

  /**
   * The content of one frame, or `undefined` when there is nothing to send or nothing may be sent.
   * @param maxBytes - of payload before sealing, at most {@link LARGEST_FRAME_BYTES}.
   * @param room - message bytes that may still be put in flight; emergency messages do not ask for it.
   */
  fill(now: Millis, maxBytes: number, room: number): FramePlan | undefined {
    this.release()
    if (this.#queues.messages === 0) return undefined
    this.#scratch = scratch ??= new Uint8Array(LARGEST_FRAME_BYTES + MAX_CHUNK_HEADER_BYTES)
    this.#at = 0
    this.#pieceStart = 0
    this.#left = maxBytes
    this.#room = room
    this.#pieces.length = 0
    const plan = this.#plan
    plan.bytes = plan.messageBytes = plan.chunks = 0
    if (this.#nextNumber > LAST_BATCHED_NUMBER) this.#queues.endBatching()
    if (this.#unfinished > 0) this.#serveStarved(now)
    for (let priority: number = Priority.Emergency; priority <= Priority.Low; priority++)
      if (this.#queues.has(priority as Priority) && !this.#serve(now, priority as Priority)) break
    if (plan.chunks === 0) return undefined
    this.#endPiece()
    plan.bytes = maxBytes - this.#left
    return plan
  }

  /** The last plan is sealed: what it referred to may be used again. */
  release(): void {
    for (let batch; (batch = this.#spent.pop()) !== undefined;) batch.recycle()
  }

  /** Takes from one priority what fits. False: nothing of a lower one may follow. */
  #serve(now: Millis, priority: Priority): boolean {
    for (let message; (message = this.#queues.peek(now, priority)) !== undefined;) {
      const taken =
        message instanceof MessageBatch ? this.#addBatch(message, priority) : this.#addChunk(now, message, priority)
      if (taken === 'blocked') return true
      if (taken === 'stop') return false
    }
    return true
  }

  /** As many messages of a batch as fit, where they lie. `stop`: not all of them. */
  #addBatch(batch: MessageBatch, priority: Priority): 'added' | 'stop' {
    const urgent = priority === Priority.Emergency
    if (this.#room <= 0 && !urgent) return 'stop'
    const credit = this.#credit.available(urgent)
    const { start, end, messages, messageBytes } = batch
    const right = batch.number === this.#nextNumber
    const fits = end - start <= this.#left
    if (right && fits && messageBytes + (messages - 1) * CHUNK_COST_BYTES <= credit) {
      this.#takeFromBatch(batch, priority, end, messages, messageBytes)
      this.#spent.push(batch)
      return 'added'
    }
    if (!fits && this.#left < MIN_BATCH_PART_BYTES && this.#plan.chunks > 0) return 'stop'
    const { slab } = batch
    const part = this.#part
    measurePart(part, slab, start, Math.min(end, start + this.#left), credit)
    if (!right) renumber(slab, start, part.end, this.#nextNumber)
    if (part.messages > 0) this.#takeFromBatch(batch, priority, part.end, part.messages, part.bytes)
    if (part.end < end) return 'stop'
    this.#spent.push(batch)
    return 'added'
  }

  #takeFromBatch(batch: MessageBatch, priority: Priority, end: number, messages: number, bytes: number): void {
    const { start } = batch
    this.#endPiece()
    this.#pieces.push(batch.slab.subarray(start, end))
    batch.start = end
    batch.messages -= messages
    batch.taken += messages
    batch.messageBytes -= bytes
    // what stays has the numbers that follow, or none that are right
    batch.number = batch.number === this.#nextNumber ? batch.number + messages : 0
    this.#nextNumber += messages
    this.#left -= end - start
    this.#room -= bytes
    this.#credit.use(bytes, messages)
    this.#plan.messageBytes += bytes
    this.#plan.chunks += messages
    this.#queues.movedFromBatch(batch, messages, bytes, priority)
  }

  /** `blocked`: this message has to wait, others need not. `stop`: the frame, the credit or the link is full. */
  #addChunk(now: Millis, message: OutgoingMessage, priority: Priority): 'added' | 'blocked' | 'stop' {
    const remaining = message.length - message.offset
    const credit = this.#credit.available(priority === Priority.Emergency)
    if (credit < remaining && credit < MIN_CREDIT_BYTES) return 'stop'
    if (this.#room <= 0 && remaining > 0 && priority !== Priority.Emergency) return 'stop'
    const opens = message.number === 0
    const number = opens ? this.#nextNumber : message.number
    const numberBytes = varintLength(number * 2)
    let size = remaining
    let total: number | undefined
    const final = remaining <= credit && numberBytes + varintLength(remaining) + remaining <= this.#left
    if (!final) {
      const empty = this.#plan.chunks === 0
      if (!empty && opens && remaining <= UNCUT_BYTES && remaining <= credit) return 'stop'
      if (opens && !this.#mayOpen(message.length, priority)) return 'blocked'
      total = opens ? message.length : undefined
      const headBytes = numberBytes + 4 + (opens ? varintLength(message.length) : 0)
      size = Math.min(this.#left - headBytes, credit)
      if (size < MIN_CHUNK_BYTES && !empty) return 'stop'
    }
    this.#write(message, number, final, size, total)
    if (opens) {
      message.number = number
      this.#nextNumber += 1
    }
    if (opens !== final) this.#countUnfinished(opens ? 1 : -1, message.length)
    message.movedAt = now
    this.#credit.use(size)
    this.#room -= size
    this.#plan.messageBytes += size
    this.#plan.chunks += 1
    if (final) this.#queues.finished(size, priority)
    else this.#queues.moved(size, priority)
    return 'added'
  }

  #write(message: OutgoingMessage, number: number, final: boolean, size: number, total: number | undefined): void {
    const start = this.#at
    // the head of a chunk as writeChunkHeader() lays it out, without an object for it
    this.#at = writeVarint(this.#scratch, start, number * 2 + (final ? 1 : 0))
    this.#at = writeVarint(this.#scratch, this.#at, size)
    if (total !== undefined) this.#at = writeVarint(this.#scratch, this.#at, total)
    this.#left -= this.#at - start + size
    if (size <= COPIED_BYTES) message.advance(size, this.#copy)
    else {
      this.#endPiece()
      message.advance(size, this.#refer)
    }
  }

  readonly #copy = (view: Uint8Array): void => {
    this.#scratch.set(view, this.#at)
    this.#at += view.length
  }

  readonly #refer = (view: Uint8Array): void => {
    this.#pieces.push(view)
  }

  /** What was laid out since the last piece becomes one. */
  #endPiece(): void {
    if (this.#at > this.#pieceStart) this.#pieces.push(this.#scratch.subarray(this.#pieceStart, this.#at))
    this.#pieceStart = this.#at
  }

  #mayOpen(length: number, priority: Priority): boolean {
    if (this.#unfinished === 0) return true
    const urgent = priority === Priority.Emergency
    const places = MAX_UNFINISHED_MESSAGES - (urgent ? 0 : EMERGENCY_PLACES)
    const bytes = MAX_UNFINISHED_BYTES - (urgent ? 0 : EMERGENCY_UNFINISHED_BYTES)
    return this.#unfinished < places && this.#unfinishedBytes + length <= bytes
  }

  #countUnfinished(sign: 1 | -1, length: number): void {
    this.#unfinished += sign
    this.#unfinishedBytes += sign * length
  }

  /** A message that was begun and has not moved for long comes before all others for a while. */
  #serveStarved(now: Millis): void {
    if (this.#starved === undefined) {
      for (const priority of priorities) {
        const message = this.#queues.peek(now, priority)
        if (message instanceof OutgoingMessage && message.number !== 0 && now - message.movedAt >= STARVED_MS) {
          this.#starved = priority
          this.#starvedBytes = STARVED_SHARE_BYTES
        }
      }
    }
    if (this.#starved === undefined) return
    const priority = this.#starved
    const message = this.#queues.peek(now, priority)
    if (!(message instanceof OutgoingMessage) || message.number === 0 || this.#starvedBytes <= 0) {
      this.#starved = undefined
      return
    }
    const before = message.offset
    this.#addChunk(now, message, priority)
    this.#starvedBytes -= message.offset - before
  }
}

/**
 * What of the chunks from `start` on fits before `limit` and into the credit. A loop over messages in a function of its
 * own: it is hot after a few frames, and what it is part of would be compiled with it
 * (docs/decisions/0136-hot-code-in-few-pieces.md).
 */
function measurePart(part: BatchPart, slab: Uint8Array, start: number, limit: number, credit: number): void {
  let at = start
  let messages = 0
  let bytes = 0
  while (at < limit) {
    const length = readVarint(slab, at + KEY_BYTES)
    const next = at + KEY_BYTES + varintLength(length) + length
    if (next > limit || bytes + messages * CHUNK_COST_BYTES + length > credit) break
    messages += 1
    bytes += length
    at = next
  }
  part.end = at
  part.messages = messages
  part.bytes = bytes
}

/** Writes the numbers of the chunks in `slab[start, end)` again: the first one gets `number`. */
function renumber(slab: Uint8Array, start: number, end: number, number: number): void {
  let next = number
  for (let at = start; at < end; next++) {
    writeBatchKey(slab, at, next)
    const length = readVarint(slab, at + KEY_BYTES)
    at += KEY_BYTES + varintLength(length) + length
  }
}
