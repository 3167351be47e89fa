/** Unfinished promises of handlers at which a peer is slowed down, and at which it may go on. */
const HIGH = { messages: 256, bytes: 8 * 1024 * 1024 }
const LOW = { messages: 128, bytes: 4 * 1024 * 1024 }

/** Keeps count of what handlers have not finished, so that one who is slow slows its sender down and fills no memory. */
export class HandlingLimit {
  #messages = 0
  #bytes = 0
  #paused = false
  readonly #onPaused: (paused: boolean) => void

  constructor(onPaused: (paused: boolean) => void) {
    this.#onPaused = onPaused
  }

  /** Messages whose handlers are not done. */
  get messages(): number {
    return this.#messages
  }

  begin(bytes: number): void {
    this.#messages++
    this.#bytes += bytes
    if (this.#paused || (this.#messages < HIGH.messages && this.#bytes < HIGH.bytes)) return
    this.#onPaused((this.#paused = true))
  }

  end(bytes: number): void {
    this.#messages--
    this.#bytes -= bytes
    if (!this.#paused || this.#messages > LOW.messages || this.#bytes > LOW.bytes) return
    this.#onPaused((this.#paused = false))
  }
}
