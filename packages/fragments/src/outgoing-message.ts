import { type Bytes, type Millis, equalBytes } from '@aiv/transport-api'
import { FRAGMENT_DIGEST_BYTES, FRAGMENT_HEADER_BYTES, encodeFragment, fragmentsFor } from './fragment.js'

interface Sending {
  /** Which sending of the connection it was; `undefined`: waits to be repeated. */
  number: number | undefined
  at: Millis
  times: number
}

/** One message on its way out: which fragments have left, which are confirmed, which are to be repeated. */
export class OutgoingMessage {
  readonly fragments: number
  repeats = 0
  inFlight = 0
  readonly #dataBytes: number
  readonly #digest: Uint8Array
  /** The first that has not left. */
  #unsent = 0
  /** Those that have left and are not confirmed, in the order of their index as they leave. */
  readonly #unconfirmed = new Map<number, Sending>()
  #probing = false
  readonly #confirmedAt = new Map<number, Millis>()

  constructor(
    readonly number: number,
    readonly priority: number,
    readonly id: Uint8Array,
    readonly bytes: Uint8Array,
    sha256: Uint8Array,
    fragmentBytes: number,
  ) {
    this.#dataBytes = fragmentBytes - FRAGMENT_HEADER_BYTES
    this.#digest = sha256.subarray(0, FRAGMENT_DIGEST_BYTES)
    this.fragments = fragmentsFor(bytes.length, fragmentBytes)
  }

  get length(): number {
    return this.bytes.length
  }

  /** Every fragment has left at least once. */
  get isOut(): boolean {
    return this.#unsent === this.fragments
  }

  /** An answer is due: to fragments in flight, or to the whole. */
  get isWaiting(): boolean {
    return this.inFlight > 0 || (this.isOut && this.#unconfirmed.size === 0)
  }

  isFor(id: Uint8Array): boolean {
    return equalBytes(this.id, id)
  }

  /** What goes next: repeats first, then what has not left, no further than `ahead` beyond the first unconfirmed. */
  next(windowOpen: boolean, ahead: number): number | undefined {
    if (!windowOpen && !this.#probing) return undefined
    let first: number | undefined
    let repeat: number | undefined
    for (const [index, { number }] of this.#unconfirmed) {
      if (first === undefined || index < first) first = index
      if (number === undefined && (repeat === undefined || index < repeat)) repeat = index
    }
    if (repeat !== undefined) return repeat
    if (!windowOpen || this.#unsent === this.fragments || this.#unsent >= (first ?? this.#unsent) + ahead)
      return undefined
    return this.#unsent
  }

  /** Fragment `index` leaves; true when it is a repeat. */
  take(index: number, now: Millis, number: number): boolean {
    this.#probing = false
    this.inFlight++
    const sending = this.#unconfirmed.get(index)
    if (sending === undefined) {
      this.#unconfirmed.set(index, { number, at: now, times: 1 })
      this.#unsent = index + 1
      return false
    }
    sending.number = number
    sending.at = now
    sending.times++
    this.repeats++
    return true
  }

  encode(index: number): Bytes {
    const { id, bytes } = this
    const start = index * this.#dataBytes
    const end = start + this.#dataBytes
    const header = (data: Uint8Array): readonly [Uint8Array, Uint8Array] =>
      encodeFragment({ id, index, total: this.fragments, data })
    if (end <= bytes.length) return header(bytes.subarray(start, end))
    const digest = this.#digest.subarray(Math.max(0, start - bytes.length), end - bytes.length)
    return [...header(bytes.subarray(Math.min(start, bytes.length))), digest]
  }

  /**
   * Forgets what the other side has. `count`: how many these are; `left`: how many of them counted as in flight;
   * `newest` and `newestAt`: the latest sending among those that left once only.
   */
  confirm(
    has: (index: number) => boolean,
    now: Millis,
  ): {
    readonly count: number
    readonly left: number
    readonly newest: number
    readonly newestAt: Millis | undefined
  } {
    let count = 0
    let left = 0
    let newest = Number.NEGATIVE_INFINITY
    let newestAt: Millis | undefined
    for (const [index, { number, at, times }] of this.#unconfirmed) {
      if (!has(index)) continue
      this.#unconfirmed.delete(index)
      this.#confirmedAt.set(index, now)
      count++
      if (number === undefined) continue
      left++
      if (times > 1 || number <= newest) continue
      newest = number
      newestAt = at
    }
    this.inFlight -= left
    if (count > 0) this.#probing = false
    return { count, left, newest, newestAt }
  }

  /**
   * The other side has begun anew, after it had given up: what it said before counts no more, unless that was within
   * `patienceMs`, since an older acknowledgement may be late.
   */
  retract(has: (index: number) => boolean, now: Millis, patienceMs: number): void {
    for (const [index, at] of this.#confirmedAt) {
      if (has(index) || now < at + patienceMs) continue
      this.#confirmedAt.delete(index)
      this.#unconfirmed.set(index, { number: undefined, at: now, times: 2 })
    }
  }

  /** Those whose last sending, by its number and time, is lost are to be repeated. Returns how many. */
  giveUp(isLost: (number: number, at: Millis) => boolean): number {
    let lost = 0
    for (const sending of this.#unconfirmed.values()) {
      if (sending.number === undefined || !isLost(sending.number, sending.at)) continue
      sending.number = undefined
      lost++
    }
    this.inFlight -= lost
    return lost
  }

  /** The first unconfirmed one is to be repeated, whatever the window says. Returns how many were in flight less. */
  probe(): number {
    this.#probing = true
    let first: Sending | undefined
    let lowest = Number.POSITIVE_INFINITY
    for (const [index, sending] of this.#unconfirmed) {
      if (index >= lowest) continue
      lowest = index
      first = sending
    }
    if (first === undefined) {
      // all is confirmed but for the last word: the last fragment asks for it
      this.#unconfirmed.set(this.#unsent - 1, { number: undefined, at: 0, times: 1 })
      return 0
    }
    if (first.number === undefined) return 0
    first.number = undefined
    this.inFlight--
    return 1
  }
}
