import type { Millis } from '@aiv/transport-api'

/** DATA bytes, in either direction, that earn one frame of another type. */
export const DATA_BYTES_PER_CONTROL_FRAME = 65_536
/** What may come at once, in seconds of the allowed rate. */
const BURST_SECONDS = 2

/** Two token buckets for the frames that are not DATA: how many, and how many bytes. */
export class ControlLimiter {
  readonly #framesPerMs: number
  readonly #bytesPerMs: number
  #frames: number
  #bytes: number
  #at: Millis

  constructor(now: Millis, framesPerSecond: number, bytesPerSecond: number) {
    this.#at = now
    this.#framesPerMs = framesPerSecond / 1_000
    this.#bytesPerMs = bytesPerSecond / 1_000
    this.#frames = framesPerSecond * BURST_SECONDS
    this.#bytes = bytesPerSecond * BURST_SECONDS
  }

  /** A frame that is not DATA was read, of so many bytes. */
  take(bytes: number): void {
    this.#frames -= 1
    this.#bytes -= bytes
  }

  /** DATA came or went: whoever exchanges much may also say much about it. */
  earn(dataBytes: number): void {
    this.#frames += dataBytes / DATA_BYTES_PER_CONTROL_FRAME
  }

  /** True while reading should rest. Look after {@link refill}. */
  get exhausted(): boolean {
    return this.#frames < 0 || this.#bytes < 0
  }

  refill(now: Millis): void {
    const passed = now - this.#at
    if (passed <= 0) return
    this.#at = now
    const burstMs = BURST_SECONDS * 1_000
    this.#frames = Math.min(this.#frames + passed * this.#framesPerMs, this.#framesPerMs * burstMs)
    this.#bytes = Math.min(this.#bytes + passed * this.#bytesPerMs, this.#bytesPerMs * burstMs)
  }

  /** When {@link exhausted} turns false. */
  resumeAt(): Millis {
    const debt = Math.max(-this.#frames / this.#framesPerMs, -this.#bytes / this.#bytesPerMs, 0)
    // a little more, so that rounding cannot leave a hair's breadth of debt
    return this.#at + debt + 0.1
  }
}
