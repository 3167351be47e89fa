import type { Scheduler } from './event-queue.js'
import type { LinkDirection } from './impaired-link.js'
import type { SeededRandom } from './seeded-random.js'

/** A segment that the link lost is sent again after this long, in ms, beside the time the link took. */
const RETRANSMIT_AFTER_MS = 50
/** Largest piece that is given to the link at once. */
const SEGMENT_BYTES = 1_460

export interface StreamPipeOptions {
  /** Bytes that may be written and not yet delivered. */
  readonly limitBytes: number
  readonly maxPieceBytes: number | undefined
  readonly random: SeededRandom
  readonly receive: (bytes: Uint8Array) => void
  /** After {@link StreamPipe.hasRoom} was false and bytes were delivered. */
  readonly onRoom: () => void
}

/**
 * One direction of a byte stream over an impaired link: in order, whole and once, as TCP makes it. Segments that are
 * lost are sent again, doubled ones are ignored, early ones wait: whatever the link does only costs time.
 */
export class StreamPipe {
  readonly #scheduler: Scheduler
  readonly #direction: LinkDirection
  readonly #options: StreamPipeOptions
  /** Arrived before their turn. */
  readonly #early = new Map<number, Uint8Array>()
  #nextToSend = 0
  #nextToDeliver = 0
  #pendingBytes = 0
  #wasFull = false

  constructor(scheduler: Scheduler, direction: LinkDirection, options: StreamPipeOptions) {
    this.#scheduler = scheduler
    this.#direction = direction
    this.#options = options
  }

  /** False: written and undelivered bytes have reached the limit; what is written nevertheless is taken. */
  get hasRoom(): boolean {
    const hasRoom = this.#pendingBytes < this.#options.limitBytes
    if (!hasRoom) this.#wasFull = true
    return hasRoom
  }

  write(bytes: Uint8Array): void {
    this.#pendingBytes += bytes.length
    // a rate-limited link drops what exceeds its queue, so a stream goes out in small segments as TCP's does
    for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) {
      this.#send(this.#nextToSend++, bytes.subarray(at, at + SEGMENT_BYTES))
    }
  }

  #send(number: number, bytes: Uint8Array): void {
    const again = (): void => {
      this.#scheduler.schedule(this.#scheduler.now() + RETRANSMIT_AFTER_MS, () => this.#send(number, bytes))
    }
    this.#direction.send(bytes.length, () => this.#arrive(number, bytes), again)
  }

  #arrive(number: number, bytes: Uint8Array): void {
    if (number < this.#nextToDeliver || this.#early.has(number)) return
    this.#early.set(number, bytes)
    for (;;) {
      const next = this.#early.get(this.#nextToDeliver)
      if (next === undefined) break
      this.#early.delete(this.#nextToDeliver++)
      this.#pendingBytes -= next.length
      this.#deliver(next)
    }
    if (!this.#wasFull || this.#pendingBytes >= this.#options.limitBytes) return
    this.#wasFull = false
    this.#options.onRoom()
  }

  #deliver(bytes: Uint8Array): void {
    const { maxPieceBytes, random, receive } = this.#options
    if (maxPieceBytes === undefined) return receive(bytes.slice())
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + random.below(maxPieceBytes)
      receive(bytes.slice(at, end))
      at = end
    }
  }
}
