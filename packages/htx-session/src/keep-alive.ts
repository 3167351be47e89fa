import { type Millis, equalBytes } from '@aiv/transport-api'
import { encodeUint64 } from './control-payloads.js'

/** Nobody is suspected before this much silence, whatever the round trip. */
export const MIN_SUSPECT_MS = 200
/** Whatever the round trip, silence for this long is suspect while something is unanswered. */
export const MAX_SUSPECT_MS = 2_000
const SUSPECT_ROUND_TRIPS = 3

/** Is the other side there? PING after silence, suspicion while something is unanswered, and the idle timeout. */
export class KeepAlive {
  readonly #keepAliveMs: number
  readonly #idleTimeoutMs: number
  #lastHeardAt: Millis
  #lastPingAt: Millis
  #pings = 0
  /** The PING that is on its way, and since when. */
  #ping: Uint8Array | undefined
  #pingSentAt: Millis = Infinity
  #probing = false
  /** Somebody wants to be told of the next PONG. */
  #asked = false
  #unacknowledgedSince: Millis = Infinity
  #suspect = false

  constructor(now: Millis, keepAliveMs: number, idleTimeoutMs: number) {
    this.#lastHeardAt = now
    this.#lastPingAt = now
    this.#keepAliveMs = keepAliveMs
    this.#idleTimeoutMs = idleTimeoutMs
  }

  get lastHeardAt(): Millis {
    return this.#lastHeardAt
  }

  get suspect(): boolean {
    return this.#suspect
  }

  /** Bytes came. True when that ends a suspicion. */
  heard(now: Millis): boolean {
    this.#lastHeardAt = now
    const changed = this.#suspect
    this.#suspect = false
    return changed
  }

  /** Message bytes are on their way that nobody acknowledged yet. */
  unacknowledged(now: Millis): void {
    if (this.#unacknowledgedSince === Infinity) this.#unacknowledgedSince = now
  }

  acknowledged(): void {
    this.#unacknowledgedSince = Infinity
  }

  /** Asks for a PING now, unless one is on its way. */
  probe(): void {
    this.#asked = true
    if (this.#ping === undefined) this.#probing = true
  }

  /** Notes that a PING is due, so that its time is not waited for again before it is polled. */
  onTimeout(now: Millis): void {
    if (now < this.#pingAt()) return
    this.#probing = true
    this.#lastPingAt = now
  }

  /** The payload of the PING that has to go out now, if any: a new one each time. */
  pollPing(now: Millis): Uint8Array | undefined {
    if (!this.#probing && now < this.#pingAt()) return undefined
    this.#probing = false
    this.#lastPingAt = now
    this.#ping = encodeUint64(++this.#pings)
    this.#pingSentAt = now
    return this.#ping
  }

  /** The round trip in ms; `undefined` for a PONG that answers nothing we asked last. */
  onPong(now: Millis, payload: Uint8Array): number | undefined {
    if (this.#ping === undefined || !equalBytes(payload, this.#ping)) return undefined
    const rtt = now - this.#pingSentAt
    this.#ping = undefined
    this.#pingSentAt = Infinity
    return rtt
  }

  /** True once after a {@link probe}: a PONG has answered it. */
  takeAnswer(): boolean {
    const asked = this.#asked
    this.#asked = false
    return asked
  }

  /** True when the other side has to be suspected from now on. */
  checkSuspect(now: Millis, smoothedRttMs: number | undefined): boolean {
    if (this.#suspect || now < this.#suspectAt(smoothedRttMs)) return false
    this.#suspect = true
    return true
  }

  idleAt(): Millis {
    return this.#lastHeardAt + this.#idleTimeoutMs
  }

  /** When something is to be done here next. */
  nextAt(smoothedRttMs: number | undefined): Millis {
    return Math.min(this.idleAt(), this.#pingAt(), this.suspectAt(smoothedRttMs))
  }

  /** When {@link checkSuspect} turns true, should nothing come until then. */
  suspectAt(smoothedRttMs: number | undefined): Millis {
    return this.#suspect ? Infinity : this.#suspectAt(smoothedRttMs)
  }

  #pingAt(): Millis {
    return Math.max(this.#lastHeardAt, this.#lastPingAt) + this.#keepAliveMs
  }

  #suspectAt(smoothedRttMs = 0): Millis {
    const waitingSince = Math.min(this.#unacknowledgedSince, this.#pingSentAt)
    const patience = Math.min(Math.max(MIN_SUSPECT_MS, SUSPECT_ROUND_TRIPS * smoothedRttMs), MAX_SUSPECT_MS)
    return Math.max(this.#lastHeardAt, waitingSince) + patience
  }
}
