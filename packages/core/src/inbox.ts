import { MessageKind, type LinkEnvelope } from '@aiv/routing'
import type { NodeId, Priority } from '@aiv/transport-api'
import { Message } from './message.js'
import type { Answer, ProtocolRegistry } from './protocol-registry.js'
import type { RequestTable } from './request-table.js'

/** Bytes waiting for `messages()` at which senders are slowed down, and at which they go on. */
const PAUSE_WAITING_BYTES = 4 * 1024 * 1024
const RESUME_WAITING_BYTES = 1024 * 1024

export interface InboxParts {
  readonly registry: ProtocolRegistry
  readonly requests: RequestTable
  readonly answer: (to: NodeId, answer: OutgoingAnswer) => void
  readonly onHandlerError: (protocol: string, error: unknown) => void
  /** All peers are to slow down, or may go on. */
  readonly onPaused: (paused: boolean) => void
}

/** An answer on its way back to who asked. */
export interface OutgoingAnswer {
  readonly kind: MessageKind
  readonly requestId: number
  readonly protocol: string
  readonly priority: Priority
  readonly payload: Uint8Array | string
}

/** The last step of a message that came in: to its handler, to whoever iterates, or to the request that it answers. */
export class Inbox {
  readonly #parts: InboxParts
  #paused = false

  constructor(parts: InboxParts) {
    this.#parts = parts
  }

  /** The senders are to be slow, because nobody takes from `messages()` as fast as it comes. */
  get paused(): boolean {
    return this.#paused
  }

  /** False: there is no place for it now, and it must not be acknowledged. */
  hasRoom(envelope: LinkEnvelope): boolean {
    if (envelope.kind !== MessageKind.Message) return true
    const { registry } = this.#parts
    return registry.handler(envelope.protocol) !== undefined || registry.hasRoom(envelope.payload.length)
  }

  /** Gives a promise where a handler is not done yet. Never throws, never rejects. */
  deliver(from: NodeId, transport: string, envelope: LinkEnvelope, payload: Uint8Array): Promise<void> | undefined {
    const { kind, protocol, priority, requestId } = envelope
    const { registry, requests, onPaused } = this.#parts
    if (kind === MessageKind.Response || kind === MessageKind.Failure) {
      requests.settle(from, requestId, kind === MessageKind.Response, payload)
      return undefined
    }
    const message = new Message(from, protocol, payload, priority, transport, kind === MessageKind.Request)
    const handler = registry.handler(protocol)
    if (handler === undefined) {
      if (requestId !== undefined) {
        this.#answer(message, requestId, MessageKind.Failure, 'PROTOCOL_UNKNOWN')
        return undefined
      }
      registry.put(message)
      if (!this.#paused && registry.waitingBytes > PAUSE_WAITING_BYTES) onPaused((this.#paused = true))
      return undefined
    }
    try {
      const answer = handler(message)
      if (answer instanceof Promise) {
        return answer.then(
          (value) => this.#answered(message, requestId, value),
          (error: unknown) => this.#failed(message, requestId, error),
        )
      }
      this.#answered(message, requestId, answer)
    } catch (error) {
      this.#failed(message, requestId, error)
    }
    return undefined
  }

  /** Somebody took from `messages()`. */
  onTaken(): void {
    const { registry, onPaused } = this.#parts
    if (this.#paused && registry.waitingBytes < RESUME_WAITING_BYTES) onPaused((this.#paused = false))
  }

  #answered(message: Message, requestId: number | undefined, answer: Answer): void {
    if (requestId === undefined) return
    this.#answer(message, requestId, MessageKind.Response, answer ?? new Uint8Array(0))
  }

  #failed(message: Message, requestId: number | undefined, error: unknown): void {
    this.#parts.onHandlerError(message.protocol, error)
    // what went wrong inside is not the other side's business: it learns that something did
    if (requestId !== undefined) this.#answer(message, requestId, MessageKind.Failure, 'REQUEST_FAILED')
  }

  #answer(message: Message, requestId: number, kind: MessageKind, payload: Uint8Array | string): void {
    const { from, protocol, priority } = message
    this.#parts.answer(from, { kind, requestId, protocol, priority, payload })
  }
}
