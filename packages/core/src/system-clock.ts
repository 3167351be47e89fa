import type { Clock } from '@aiv/transport-api'

/** The platform's time; a node's default. */
export const systemClock: Clock = Object.freeze({
  now: () => performance.now(),
  unixNow: () => Date.now(),
  setTimeout: (run: () => void, delayMs: number) => {
    const timer = setTimeout(run, Math.max(0, delayMs))
    return { clear: () => clearTimeout(timer) }
  },
})
