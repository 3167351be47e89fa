import type { Millis } from '@aiv/transport-api'

/** Nobody is suspected before this much silence, whatever the round trip. */
const MIN_SUSPECT_MS = 200
/** Whatever the round trip, silence for this long is suspect while something is unanswered. */
const MAX_SUSPECT_MS = 2_000
const SUSPECT_ROUND_TRIPS = 3

/** Is the other side there? A ping after silence, and suspicion while something is unanswered. */
export class Liveness {
  readonly #keepAliveMs: number
  #pingAt: Millis | undefined
  #lastPingAt: Millis
  #unansweredSince: Millis | undefined
  #asked = false
  #suspect = false

  constructor(now: Millis, keepAliveMs: number) {
    this.#lastPingAt = now
    this.#keepAliveMs = keepAliveMs
  }

  /** A ping goes out now. `asked`: somebody wants to know of the answer. */
  pinged(now: Millis, asked: boolean): void {
    this.#asked ||= asked
    this.#pingAt = now
    this.#lastPingAt = now
  }

  /** Something that has to be acknowledged was written. */
  wrote(now: Millis): void {
    this.#unansweredSince ??= now
  }

  /**
   * What has changed, if anything. `delivered`: all that was written has been acknowledged. `rttMs` is asked only when
   * it decides.
   */
  look(
    now: Millis,
    lastHeardAt: Millis,
    delivered: boolean,
    rttMs: () => number | undefined,
  ): 'alive' | 'suspect' | undefined {
    if (delivered) this.#unansweredSince = undefined
    if (this.#pingAt !== undefined && lastHeardAt > this.#pingAt) this.#pingAt = undefined
    if (now >= this.#suspectAt(lastHeardAt, 0) && now >= this.#suspectAt(lastHeardAt, rttMs())) {
      const changed = !this.#suspect
      this.#suspect = true
      return changed ? 'suspect' : undefined
    }
    const alive = this.#suspect || (this.#asked && this.#pingAt === undefined)
    this.#suspect = false
    if (this.#pingAt === undefined) this.#asked = false
    return alive ? 'alive' : undefined
  }

  /** True when a ping is due. */
  wantsPing(now: Millis, lastHeardAt: Millis): boolean {
    return now >= this.#nextPingAt(lastHeardAt)
  }

  nextAt(lastHeardAt: Millis, rttMs: number | undefined): Millis {
    const suspectAt = this.#suspect ? Infinity : this.#suspectAt(lastHeardAt, rttMs ?? 0)
    return Math.min(this.#nextPingAt(lastHeardAt), suspectAt)
  }

  #nextPingAt(lastHeardAt: Millis): Millis {
    return Math.max(lastHeardAt, this.#lastPingAt) + this.#keepAliveMs
  }

  #suspectAt(lastHeardAt: Millis, rttMs: number | undefined): Millis {
    const since = Math.min(this.#pingAt ?? Infinity, this.#unansweredSince ?? Infinity)
    const patience = Math.min(Math.max(MIN_SUSPECT_MS, SUSPECT_ROUND_TRIPS * (rttMs ?? 0)), MAX_SUSPECT_MS)
    return Math.max(lastHeardAt, since) + patience
  }
}
