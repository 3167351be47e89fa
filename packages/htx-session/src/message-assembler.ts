import type { ChunkSink, MessageRun } from '@aiv/htx-codec'
import type { Millis } from '@aiv/transport-api'
import { DOUBLE_ZERO } from './double-zero.js'
import { HtxSessionError } from './errors.js'
import { CHUNK_COST_BYTES, type ReceiveCredit } from './flow-control.js'
import type { ReassemblyBudget } from './reassembly-budget.js'

/** Unfinished messages that a session holds at most, and their lengths together. Both sides keep to it. */
export const MAX_UNFINISHED_MESSAGES = 64
export const MAX_UNFINISHED_BYTES = 32 * 1024 * 1024
/** Places among those that a sender leaves for emergency messages. */
export const EMERGENCY_PLACES = 4

interface Unfinished {
  readonly number: number
  readonly bytes: Uint8Array
  filled: number
  /** Where it stood when its progress was looked at last. */
  filledThen: number
  lookedAt: Millis
}

export interface MessageAssemblerOptions {
  readonly maxMessageBytes: number
  readonly minProgressBytesPerSecond: number
  readonly progressWindowMs: number
  readonly budget: ReassemblyBudget
  readonly credit: ReceiveCredit
  /** A whole message; `cost` is the credit that it holds until the application has taken it. */
  readonly deliver: (bytes: Uint8Array, cost: number) => void
  /** Several of them, for all of which `cost` stands. */
  readonly deliverRun: (messages: Uint8Array[], cost: number) => void
}

/**
 * Puts chunks together to messages. What is held is bounded three ways: by credit, by this session's unfinished
 * messages, and by the node's budget. Methods throw HtxSessionError for what the other side did wrong.
 */
export class MessageAssembler implements ChunkSink {
  readonly #options: MessageAssemblerOptions
  readonly #deliver: MessageAssemblerOptions['deliver']
  /**
   * At most {@link MAX_UNFINISHED_MESSAGES}, mostly one. No Map: an outgrown table of a Map refers to the next one, so that
   * one such table that has become old keeps all that follow it, and what is in them, from a collection of young objects.
   */
  readonly #unfinished: Unfinished[] = []
  #reservedBytes = 0
  /** The number that the next new message must have. */
  #next = 1
  #messageBytes = 0
  #now: Millis = DOUBLE_ZERO
  /** When the progress of the oldest unfinished message is looked at, or of one that is finished meanwhile. */
  #checkAt: Millis = Infinity
  #runBytes = 0
  // the chunk in hand, between onChunkStart and onChunkEnd
  #current: Unfinished | undefined
  #currentFinal = false
  /** The chunk in hand is a whole message that only lies in several pieces. */
  #currentWhole = false

  constructor(options: MessageAssemblerOptions) {
    this.#options = options
    this.#deliver = options.deliver
  }

  /** Bytes of messages received, which is what an ACK says; padding does not count. */
  get messageBytes(): number {
    return this.#messageBytes
  }

  get unfinishedMessages(): number {
    return this.#unfinished.length
  }

  /** Called before chunks are read, so that new messages know when they began. */
  setTime(now: Millis): void {
    this.#now = now
  }

  isOpen(number: number): boolean {
    return number < this.#next && this.#find(number) !== undefined
  }

