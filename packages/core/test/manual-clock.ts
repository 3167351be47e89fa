import type { Clock } from '@aiv/transport-api'

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #now = 0
  #unixOffset = 1_700_000_000_000
  #timers: { at: number; run: () => void }[] = []

  now(): number {
    return this.#now
  }

  unixNow(): number {
    return this.#now + this.#unixOffset
  }

  setTimeout(run: () => void, delayMs: number): { clear(): void } {
    const timer = { at: this.#now + delayMs, run }
    this.#timers.push(timer)
    return {
      clear: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  get running(): number {
    return this.#timers.length
  }

  /** Unix time jumps, monotonic time does not: what a sleep looks like. */
  sleep(ms: number): void {
    this.#unixOffset += ms
  }

  /** Runs what is due, in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
      await settle()
    }
    this.#now = until
    await settle()
  }
}

/** Lets everything that waits for promises only go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}
