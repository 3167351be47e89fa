import type { Millis } from '@aiv/transport-api'
import { DOUBLE_ZERO } from './double-zero.js'

/** In flight before anything is known: what the first window allows. */
const INITIAL_IN_FLIGHT_BYTES = 256 * 1024
const MIN_IN_FLIGHT_BYTES = 16 * 1024
const MAX_IN_FLIGHT_BYTES = 2 ** 30
/** Frames that the in-flight limit has room for at least, so that the link never runs dry between two ACKs. */
const MIN_FRAMES_IN_FLIGHT = 3
/** Before the rate is known. */
const INITIAL_FRAME_BYTES = 16 * 1024
/** Smallest frame that is chosen: about one IP packet. */
export const MIN_FRAME_BYTES = 1_200
/** What one frame holds takes this long on the link, so that an urgent message waits no longer for it, */
const FRAME_MS = 10
/** and where it would be larger than this, only so long: large frames are for links to which they are nothing. */
const COMMON_FRAME_BYTES = 65_536
const LARGE_FRAME_MS = 1
/** How often the other side acknowledges bulk at most; it is part of every round trip that bulk sees. */
export const ACK_INTERVAL_MS = 1
/**
 * Beside twice what the path holds and what is not acknowledged yet this much may be in flight, in time, since two
 * processes that share a machine take turns. An emergency waits for all of it, and what is more than the caches hold is
 * read from memory again.
 */
const SCHEDULING_MS = 0.2
/** How long a largest rate counts. */
const RATE_WINDOW_MS = 2_000
/** A smallest round trip older than this is measured anew, with the queue on the link drained. */
const MIN_RTT_WINDOW_MS = 10_000

/**
 * What the path carries, from the ACKs: smoothed round trip (RFC 6298), smallest round trip, largest delivery rate; and
 * from these how much may be in flight and how large a frame may be.
 *
 * The model is that of BBR (Cardwell and others, 2016), reduced to what a sender above TCP needs: TCP paces and repairs,
 * this only keeps the queue here, where priorities act, and not in the kernel.
 */
export class DeliveryRate {
  #sent = 0
  #acknowledged = 0
  #srtt: number | undefined
  #rttVariance = DOUBLE_ZERO
  #minRtt = Infinity
  #minRttAt: Millis = -Infinity
  /** Bytes per ms: the largest of this window and of the one before. */
  #rate = DOUBLE_ZERO
  #previousRate = DOUBLE_ZERO
  #rateSince: Millis = DOUBLE_ZERO
  // one sample at a time: when the bytes up to #target left, and what was acknowledged then
  #target = -1
  #targetAt: Millis = DOUBLE_ZERO
  #acknowledgedAtStart = 0
  #limited = false
  #draining = false

  /** Message bytes handed to the link. */
  get sentBytes(): number {
    return this.#sent
  }

  get inFlightBytes(): number {
    return this.#sent - this.#acknowledged
  }

  get smoothedRttMs(): number | undefined {
    return this.#srtt
  }

  get rttVarianceMs(): number | undefined {
    return this.#srtt === undefined ? undefined : this.#rttVariance
  }

  get bytesPerSecond(): number | undefined {
    const rate = Math.max(this.#rate, this.#previousRate)
    return rate === 0 ? undefined : rate * 1_000
  }

  /** A frame with so many message bytes left. */
  onSent(now: Millis, bytes: number): void {
    this.#sent += bytes
    if (this.#target >= 0) return
    // while draining, a sample counts only from the moment when little was ahead of it
    if (this.#draining && this.inFlightBytes - bytes > this.maxInFlightBytes()) return
    this.#target = this.#sent
    this.#targetAt = now
    this.#acknowledgedAtStart = this.#acknowledged
    this.#limited = false
  }

  /** There was nothing to send: the rate seen now says nothing about what the path could carry. */
  onIdle(): void {
    this.#limited = true
  }

  /** An ACK; false when it acknowledges what was never sent. */
  onAck(now: Millis, acknowledged: number): boolean {
    if (acknowledged > this.#sent) return false
    if (acknowledged <= this.#acknowledged) return true
    this.#acknowledged = acknowledged
    if (this.#target < 0 || acknowledged < this.#target) return true
    this.#target = -1
    const elapsed = Math.max(now - this.#targetAt, 0.01)
    this.onRoundTrip(now, elapsed)
    this.#onRate(now, (acknowledged - this.#acknowledgedAtStart) / elapsed)
    return true
  }

  /** A round trip measured on anything: the handshake, a PING, a frame. */
  onRoundTrip(now: Millis, rttMs: number): void {
    if (this.#srtt === undefined) {
      this.#srtt = rttMs
      this.#rttVariance = rttMs / 2
    } else {
      this.#rttVariance += (Math.abs(this.#srtt - rttMs) - this.#rttVariance) / 4
      this.#srtt += (rttMs - this.#srtt) / 8
    }
    if (rttMs <= this.#minRtt || this.#draining) {
      this.#minRtt = rttMs
      this.#minRttAt = now
      this.#draining = false
    } else if (now - this.#minRttAt > MIN_RTT_WINDOW_MS) {
      // with the link empty anyway this sample is as good as any; else make it so first
      if (this.#limited) {
        this.#minRtt = rttMs
        this.#minRttAt = now
      } else this.#draining = true
    }
  }

  /** Message bytes that may be unacknowledged, about twice what the path holds; an integer. */
  maxInFlightBytes(): number {
    const rate = Math.max(this.#rate, this.#previousRate)
    if (rate === 0 || this.#minRtt === Infinity) return INITIAL_IN_FLIGHT_BYTES
    const floor = Math.min(rate * FRAME_MS, COMMON_FRAME_BYTES) * MIN_FRAMES_IN_FLIGHT
    const wanted = this.#draining
      ? (rate * (this.#minRtt + ACK_INTERVAL_MS)) / 2
      : rate * (2 * this.#minRtt + ACK_INTERVAL_MS + SCHEDULING_MS)
    return Math.min(Math.max(wanted, MIN_IN_FLIGHT_BYTES, floor), MAX_IN_FLIGHT_BYTES) | 0
  }

  /** Size of the next frame, at most `limit`. */
  frameBytes(limit: number): number {
    const rate = Math.max(this.#rate, this.#previousRate)
    if (rate === 0) return Math.min(INITIAL_FRAME_BYTES, limit)
    const common = Math.min(rate * FRAME_MS, COMMON_FRAME_BYTES)
    return Math.min(Math.max(common, rate * LARGE_FRAME_MS, MIN_FRAME_BYTES), limit) | 0
  }

  #onRate(now: Millis, rate: number): void {
    // a lone small message says nothing of the path: as long as there is no better sample, the first window stands
    const known = Math.max(this.#rate, this.#previousRate)
    if (this.#limited && (known === 0 || rate <= known)) return
    if (now - this.#rateSince > Math.max(RATE_WINDOW_MS, 10 * (this.#srtt ?? 0))) {
      this.#previousRate = this.#rate
      this.#rate = DOUBLE_ZERO
      this.#rateSince = now
    }
    this.#rate = Math.max(this.#rate, rate)
  }
}