  beginRun(): MessageRun {
    const { maxMessageBytes, credit } = this.#options
    const leftBytes = credit.leftBytes
    this.#runBytes = leftBytes
    return { next: this.#next, leftBytes, maxMessageBytes, costBytes: CHUNK_COST_BYTES, messages: [] }
  }

  endRun({ next, leftBytes, messages }: MessageRun): void {
    if (messages.length === 0) return
    const cost = this.#runBytes - leftBytes
    this.#next = next
    this.#messageBytes += cost - messages.length * CHUNK_COST_BYTES
    this.#options.credit.receiveRun(cost)
    this.#options.deliverRun(messages, cost)
  }

  onMessage(number: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.#begin(number, length)
    this.#take(length)
    // not bytes.subarray(): on a Buffer that costs twice as much, and would hand a Buffer to the application
    const message = new Uint8Array(bytes.buffer, bytes.byteOffset + start, length)
    this.#deliver(message, length + CHUNK_COST_BYTES)
  }

  onChunkStart(number: number, final: boolean, length: number, total: number | undefined): void {
    this.#take(length)
    let message: Unfinished
    if (total === undefined) {
      message = this.#find(number) as Unfinished
    } else {
      this.#begin(number, total)
      if (!final) this.#reserve(total)
      message = { number, bytes: new Uint8Array(total), filled: 0, filledThen: 0, lookedAt: this.#now }
      if (!final) this.#watch(message)
    }
    const after = message.filled + length
    if (final ? after !== message.bytes.length : after >= message.bytes.length)
      throw new HtxSessionError('MALFORMED', 'the chunks of a message do not add up to its length')
    this.#current = message
    this.#currentFinal = final
    this.#currentWhole = final && total !== undefined
    // memory for an unfinished message is reserved as a whole, so that its chunks hold no credit
    if (!this.#currentWhole) this.#options.credit.release(length + CHUNK_COST_BYTES)
  }

  onChunkBytes(bytes: Uint8Array): void {
    const message = this.#current as Unfinished
    message.bytes.set(bytes, message.filled)
    message.filled += bytes.length
  }

  onChunkEnd(): void {
    const message = this.#current as Unfinished
    this.#current = undefined
    if (!this.#currentFinal) return
    if (!this.#currentWhole) {
      this.#forget(message)
      if (this.#unfinished.length === 0) this.#checkAt = Infinity
      this.#release(message.bytes.length)
    }
    this.#deliver(message.bytes, this.#currentWhole ? message.bytes.length + CHUNK_COST_BYTES : 0)
  }

  onPadding(length: number): void {
    if (!this.#options.credit.receive(length)) throw overrun()
    this.#options.credit.release(length + CHUNK_COST_BYTES)
  }

  /** When {@link checkProgress} has to look next; `Infinity`: nothing is unfinished. */
  nextCheckAt(): Millis {
    return this.#checkAt
  }

  /** True when an unfinished message has brought too little since it was looked at last. */
  checkProgress(now: Millis): boolean {
    const { minProgressBytesPerSecond, progressWindowMs } = this.#options
    const wanted = (minProgressBytesPerSecond * progressWindowMs) / 1_000
    this.#checkAt = Infinity
    for (const message of this.#unfinished) {
      if (now >= message.lookedAt + progressWindowMs) {
        if (message.filled - message.filledThen < wanted) return true
        message.filledThen = message.filled
        message.lookedAt = now
      }
      this.#checkAt = Math.min(this.#checkAt, message.lookedAt + progressWindowMs)
    }
    return false
  }

  /** Begins the measurement of progress anew: it was we who held the other side up. */
  forgiveProgress(now: Millis): void {
    for (const message of this.#unfinished) {
      message.filledThen = message.filled
      message.lookedAt = now
    }
  }

  /** Gives everything back; the session is over. */
  clear(): void {
    this.#unfinished.length = 0
    this.#checkAt = Infinity
    this.#current = undefined
    this.#release(this.#reservedBytes)
  }

  #find(number: number): Unfinished | undefined {
    for (let i = 0; i < this.#unfinished.length; i++) {
      const message = this.#unfinished[i] as Unfinished
      if (message.number === number) return message
    }
    return undefined
  }

  #forget(message: Unfinished): void {
    const last = this.#unfinished.pop() as Unfinished
    if (last !== message) this.#unfinished[this.#unfinished.indexOf(message)] = last
  }

  #watch(message: Unfinished): void {
    const { minProgressBytesPerSecond, progressWindowMs } = this.#options
    this.#unfinished.push(message)
    if (minProgressBytesPerSecond > 0) this.#checkAt = Math.min(this.#checkAt, message.lookedAt + progressWindowMs)
  }

  #begin(number: number, length: number): void {
    if (number !== this.#next)
      throw new HtxSessionError('MALFORMED', `message number ${number} instead of ${this.#next}`)
    if (length > this.#options.maxMessageBytes)
      throw new HtxSessionError('MESSAGE_TOO_LARGE', `${length} bytes, at most ${this.#options.maxMessageBytes}`)
    this.#next += 1
  }

  #take(length: number): void {
    this.#messageBytes += length
    if (!this.#options.credit.receive(length)) throw overrun()
  }

  #reserve(bytes: number): void {
    if (this.#unfinished.length >= MAX_UNFINISHED_MESSAGES || this.#reservedBytes + bytes > MAX_UNFINISHED_BYTES)
      throw new HtxSessionError('FLOW_CONTROL_VIOLATION', 'too many unfinished messages')
    if (!this.#options.budget.tryReserve(bytes))
      throw new HtxSessionError('REASSEMBLY_BUSY', 'no memory left for unfinished messages', { retryable: true })
    this.#reservedBytes += bytes
  }

  #release(bytes: number): void {
    this.#reservedBytes -= bytes
    this.#options.budget.release(bytes)
  }
}

function overrun(): HtxSessionError {
  return new HtxSessionError('FLOW_CONTROL_VIOLATION', 'more bytes than the window allows')
}
