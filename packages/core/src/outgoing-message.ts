import type { MessageKind, OutboundMessage } from '@aiv/routing'
import type { AivError, Millis, NodeId, Priority } from '@aiv/transport-api'

/** How a message got to its recipient. */
export interface Delivered {
  /** The transport that it went out on last. */
  readonly transport: string
  /** How often it was sent. */
  readonly attempts: number
  /** From `send` to the acknowledgement. */
  readonly elapsedMs: number
}

/** What `send` resolves to: the message has been handed to a first hop. */
export interface Receipt {
  /** Unique among this node's messages; for logs. */
  readonly id: string
  readonly to: NodeId
  readonly transport: string
  /** Why this transport: for people. */
  readonly reason: string
  /** So far; grows while the message is repeated. */
  readonly attempts: number
  /**
   * Resolves when the recipient has acknowledged the message: its handler was called, or it was put where
   * `messages()` finds it. Rejects with a NodeError `DELIVERY_*` or `NODE_CLOSED`. Made when first asked for.
   */
  readonly delivered: Promise<Delivered>
}

export interface OutgoingFields {
  readonly to: NodeId
  readonly protocol: string
  readonly payload: Uint8Array
  readonly priority: Priority
  readonly ordered: boolean
  readonly kind: MessageKind
  readonly requestId: number | undefined
  readonly queuedAt: Millis
  readonly deadlineAt: Millis
}

/** Header bytes that a message is taken to cost beside its payload. */
const HEADER_ALLOWANCE = 64

/** A message from `send` to its end. It is its own receipt, so that one object serves on the hot path. */
export class OutgoingMessage implements OutboundMessage, Receipt {
  readonly to: NodeId
  readonly protocol: string
  readonly payload: Uint8Array
  readonly priority: Priority
  readonly ordered: boolean
  readonly kind: MessageKind
  readonly requestId: number | undefined
  readonly queuedAt: Millis
  readonly deadlineAt: Millis
  readonly bytes: number

  counter = -1
  link = -1
  dueAt: Millis = Infinity
  timeouts = 0

  attempts = 0
  transport = ''
  reason = ''
  /** The payload as it travels, once it has been compressed. */
  wire: Uint8Array | undefined
  /** Told once when the message was handed to a first hop, or could not be. */
  handed: ((error: AivError | undefined) => void) | undefined

  #outcome: Delivered | AivError | undefined
  #resolve: ((delivered: Delivered) => void) | undefined
  #reject: ((error: AivError) => void) | undefined
  #delivered: Promise<Delivered> | undefined

  constructor(fields: OutgoingFields) {
    this.to = fields.to
    this.protocol = fields.protocol
    this.payload = fields.payload
    this.priority = fields.priority
    this.ordered = fields.ordered
    this.kind = fields.kind
    this.requestId = fields.requestId
    this.queuedAt = fields.queuedAt
    this.deadlineAt = fields.deadlineAt
    this.bytes = fields.payload.length + HEADER_ALLOWANCE
  }

  get id(): string {
    return `${this.to.slice(0, 8)}-${this.priority}-${this.counter}`
  }

  /** Acknowledged or given up. */
  get ended(): boolean {
    return this.#outcome !== undefined
  }

  get delivered(): Promise<Delivered> {
    if (this.#delivered === undefined) {
      const outcome = this.#outcome
      this.#delivered =
        outcome === undefined
          ? new Promise((resolve, reject) => {
              this.#resolve = resolve
              this.#reject = reject
            })
          : outcome instanceof Error
            ? Promise.reject(outcome)
            : Promise.resolve(outcome)
    }
    return this.#delivered
  }

  /** Accepted by a connection. */
  handOver(): void {
    const handed = this.handed
    if (handed === undefined) return
    this.handed = undefined
    handed(undefined)
  }

  acknowledged(now: Millis): void {
    if (this.#outcome !== undefined) return
    const delivered = { transport: this.transport, attempts: this.attempts, elapsedMs: now - this.queuedAt }
    this.#outcome = delivered
    this.#resolve?.(delivered)
  }

  /** True when somebody was told: the caller of `send`, or whoever asked for {@link delivered}. */
  failed(error: AivError): boolean {
    if (this.#outcome !== undefined) return true
    this.#outcome = error
    const { handed } = this
    this.handed = undefined
    handed?.(error)
    this.#reject?.(error)
    return handed !== undefined || this.#reject !== undefined
  }
}
