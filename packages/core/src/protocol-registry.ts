import { Message } from './message.js'
import { NodeError } from './errors.js'

/** What a handler may give back; it answers a request and is ignored for a plain message. */
export type Answer = void | Uint8Array | string

/** Called in the order of arrival per sender and priority; a promise does not hold up the next call. */
export type MessageHandler = (message: Message) => Answer | Promise<Answer>

/** What a message that waits counts beside its payload, so that empty ones are not free. */
const WAITING_MESSAGE_BYTES = 256

export interface ProtocolRegistryOptions {
  /**
   * Bytes that `messages()` holds while somebody iterates, 256 for each message included; connections pause long before.
   * @defaultValue 64 MiB
   */
  readonly maxWaitingBytes?: number
  /** Messages held for a `messages()` that nobody has called yet; further ones are not acknowledged. @defaultValue 256 */
  readonly maxUnclaimedMessages?: number
  /** Bytes of the same. @defaultValue 1 MiB */
  readonly maxUnclaimedBytes?: number
}

/** Names of application protocols: 1 to 32 bytes of UTF-8. */
export function verifyProtocolName(name: string): void {
  const length = new TextEncoder().encode(name).length
  if (length < 1 || length > 32) throw new NodeError('PROTOCOL_UNKNOWN', `protocol name of ${length} bytes: 1 to 32`)
}

interface Iterator {
  next(result: IteratorResult<Message, undefined>): void
}

/** Which handler gets which message, and where messages wait that no handler claims. */
export class ProtocolRegistry {
  readonly #handlers = new Map<string, MessageHandler>()
  readonly #waiting: Message[] = []
  #waitingFrom = 0
  #waitingBytes = 0
  #iterators = 0
  readonly #pulling: Iterator[] = []
  readonly #options: Required<ProtocolRegistryOptions>
  /** Told when messages left the waiting queue. */
  readonly #onTaken: () => void
  #closed = false

  constructor(onTaken: () => void, options: ProtocolRegistryOptions = {}) {
    this.#onTaken = onTaken
    this.#options = {
      maxWaitingBytes: options.maxWaitingBytes ?? 64 * 1024 * 1024,
      maxUnclaimedMessages: options.maxUnclaimedMessages ?? 256,
      maxUnclaimedBytes: options.maxUnclaimedBytes ?? 1024 * 1024,
    }
  }

  /** @throws NodeError PROTOCOL_TAKEN */
  handle(protocol: string, handler: MessageHandler): () => void {
    verifyProtocolName(protocol)
    if (this.#handlers.has(protocol)) throw new NodeError('PROTOCOL_TAKEN', `"${protocol}" has a handler already`)
    this.#handlers.set(protocol, handler)
    return () => {
      if (this.#handlers.get(protocol) === handler) this.#handlers.delete(protocol)
    }
  }

  handler(protocol: string): MessageHandler | undefined {
    return this.#handlers.get(protocol)
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get waitingMessages(): number {
    return this.#waiting.length - this.#waitingFrom
  }

  /** False: a message without a handler would have no place; it must not be acknowledged. */
  hasRoom(bytes: number): boolean {
    if (this.#pulling.length > 0) return true
    const after = this.#waitingBytes + bytes + WAITING_MESSAGE_BYTES
    if (this.#iterators > 0) return after <= this.#options.maxWaitingBytes
    return this.waitingMessages < this.#options.maxUnclaimedMessages && after <= this.#options.maxUnclaimedBytes
  }

  /** For a message without a handler: to whoever iterates, else into the queue. */
  put(message: Message): void {
    const pulling = this.#pulling.shift()
    if (pulling !== undefined) return pulling.next({ done: false, value: message })
    this.#waiting.push(alone(message))
    this.#waitingBytes += message.payload.length + WAITING_MESSAGE_BYTES
  }

  /** Each message goes to one of the iterators. Ends when the node closes. */
  messages(): AsyncIterableIterator<Message, undefined, undefined> {
    this.#iterators++
    let open = true
    const end = (): void => {
      if (!open) return
      open = false
      this.#iterators--
    }
    const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
    const iterator: AsyncIterableIterator<Message, undefined, undefined> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => {
        if (!open) return Promise.resolve(done)
        const message = this.#take()
        if (message !== undefined) return Promise.resolve({ done: false, value: message })
        if (this.#closed) {
          end()
          return Promise.resolve(done)
        }
        return new Promise((resolve) => this.#pulling.push({ next: resolve }))
      },
      return: () => {
        end()
        return Promise.resolve(done)
      },
    }
    return iterator
  }

  /** Iterators give out what waits and then end. */
  close(): void {
    this.#closed = true
    for (const pulling of this.#pulling.splice(0)) pulling.next({ done: true, value: undefined })
  }

  #take(): Message | undefined {
    const message = this.#waiting[this.#waitingFrom]
    if (message === undefined) return undefined
    this.#waitingFrom++
    this.#waitingBytes -= message.payload.length + WAITING_MESSAGE_BYTES
    if (this.#waitingFrom === this.#waiting.length || this.#waitingFrom >= 1024) {
      this.#waiting.splice(0, this.#waitingFrom)
      this.#waitingFrom = 0
    }
    this.#onTaken()
    return message
  }
}

/** A small payload that is a view into much more would keep all of it for as long as it waits. */
function alone(message: Message): Message {
  const { from, protocol, payload, priority, transport, expectsAnswer } = message
  if (payload.buffer.byteLength <= 2 * payload.length + WAITING_MESSAGE_BYTES) return message
  return new Message(from, protocol, new Uint8Array(payload), priority, transport, expectsAnswer)
}
