import { type Millis, equalBytes, joinBytes } from '@aiv/transport-api'
import { type BlockAck, MAX_BITMAP_BYTES } from './block-ack.js'
import {
  FRAGMENT_DIGEST_BYTES,
  FRAGMENT_HEADER_BYTES,
  type Fragment,
  MIN_FRAGMENT_BYTES,
  fragmentsFor,
} from './fragment.js'

/** Memory that a fragment takes beside its bytes: an entry of a map and the head of an array. */
const ENTRY_BYTES = 64

/** What a fragment did to an assembly. */
export type FragmentFate = 'new' | 'seen' | 'conflict' | 'too-large'

/** A message of which not everything is there. */
export class Assembly {
  /** What it takes of the quotas. */
  bytes = 0
  /** Fragments since the last acknowledgement. */
  unacknowledged = 0
  ackAt: Millis | undefined
  /** Acknowledgements that brought nothing new. */
  fruitless = 0
  lastAt: Millis
  readonly #parts = new Map<number, Uint8Array>()
  readonly #maxMessageBytes: number
  /** Data of every fragment but the last; `undefined`: only the last one is there. */
  #dataBytes: number | undefined
  /** The first that is missing. */
  #first = 0

  constructor(
    readonly id: Uint8Array,
    readonly total: number,
    now: Millis,
    maxMessageBytes: number,
  ) {
    this.lastAt = now
    this.#maxMessageBytes = maxMessageBytes
  }

  /** True when no message that is taken needs so many fragments. */
  static isTooMany(total: number, maxMessageBytes: number): boolean {
    return total > fragmentsFor(maxMessageBytes, MIN_FRAGMENT_BYTES)
  }

  /** What adding `data` takes of the quotas. */
  static cost(data: Uint8Array): number {
    return data.length + ENTRY_BYTES
  }

  get isComplete(): boolean {
    return this.#parts.size === this.total
  }

  /** Looks whether the fragment fits, and adds nothing. */
  check({ index, total, data }: Fragment): FragmentFate {
    if (total !== this.total) return 'conflict'
    const known = this.#parts.get(index)
    if (known !== undefined) return equalBytes(known, data) ? 'seen' : 'conflict'
    const isLast = index === total - 1
    if (!isLast && data.length < MIN_FRAGMENT_BYTES - FRAGMENT_HEADER_BYTES) return 'conflict'
    const dataBytes = this.#dataBytes ?? (isLast ? undefined : data.length)
    if (dataBytes === undefined) {
      // the last one alone: how long the others are is not known yet, but they are no shorter
      return data.length > this.#maxMessageBytes + FRAGMENT_DIGEST_BYTES ? 'too-large' : 'new'
    }
    const last = isLast ? data : this.#parts.get(total - 1)
    if (isLast ? data.length > dataBytes : data.length !== dataBytes) return 'conflict'
    if (last !== undefined && last.length > dataBytes) return 'conflict'
    const most = this.#maxMessageBytes + FRAGMENT_DIGEST_BYTES
    return dataBytes * (total - 1) + (last?.length ?? 1) > most ? 'too-large' : 'new'
  }

  /** Adds a fragment that {@link check} called new; keeps a copy. */
  add(now: Millis, { index, data }: Fragment): void {
    // not slice(): that of a Buffer copies nothing
    this.#parts.set(index, new Uint8Array(data))
    if (index < this.total - 1) this.#dataBytes = data.length
    this.bytes += Assembly.cost(data)
    this.unacknowledged++
    this.fruitless = 0
    this.lastAt = now
    while (this.#parts.has(this.#first)) this.#first++
  }

  /** The message, in a new buffer; `undefined`: not what was sent. Only when it {@link isComplete}. */
  finish(sha256: (bytes: Uint8Array) => Uint8Array): Uint8Array | undefined {
    const pieces: Uint8Array[] = []
    for (let index = 0; index < this.total; index++) pieces.push(this.#parts.get(index) as Uint8Array)
    const whole = joinBytes(pieces)
    const end = whole.length - FRAGMENT_DIGEST_BYTES
    if (end < 1) return undefined
    const message = whole.subarray(0, end)
    return equalBytes(sha256(message).subarray(0, FRAGMENT_DIGEST_BYTES), whole.subarray(end)) ? message : undefined
  }

  ack(): BlockAck {
    const bitmap = new Uint8Array(MAX_BITMAP_BYTES)
    let length = 0
    for (let bit = 0; bit < 8 * MAX_BITMAP_BYTES && this.#first + bit < this.total; bit++) {
      if (!this.#parts.has(this.#first + bit)) continue
      bitmap[bit >>> 3] = (bitmap[bit >>> 3] as number) | (1 << (bit & 7))
      length = (bit >>> 3) + 1
    }
    return { id: this.id, state: 'arriving', first: this.#first, bitmap: bitmap.subarray(0, length) }
  }
}
