import type { Millis, PerPriority, Priority } from '@aiv/transport-api'
import type { ByteBudget } from './byte-budget.js'
import type { CounterRange } from './counter-ranges.js'
import { epochToBytes, type Epoch } from './epoch.js'
import { InboundLane } from './inbound-lane.js'
import { encodeLinkAck, MAX_LINK_ACK_RANGES } from './link-ack.js'
import { defaultInboundOptions, verifyInboundOptions, type InboundOptions } from './options.js'

/** What delivery needs to know of a message; a `LinkEnvelope` has it all. */
export interface InboundMessage {
  readonly priority: Priority
  readonly counter: number
  readonly ordered: boolean
  readonly acknowledge: boolean
  readonly payload: Uint8Array
}

/**
 * What became of a message that came in.
 *
 * | result | meaning | acknowledgement |
 * |---|---|---|
 * | `deliver` | hand it to the application now | delivered |
 * | `held` | kept until its turn, comes out of `pollReady` | when taken |
 * | `duplicate` | had it before | delivered again, once it was; none while held |
 * | `late` | its place in the order was given up, or is out of memory | refused |
 * | `too-far` | further above the lowest missing one than the window | none |
 * | `full` | before its turn, and no room to hold it | none |
 */
export type InboundResult = 'deliver' | 'held' | 'duplicate' | 'late' | 'too-far' | 'full'

/**
 * The receiving half of exactly-once, in-order delivery for one (source, epoch): a core. Each priority has counters of
 * its own, from 0. An ordered message is delivered when everything before it is settled; a gap holds it up for
 * `gapTimeoutMs` after it was noticed and is then given up, and whatever of it comes later is refused, never delivered
 * out of order. Unordered messages are delivered as they come. A counter is delivered once, whatever the order.
 *
 * The law for the owner: after `handle`, `skipTo` or `handleTimeout`, deliver the message itself if the result is
 * `deliver`, then empty `pollReady`; look at `nextTimeout`; empty `pollAcknowledgement` once a turn.
 * docs/decisions/0161-exactly-once-in-order.md
 */
export class InboundDelivery<T extends InboundMessage> {
  readonly source: string
  readonly epoch: Epoch
  readonly #options: InboundOptions
  readonly #budget: ByteBudget | undefined
  readonly #onGap: ((delivery: InboundDelivery<T>) => void) | undefined
  readonly #lanes: [Lane<T>, Lane<T>, Lane<T>, Lane<T>] = [undefined, undefined, undefined, undefined]
  #heldMessages = 0
  #heldBytes = 0

  /**
   * @param from - whose messages these are; `source` and `epoch` are only given back and written into acknowledgements.
   * @param shared - `budget`: bytes that several sources hold together; `onGap`: called when `nextTimeout` may have
   * become defined, from inside `handle`.
   * @throws ArgumentError for an epoch that is none, or an option out of range.
   */
  constructor(
    from: { readonly source: string; readonly epoch: Epoch },
    options: Partial<InboundOptions> = {},
    shared: { readonly budget?: ByteBudget; readonly onGap?: (delivery: InboundDelivery<T>) => void } = {},
  ) {
    epochToBytes(from.epoch)
    this.source = from.source
    this.epoch = from.epoch
    this.#options = verifyInboundOptions({ ...defaultInboundOptions, ...options })
    this.#budget = shared.budget
    this.#onGap = shared.onGap
  }

  /** Messages held or released and not yet taken. */
  get heldMessages(): number {
    return this.#heldMessages
  }

