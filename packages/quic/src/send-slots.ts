/** Datagrams of one burst at most, and of a socket that wait for the kernel. */
export const SLOTS = 64

/**
 * Buffers that datagrams are written into and sent from, one after the other. All sockets of an endpoint share them, as
 * only one has a burst at a time: a dialled connection makes none of its own.
 */
export class SendSlots {
  readonly #slotBytes: number
  /** Made as bursts grow. */
  #slots: Uint8Array[] = []
  #next = 0

  constructor(slotBytes: number) {
    this.#slotBytes = slotBytes
  }

  get isFull(): boolean {
    return this.#next === SLOTS
  }

  /** A burst begins. */
  get isFresh(): boolean {
    return this.#next === 0
  }

  /** Where the next datagram is to be written. */
  get current(): Uint8Array {
    return (this.#slots[this.#next] ??= new Uint8Array(this.#slotBytes))
  }

  /** The first `length` bytes of {@link current}, which is another one from then on. */
  take(length: number): Uint8Array {
    const slot = this.#slots[this.#next++] as Uint8Array
    return length === slot.length ? slot : slot.subarray(0, length)
  }

  /** Nobody reads what was taken any more. */
  rewind(): void {
    this.#next = 0
  }

  /** Somebody still reads what was taken: others take its place. */
  abandon(): void {
    this.#slots = this.#slots.slice(this.#next)
    this.#next = 0
  }
}
