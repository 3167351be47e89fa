/**
 * Cuts a stream of bytes into lines of UTF-8. Holds at most one line; a line that is longer than the limit makes the
 * stream unusable.
 */
export class LineDecoder {
  readonly #maxLineBytes: number
  #pieces: Uint8Array[] = []
  #held = 0
  #spent = false

  /** @param maxLineBytes - longest line taken, without its end */
  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  /** Bytes of the line that is not complete yet. */
  get held(): number {
    return this.#held
  }

  /** The lines that `bytes` completes, in order; `undefined` when one is too long: the decoder is then spent. */
  decode(bytes: Uint8Array): string[] | undefined {
    if (this.#spent) return undefined
    const lines: string[] = []
    let from = 0
    for (let end; (end = bytes.indexOf(0x0a, from)) >= 0; from = end + 1) {
      if (!this.#hold(bytes.subarray(from, end))) return undefined
      lines.push(this.#take())
    }
    return this.#hold(bytes.subarray(from)) ? lines : undefined
  }

  #hold(piece: Uint8Array): boolean {
    this.#held += piece.length
    this.#spent = this.#held > this.#maxLineBytes
    if (this.#spent) this.#pieces = []
    else if (piece.length > 0) this.#pieces.push(piece)
    return !this.#spent
  }

  #take(): string {
    const line = Buffer.concat(this.#pieces).toString('utf8')
    this.#pieces = []
    this.#held = 0
    return line
  }
}
