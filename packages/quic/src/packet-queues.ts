import { type Bytes, type Millis, type PerPriority, type Priority, priorities } from '@aiv/transport-api'

/** What a queued packet is counted for beside its bytes, so that empty ones are bounded as well. */
export const QUEUED_PACKET_BYTES = 64

/** A packet on its way out. */
export interface QueuedPacket {
  readonly bytes: Bytes
  readonly length: number
  readonly datagram: boolean
  readonly repeatable: boolean
  readonly expiresAt: Millis
  /** Taken away once it has been named. */
  tag: number | undefined
}

/** What happens to tagged packets. */
export interface PacketObserver {
  onSent(tag: number): void
  onDropped(tag: number, code: string): void
}

/** One queue per priority, each with a bound of its own. */
export class PacketQueues {
  readonly #maxQueuedBytes: number
  readonly #observer: PacketObserver
  // Arrays with a moving head: a packet is taken out in constant time, and the front is cut off now and then
  readonly #queues: PerPriority<QueuedPacket[]> = [[], [], [], []]
  readonly #heads: [number, number, number, number] = [0, 0, 0, 0]
  readonly #bytes: [number, number, number, number] = [0, 0, 0, 0]
  readonly #refused: [boolean, boolean, boolean, boolean] = [false, false, false, false]
  #waiting = 0
  /** No queued packet expires before this. */
  #expiresAt: Millis = Infinity

  constructor(maxQueuedBytes: number, observer: PacketObserver) {
    this.#maxQueuedBytes = maxQueuedBytes
    this.#observer = observer
  }

  get isEmpty(): boolean {
    return this.#waiting === 0
  }

  get queuedBytes(): PerPriority<number> {
    return [...this.#bytes]
  }

  /** False, and the packet is not taken, when its priority has no room; {@link pollDrain} says when it has again. */
  push(priority: Priority, packet: QueuedPacket): boolean {
    const cost = packet.length + QUEUED_PACKET_BYTES
    const queued = this.#bytes[priority]
    if (queued > 0 && queued + cost > this.#maxQueuedBytes) {
      this.#refused[priority] = true
      return false
    }
    this.#bytes[priority] = queued + cost
    this.#queues[priority].push(packet)
    this.#waiting++
    if (packet.expiresAt < this.#expiresAt) this.#expiresAt = packet.expiresAt
    return true
  }

  /** Puts packets back before all others, in their order; bounds do not matter, as they were in here before. */
  putBack(priority: Priority, packets: readonly QueuedPacket[]): void {
    const waiting = this.#queues[priority].slice(this.#heads[priority])
    this.#queues[priority].splice(0, Infinity, ...packets, ...waiting)
    this.#heads[priority] = 0
    this.#waiting += packets.length
    for (const { length } of packets) this.#bytes[priority] += length + QUEUED_PACKET_BYTES
  }

  /** What is next; packets that are too old are dropped on the way. */
  peek(now: Millis, priority: Priority): QueuedPacket | undefined {
    for (;;) {
      const packet = this.#queues[priority][this.#heads[priority]]
      if (packet === undefined || packet.expiresAt > now) return packet
      this.#drop(packet, priority, 'EXPIRED')
      this.#advance(priority)
    }
  }

  /** Takes out what {@link peek} gave. Its bytes still count until {@link release}. */
  shift(priority: Priority): void {
    this.#advance(priority)
  }

  /** So many bytes went into a stream or a datagram. */
  release(priority: Priority, bytes: number): void {
    this.#bytes[priority] -= bytes
  }

  /** The lowest priority that, like all above it, has room again after one of them had none; else `undefined`. */
  pollDrain(): Priority | undefined {
    if (!this.#refused.includes(true)) return undefined
    let lowest: Priority | undefined
    let waiting = false
    for (const priority of priorities) {
      const refused = this.#refused[priority]
      if (this.#bytes[priority] > this.#maxQueuedBytes / (refused ? 2 : 1)) break
      waiting ||= refused
      if (waiting) lowest = priority
    }
    if (lowest === undefined) return undefined
    for (const priority of priorities) if (priority <= lowest) this.#refused[priority] = false
    return lowest
  }

  nextExpiryAt(): Millis {
    return this.#expiresAt
  }

  /** Drops every packet that is too old, wherever it stands. */
  dropExpired(now: Millis): void {
    let next = Infinity
    for (const priority of priorities) {
      const kept: QueuedPacket[] = []
      for (const packet of this.#queues[priority].slice(this.#heads[priority])) {
        if (packet.expiresAt <= now) {
          this.#waiting--
          this.#drop(packet, priority, 'EXPIRED')
        } else {
          kept.push(packet)
          next = Math.min(next, packet.expiresAt)
        }
      }
      this.#queues[priority].splice(0, Infinity, ...kept)
      this.#heads[priority] = 0
    }
    this.#expiresAt = next
  }

  /** The connection is over: nothing of what waits will be sent. */
  dropAll(code: string): void {
    for (const priority of priorities) {
      const waiting = this.#queues[priority].splice(0, Infinity).slice(this.#heads[priority])
      this.#waiting -= waiting.length
      this.#heads[priority] = 0
      this.#bytes[priority] = 0
      for (const { tag } of waiting) if (tag !== undefined) this.#observer.onDropped(tag, code)
    }
  }

  #drop(packet: QueuedPacket, priority: Priority, code: string): void {
    this.#bytes[priority] -= packet.length + QUEUED_PACKET_BYTES
    if (packet.tag !== undefined) this.#observer.onDropped(packet.tag, code)
  }

  #advance(priority: Priority): void {
    this.#waiting--
    const queue = this.#queues[priority]
    const head = ++this.#heads[priority]
    if (head === queue.length || head === 1024) {
      queue.splice(0, head)
      this.#heads[priority] = 0
    }
  }
}
