import { type Millis, readVarint, varintLength } from '@aiv/transport-api'

/** Messages above this size go their own way; it has to fit the smallest frame, since a batched one is never cut. */
export const BATCHED_MESSAGE_BYTES = 1_024
/**
 * Bytes of a batch, and the most messages of the smallest kind in it: so many that a full batch and one lone message
 * before it fill a frame of 65,536 bytes, and a batch mostly goes out as it is.
 */
export const SLAB_BYTES = 65_536 - 24 - 16 - BATCHED_MESSAGE_BYTES - 8
/** A chunk's key is laid out in four bytes before it is known; RFC 9000 allows the longer form. */
export const KEY_BYTES = 4
/**
 * Keys of four bytes end at 2^30 − 1, numbers at half of it. Batching ends earlier by more than can be queued at that
 * moment, so that no batch is ever left with a number that does not fit.
 */
export const LAST_BATCHED_NUMBER = 2 ** 29 - 2 ** 26

/*
 * Slabs that are in nobody's hands, shared by all sessions: making one costs as much as filling it, and an idle session
 * shall hold none. What is beyond a megabyte is left to the garbage collector.
 */
const MAX_SPARE_SLABS = 16
const spare: Uint8Array[] = []

/**
 * Small messages of one priority that wait together, laid out as the chunks they will be: no object for each, and they
 * go to the cipher where they lie. Their numbers are a guess, since more urgent messages may go before; the scheduler
 * writes them again where it was wrong.
 */
export class MessageBatch {
  readonly slab: Uint8Array
  /** Where the chunks begin that are not sent yet, and where they end. */
  start: number
  end: number
  /** How many these are, and their bytes without heads. */
  messages: number
  messageBytes: number
  /** The number that the first of them carries, the others in order after it; 0: they do not follow each other. */
  number: number
  /** How many went out before these. */
  taken: number
  /** Where some are tagged or expire: by their place since the batch was begun, with holes. */
  tags: number[] | undefined
  deadlines: Millis[] | undefined
  /** The earliest of the deadlines. */
  expiresAt: Millis

  constructor() {
    this.slab = spare.pop() ?? new Uint8Array(SLAB_BYTES)
    this.start = 0
    this.end = 0
    this.messages = 0
    this.messageBytes = 0
    this.number = 0
    this.taken = 0
    this.tags = undefined
    this.deadlines = undefined
    this.expiresAt = Infinity
  }

  /** Those that are not sent yet, as copies. */
  *each(): Generator<{ readonly bytes: Uint8Array; readonly tag: number | undefined; readonly expiresAt: Millis }> {
    let at = this.start
    for (let place = this.taken; at < this.end; place++) {
      const length = readVarint(this.slab, at + KEY_BYTES)
      const bytesAt = at + KEY_BYTES + varintLength(length)
      at = bytesAt + length
      const expiresAt = this.deadlines?.[place] ?? Infinity
      yield { bytes: this.slab.slice(bytesAt, at), tag: this.tags?.[place], expiresAt }
    }
  }

  /** Gives the slab back; nothing may refer to it any more. */
  recycle(): void {
    if (spare.length < MAX_SPARE_SLABS) spare.push(this.slab)
  }
}

/** The key of a whole message: its number × 2 + 1, as a varint of four bytes. */
export function writeBatchKey(slab: Uint8Array, at: number, number: number): void {
  slab[at] = 0x80 | (number >>> 23)
  slab[at + 1] = number >>> 15
  slab[at + 2] = number >>> 7
  slab[at + 3] = (number << 1) | 1
}
