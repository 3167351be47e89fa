import { ArgumentError, Priority, type PerPriority } from '@aiv/transport-api'
import { defaultQueueOptions, verifyQueueOptions, type QueueOptions } from './options.js'
import { PeerState, Turns, type QueueEntry } from './peer-queue.js'

/** What to queue, and under what. */
export interface QueueItem<T> {
  /** Node id of the next hop, or whatever else names who shares a queue. */
  readonly peer: string
  readonly priority: Priority
  /** What it counts for. */
  readonly bytes: number
  /** Any value, different from all others that are queued. */
  readonly item: T
}

export interface PushResult<T> {
  /** `full` takes nothing and evicts nothing; wait until something has left. */
  readonly result: 'accepted' | 'full'
  /** What had to go for it; only when something had to. */
  readonly evicted?: readonly T[]
}

const ACCEPTED = Object.freeze({ result: 'accepted' } as const)
const FULL = Object.freeze({ result: 'full' } as const)
/** Peers with nothing queued that are kept, because most will have something again in a moment. */
const IDLE_PEERS = 64

/**
 * Messages that wait to be sent: strict priority, between peers of one priority in turn, in order for each peer.
 *
 * Limits, each with its option: places by priority, a share of them and of the bytes for one peer, bytes in all. What
 * does not fit is refused. Only an emergency pushed with `evict` makes room for itself: it drives out the newest item
 * of the lowest priority there is, takes over that item's place, and names it, so that its sender can be told.
 *
 * Not thread-safe, no clock; who waits for room is the caller's business. docs/decisions/0165-queue-places.md
 */
export class PriorityQueues<T> {
  readonly #places: PerPriority<number>
  readonly #shares: PerPriority<number>
  readonly #maxBytes: number
  readonly #maxPeerBytes: number
  readonly #peers = new Map<string, PeerState<T>>()
  readonly #entries = new Map<T, QueueEntry<T>>()
  readonly #turns = [new Turns<T>(), new Turns<T>(), new Turns<T>(), new Turns<T>()] as const
  readonly #counts: [number, number, number, number] = [0, 0, 0, 0]
  readonly #used: [number, number, number, number] = [0, 0, 0, 0]
  #emergencyBytes = 0
  #bytes = 0
  #order = 0
  #idlePeers = 0

  /** @throws ArgumentError for an option out of range. */
  constructor(options: Partial<QueueOptions> = {}) {
    const { places, peerShare, maxBytes } = verifyQueueOptions({ ...defaultQueueOptions, ...options })
    const share = (count: number): number => Math.max(1, Math.floor(count * peerShare))
    this.#places = [...places]
    this.#shares = [share(places[0]), share(places[1]), share(places[2]), share(places[3])]
    this.#maxBytes = maxBytes
    this.#maxPeerBytes = Math.floor(maxBytes * peerShare)
  }

