import type { Clock, Timer } from '@aiv/transport-api'

/** Real time, which knows how many of its timers run, and whose timers a test may let run early. */
export class TestClock implements Clock {
  readonly #timers = new Set<{ run: () => void; at: number; handle: ReturnType<typeof setTimeout> }>()
  #skipped = 0
  /** Makes Unix time wrong by so much. */
  unixErrorMs = 0

  /** How many run. */
  get timers(): number {
    return this.#timers.size
  }

  now(): number {
    return performance.now() + this.#skipped
  }

  unixNow(): number {
    return Date.now() + this.#skipped + this.unixErrorMs
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const timer = {
      run: (): void => {
        clearTimeout(timer.handle)
        if (this.#timers.delete(timer)) run()
      },
      at: this.now() + delayMs,
      handle: setTimeout(() => timer.run(), delayMs),
    }
    this.#timers.add(timer)
    return {
      clear: () => {
        clearTimeout(timer.handle)
        this.#timers.delete(timer)
      },
    }
  }

  /** As if `ms` had passed: everything that is due by then runs now, in order. */
  skip(ms: number): void {
    const until = this.now() + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#skipped += Math.max(0, next.at - this.now())
      next.run()
    }
    this.#skipped += Math.max(0, until - this.now())
  }
}
