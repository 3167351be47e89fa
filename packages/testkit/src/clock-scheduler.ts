import type { Clock, Millis, Timer } from '@aiv/transport-api'
import { EventQueue, type Scheduler } from './event-queue.js'

/**
 * A {@link Scheduler} over any clock, with one timer of it for all events: their order is the order of their deadlines,
 * whatever the platform does with timers that fall together.
 */
export class ClockScheduler implements Scheduler {
  readonly #queue = new EventQueue()
  readonly #clock: Clock
  #timer: Timer | undefined
  #armedFor: Millis = Number.POSITIVE_INFINITY
  #running = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Events that are still to happen. */
  get size(): number {
    return this.#queue.size
  }

  now(): Millis {
    return this.#clock.now()
  }

  schedule(at: Millis, run: () => void): Timer {
    const inner = this.#queue.add(at, run)
    this.#arm()
    return {
      clear: () => {
        inner.clear()
        this.#arm()
      },
    }
  }

  #arm(): void {
    if (this.#running) return
    const at = this.#queue.nextAt()
    if (at === undefined || at !== this.#armedFor) {
      this.#timer?.clear()
      this.#timer = undefined
      this.#armedFor = Number.POSITIVE_INFINITY
    }
    if (at === undefined || this.#timer !== undefined) return
    this.#armedFor = at
    this.#timer = this.#clock.setTimeout(() => this.#run(), Math.max(0, at - this.#clock.now()))
  }

  #run(): void {
    this.#timer = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    this.#running = true
    try {
      // what is added while this runs waits for its own turn, so that the platform's other work is not starved
      const now = this.#clock.now()
      for (let left = this.#queue.size; left > 0; left--) {
        const event = this.#queue.take(now)
        if (event === undefined) break
        event.run()
      }
    } finally {
      this.#running = false
      this.#arm()
    }
  }
}
