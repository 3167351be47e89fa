/** How far the clocks of two nodes may stand apart, in ms. */
export const CLOCK_TOLERANCE_MS = 120_000

interface Age {
  /** Unix ms. */
  readonly timestamp: number
  readonly lifetimeS: number
}

/** Accepted iff timestamp − 120 s ≤ now ≤ timestamp + lifetime + 120 s. `unixNow` in ms. docs/wire/envelope.md */
export function envelopeAge(unixNow: number, { timestamp, lifetimeS }: Age): 'acceptable' | 'early' | 'expired' {
  if (unixNow < timestamp - CLOCK_TOLERANCE_MS) return 'early'
  return unixNow > timestamp + lifetimeS * 1000 + CLOCK_TOLERANCE_MS ? 'expired' : 'acceptable'
}

/**
 * Unix ms until which the id of an envelope is remembered: timestamp + lifetime + 240 s, which is after it has expired
 * for every clock that is taken for right.
 */
export function rememberEnvelopeUntil({ timestamp, lifetimeS }: Age): number {
  return timestamp + lifetimeS * 1000 + 2 * CLOCK_TOLERANCE_MS
}
