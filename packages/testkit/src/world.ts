import { ArgumentError, type Millis, type Timer } from '@aiv/transport-api'
import { type Checker, type Violation, WorldError } from './checker.js'
import { EventLog, type WorldEvent } from './event-log.js'
import { EventQueue, type Scheduler } from './event-queue.js'
import { ImpairedLink, type Impairment } from './impaired-link.js'
import { SeededRandom } from './seeded-random.js'
import { SMALLEST_STEP_MS, VirtualClock, type VirtualClockOptions } from './virtual-clock.js'

export interface WorldOptions {
  /** Everything that is left to chance follows from it. A number or a text. */
  readonly seed: string | number
  /** The world's Unix time at its moment 0. @defaultValue 1_750_000_000_000, in June 2025 */
  readonly unixStartMs?: number
  /**
   * Lets promises settle after each event of {@link World.run}. It must not depend on real time.
   * @defaultValue {@link settleTurns} turns of the microtask queue
   */
  readonly settle?: () => Promise<void>
  /** Microtask turns after each event: chains of more `then`s go on during the next event. @defaultValue 16 */
  readonly settleTurns?: number
  /** Last events that are kept for messages and {@link World.events}. @defaultValue 1000 */
  readonly keepEvents?: number
  /** Violations that are kept; further ones are only counted. @defaultValue 100 */
  readonly keepViolations?: number
  /** Events at one moment after which the run is said to be endless. @defaultValue 1_000_000 */
  readonly maxEventsPerInstant?: number
}

/** Awaiting it lets everything run that is queued as a microtask now. */
const TURN = Promise.resolve()
/** Violations that are spelt out in an error's message. */
const SHOWN_VIOLATIONS = 5

/**
 * Virtual time and chance for any number of nodes in one process: an event queue in deadline order, clocks, randomness
 * from one seed, impaired links, faults, checkers and a hash over what was recorded. The same seed and the same program
 * give the same run, event for event, in every process.
 *
 * It knows nothing of nodes, transports or protocols: they take their clock, their randomness and their links from it.
 * What a larger simulation adds (radio, topologies, scenarios) is built from {@link schedule}, {@link record} and
 * {@link check}, beside it or as a subclass.
 */
export class World implements Scheduler {
  readonly seed: string
  readonly #options: Required<Omit<WorldOptions, 'seed' | 'settle'>>
  readonly #settle: (() => Promise<void>) | undefined
  readonly #queue = new EventQueue()
  readonly #log: EventLog
  readonly #clocks = new Map<string, VirtualClock>()
  readonly #randoms = new Map<string, SeededRandom>()
  readonly #links = new Map<string, ImpairedLink>()
  readonly #checkers: Checker[] = []
  readonly #violations: Violation[] = []
  #violationCount = 0
  #thrownViolations = 0
  #now: Millis = 0
  #eventsAtNow = 0
  #eventCount = 0
  #running = false
  #failure: { readonly error: unknown } | undefined

