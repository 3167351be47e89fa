import { ArgumentError, type Millis } from '@aiv/transport-api'
import { verifyDuplicateWindowOptions, type DuplicateWindowOptions } from './options.js'

interface Entry {
  readonly key: string
  readonly owner: string
  readonly until: Millis
}

/** `full`: it may be new or not; refuse it (BUSY), because to take it would mean to forget another. */
export type DuplicateResult = 'new' | 'duplicate' | 'full'

/**
 * Remembers what was seen until its time is over, never shorter. Bounded in all and for each owner, so that one
 * neighbour or source cannot use up what is there for all.
 *
 * For relays the key is the digest of the envelope and the owner the link it came in on; for recipients the key is the
 * message id and the owner its verified source. docs/decisions/0163-refuse-never-forget.md
 */
export class DuplicateWindow {
  readonly #options: DuplicateWindowOptions
  readonly #keys = new Map<string, Entry>()
  readonly #byOwner = new Map<string, number>()
  /** Binary heap: what ends first is at 0. */
  readonly #heap: Entry[] = []

  /** @throws ArgumentError for an option out of range. */
  constructor(options: DuplicateWindowOptions) {
    this.#options = verifyDuplicateWindowOptions(options)
  }

  /** Entries remembered; those that are over may still be counted until the next `record`. */
  get size(): number {
    return this.#keys.size
  }

  /** True when it is remembered; changes nothing, so that it can be asked before an authenticator is verified. */
  has(now: Millis, key: string): boolean {
    const entry = this.#keys.get(key)
    return entry !== undefined && now < entry.until
  }

  /**
   * Remembers `key` until `until`, on the same clock as `now`.
   * @throws ArgumentError when `until` is no number.
   */
  record(now: Millis, key: string, owner: string, until: Millis): DuplicateResult {
    if (Number.isNaN(until)) throw new ArgumentError('until: no time')
    this.#expire(now)
    if (this.#keys.has(key)) return 'duplicate'
    const { maxEntries, maxEntriesPerOwner } = this.#options
    const owned = this.#byOwner.get(owner) ?? 0
    if (this.#keys.size >= maxEntries || owned >= maxEntriesPerOwner) return 'full'
    if (until <= now) return 'new'
    const entry = { key, owner, until }
    this.#keys.set(key, entry)
    this.#byOwner.set(owner, owned + 1)
    this.#push(entry)
    return 'new'
  }

  #expire(now: Millis): void {
    for (let first = this.#heap[0]; first !== undefined && first.until <= now; first = this.#heap[0]) {
      this.#pop()
      this.#keys.delete(first.key)
      const left = (this.#byOwner.get(first.owner) ?? 1) - 1
      if (left === 0) this.#byOwner.delete(first.owner)
      else this.#byOwner.set(first.owner, left)
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const parent = heap[(at - 1) >>> 1] as Entry
      if (parent.until <= entry.until) break
      heap[at] = parent
      at = (at - 1) >>> 1
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const entry = heap.pop()
    if (entry === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Entry).until < (heap[child] as Entry).until) child++
      if ((heap[child] as Entry).until >= entry.until) break
      heap[at] = heap[child] as Entry
      at = child
    }
    heap[at] = entry
  }
}
