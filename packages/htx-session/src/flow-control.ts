import type { Millis } from '@aiv/transport-api'

/** What a chunk costs in credit beside its bytes, so that empty and tiny ones are not free. */
export const CHUNK_COST_BYTES = 16
/** Credit that both sides begin with. */
export const INITIAL_WINDOW_BYTES = 256 * 1024
/** Credit that a sender leaves for emergency messages. */
export const EMERGENCY_CREDIT_BYTES = 16 * 1024
/** A grant further ahead than this is cut to it. */
export const MAX_GRANT_AHEAD_BYTES = 2 ** 30

/** What we may still send. Credit is absolute: a sum over the life of the session. */
export class SendCredit {
  #limit = INITIAL_WINDOW_BYTES
  #used = 0

  get used(): number {
    return this.#used
  }

  /** Chunk bytes, heads not counted, that may go in one more chunk; negative when even an empty one may not. */
  available(emergency: boolean): number {
    return this.#limit - this.#used - CHUNK_COST_BYTES - (emergency ? 0 : EMERGENCY_CREDIT_BYTES)
  }

  use(chunkBytes: number, chunks = 1): void {
    this.#used += chunkBytes + chunks * CHUNK_COST_BYTES
  }

  /** A WINDOW_UPDATE. Smaller values than before are ignored: they were overtaken or are nonsense. */
  grant(limit: number): void {
    this.#limit = Math.max(this.#limit, Math.min(limit, this.#used + MAX_GRANT_AHEAD_BYTES))
  }
}

/**
 * Shortest round trip that the tuning believes in: two processes on one machine may wait this long for each other. The
 * window only bounds memory; what stands on the link is bounded by the sender (delivery-rate.ts).
 */
const MIN_TUNING_RTT_MS = 20

/**
 * What the other side may still send. The window is doubled whenever a quarter of it was used in less than half a round
 * trip, that is, while it is smaller than twice what the path holds (the rule of QUIC implementations).
 */
export class ReceiveCredit {
  readonly #maxWindow: number
  #window = INITIAL_WINDOW_BYTES
  #limit = INITIAL_WINDOW_BYTES
  #received = 0
  #released = 0
  #grantedAt: Millis

  constructor(now: Millis, maxWindowBytes: number) {
    this.#grantedAt = now
    this.#maxWindow = maxWindowBytes
  }

  /** The present window, for those who watch the tuning. */
  get windowBytes(): number {
    return this.#window
  }

  /** Credit used by the other side and not given back yet. */
  get heldBytes(): number {
    return this.#received - this.#released
  }

  /** What may still come, the cost of chunks included. */
  get leftBytes(): number {
    return this.#limit - this.#received
  }

  /** Counts chunks that came within {@link leftBytes}, their cost included. */
  receiveRun(cost: number): void {
    this.#received += cost
  }

  /** Counts a chunk that came; false when it goes beyond the credit. */
  receive(chunkBytes: number): boolean {
    this.#received += chunkBytes + CHUNK_COST_BYTES
    return this.#received <= this.#limit
  }

  /** Gives credit back, chunk costs included. */
  release(cost: number): void {
    this.#released += cost
  }

  /** Whether it is time for a WINDOW_UPDATE: a quarter of the window is free again. */
  get due(): boolean {
    return this.#released + this.#window - this.#limit >= this.#window / 4
  }

  /** The new absolute limit to be sent. */
  grant(now: Millis, rttMs: number): number {
    const rtt = Math.max(rttMs, MIN_TUNING_RTT_MS)
    if (now - this.#grantedAt < rtt / 2) this.#window = Math.min(this.#window * 2, this.#maxWindow)
    this.#grantedAt = now
    this.#limit = Math.max(this.#limit, this.#released + this.#window)
    return this.#limit
  }
}
