import { ArgumentError, type Millis } from '@aiv/transport-api'
import type { Scheduler } from './event-queue.js'
import type { SeededRandom } from './seeded-random.js'

/** What a link does to what is sent over it. Ratios are from 0 to 1. Everything absent: a perfect link. */
export interface Impairment {
  /** One way. @defaultValue 0 */
  readonly delayMs?: number
  /** Up to this much more, uniformly; alone it does not reorder: a packet waits for the one before it. @defaultValue 0 */
  readonly jitterMs?: number
  /** Share of packets that vanish. @defaultValue 0 */
  readonly lossRatio?: number
  /** Share of packets that arrive twice. @defaultValue 0 */
  readonly duplicateRatio?: number
  /** Share of packets that are held back by up to `reorderMs`, so that later ones overtake them. @defaultValue 0 */
  readonly reorderRatio?: number
  /** @defaultValue the delay, and at least 1 */
  readonly reorderMs?: number
  /** @defaultValue no limit */
  readonly bytesPerSecond?: number
  /** What may wait for a rate-limited link; a packet that does not fit is dropped (tail drop). @defaultValue 65_536 */
  readonly queueBytes?: number
}

/** What became of a packet, for statistics and for whoever owns the simulated network. */
export type LinkFate = 'carried' | 'lost' | 'dropped' | 'cut'

/** Counts since the link was made. */
export interface LinkCounts {
  readonly sent: number
  readonly sentBytes: number
  /** Arrivals; more than `sent` when there are duplicates. */
  readonly delivered: number
  readonly lost: number
  readonly duplicated: number
  readonly reordered: number
  /** For lack of room in the queue. */
  readonly dropped: number
  /** Because the link was cut, when sent or on the way. */
  readonly cut: number
}

const DEFAULT_QUEUE_BYTES = 65_536

