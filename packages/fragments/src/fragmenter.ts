import { ArgumentError, type Bytes, type Millis, type ProtocolCore, type Random } from '@aiv/transport-api'
import { type BlockAck, MAX_FRAGMENTS_AHEAD, acknowledges, decodeBlockAck } from './block-ack.js'
import { FRAGMENT_ID_BYTES } from './fragment.js'
import { type FragmenterOptions, verifyFragmenterOptions } from './options.js'
import { OutgoingMessage } from './outgoing-message.js'
import { RoundTrip } from './round-trip.js'

/** What the program supplies. */
export interface FragmenterComponents {
  /** A new buffer of 32 bytes. */
  readonly sha256: (bytes: Uint8Array) => Uint8Array
  /** For ids. */
  readonly random: Random
}

/** Numbers are what {@link Fragmenter.send} gave. */
export type FragmenterEvent =
  /** Every fragment has left once. */
  | { readonly type: 'sent'; readonly message: number }
  /** The other side has put it together. */
  | { readonly type: 'delivered'; readonly message: number; readonly fragments: number; readonly repeats: number }
  /**
   * Not known to be delivered, and nothing more is tried. `FRAGMENTS_UNANSWERED`: no answer for many waits.
   * `FRAGMENTS_REFUSED`: the other side has no room for it, or found it damaged.
   */
  | {
      readonly type: 'failed'
      readonly message: number
      readonly code: 'FRAGMENTS_UNANSWERED' | 'FRAGMENTS_REFUSED'
    }

/** A fragment may count as lost once this many that left later are known to be there. */
const REORDERING = 6

/**
 * The sending end of one connection: cuts messages into fragments and repeats those that block acknowledgements show to
 * be missing. Input: block acknowledgements. Output: fragments, a view of the message as their second piece.
 *
 * What counts as lost: a fragment that left well before another that is known to be there, by number and by time, since
 * where nodes on the way repeat what a link loses, fragments overtake each other by more than a few (RFC 9002 section 6.1
 * asks for one of the two); and one that left twice that time ago. With no answer at all within the expected time one fragment is repeated,
 * which makes the other side answer; the window falls to a quarter then, and grows with each fragment that is confirmed.
 */
export class Fragmenter implements ProtocolCore<FragmenterEvent> {
  readonly #components: FragmenterComponents
  readonly #options: Required<FragmenterOptions>
  readonly #roundTrip = new RoundTrip()
  /** Most urgent first, then as they came. */
  #messages: OutgoingMessage[] = []
  readonly #events: FragmenterEvent[] = []
  #nextNumber = 0
  #nextSend = 0
  /** The latest sending that is known to have arrived. */
  #newest = Number.NEGATIVE_INFINITY
  #queuedBytes = 0
  #inFlight = 0
  #window: number
  #timeouts = 0
  #timeoutAt: Millis | undefined
  #fragmentCount = 0
  #repeatCount = 0

  /** @throws ArgumentError for options out of their range. */
  constructor(components: FragmenterComponents, options: FragmenterOptions = {}) {
    this.#components = components
    this.#options = verifyFragmenterOptions(options)
    this.#window = this.#options.maxInFlight
  }

