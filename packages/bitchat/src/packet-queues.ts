import {
  type Bytes,
  type Millis,
  type PerPriority,
  type Priority,
  type SendOptions,
  byteLength,
  priorities,
} from '@aiv/transport-api'

export interface QueuedPacket {
  readonly bytes: Bytes
  readonly length: number
  readonly expiresAt: Millis | undefined
  readonly tag: number | undefined
}

/** Counted for each packet beside its bytes. */
const OVERHEAD_BYTES = 16

/** What a connection has accepted and not begun to send: four queues, each bounded by bytes. */
export class PacketQueues {
  readonly #queues = priorities.map((): QueuedPacket[] => [])
  readonly #bytes: [number, number, number, number] = [0, 0, 0, 0]
  readonly #wasFull = [false, false, false, false]
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): PerPriority<number> {
    return [...this.#bytes]
  }

  get isEmpty(): boolean {
    return this.#queues.every((queue) => queue.length === 0)
  }

  /** False: full. A single packet is always taken. */
  push(packet: Bytes, { priority, expiresAt, tag }: SendOptions): boolean {
    const length = byteLength(packet)
    const queue = this.#queues[priority] as QueuedPacket[]
    const used = this.#bytes[priority]
    if (queue.length > 0 && used + length + OVERHEAD_BYTES > this.#maxBytes) {
      this.#wasFull[priority] = true
      return false
    }
    queue.push({ bytes: packet, length, expiresAt, tag })
    this.#bytes[priority] += length + OVERHEAD_BYTES
    return true
  }

  peek(priority: Priority): QueuedPacket | undefined {
    return this.#queues[priority]?.[0]
  }

  shift(priority: Priority): QueuedPacket | undefined {
    const packet = this.#queues[priority]?.shift()
    if (packet !== undefined) this.#bytes[priority] -= packet.length + OVERHEAD_BYTES
    return packet
  }

  /** Takes out what is over its time. */
  expire(now: Millis): QueuedPacket[] {
    const expired: QueuedPacket[] = []
    for (const priority of priorities) {
      const queue = this.#queues[priority] as QueuedPacket[]
      for (let at = queue.length - 1; at >= 0; at--) {
        const packet = queue[at] as QueuedPacket
        if (packet.expiresAt === undefined || packet.expiresAt > now) continue
        queue.splice(at, 1)
        this.#bytes[priority] -= packet.length + OVERHEAD_BYTES
        expired.unshift(packet)
      }
    }
    return expired
  }

  nextExpiry(): Millis | undefined {
    let next: Millis | undefined
    for (const queue of this.#queues) {
      for (const { expiresAt } of queue) {
        if (expiresAt !== undefined && (next === undefined || expiresAt < next)) next = expiresAt
      }
    }
    return next
  }

  /** The lowest priority that has room again after it was full, and all above it have; told once. */
  drained(): Priority | undefined {
    if (!this.#wasFull.includes(true)) return undefined
    let lowest: Priority | undefined
    for (const priority of priorities) {
      if (this.#bytes[priority] > this.#maxBytes / 2) break
      lowest = priority
    }
    if (lowest === undefined || this.#wasFull.indexOf(true) > lowest) return undefined
    this.#wasFull.fill(false, 0, lowest + 1)
    return lowest
  }

  /** Empties it. */
  clear(): QueuedPacket[] {
    const all = this.#queues.flat()
    for (const queue of this.#queues) queue.length = 0
    this.#bytes.fill(0)
    this.#wasFull.fill(false)
    return all
  }
}
