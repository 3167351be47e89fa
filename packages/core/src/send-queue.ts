import { PriorityQueues, type QueueOptions } from '@aiv/policy'
import { Priority, type AivError, type Millis, type NodeId } from '@aiv/transport-api'
import { NodeError } from './errors.js'
import type { OutgoingMessage, Receipt } from './outgoing-message.js'

export interface SendQueueOptions {
  readonly queues: Partial<QueueOptions> | undefined
  /** Calls of `send` that may wait for a place. */
  readonly maxWaiting: number
  /** A message stands in the queue, or in the line before it: its channel is to see to it. */
  readonly onQueued: (message: OutgoingMessage) => void
}

/**
 * Messages that no connection has taken yet: the priority queues, and in front of them a bounded line of callers that
 * wait for a place.
 */
export class SendQueue {
  readonly #queues: PriorityQueues<OutgoingMessage>
  /** The oldest first. */
  readonly #waiting = new Set<OutgoingMessage>()
  /** How many of them wait, by peer and priority: among these nobody overtakes. */
  readonly #lines = new Map<string, number>()
  readonly #options: SendQueueOptions

  constructor(options: SendQueueOptions) {
    this.#options = options
    this.#queues = new PriorityQueues(options.queues)
  }

  get size(): number {
    return this.#queues.size
  }

  get bytes(): number {
    return this.#queues.bytes
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Something for this peer and priority stands in the queue, or in the line before it. */
  has(peer: NodeId, priority: Priority): boolean {
    if (this.#queues.size > 0 && this.#queues.countFor(peer, priority) > 0) return true
    // the queue may be full of other priorities: whoever waits in line for this one came first all the same
    return this.#waiting.size > 0 && this.#lines.has(lineOf(peer, priority))
  }

  /** Resolves when a connection took the message. An emergency does not stand in line: it evicts, or is refused. */
  enqueue(message: OutgoingMessage, whenFull: 'wait' | 'fail'): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      message.handed = (error) => (error === undefined ? resolve(message) : reject(error))
      const line = lineOf(message.to, message.priority)
      const mayPush = this.#waiting.size === 0 || (message.priority === Priority.Emergency && !this.#lines.has(line))
      if (!mayPush || !this.#push(message)) {
        if (whenFull === 'fail' || this.#waiting.size >= this.#options.maxWaiting) {
          message.failed(new NodeError('QUEUE_FULL', 'no place in the queue', { retryable: true }))
          return
        }
        this.#waiting.add(message)
        this.#lines.set(line, (this.#lines.get(line) ?? 0) + 1)
      }
      this.#options.onQueued(message)
    })
  }

  /** The next message for a peer; whoever waits longest for a place and fits gets the one that becomes free. */
  take(peer: NodeId, priority: Priority): OutgoingMessage | undefined {
    const message = this.#queues.shiftFor(peer, priority)
    if (message !== undefined) this.#admitWaiting()
    return message
  }

  /** Fails what waits for the peer beyond its deadline; returns the next deadline or Infinity. */
  expire(peer: NodeId, now: Millis): Millis {
    let next = Infinity
    const isOver = (message: OutgoingMessage): boolean => {
      if (now < message.deadlineAt) {
        next = Math.min(next, message.deadlineAt)
        return false
      }
      message.failed(
        new NodeError('DELIVERY_TIMEOUT', 'never sent: no connection had room in time', { retryable: true }),
      )
      return true
    }
    for (const message of this.#queues.itemsFor(peer)) if (isOver(message)) this.#queues.remove(message)
    for (const message of this.#waiting) if (message.to === peer && isOver(message)) this.#leaveLine(message)
    this.#admitWaiting()
    return next
  }

  /** Its sender does not wait for it any more. */
  withdraw(message: OutgoingMessage): void {
    message.failed(new NodeError('SEND_ABORTED', 'the sender did not wait for it'))
    if (this.#leaveLine(message) || this.#queues.remove(message)) this.#admitWaiting()
  }

  /** Fails the line; what stands in the queue is failed by the channels. */
  close(error: AivError): void {
    for (const message of this.#waiting) message.failed(error)
    this.#waiting.clear()
    this.#lines.clear()
  }

  #push(message: OutgoingMessage): boolean {
    const { to: peer, priority, bytes } = message
    const pushed = this.#queues.push({ peer, priority, bytes, item: message }, { evict: true })
    if (pushed.result === 'full') return false
    for (const dropped of pushed.evicted ?? []) {
      dropped.failed(new NodeError('QUEUE_DROPPED', 'an emergency message took its place', { retryable: true }))
    }
    return true
  }

  #admitWaiting(): void {
    if (this.#waiting.size === 0) return
    const held = new Set<string>()
    for (const message of this.#waiting) {
      const line = lineOf(message.to, message.priority)
      if (message.ended) this.#leaveLine(message)
      else if (held.has(line)) continue
      else if (this.#push(message)) {
        this.#leaveLine(message)
        this.#options.onQueued(message)
      } else held.add(line) // a smaller one behind it might fit, and would overtake it
    }
  }

  /** False: it did not stand in line. */
  #leaveLine(message: OutgoingMessage): boolean {
    if (!this.#waiting.delete(message)) return false
    const line = lineOf(message.to, message.priority)
    const left = (this.#lines.get(line) ?? 0) - 1
    if (left > 0) this.#lines.set(line, left)
    else this.#lines.delete(line)
    return true
  }
}

function lineOf(peer: NodeId, priority: Priority): string {
  return `${peer} ${priority}`
}