  constructor(options: WorldOptions) {
    const { seed, settle, ...rest } = options
    this.seed = String(seed)
    this.#settle = settle
    this.#options = {
      unixStartMs: 1_750_000_000_000,
      settleTurns: 16,
      keepEvents: 1000,
      keepViolations: 100,
      maxEventsPerInstant: 1_000_000,
      ...rest,
    }
    this.#log = new EventLog(this.#options.keepEvents)
  }

  /** Milliseconds since the world began: a multiple of 2^-20 ms, so that sums of times are exact. */
  now(): Millis {
    return this.#now
  }

  /** Events that have happened. */
  get eventCount(): number {
    return this.#eventCount
  }

  /** Events that are still to happen; without faults and clocks of its own a world at rest has none. */
  get pendingEvents(): number {
    return this.#queue.size
  }

  /** Over everything that was recorded so far, as 16 hex digits: equal for equal runs. */
  get hash(): string {
    return this.#log.hash
  }

  /** The last recorded events, oldest first. */
  get events(): readonly WorldEvent[] {
    return this.#log.last()
  }

  /** Broken rules so far. */
  get violations(): readonly Violation[] {
    return this.#violations
  }

  /** Runs `run` at `at`, or as the next thing when that is past. */
  schedule(at: Millis, run: () => void): Timer {
    if (Number.isNaN(at)) throw new ArgumentError('an event at NaN')
    // rounded up to the grid, so that nothing happens before its time and every positive delay moves time on
    const rounded = Math.ceil(at / SMALLEST_STEP_MS) * SMALLEST_STEP_MS
    return this.#queue.add(Math.max(this.#now, rounded), run)
  }

  /**
   * The clock of that name: made at the first call, the same one afterwards.
   * @throws ArgumentError when options are given for a clock that exists.
   */
  clock(name: string, options?: VirtualClockOptions): VirtualClock {
    const known = this.#clocks.get(name)
    if (known !== undefined) {
      if (options !== undefined) throw new ArgumentError(`there is a clock ${name} already`)
      return known
    }
    const clock = new VirtualClock(this, name, this.#options.unixStartMs, options)
    this.#clocks.set(name, clock)
    return clock
  }

  /** The machine of that name sleeps for `ms`: see {@link VirtualClock.suspend}. */
  suspend(name: string, ms: number): void {
    this.clock(name).suspend(ms)
  }

  /** The stream of chance of that name, from the world's seed: the same object at each call, independent of all others. */
  random(name: string): SeededRandom {
    let random = this.#randoms.get(name)
    if (random === undefined) {
      random = new SeededRandom(`${this.seed}/random/${name}`)
      this.#randoms.set(name, random)
    }
    return random
  }

  /** `length` bytes for a key: always the same for one seed and name, and not what {@link random} gives. */
  seedBytes(name: string, length: number): Uint8Array {
    return new SeededRandom(`${this.seed}/seed/${name}`).bytes(length)
  }

  /**
   * The link between two ends: made at the first call, the same one afterwards, in whatever order they are named.
   * @throws ArgumentError when an impairment is given for a link that exists: change it with {@link ImpairedLink.set}.
   */
  link(a: string, b: string, impairment?: Impairment): ImpairedLink {
    const key = JSON.stringify(a < b ? [a, b] : [b, a])
    const known = this.#links.get(key)
    if (known !== undefined) {
      if (impairment !== undefined) throw new ArgumentError(`there is a link between ${a} and ${b} already`)
      return known
    }
    const link = new ImpairedLink(this, this.random(`link ${key}`), a, b, impairment)
    this.#links.set(key, link)
    return link
  }

  /** All links that were made, in the order of their making. */
  get links(): Iterable<ImpairedLink> {
    return this.#links.values()
  }

  /** A fault or anything else that is to happen at a moment. A promise is not waited for; its rejection ends the run. */
  at(time: Millis, run: () => void | Promise<void>): Timer {
    return this.schedule(time, () => this.#watch(run()))
  }

  /** The same again and again, first after one interval. */
  every(intervalMs: number, run: () => void | Promise<void>): Timer {
    if (!(intervalMs >= SMALLEST_STEP_MS)) throw new ArgumentError(`an interval of ${intervalMs} ms`)
    let timer: Timer
    const again = (): void => {
      timer = this.schedule(this.#now + intervalMs, again)
      this.#watch(run())
    }
    timer = this.schedule(this.#now + intervalMs, again)
    return { clear: () => timer.clear() }
  }

  /** Tells the world what happened: it goes into the hash and to the checkers. */
  record(node: string, type: string, detail?: unknown): void {
    const event: WorldEvent = { at: this.#now, node, type, detail }
    this.#log.add(event)
    for (const checker of this.#checkers) this.#ask(checker, () => checker.onEvent?.(event))
  }

  /** From now on `checker` sees every recorded event. */
  check(checker: Checker): void {
    this.#checkers.push(checker)
  }

  /** Notes a broken rule; {@link run} throws when it comes to its end. */
  violate(checker: string, message: string, error?: unknown): void {
    this.#violationCount++
    if (this.#violations.length >= this.#options.keepViolations) return
    this.#violations.push({ at: this.#now, checker, message, error })
  }

  /**
   * Plays until `until` (world time), letting promises settle after every event; all events up to and at `until` have
   * happened then.
   * @throws WorldError when a rule was broken meanwhile, or at once when an event threw or there is no end to a moment.
   */
  async run(until: Millis): Promise<void> {
    await this.#exclusively(async () => {
      await this.#settled()
      while (this.#step(until)) await this.#settled()
      this.#now = Math.max(this.#now, until)
    })
    this.#throwViolations()
  }

  /** {@link run} for `ms` from now. */
  advance(ms: number): Promise<void> {
    return this.run(this.#now + ms)
  }

  /**
   * Plays until `promise` settles and gives what it gives.
   * @throws WorldError as {@link run} does, and with WORLD_STUCK when it has not settled after `limitMs` of virtual time or
   * nothing is left that could happen.
   */
  async settled<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let done = false
    const mark = (): void => {
      done = true
    }
    promise.then(mark, mark)
    await this.until(() => done, limitMs)
    return promise
  }

  /** Plays until `condition` holds, asked after every event. Throws as {@link settled} does. */
  async until(condition: () => boolean, limitMs = 3_600_000): Promise<void> {
    const limit = this.#now + limitMs
    let met = false
    await this.#exclusively(async () => {
      await this.#settled()
      while (!(met = condition()) && this.#step(limit)) await this.#settled()
    })
    this.#throwViolations()
    if (met) return
    const why = this.#queue.size === 0 ? 'nothing is left that could happen' : `${limitMs} ms have passed`
    throw new WorldError('WORLD_STUCK', `what was waited for has not come: ${why} (${this.#where()})`)
  }

  /** {@link run} for code without promises: several times as fast. */
  runSync(until: Millis): void {
    this.#enter()
    try {
      while (this.#step(until));
      this.#now = Math.max(this.#now, until)
    } finally {
      this.#running = false
    }
    this.#throwViolations()
  }

  /** The run is over: asks every checker for its last word. @throws WorldError when a rule was broken. */
  end(): void {
    for (const checker of this.#checkers) this.#ask(checker, () => checker.onEnd?.())
    this.#throwViolations()
  }

  #step(until: Millis): boolean {
    const event = this.#queue.take(until)
    if (event === undefined) return false
    if (event.at > this.#now) {
      this.#now = event.at
      this.#eventsAtNow = 0
    }
    this.#eventCount++
    if (++this.#eventsAtNow > this.#options.maxEventsPerInstant) {
      throw new WorldError('WORLD_ENDLESS', `${this.#eventsAtNow} events and time does not move on (${this.#where()})`)
    }
    try {
      event.run()
    } catch (error) {
      throw new WorldError('WORLD_EVENT', `an event threw: ${String(error)} (${this.#where()})`, { cause: error })
    }
    return true
  }

  async #settled(): Promise<void> {
    if (this.#settle === undefined) {
      for (let turn = this.#options.settleTurns; turn > 0; turn--) await TURN
    } else {
      await this.#settle()
    }
    if (this.#failure === undefined) return
    const { error } = this.#failure
    this.#failure = undefined
    throw new WorldError('WORLD_EVENT', `a fault rejected: ${String(error)} (${this.#where()})`, { cause: error })
  }

  #watch(result: void | Promise<void>): void {
    result?.catch((error: unknown) => {
      this.#failure ??= { error }
    })
  }

  #ask(checker: Checker, question: () => string | undefined): void {
    try {
      const answer = question()
      if (answer !== undefined) this.violate(checker.name, answer)
    } catch (error) {
      this.violate(checker.name, String(error), error)
    }
  }

  #enter(): void {
    if (this.#running) throw new ArgumentError('the world runs already: a run inside a run, or one not awaited')
    this.#running = true
  }

  async #exclusively(play: () => Promise<void>): Promise<void> {
    this.#enter()
    try {
      await play()
    } finally {
      this.#running = false
    }
  }

  #throwViolations(): void {
    const count = this.#violationCount - this.#thrownViolations
    if (count === 0) return
    const first = this.#violations.slice(this.#thrownViolations)
    this.#thrownViolations = this.#violationCount
    const shown = first
      .slice(0, SHOWN_VIOLATIONS)
      .map(({ at, checker, message }) => `  ${at} ms ${checker}: ${message}`)
    const message = `${count} broken rules (${this.#where()})\n${shown.join('\n')}`
    throw new WorldError('WORLD_VIOLATION', message, { violations: first, cause: first[0]?.error })
  }

  #where(): string {
    return `seed ${JSON.stringify(this.seed)}, at ${this.#now} ms, event ${this.#eventCount}`
  }
}
