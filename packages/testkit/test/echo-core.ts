import { ArgumentError, type Bytes, type Millis, type ProtocolCore } from '@aiv/transport-api'

export type EchoEvent =
  | { readonly type: 'message'; readonly bytes: Uint8Array }
  | { readonly type: 'closed'; readonly reason: 'silence' | 'protocol' }

const MAX_QUEUED = 1000

/**
 * A small protocol for tests: messages as a length byte and that many bytes, an empty one is a keep-alive. A keep-alive
 * after 10 s without sending; the end after 30 s without a byte.
 */
export class EchoCore implements ProtocolCore<EchoEvent> {
  protected readonly outputs: Bytes[] = []
  protected readonly events: EchoEvent[] = []
  #partial: number[] = []
  #heardAt: Millis
  #sentAt: Millis
  protected isOpen = true

  constructor(now: Millis) {
    this.#heardAt = now
    this.#sentAt = now
  }

  send(now: Millis, bytes: Uint8Array): boolean {
    if (bytes.length === 0 || bytes.length > 255) throw new ArgumentError('1 to 255 bytes')
    if (!this.isOpen || this.outputs.length >= MAX_QUEUED) return false
    this.#sentAt = now
    this.outputs.push([Uint8Array.of(bytes.length), bytes])
    return true
  }

  handleInput(now: Millis, input: Uint8Array): void {
    if (!this.isOpen || input.length === 0) return
    this.#heardAt = now
    this.#partial.push(...input)
    for (;;) {
      const length = this.#partial[0]
      if (length === undefined || this.#partial.length <= length) return
      const bytes = Uint8Array.from(this.#partial.slice(1, length + 1))
      this.#partial = this.#partial.slice(length + 1)
      if (length > 0) this.events.push({ type: 'message', bytes })
    }
  }

  handleTimeout(now: Millis): void {
    if (!this.isOpen) return
    if (now >= this.#heardAt + 30_000) {
      this.isOpen = false
      this.events.push({ type: 'closed', reason: 'silence' })
    } else if (now >= this.#sentAt + 10_000) {
      this.#sentAt = now
      if (this.outputs.length < MAX_QUEUED) this.outputs.push(Uint8Array.of(0))
    }
  }

  pollOutput(_now: Millis): Bytes | undefined {
    return this.outputs.shift()
  }

  pollEvent(): EchoEvent | undefined {
    return this.events.shift()
  }

  nextTimeout(): Millis | undefined {
    return this.isOpen ? Math.min(this.#heardAt + 30_000, this.#sentAt + 10_000) : undefined
  }
}
