import { varintLength, writeVarint } from '@aiv/transport-api'

/** Bytes of a batch, and the most messages of the smallest kind in it. */
const SLAB_BYTES = 65_536
/** Messages above this size go their own way; it has to fit the smallest frame, since a batched one is never cut. */
export const BATCHED_MESSAGE_BYTES = 1_024
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
 * go to the cipher where they lie. Only their numbers are filled in late, since more urgent messages may go before.
 */
export class MessageBatch {
  readonly slab: Uint8Array = spare.pop() ?? new Uint8Array(SLAB_BYTES)
  /** Where the chunks begin that are not sent yet, and where they end. */
  start = 0
  end = 0
  /** How many these are, and their bytes without heads. */
  messages = 0
  messageBytes = 0

  /** False when there is no room for it. */
  add(bytes: Uint8Array): boolean {
    const length = bytes.length
    const at = this.end + KEY_BYTES
    if (at + varintLength(length) + length > SLAB_BYTES) return false
    const bytesAt = writeVarint(this.slab, at, length)
    this.slab.set(bytes, bytesAt)
    this.end = bytesAt + length
    this.messages += 1
    this.messageBytes += length
    return true
  }

  /** Gives the slab back; nothing may refer to it any more. */
  recycle(): void {
    if (spare.length < MAX_SPARE_SLABS) spare.push(this.slab)
  }
}