  /** Items queued. */
  get size(): number {
    return this.#entries.size
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Items by priority. */
  get counts(): PerPriority<number> {
    return [...this.#counts]
  }

  /** Items of one peer, of one priority or of all. */
  countFor(peer: string, priority?: Priority): number {
    const state = this.#peers.get(peer)
    return (priority === undefined ? state?.size : state?.queues[priority].size) ?? 0
  }

  /** True when a push of this would be accepted without `evict`. */
  hasRoom(peer: string, priority: Priority, bytes: number): boolean {
    const state = this.#peers.get(peer)
    return (
      this.#used[priority] < this.#places[priority] &&
      (state === undefined || state.used[priority] < this.#shares[priority]) &&
      this.#bytes + bytes <= this.#maxBytes &&
      this.#peerBytesFit(state, bytes)
    )
  }

  /**
   * Queues an item, or says `full`.
   * @throws ArgumentError when it could never fit because it alone is over `maxBytes`, or is queued already, or its
   * bytes are no size.
   */
  push(entry: QueueItem<T>, options?: { readonly evict?: boolean }): PushResult<T> {
    const { peer, priority, bytes, item } = entry
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new ArgumentError(`an item of ${bytes} bytes`)
    if (bytes > this.#maxBytes) throw new ArgumentError(`${bytes} bytes never fit into ${this.#maxBytes}`)
    if (this.#entries.has(item)) throw new ArgumentError('this item is queued already')
    if (this.hasRoom(peer, priority, bytes)) {
      this.#add(peer, priority, bytes, item, priority)
      return ACCEPTED
    }
    if (priority !== Priority.Emergency || options?.evict !== true) return FULL
    return this.#pushByEviction(peer, bytes, item)
  }

  /** Takes the most urgent item out, of the peer whose turn it is among those that are `ready`. */
  shift(ready?: (peer: string) => boolean): T | undefined {
    const entry = this.#next(ready)
    if (entry === undefined) return undefined
    const { queue } = entry
    this.#turns[queue.priority].current = queue.next
    this.#take(entry)
    return entry.item
  }

  /** Takes the most urgent item of one peer out, or its first one of `priority`. */
  shiftFor(peer: string, priority?: Priority): T | undefined {
    const state = this.#peers.get(peer)
    if (state === undefined || state.size === 0) return undefined
    if (priority !== undefined) return this.#takeHead(state, priority)
    for (const queue of state.queues) if (queue.size > 0) return this.#takeHead(state, queue.priority)
    return undefined
  }

  /** What `shift` would take. */
  peek(ready?: (peer: string) => boolean): T | undefined {
    return this.#next(ready)?.item
  }

  /** What `shiftFor` would take. */
  peekFor(peer: string, priority?: Priority): T | undefined {
    const state = this.#peers.get(peer)
    if (state === undefined) return undefined
    if (priority !== undefined) return state.queues[priority].head?.item
    for (const queue of state.queues) if (queue.head !== undefined) return queue.head.item
    return undefined
  }

  /** Takes this item out, wherever it stands; false when it is not queued. */
  remove(item: T): boolean {
    const entry = this.#entries.get(item)
    if (entry === undefined) return false
    this.#take(entry)
    return true
  }

  /** All items of one peer, in a new array: the most urgent first, each priority in its order. */
  itemsFor(peer: string): T[] {
    const out: T[] = []
    for (const queue of this.#peers.get(peer)?.queues ?? []) {
      for (let entry = queue.head; entry !== undefined; entry = entry.after) out.push(entry.item)
    }
    return out
  }

  /** Takes all items of one peer out: the most urgent first, each priority in its order. */
  removePeer(peer: string): T[] {
    const out: T[] = []
    for (let item = this.shiftFor(peer); item !== undefined; item = this.shiftFor(peer)) out.push(item)
    return out
  }

  #next(ready: ((peer: string) => boolean) | undefined): QueueEntry<T> | undefined {
    for (const { current } of this.#turns) {
      if (current === undefined) continue
      let queue = current
      do {
        if (ready === undefined || ready(queue.peer.id)) return queue.head
        queue = queue.next
      } while (queue !== current)
    }
    return undefined
  }

  #takeHead(state: PeerState<T>, priority: Priority): T | undefined {
    const entry = state.queues[priority].head
    if (entry === undefined) return undefined
    this.#take(entry)
    return entry.item
  }

  #add(peer: string, priority: Priority, bytes: number, item: T, place: Priority): void {
    let state = this.#peers.get(peer)
    if (state === undefined) this.#peers.set(peer, (state = new PeerState<T>(peer)))
    else if (state.size === 0) this.#idlePeers--
    const queue = state.queues[priority]
    if (queue.size === 0) this.#turns[priority].join(queue)
    const entry = { item, bytes, order: this.#order++, queue, place, before: undefined, after: undefined }
    queue.append(entry)
    this.#entries.set(item, entry)
    state.size++
    state.bytes += bytes
    state.used[place]++
    this.#used[place]++
    this.#counts[priority]++
    this.#bytes += bytes
    if (priority === Priority.Emergency) this.#emergencyBytes += bytes
  }

  #take(entry: QueueEntry<T>): void {
    const { queue, bytes, place } = entry
    const state = queue.peer
    queue.remove(entry)
    this.#entries.delete(entry.item)
    if (queue.size === 0) this.#turns[queue.priority].leave(queue)
    state.size--
    state.bytes -= bytes
    state.used[place]--
    this.#used[place]--
    this.#counts[queue.priority]--
    this.#bytes -= bytes
    if (queue.priority === Priority.Emergency) this.#emergencyBytes -= bytes
    if (state.size > 0) return
    if (this.#idlePeers >= IDLE_PEERS) this.#peers.delete(state.id)
    else this.#idlePeers++
  }

  /** One peer's share of the bytes; whoever has nothing queued may queue one item of any size. */
  #peerBytesFit(state: PeerState<T> | undefined, bytes: number): boolean {
    return state === undefined || state.size === 0 || state.bytes + bytes <= this.#maxPeerBytes
  }

  #pushByEviction(peer: string, bytes: number, item: T): PushResult<T> {
    const state = this.#peers.get(peer)
    const own = state?.queues[Priority.Emergency]
    // what emergencies hold cannot be had back: look first, so that nobody is driven out for nothing
    if (this.#emergencyBytes + bytes > this.#maxBytes) return FULL
    if (own !== undefined && own.size > 0 && own.bytes + bytes > this.#maxPeerBytes) return FULL
    const evicted: T[] = []
    let place: Priority = Priority.Emergency
    if (this.#used[place] >= this.#places[place] || (state !== undefined && state.used[place] >= this.#shares[place])) {
      const victim = this.#placeVictim(state)
      if (victim === undefined) return FULL
      place = victim.queue.priority
      this.#evict(victim, evicted)
    }
    for (let own = newestOf(state); own !== undefined && !this.#peerBytesFit(state, bytes); own = newestOf(state)) {
      this.#evict(own, evicted)
    }
    for (let any = this.#newest(); any !== undefined && this.#bytes + bytes > this.#maxBytes; any = this.#newest()) {
      this.#evict(any, evicted)
    }
    this.#add(peer, Priority.Emergency, bytes, item, place)
    return { result: 'accepted', evicted }
  }

  /** The newest item of the lowest priority whose place the peer may take without passing its share there. */
  #placeVictim(state: PeerState<T> | undefined): QueueEntry<T> | undefined {
    for (const priority of evictable) {
      const withinShare = state === undefined || state.used[priority] < this.#shares[priority]
      const victim = withinShare ? this.#turns[priority].newest() : state.queues[priority].tail
      if (victim !== undefined) return victim
    }
    return undefined
  }

  #newest(): QueueEntry<T> | undefined {
    for (const priority of evictable) {
      const newest = this.#turns[priority].newest()
      if (newest !== undefined) return newest
    }
    return undefined
  }

  #evict(victim: QueueEntry<T>, evicted: T[]): void {
    this.#take(victim)
    evicted.push(victim.item)
  }
}

const evictable: readonly Priority[] = [Priority.Low, Priority.Normal, Priority.High]

function newestOf<T>(state: PeerState<T> | undefined): QueueEntry<T> | undefined {
  for (const priority of evictable) {
    const newest = state?.queues[priority].tail
    if (newest !== undefined) return newest
  }
  return undefined
}
