/** Buffers kept for the next use. */
const KEPT = 16

/** Buffers of one size that are lent out, so that idle connections hold none. */
export class BufferPool {
  readonly #bufferBytes: number
  readonly #free: Uint8Array[] = []

  constructor(bufferBytes: number) {
    this.#bufferBytes = bufferBytes
  }

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(this.#bufferBytes)
  }

  /** Only what {@link take} gave, and only once. */
  give(buffer: Uint8Array): void {
    if (this.#free.length < KEPT) this.#free.push(buffer)
  }
}
