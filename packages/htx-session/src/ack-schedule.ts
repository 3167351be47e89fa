import type { Millis } from '@aiv/transport-api'
import { ACK_INTERVAL_MS } from './delivery-rate.js'

/** From here on an ACK does not wait for a message to ride with for longer than {@link RIDE_INTERVAL_MS}. */
const ACK_SOON_BYTES = 4 * 1024
/** An ACK rides with a message no more often than this. */
const RIDE_INTERVAL_MS = 5
/** From here on an ACK goes out in the same turn. */
const ACK_AT_ONCE_BYTES = 32 * 1024

/**
 * When to acknowledge. Bulk: in the turn that completes 32 KiB, but not twice within a millisecond, since at a
 * gigabyte per second every ACK costs as much as a frame. Little: with the next message that goes the other way, or after
 * a wait, since an ACK of its own beside every small answer would double the price of a round trip, and one that comes by
 * a timer wakes both sides.
 */
export class AckSchedule {
  readonly #delayMs: Millis
  #received = 0
  #acknowledged = 0
  #lastAt: Millis = -Infinity
  #dueAt: Millis = Infinity
  /** Its time came, and nobody has polled since: no deadline any more, or a shell with a full socket would spin. */
  #overdue = false

  constructor(delayMs: Millis) {
    this.#delayMs = delayMs
  }

  /** When the next ACK is to be sent; `Infinity`: there is nothing to acknowledge. */
  get dueAt(): Millis {
    return this.#dueAt
  }

  /** Whether an ACK goes out at a poll now. */
  isDue(now: Millis): boolean {
    return this.#overdue || now >= this.#dueAt
  }

  /** Whether an ACK is to go with a message that is sent now: it costs no wake-up and no packet of its own. */
  mayRide(now: Millis): boolean {
    return this.#received > this.#acknowledged && now - this.#lastAt >= RIDE_INTERVAL_MS
  }

  /** The handshake measured the round trip: the first answer need not carry an ACK, which is often the only one. */
  onOpen(now: Millis): void {
    this.#lastAt = now
  }

  onTimeout(now: Millis): void {
    if (now < this.#dueAt) return
    this.#overdue = true
    this.#dueAt = Infinity
  }

  /** @param received - message bytes received so far, in all. */
  onReceived(now: Millis, received: number): void {
    this.#received = received
    const open = received - this.#acknowledged
    if (open === 0 || this.#overdue) return
    const wait = open >= ACK_SOON_BYTES ? Math.min(this.#delayMs, RIDE_INTERVAL_MS) : this.#delayMs
    const at = open >= ACK_AT_ONCE_BYTES ? Math.max(now, this.#lastAt + ACK_INTERVAL_MS) : now + wait
    if (at < this.#dueAt) this.#dueAt = at
  }

  /** What the ACK that goes out now says. */
  take(now: Millis): number {
    this.#lastAt = now
    this.#dueAt = Infinity
    this.#overdue = false
    this.#acknowledged = this.#received
    return this.#received
  }
}
