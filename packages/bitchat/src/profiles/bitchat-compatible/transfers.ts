import type { Millis } from '@aiv/transport-api'

/** A packet on its way in fragments. */
export interface Transfer<Piece> {
  readonly pieces: readonly Piece[]
  /** Between two of them, in ms. */
  readonly spacingMs: number
}

interface Running<Piece> extends Transfer<Piece> {
  next: number
  at: Millis
}

/** Large ones at the same time. */
const MAX_RUNNING = 2

/** Fragments at intervals, so that a long packet does not fill the air; two packets at a time, the others wait. */
export class Transfers<Piece> {
  readonly #maxTransfers: number
  readonly #waiting: Running<Piece>[] = []

  /** @param maxTransfers - running and waiting. */
  constructor(maxTransfers: number) {
    this.#maxTransfers = maxTransfers
  }

  get size(): number {
    return this.#waiting.length
  }

  /** False: there are too many. */
  add(now: Millis, transfer: Transfer<Piece>): boolean {
    if (this.#waiting.length >= this.#maxTransfers) return false
    this.#waiting.push({ ...transfer, next: 0, at: now })
    return true
  }

  /** The pieces that are due. */
  due(now: Millis): Piece[] {
    const due: Piece[] = []
    for (const transfer of this.#waiting.slice(0, MAX_RUNNING)) {
      if (now < transfer.at) continue
      const piece = transfer.pieces[transfer.next++]
      if (piece !== undefined) due.push(piece)
      transfer.at = now + transfer.spacingMs
      if (transfer.next >= transfer.pieces.length) this.#waiting.splice(this.#waiting.indexOf(transfer), 1)
    }
    return due
  }

  nextTimeout(): Millis | undefined {
    let next: Millis | undefined
    for (const { at } of this.#waiting.slice(0, MAX_RUNNING)) if (next === undefined || at < next) next = at
    return next
  }
}