  /** Their payload bytes. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Takes a message in. The payload may be a view; it is copied only when a small view of a large buffer is held. */
  handle(now: Millis, message: T): InboundResult {
    const lane = (this.#lanes[message.priority] ??= this.#newLane())
    const { counter } = message
    if (counter === lane.next && lane.isPlain) {
      lane.next = counter + 1
      this.#deliver(lane, message)
      return 'deliver'
    }
    if (counter < lane.next) return this.#handleSettled(lane, message)
    if (counter - lane.next >= this.#options.windowCounters) {
      this.#pass(lane, now, counter)
      return 'too-far'
    }
    if (lane.isHeld(counter)) return 'duplicate'
    if (lane.delivered.check(counter) === 'seen') {
      if (message.acknowledge) lane.acknowledged.add(counter)
      return 'duplicate'
    }
    if (!message.ordered || (counter === lane.next && !lane.hasReleased)) {
      this.#deliver(lane, message)
      if (counter === lane.next) lane.advance(now)
      else this.#noticeGap(lane, now)
      return 'deliver'
    }
    return this.#hold(lane, now, message)
  }

  /** The next message whose turn has come, the most urgent priority first; it is delivered by being taken. */
  pollReady(): T | undefined {
    if (this.#heldMessages === 0) return undefined
    for (const lane of this.#lanes) {
      const held = lane?.takeReleased()
      if (held === undefined || lane === undefined) continue
      this.#heldMessages--
      this.#heldBytes -= held.bytes
      this.#budget?.give(held.bytes)
      this.#deliver(lane, held.message)
      return held.message
    }
    return undefined
  }

  /**
   * The source will never again send a counter below `counter`, because it had them acknowledged or gave them up:
   * gaps below are given up at once. Never moves backwards.
   */
  skipTo(now: Millis, priority: Priority, counter: number): void {
    if (counter === 0) return
    const lane = (this.#lanes[priority] ??= this.#newLane())
    while (lane.next < counter) lane.giveUp(now, counter)
    if (lane.gapSince !== undefined) this.#onGap?.(this)
  }

  /** When `handleTimeout` is due: the oldest gap is then given up. */
  nextTimeout(): Millis | undefined {
    let since: Millis | undefined
    for (const lane of this.#lanes) {
      if (lane?.gapSince !== undefined && (since === undefined || lane.gapSince < since)) since = lane.gapSince
    }
    return since === undefined ? undefined : since + this.#options.gapTimeoutMs
  }

  /** Gives up the gaps whose time is over. */
  handleTimeout(now: Millis): void {
    for (const lane of this.#lanes) {
      while (lane?.gapSince !== undefined && now >= lane.gapSince + this.#options.gapTimeoutMs) {
        lane.giveUp(now, Infinity)
      }
    }
  }

  /** True while `pollAcknowledgement` would give something. */
  get hasAcknowledgement(): boolean {
    for (const lane of this.#lanes) {
      if (lane !== undefined && (lane.acknowledged.size > 0 || lane.refused.size > 0)) return true
    }
    return false
  }

  /** Packet 03 over what was gathered and is then forgotten; `undefined` when there is nothing left. */
  pollAcknowledgement(): Uint8Array | undefined {
    if (!this.hasAcknowledgement) return undefined
    let room = MAX_LINK_ACK_RANGES
    const take = (kind: 'acknowledged' | 'refused'): PerPriority<readonly CounterRange[]> => {
      const out: [CounterRange[], CounterRange[], CounterRange[], CounterRange[]] = [[], [], [], []]
      for (let priority = 0; priority < out.length; priority++) {
        const ranges = this.#lanes[priority]?.[kind].take(room) ?? []
        room -= ranges.length
        out[priority] = ranges
      }
      return out
    }
    const acknowledged = take('acknowledged')
    return encodeLinkAck({ epoch: this.epoch, acknowledged, refused: take('refused') })
  }

  /** Gives back the shared budget; the owner has no further use for it. */
  release(): void {
    this.#budget?.give(this.#heldBytes)
    this.#heldBytes = 0
    this.#heldMessages = 0
    this.#lanes.fill(undefined)
  }

  #newLane(): InboundLane<T> {
    return new InboundLane<T>(this.#options.windowCounters, this.#options.maxPendingRanges)
  }

  #deliver(lane: InboundLane<T>, message: T): void {
    lane.delivered.record(message.counter)
    if (message.acknowledge) lane.acknowledged.add(message.counter)
  }

  #handleSettled(lane: InboundLane<T>, message: T): InboundResult {
    const { counter } = message
    const state = lane.delivered.check(counter)
    if (state === 'seen') {
      if (message.acknowledge) lane.acknowledged.add(counter)
      return 'duplicate'
    }
    if (lane.isHeld(counter)) return 'duplicate'
    if (state === 'new' && !message.ordered) {
      this.#deliver(lane, message)
      return 'deliver'
    }
    if (message.acknowledge) lane.refused.add(counter)
    return 'late'
  }

  #hold(lane: InboundLane<T>, now: Millis, message: T): InboundResult {
    const bytes = message.payload.length
    const { maxHeldMessages, maxHeldBytes } = this.#options
    if (
      this.#heldMessages >= maxHeldMessages ||
      this.#heldBytes + bytes > maxHeldBytes ||
      this.#budget?.take(bytes) === false
    ) {
      this.#pass(lane, now, message.counter)
      return 'full'
    }
    this.#heldMessages++
    this.#heldBytes += bytes
    const { counter } = message
    const quiet = lane.gapSince === undefined
    lane.hold({
      message: ownBuffer(message),
      counter,
      bytes,
      since: now,
      released: false,
      nextReleased: undefined,
    })
    if (counter === lane.next) lane.advance(now)
    else if (quiet) this.#onGap?.(this)
    return 'held'
  }

  #pass(lane: InboundLane<T>, now: Millis, counter: number): void {
    if (counter === lane.next) return // its turn has come, it is not behind a gap
    const quiet = lane.gapSince === undefined
    lane.pass(now, counter)
    if (quiet) this.#onGap?.(this)
  }

  #noticeGap(lane: InboundLane<T>, now: Millis): void {
    if (lane.gapSince !== undefined) return
    lane.gapSince = now
    this.#onGap?.(this)
  }
}

type Lane<T> = InboundLane<T> | undefined

/** A short payload must not keep a whole received buffer alive while it waits. */
function ownBuffer<T extends InboundMessage>(message: T): T {
  const { payload } = message
  if (payload.buffer.byteLength <= 2 * payload.length + 1024) return message
  return { ...message, payload: payload.slice() }
}
