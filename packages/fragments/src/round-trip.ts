/**
 * Smoothed round trip and its variance (RFC 6298 section 2), of fragments that were sent once only (Karn's rule: the
 * answer to one that was repeated may be to either).
 */
export class RoundTrip {
  #smoothed: number | undefined
  #variance = 0

  /** `undefined`: nothing measured yet. */
  get smoothedMs(): number | undefined {
    return this.#smoothed
  }

  /** Within which an answer is to be expected; `undefined`: nothing measured yet. */
  get timeoutMs(): number | undefined {
    return this.#smoothed === undefined ? undefined : this.#smoothed + 4 * this.#variance
  }

  sample(ms: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = ms
      this.#variance = ms / 2
      return
    }
    this.#variance += (Math.abs(this.#smoothed - ms) - this.#variance) / 4
    this.#smoothed += (ms - this.#smoothed) / 8
  }
}
