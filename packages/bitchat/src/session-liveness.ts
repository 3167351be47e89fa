import type { Millis } from '@aiv/transport-api'

/** Shortest and longest silence after a question that makes a session suspect; between them three round trips. */
const SUSPECT_MIN_MS = 1_000
const SUSPECT_MAX_MS = 10_000
/** Pings of a suspect session come further and further apart, up to this. */
const MAX_PING_INTERVAL_MS = 60_000

export interface LivenessOptions {
  readonly keepAliveMs: number
  readonly idleTimeoutMs: number
}

/** Is the other side there? Asks after silence, doubts when nothing comes, and gives up in the end. */
export class SessionLiveness {
  lastHeardAt: Millis
  isSuspect = false
  readonly #options: LivenessOptions
  #keepAliveMs: number
  /** The first question that nothing was heard after. */
  #askedAt: Millis | undefined
  #pingAt: Millis
  #pings = 0
  #isAnswerWanted = false

  constructor(now: Millis, options: LivenessOptions) {
    this.#options = options
    this.#keepAliveMs = options.keepAliveMs
    this.lastHeardAt = now
    this.#pingAt = now + options.keepAliveMs
  }

  set keepAliveMs(ms: number) {
    this.#keepAliveMs = ms
    if (this.#pings === 0) this.#pingAt = this.lastHeardAt + ms
  }

  /** Something authentic came. True when it is news: somebody asked, or it was suspect. */
  heard(now: Millis): boolean {
    const isNews = this.isSuspect || this.#isAnswerWanted
    this.lastHeardAt = now
    this.isSuspect = false
    this.#isAnswerWanted = false
    this.#askedAt = undefined
    this.#pings = 0
    this.#pingAt = now + this.#keepAliveMs
    return isNews
  }

  /** Something was sent that will be answered. */
  asked(now: Millis): void {
    this.#askedAt ??= now
  }

  /** A ping goes with the next poll; its answer is told. */
  probe(now: Millis): void {
    this.#isAnswerWanted = true
    this.#pingAt = now
  }

  /** A ping soon, since something waits for an answer. */
  askBy(at: Millis): void {
    this.#pingAt = Math.min(this.#pingAt, at)
  }

  /** True when a ping has to go now. */
  takePing(now: Millis, roundTripMs: number | undefined): boolean {
    if (now < this.#pingAt) return false
    this.asked(now)
    this.#pingAt = now + Math.min(MAX_PING_INTERVAL_MS, this.#patienceMs(roundTripMs) * 2 ** this.#pings)
    this.#pings = Math.min(10, this.#pings + 1)
    return true
  }

  /** `suspect`: since now. `lost`: for good. */
  check(now: Millis, roundTripMs: number | undefined): 'suspect' | 'lost' | undefined {
    if (now >= this.lastHeardAt + this.#options.idleTimeoutMs) return 'lost'
    if (this.isSuspect || this.#askedAt === undefined) return undefined
    if (now < this.#askedAt + this.#patienceMs(roundTripMs)) return undefined
    this.isSuspect = true
    this.#pingAt = Math.min(this.#pingAt, now)
    return 'suspect'
  }

  nextTimeout(roundTripMs: number | undefined): Millis {
    let at = Math.min(this.#pingAt, this.lastHeardAt + this.#options.idleTimeoutMs)
    if (!this.isSuspect && this.#askedAt !== undefined) at = Math.min(at, this.#askedAt + this.#patienceMs(roundTripMs))
    return at
  }

  #patienceMs(roundTripMs: number | undefined): number {
    return Math.min(SUSPECT_MAX_MS, Math.max(SUSPECT_MIN_MS, 3 * (roundTripMs ?? 0)))
  }
}
