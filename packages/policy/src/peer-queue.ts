import type { Priority } from '@aiv/transport-api'

/** One queued item. Links make both ends and removal from the middle cost the same. */
export interface QueueEntry<T> {
  readonly item: T
  readonly bytes: number
  /** Rises with every push: which of two items is the newer. */
  readonly order: number
  readonly queue: PeerQueue<T>
  /** Whose place it takes: its own priority's, or that of the item it drove out. */
  readonly place: Priority
  before: QueueEntry<T> | undefined
  after: QueueEntry<T> | undefined
}

/** The items of one peer and one priority, first in first out; and a place in the circle of peers that have some. */
export class PeerQueue<T> {
  readonly peer: PeerState<T>
  readonly priority: Priority
  head: QueueEntry<T> | undefined
  tail: QueueEntry<T> | undefined
  size = 0
  bytes = 0
  /** Neighbours in the circle of {@link Turns}; itself when alone. */
  next: PeerQueue<T> = this
  previous: PeerQueue<T> = this

  constructor(peer: PeerState<T>, priority: Priority) {
    this.peer = peer
    this.priority = priority
  }

  append(entry: QueueEntry<T>): void {
    entry.before = this.tail
    if (this.tail === undefined) this.head = entry
    else this.tail.after = entry
    this.tail = entry
    this.size++
    this.bytes += entry.bytes
  }

  remove(entry: QueueEntry<T>): void {
    if (entry.before === undefined) this.head = entry.after
    else entry.before.after = entry.after
    if (entry.after === undefined) this.tail = entry.before
    else entry.after.before = entry.before
    entry.before = entry.after = undefined
    this.size--
    this.bytes -= entry.bytes
  }
}

/** What one peer has queued. */
export class PeerState<T> {
  readonly id: string
  readonly queues: readonly [PeerQueue<T>, PeerQueue<T>, PeerQueue<T>, PeerQueue<T>]
  /** Places taken, by whose they are. */
  readonly used: [number, number, number, number] = [0, 0, 0, 0]
  size = 0
  bytes = 0

  constructor(id: string) {
    this.id = id
    this.queues = [new PeerQueue(this, 0), new PeerQueue(this, 1), new PeerQueue(this, 2), new PeerQueue(this, 3)]
  }
}

/** The circle of peers that have items of one priority; `current` is the one whose turn it is. */
export class Turns<T> {
  current: PeerQueue<T> | undefined

  /** Joins as the last one, so that a newcomer waits a whole round. */
  join(queue: PeerQueue<T>): void {
    const { current } = this
    if (current === undefined) {
      queue.next = queue.previous = queue
      this.current = queue
      return
    }
    queue.next = current
    queue.previous = current.previous
    current.previous.next = queue
    current.previous = queue
  }

  leave(queue: PeerQueue<T>): void {
    if (queue.next === queue) {
      this.current = undefined
    } else {
      queue.previous.next = queue.next
      queue.next.previous = queue.previous
      if (this.current === queue) this.current = queue.next
    }
    queue.next = queue.previous = queue
  }

  /** The item that came last, of all peers. */
  newest(): QueueEntry<T> | undefined {
    const { current } = this
    let newest = current?.tail
    for (let queue = current?.next; queue !== undefined && queue !== current; queue = queue.next) {
      if (newest === undefined || (queue.tail !== undefined && queue.tail.order > newest.order)) newest = queue.tail
    }
    return newest
  }
}