/** One direction of an {@link ImpairedLink}. */
export class LinkDirection {
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  #impairment: Impairment
  #isCut = false
  /** Goes up at each cut, so that what was on the way is lost. */
  #epoch = 0
  #freeAt: Millis = Number.NEGATIVE_INFINITY
  #lastArrival: Millis = Number.NEGATIVE_INFINITY
  readonly #counts = {
    sent: 0,
    sentBytes: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    dropped: 0,
    cut: 0,
  }

  constructor(scheduler: Scheduler, random: SeededRandom, impairment: Impairment) {
    this.#scheduler = scheduler
    this.#random = random
    this.#impairment = verify(impairment)
  }

  get impairment(): Impairment {
    return this.#impairment
  }

  get isCut(): boolean {
    return this.#isCut
  }

  get counts(): LinkCounts {
    return { ...this.#counts }
  }

  /** When the last byte that was sent has left for the wire; past or now when the link is idle. */
  get idleAt(): Millis {
    return this.#freeAt
  }

  /** Bytes that wait for a rate-limited link right now. */
  get queuedBytes(): number {
    const { bytesPerSecond } = this.#impairment
    if (bytesPerSecond === undefined) return 0
    return Math.max(0, ((this.#freeAt - this.#scheduler.now()) * bytesPerSecond) / 1000)
  }

  /** Replaces the impairment for everything that is sent from now on. */
  set(impairment: Impairment): void {
    this.#impairment = verify(impairment)
  }

  /** From now on, and for what is on the way, everything is lost without a word. */
  cut(): void {
    this.#isCut = true
    this.#epoch++
  }

  restore(): void {
    this.#isCut = false
  }

  /**
   * Sends a packet of `bytes` bytes. `deliver` is called when it arrives: not at all, once or twice, and never inside this
   * call. `gone` is called instead, when it would have arrived, if it does not arrive: for the bookkeeping of a simulated
   * network; code under test must not learn of it.
   */
  send(bytes: number, deliver: () => void, gone?: () => void): LinkFate {
    const { delayMs = 0, jitterMs = 0, lossRatio = 0, duplicateRatio = 0, reorderRatio = 0 } = this.#impairment
    const { bytesPerSecond, queueBytes = DEFAULT_QUEUE_BYTES, reorderMs = Math.max(1, delayMs) } = this.#impairment
    const now = this.#scheduler.now()
    this.#counts.sent++
    this.#counts.sentBytes += bytes

    // an idle link takes any packet, else one larger than the queue could never be sent
    if (bytesPerSecond !== undefined && this.#freeAt > now && this.queuedBytes + bytes > queueBytes) {
      this.#counts.dropped++
      if (gone !== undefined) this.#scheduler.schedule(now, gone)
      return 'dropped'
    }
    const leaves = Math.max(now, this.#freeAt)
    this.#freeAt = bytesPerSecond === undefined ? leaves : leaves + (bytes * 1000) / bytesPerSecond

    let arrival = this.#freeAt + delayMs
    if (jitterMs > 0) arrival += this.#random.uniform() * jitterMs
    const heldBack = this.#random.chance(reorderRatio)
    if (heldBack) {
      this.#counts.reordered++
      arrival += this.#random.uniform() * reorderMs
    } else {
      arrival = Math.max(arrival, this.#lastArrival)
      this.#lastArrival = arrival
    }
    const copies = this.#random.chance(duplicateRatio) ? 2 : 1
    if (this.#isCut) {
      this.#counts.cut++
      if (gone !== undefined) this.#scheduler.schedule(arrival, gone)
      return 'cut'
    }
    if (this.#random.chance(lossRatio)) {
      this.#counts.lost++
      if (gone !== undefined) this.#scheduler.schedule(arrival, gone)
      return 'lost'
    }
    const epoch = this.#epoch
    this.#scheduler.schedule(arrival, () => this.#arrive(epoch, deliver, gone))
    if (copies === 2) {
      this.#counts.duplicated++
      const again = arrival + this.#random.uniform() * Math.max(1, jitterMs)
      this.#scheduler.schedule(again, () => this.#arrive(epoch, deliver, undefined))
    }
    return 'carried'
  }

  #arrive(epoch: number, deliver: () => void, gone: (() => void) | undefined): void {
    if (epoch !== this.#epoch) {
      this.#counts.cut++
      gone?.()
      return
    }
    this.#counts.delivered++
    deliver()
  }
}

/**
 * A link between two named ends that delays, loses, doubles and reorders, each direction on its own, by chance from a
 * seed. It carries callbacks with a size and knows nothing of what they mean.
 */
export class ImpairedLink {
  readonly #forward: LinkDirection
  readonly #backward: LinkDirection

  constructor(
    scheduler: Scheduler,
    random: SeededRandom,
    readonly a: string,
    readonly b: string,
    impairment: Impairment = {},
  ) {
    if (a === b) throw new ArgumentError(`a link from ${a} to itself`)
    this.#forward = new LinkDirection(scheduler, random, impairment)
    this.#backward = new LinkDirection(scheduler, random, impairment)
  }

  /** The direction that begins at `name`. @throws ArgumentError when that is no end of this link. */
  from(name: string): LinkDirection {
    if (name === this.a) return this.#forward
    if (name === this.b) return this.#backward
    throw new ArgumentError(`${name} is no end of the link between ${this.a} and ${this.b}`)
  }

  /** Both directions, or the one that begins at `from`. */
  set(impairment: Impairment, from?: string): void {
    for (const direction of this.#of(from)) direction.set(impairment)
  }

  cut(from?: string): void {
    for (const direction of this.#of(from)) direction.cut()
  }

  restore(from?: string): void {
    for (const direction of this.#of(from)) direction.restore()
  }

  get isCut(): boolean {
    return this.#forward.isCut && this.#backward.isCut
  }

  #of(from: string | undefined): readonly LinkDirection[] {
    return from === undefined ? [this.#forward, this.#backward] : [this.from(from)]
  }
}

function verify(impairment: Impairment): Impairment {
  const { delayMs = 0, jitterMs = 0, reorderMs = 0, bytesPerSecond = 1, queueBytes = 0 } = impairment
  const { lossRatio = 0, duplicateRatio = 0, reorderRatio = 0 } = impairment
  for (const [name, ratio] of Object.entries({ lossRatio, duplicateRatio, reorderRatio })) {
    if (!(ratio >= 0 && ratio <= 1)) throw new ArgumentError(`${name} ${ratio}: 0 to 1`)
  }
  for (const [name, value] of Object.entries({ delayMs, jitterMs, reorderMs, queueBytes })) {
    if (!(value >= 0 && Number.isFinite(value))) throw new ArgumentError(`${name} ${value}: 0 or more`)
  }
  if (!(bytesPerSecond > 0)) throw new ArgumentError(`bytesPerSecond ${bytesPerSecond}: above 0`)
  return Object.freeze({ ...impairment })
}
