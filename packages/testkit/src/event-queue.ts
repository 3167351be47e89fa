import type { Millis, Timer } from '@aiv/transport-api'

/** Something that happens at a moment. */
export interface ScheduledEvent {
  readonly at: Millis
  readonly run: () => void
}

/** Where things are put that happen later: a {@link World}, or a {@link ClockScheduler} over a real clock. */
export interface Scheduler {
  now(): Millis
  /** Runs `run` at `at`, or as the next thing when that is past; never inside this call. */
  schedule(at: Millis, run: () => void): Timer
}

/** Cleared events stay in the heap until there are this many and more than half of all, then it is rebuilt. */
const COMPACT_FROM = 64

/**
 * Events in deadline order, those of one moment in the order of their insertion: a binary heap over (time, sequence).
 * Adding and taking cost O(log n), clearing O(1) with a rebuild now and then, so that timers that are set and cleared
 * for ever do not fill it.
 */
export class EventQueue {
  #heap: Entry[] = []
  #sequence = 0
  #cleared = 0

  /** Events that are still to happen. */
  get size(): number {
    return this.#heap.length - this.#cleared
  }

  add(at: Millis, run: () => void): Timer {
    const entry = new Entry(at, this.#sequence++, run)
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1)
    return {
      clear: () => {
        if (entry.run === undefined) return
        entry.run = undefined
        this.#cleared++
        if (this.#cleared >= COMPACT_FROM && this.#cleared * 2 > this.#heap.length) this.#compact()
      },
    }
  }

  /** When the next event happens; `undefined` when there is none. */
  nextAt(): Millis | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return undefined
      if (first.run !== undefined) return first.at
      this.#removeFirst()
      this.#cleared--
    }
  }

  /** Takes the next event out, if it happens at `until` or before. */
  take(until: Millis): ScheduledEvent | undefined {
    const at = this.nextAt()
    const first = this.#heap[0]
    if (at === undefined || at > until || first?.run === undefined) return undefined
    const { run } = first
    this.#removeFirst()
    // clearing it from now on does nothing
    first.run = undefined
    return { at, run }
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#down(0)
  }

  #up(from: number): void {
    const heap = this.#heap
    const entry = heap[from] as Entry
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as Entry
      if (!entry.before(above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = entry
  }

  #down(from: number): void {
    const heap = this.#heap
    const entry = heap[from] as Entry
    let at = from
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Entry).before(heap[child] as Entry)) child++
      const below = heap[child] as Entry
      if (!below.before(entry)) break
      heap[at] = below
      at = child
    }
    heap[at] = entry
  }

  #compact(): void {
    this.#heap = this.#heap.filter((entry) => entry.run !== undefined)
    this.#cleared = 0
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#down(at)
  }
}

class Entry {
  constructor(
    readonly at: Millis,
    readonly sequence: number,
    /** `undefined` once it was cleared or taken. */
    public run: (() => void) | undefined,
  ) {}

  before(other: Entry): boolean {
    return this.at < other.at || (this.at === other.at && this.sequence < other.sequence)
  }
}
