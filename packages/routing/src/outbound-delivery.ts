import { ArgumentError, priorities, type Millis, type Priority } from '@aiv/transport-api'

/**
 * A message on its way to one destination. The first three fields are the caller's; the others belong to
 * {@link OutboundDelivery} from {@link OutboundDelivery.add} on and live in the message to save an object for each.
 */
export interface OutboundMessage {
  readonly priority: Priority
  /** What it counts for in the window: payload and header. */
  readonly bytes: number
  /** Given up at this time, whatever state it is in. */
  readonly deadlineAt: Millis

  /** Its number per (destination, priority); −1 before it has one. */
  counter: number
  /** The caller's number of the connection that it last went out on; −1: none, it waits to be repeated. */
  link: number
  /** When it counts as lost; Infinity while it still stands in the connection's queue. */
  dueAt: Millis
  /** How often it was given up as lost on a live connection. */
  timeouts: number
}

/** What {@link OutboundDelivery} tells. Called synchronously; must not call back into it. */
export interface OutboundSink<M> {
  /** Acknowledged by the recipient. */
  onDelivered(message: M): void
  /** Will not be repeated any more. */
  onFailed(message: M, code: OutboundFailure): void
}

/**
 * `DELIVERY_TIMEOUT`: not acknowledged by its deadline. `DELIVERY_TRIES`: repeated as often as allowed.
 * `DELIVERY_ORDER`: it arrived, but so late that the recipient had given its place in the order up.
 */
export type OutboundFailure = 'DELIVERY_TIMEOUT' | 'DELIVERY_TRIES' | 'DELIVERY_ORDER'

export interface OutboundDeliveryOptions {
  /**
   * Messages of one priority that may be unacknowledged. At most the recipient's window, else it could not tell new
   * ones from old ones. @defaultValue 4096
   */
  readonly maxMessages?: number
  /** Bytes of all priorities that may be unacknowledged; one message is always taken. @defaultValue 16 MiB */
  readonly maxBytes?: number
  /** Times that a message goes out before it is given up, connections that failed not counted. @defaultValue 5 */
  readonly tries?: number
  /** First wait for an acknowledgement beyond the expected time; doubles with each repeat. @defaultValue 200 */
  readonly backOffMs?: number
  /** Most that one time-out repeats at once, so that a recipient that paused is not flooded. @defaultValue 64 */
  readonly maxRepeatsAtOnce?: number
}

const defaults = { maxMessages: 4096, maxBytes: 16 * 1024 * 1024, tries: 5, backOffMs: 200, maxRepeatsAtOnce: 64 }

/** Share of the back-off that is left to chance, so that many senders do not repeat in step. */
const JITTER = 0.25

/** Unacknowledged messages of one priority: a ring indexed by counter. */
class Lane<M> {
  #ring: (M | undefined)[] = []
  /** Lowest counter that may be in the ring; one after the highest. */
  first = 0
  next = 0

  get(counter: number): M | undefined {
    if (counter < this.first || counter >= this.next) return undefined
    return this.#ring[counter & (this.#ring.length - 1)]
  }

  push(message: M): void {
    if (this.next - this.first >= this.#ring.length) this.#grow()
    this.#ring[this.next & (this.#ring.length - 1)] = message
    this.next++
  }

  delete(counter: number): void {
    const mask = this.#ring.length - 1
    this.#ring[counter & mask] = undefined
    while (this.first < this.next && this.#ring[this.first & mask] === undefined) this.first++
  }

  #grow(): void {
    const old = this.#ring
    const ring = new Array<M | undefined>(Math.max(16, old.length * 2)).fill(undefined)
    for (let i = this.first; i < this.next; i++) ring[i & (ring.length - 1)] = old[i & (old.length - 1)]
    this.#ring = ring
  }
}

/**
 * The sending half of delivery to one destination: gives each message a counter, keeps it until the recipient has
 * acknowledged it, and says what to repeat when a connection fails or an acknowledgement does not come. It owns no
 * connection; those are numbers of the caller's. docs/wire/link-envelope.md
 *
 * Messages of one priority are repeated in the order of their counters, before anything new is sent: then the
 * recipient never sees a gap that will not be filled, except for a message that was given up.
 */
export class OutboundDelivery<M extends OutboundMessage> {
  readonly #options: Readonly<Required<OutboundDeliveryOptions>>
  readonly #uniform: () => number
  readonly #sink: OutboundSink<M>
  readonly #lanes: (Lane<M> | undefined)[] = [undefined, undefined, undefined, undefined]
  /** Messages waiting to be repeated, per priority; 0 keeps the fast path to one comparison. */
  readonly #repeats = [0, 0, 0, 0]
  /** No repeat waits below this counter. */
  readonly #repeatFrom = [0, 0, 0, 0]
  #size = 0
  #bytes = 0
  #nextAt = Infinity