  /** Fragments given out, repeats included, and those that were repeats. */
  get counts(): { readonly fragments: number; readonly repeats: number } {
    return { fragments: this.#fragmentCount, repeats: this.#repeatCount }
  }

  /** Smoothed, over everything between the two ends; `undefined`: not measured yet. */
  get roundTripMs(): number | undefined {
    return this.#roundTrip.smoothedMs
  }

  /** Bytes of messages that are not confirmed yet. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /**
   * Takes a message, to be sent after those of a lower `priority` number and those of its own that came before. It must
   * not be changed until it is delivered or has failed. Gives its number, or `undefined` when there are too many.
   * @throws ArgumentError when it is empty or longer than `maxMessageBytes`.
   */
  send(message: Uint8Array, priority = 0): number | undefined {
    const { maxMessageBytes, maxMessages, maxQueuedBytes, fragmentBytes } = this.#options
    if (message.length === 0 || message.length > maxMessageBytes) {
      throw new ArgumentError(`a message of ${message.length} bytes: 1 to ${maxMessageBytes}`)
    }
    if (this.#messages.length >= maxMessages) return undefined
    if (this.#messages.length > 0 && this.#queuedBytes + message.length > maxQueuedBytes) return undefined
    const number = this.#nextNumber++
    const id = this.#components.random.bytes(FRAGMENT_ID_BYTES)
    const added = new OutgoingMessage(number, priority, id, message, this.#components.sha256(message), fragmentBytes)
    const place = this.#messages.findIndex((other) => other.priority > priority)
    this.#messages.splice(place < 0 ? this.#messages.length : place, 0, added)
    this.#queuedBytes += message.length
    return number
  }

  /** Nothing more of that message is sent, and no event tells of it. */
  cancel(number: number): void {
    const message = this.#messages.find((other) => other.number === number)
    if (message !== undefined) this.#remove(message)
  }

  handleInput(now: Millis, input: Uint8Array): void {
    const ack = decodeBlockAck(input)
    if (ack === undefined) return
    const message = this.#messages.find((other) => other.isFor(ack.id))
    if (message === undefined) return
    this.#answered(now)
    if (ack.state === 'arriving') {
      this.#mark(now, message, ack)
      return
    }
    const { fragments, repeats } = message
    if (ack.state === 'complete') {
      this.#mark(now, message, ack)
      this.#events.push({ type: 'delivered', message: message.number, fragments, repeats })
    } else {
      this.#events.push({ type: 'failed', message: message.number, code: 'FRAGMENTS_REFUSED' })
    }
    this.#remove(message)
  }

  handleTimeout(now: Millis): void {
    if (this.#timeoutAt === undefined || now < this.#timeoutAt) return
    this.#timeouts++
    this.#window = Math.max(1, this.#options.maxInFlight >> 2)
    const unanswered = this.#messages.filter((message) => message.isWaiting)
    if (this.#timeouts >= this.#options.maxTimeouts) {
      this.#timeouts = 0
      for (const message of unanswered) {
        this.#events.push({ type: 'failed', message: message.number, code: 'FRAGMENTS_UNANSWERED' })
        this.#remove(message)
      }
      return
    }
    // one fragment of each, whatever the window says: its answer tells what is missing of the rest
    for (const message of unanswered) this.#inFlight -= message.probe()
    this.#arm(now)
  }

  pollOutput(now: Millis): Bytes | undefined {
    for (const message of this.#messages) {
      const index = message.next(this.#inFlight < this.#window, MAX_FRAGMENTS_AHEAD)
      if (index === undefined) continue
      const wasComplete = message.isOut
      if (message.take(index, now, this.#nextSend++)) this.#repeatCount++
      this.#fragmentCount++
      this.#inFlight++
      if (message.isOut && !wasComplete) this.#events.push({ type: 'sent', message: message.number })
      if (this.#timeoutAt === undefined) this.#arm(now)
      return message.encode(index)
    }
    return undefined
  }

  pollEvent(): FragmenterEvent | undefined {
    return this.#events.shift()
  }

  nextTimeout(): Millis | undefined {
    return this.#timeoutAt
  }

  #mark(now: Millis, message: OutgoingMessage, ack: BlockAck): void {
    const confirmed = message.confirm((index) => acknowledges(ack, index), now)
    this.#inFlight -= confirmed.left
    this.#window = Math.min(this.#options.maxInFlight, this.#window + confirmed.count)
    this.#newest = Math.max(this.#newest, confirmed.newest)
    if (confirmed.newestAt !== undefined) this.#roundTrip.sample(now - confirmed.newestAt)
    const patienceMs = Math.max(this.#options.minTimeoutMs, this.#roundTrip.timeoutMs ?? this.#options.initialTimeoutMs)
    const isLost = (number: number, at: Millis): boolean => {
      const isOvertaken = number < this.#newest - REORDERING && at < now - patienceMs
      return isOvertaken || at < now - 2 * patienceMs
    }
    // of every message: one that is answered must not keep the lost fragments of another from being repeated
    for (const other of this.#messages) this.#inFlight -= other.giveUp(isLost)
    if (ack.state === 'arriving') message.retract((index) => acknowledges(ack, index), now, 2 * patienceMs)
    this.#arm(now)
  }

  #answered(now: Millis): void {
    this.#timeouts = 0
    this.#arm(now)
  }

  #arm(now: Millis): void {
    if (!this.#messages.some((message) => message.isWaiting)) {
      this.#timeoutAt = undefined
      return
    }
    const { initialTimeoutMs, minTimeoutMs, maxTimeoutMs } = this.#options
    const patience = Math.max(minTimeoutMs, this.#roundTrip.timeoutMs ?? initialTimeoutMs)
    this.#timeoutAt = now + Math.min(maxTimeoutMs, patience * 2 ** this.#timeouts)
  }

  #remove(message: OutgoingMessage): void {
    this.#messages = this.#messages.filter((other) => other !== message)
    this.#queuedBytes -= message.length
    this.#inFlight -= message.inFlight
    if (!this.#messages.some((other) => other.isWaiting)) this.#timeoutAt = undefined
  }
}
