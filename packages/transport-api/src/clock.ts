/** Milliseconds on a monotonic clock, fractions allowed; only differences have meaning. */
export type Millis = number

/** A running timer. */
export interface Timer {
  /** Stops it; does nothing when it has run or was cleared before. */
  clear(): void
}

/** The only door to time. */
export interface Clock {
  /** Monotonic; never goes back, stands still while the machine sleeps on some platforms. */
  now(): Millis
  /** Milliseconds since 1970-01-01 UTC; may jump. */
  unixNow(): number
  /** Runs `run` once, not before `delayMs` have passed and never inside this call. */
  setTimeout(run: () => void, delayMs: number): Timer
}

/** The only door to chance. */
export interface Random {
  /** A new buffer of `length` bytes, unpredictable to others outside of tests. */
  bytes(length: number): Uint8Array
  /** At least 0 and below 1; for jitter and sampling, never for keys. */
  uniform(): number
}