  /** @param uniform - from 0 to below 1, for jitter. */
  constructor(sink: OutboundSink<M>, uniform: () => number, options: OutboundDeliveryOptions = {}) {
    this.#options = { ...defaults, ...options }
    this.#sink = sink
    this.#uniform = uniform
    for (const [name, value] of Object.entries(this.#options)) {
      if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name} of ${value}`)
    }
  }

  /** Unacknowledged messages, those that wait to be repeated included. */
  get size(): number {
    return this.#size
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Unacknowledged messages of one priority: while there are any, new ones should take the same connection. */
  pending(priority: Priority): boolean {
    const lane = this.#lanes[priority]
    return lane !== undefined && lane.first < lane.next
  }

  /** False: wait until something is acknowledged. Also false while older messages of the priority wait to be repeated. */
  hasRoom(priority: Priority, bytes: number): boolean {
    if (this.#repeats[priority] !== 0) return false
    const lane = this.#lanes[priority]
    if (lane !== undefined && lane.next - lane.first >= this.#options.maxMessages) return false
    return this.#size === 0 || this.#bytes + bytes <= this.#options.maxBytes
  }

  /** Per priority the lowest counter that may still be sent; everything below has ended. */
  firstCounters(): [number, number, number, number] {
    const first = (priority: Priority): number => this.#lanes[priority]?.first ?? 0
    return [first(0), first(1), first(2), first(3)]
  }

  /** The counter that the next message of this priority will have. */
  nextCounter(priority: Priority): number {
    return this.#lanes[priority]?.next ?? 0
  }

  /** The message was accepted by connection `link` under {@link nextCounter}. Its wait begins with {@link sent}. */
  add(message: M, link: number): void {
    const lane = (this.#lanes[message.priority] ??= new Lane())
    message.counter = lane.next
    message.link = link
    message.dueAt = Infinity
    message.timeouts = 0
    lane.push(message)
    this.#size++
    this.#bytes += message.bytes
    if (message.deadlineAt < this.#nextAt) this.#nextAt = message.deadlineAt
  }

  /**
   * The message left the connection's queue.
   * @param expectedMs - what the way there, through what is before it, and back may take.
   */
  sent(now: Millis, priority: Priority, counter: number, expectedMs: number): void {
    const message = this.#lanes[priority]?.get(counter)
    if (message === undefined || message.link < 0) return
    const backOff = this.#options.backOffMs * 2 ** message.timeouts
    message.dueAt = now + expectedMs + backOff * (1 + JITTER * this.#uniform())
    if (message.dueAt < this.#nextAt) this.#nextAt = message.dueAt
  }

  /** Counters `first` to `first + count − 1` were delivered. Unknown ones are ignored: they were acknowledged before. */
  acknowledge(priority: Priority, first: number, count: number): void {
    const lane = this.#lanes[priority]
    if (lane === undefined) return
    const end = Math.min(first + count, lane.next)
    for (let counter = Math.max(first, lane.first); counter < end; counter++) {
      const message = lane.get(counter)
      if (message === undefined) continue
      this.#remove(lane, message)
      this.#sink.onDelivered(message)
    }
  }

  /**
   * The recipient will not take counters `first` to `first + count − 1` any more: their places in the order were given
   * up. Unknown ones are ignored, and cost nothing however many there are.
   */
  refuse(priority: Priority, first: number, count = 1): void {
    const lane = this.#lanes[priority]
    if (lane === undefined) return
    const end = Math.min(first + count, lane.next)
    for (let counter = Math.max(first, lane.first); counter < end; counter++) {
      const message = lane.get(counter)
      if (message === undefined) continue
      this.#remove(lane, message)
      this.#sink.onFailed(message, 'DELIVERY_ORDER')
    }
  }

  /** A connection is gone or suspect: all that went out on it and is not acknowledged is to be repeated on another. */
  linkFailed(link: number): void {
    for (const priority of priorities) {
      const lane = this.#lanes[priority]
      if (lane === undefined) continue
      for (let counter = lane.first; counter < lane.next; counter++) {
        const message = lane.get(counter)
        if (message !== undefined && message.link === link) this.#markRepeat(message)
      }
    }
  }

  /** A connection took the message but dropped it unsent. */
  dropped(priority: Priority, counter: number): void {
    const message = this.#lanes[priority]?.get(counter)
    if (message !== undefined && message.link >= 0) this.#markRepeat(message)
  }

  /** The next message of this priority to send again, or `undefined`; {@link repeated} says that it went out. */
  nextRepeat(priority: Priority): M | undefined {
    const lane = this.#lanes[priority]
    if (lane === undefined || this.#repeats[priority] === 0) return undefined
    for (let counter = Math.max(this.#repeatFrom[priority] as number, lane.first); counter < lane.next; counter++) {
      const message = lane.get(counter)
      if (message === undefined || message.link >= 0) continue
      this.#repeatFrom[priority] = counter
      return message
    }
    return undefined
  }

  /** What {@link nextRepeat} gave was accepted by connection `link`. */
  repeated(message: M, link: number): void {
    if (message.link >= 0) return
    message.link = link
    message.dueAt = Infinity
    this.#repeats[message.priority] = (this.#repeats[message.priority] as number) - 1
  }

  /** Gives up what is past its deadline or its tries, and marks for repeating what counts as lost. */
  handleTimeout(now: Millis): void {
    if (now < this.#nextAt) return
    let next = Infinity
    for (const priority of priorities) {
      const lane = this.#lanes[priority]
      if (lane === undefined) continue
      let budget = this.#options.maxRepeatsAtOnce
      for (let counter = lane.first; counter < lane.next; counter++) {
        const message = lane.get(counter)
        if (message === undefined) continue
        if (now >= message.deadlineAt) {
          this.#remove(lane, message)
          this.#sink.onFailed(message, 'DELIVERY_TIMEOUT')
          continue
        }
        if (now >= message.dueAt) {
          if (message.timeouts + 1 >= this.#options.tries) {
            this.#remove(lane, message)
            this.#sink.onFailed(message, 'DELIVERY_TRIES')
            continue
          }
          if (budget-- > 0) {
            message.timeouts++
            this.#markRepeat(message)
          } else {
            message.dueAt = now + this.#options.backOffMs
          }
        }
        next = Math.min(next, message.deadlineAt, message.dueAt)
      }
    }
    this.#nextAt = next
  }

  /** May be earlier than anything is due; {@link handleTimeout} then finds the right time. */
  nextTimeout(): Millis | undefined {
    return this.#size === 0 ? undefined : this.#nextAt
  }

  /** Everything that is not acknowledged, oldest first within a priority; the delivery is empty afterwards. */
  drain(): M[] {
    const all: M[] = []
    for (const lane of this.#lanes) {
      if (lane === undefined) continue
      for (let counter = lane.first; counter < lane.next; counter++) {
        const message = lane.get(counter)
        if (message === undefined) continue
        this.#remove(lane, message)
        all.push(message)
      }
    }
    return all
  }

  #markRepeat(message: M): void {
    message.link = -1
    message.dueAt = Infinity
    const { priority, counter } = message
    if (this.#repeats[priority] === 0 || counter < (this.#repeatFrom[priority] as number)) {
      this.#repeatFrom[priority] = counter
    }
    this.#repeats[priority] = (this.#repeats[priority] as number) + 1
  }

  #remove(lane: Lane<M>, message: M): void {
    if (message.link < 0) this.#repeats[message.priority] = (this.#repeats[message.priority] as number) - 1
    lane.delete(message.counter)
    this.#size--
    this.#bytes -= message.bytes
  }
}
