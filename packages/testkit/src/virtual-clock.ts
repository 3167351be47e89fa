import { ArgumentError, type Clock, type Millis, type Timer } from '@aiv/transport-api'
import type { Scheduler } from './event-queue.js'

/** How a node's clock differs from the world's. */
export interface VirtualClockOptions {
  /** Parts per million by which it runs fast; negative: slow. Cheap quartz is within ±100. @defaultValue 0 */
  readonly skewPpm?: number
  /** What the monotonic clock shows when the world begins. @defaultValue 0 */
  readonly offsetMs?: number
  /** By how much its Unix time is ahead of the world's. @defaultValue 0 */
  readonly unixOffsetMs?: number
  /**
   * Whether the monotonic clock goes on while the machine sleeps, as it does on Windows and iOS but not on Linux.
   * @defaultValue false
   */
  readonly runsAsleep?: boolean
}

interface Running {
  /** On this clock. */
  readonly deadline: Millis
  readonly run: () => void
  timer: Timer | undefined
}

/** Events that a sleeping machine holds back at most; further ones are dropped, as a full buffer does. */
const MAX_HELD = 10_000

/** About a nanosecond; time in a world is a multiple of it. */
export const SMALLEST_STEP_MS = 2 ** -20

/** A node's own clock in a {@link Scheduler | world}: skewed, stepped, put to sleep. */
export class VirtualClock implements Clock {
  readonly #world: Scheduler
  readonly #rate: number
  readonly #runsAsleep: boolean
  readonly #running = new Set<Running>()
  readonly #jumpListeners: (() => void)[] = []
  #held: (() => void)[] = []
  #offset: Millis
  #unixOffset: number
  #asleepSince: Millis | undefined
  #wake: Timer | undefined
  #wakeAt: Millis = 0

  /** @param unixStartMs - the world's Unix time at its moment 0. */
  constructor(
    world: Scheduler,
    readonly name: string,
    unixStartMs: number,
    options: VirtualClockOptions = {},
  ) {
    const { skewPpm = 0, offsetMs = 0, unixOffsetMs = 0, runsAsleep = false } = options
    if (!(Math.abs(skewPpm) < 1e6)) throw new ArgumentError(`skewPpm ${skewPpm}: time would stand still or go back`)
    this.#world = world
    this.#rate = 1 + skewPpm / 1e6
    this.#offset = offsetMs
    this.#unixOffset = unixStartMs + unixOffsetMs
    this.#runsAsleep = runsAsleep
  }

  get isSuspended(): boolean {
    return this.#asleepSince !== undefined
  }

  now(): Millis {
    return this.#at(this.#runsAsleep ? this.#world.now() : (this.#asleepSince ?? this.#world.now()))
  }

  unixNow(): number {
    // the battery-backed clock goes on asleep, at the same rate
    return this.#world.now() * this.#rate + this.#unixOffset
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const running: Running = { deadline: this.now() + Math.max(0, delayMs), run, timer: undefined }
    this.#running.add(running)
    if (!this.isSuspended) this.#arm(running)
    return {
      clear: () => {
        running.timer?.clear()
        this.#running.delete(running)
      },
    }
  }

  /** Somebody sets the wall clock: Unix time jumps by `ms`, monotonic time does not. */
  stepUnix(ms: number): void {
    this.#unixOffset += ms
    for (const run of this.#jumpListeners) run()
  }

  /** Runs `run` after each change of `unixNow() - now()`: a step, or a sleep in which only one of them went on. */
  onJump(run: () => void): void {
    this.#jumpListeners.push(run)
  }

  /**
   * The machine sleeps for `ms` of world time: no timer fires, nothing is received. Afterwards what was due is run, oldest
   * first. Asked again while asleep, the later end counts.
   */
  suspend(ms: number): void {
    const now = this.#world.now()
    if (this.#asleepSince === undefined) {
      this.#asleepSince = now
      for (const running of this.#running) running.timer?.clear()
    }
    this.#wake?.clear()
    this.#wakeAt = Math.max(this.#wakeAt, now + ms)
    this.#wake = this.#world.schedule(this.#wakeAt, () => this.#wakeUp())
  }

  /** Runs `run` now, or when the machine wakes. False: too much is held already and it was dropped. */
  whenAwake(run: () => void): boolean {
    if (!this.isSuspended) run()
    else if (this.#held.length >= MAX_HELD) return false
    else this.#held.push(run)
    return true
  }

  #wakeUp(): void {
    const slept = this.#world.now() - (this.#asleepSince ?? this.#world.now())
    this.#asleepSince = undefined
    this.#wake = undefined
    if (!this.#runsAsleep) {
      this.#offset -= slept * this.#rate
      for (const run of this.#jumpListeners) run()
    }
    const due = [...this.#running].sort((a, b) => a.deadline - b.deadline)
    for (const running of due) this.#arm(running)
    const held = this.#held
    this.#held = []
    for (const run of held) this.whenAwake(run)
  }

  #at(world: Millis): Millis {
    return world * this.#rate + this.#offset
  }

  #arm(running: Running, notBefore: Millis = Number.NEGATIVE_INFINITY): void {
    const wanted = Math.max(notBefore, (running.deadline - this.#offset) / this.#rate)
    running.timer = this.#world.schedule(wanted, () => {
      // rounding may bring it a bit early, and a core does nothing when it is called early
      if (this.now() < running.deadline) return this.#arm(running, this.#world.now() + SMALLEST_STEP_MS)
      this.#running.delete(running)
      running.run()
    })
  }
}
