import { ArgumentError } from '@aiv/transport-api'
import { FRAGMENT_ID_BYTES } from './fragment.js'

/** Longest bitmap. */
export const MAX_BITMAP_BYTES = 32
/** What a block acknowledgement takes at most. */
export const MAX_BLOCK_ACK_BYTES = FRAGMENT_ID_BYTES + 3 + MAX_BITMAP_BYTES
/** A sender never goes further than this beyond the first missing fragment, so that a bitmap always reaches far enough. */
export const MAX_FRAGMENTS_AHEAD = 8 * MAX_BITMAP_BYTES

const states = ['arriving', 'complete', 'refused'] as const

/** Which fragments of a message a receiver has. */
export interface BlockAck {
  readonly id: Uint8Array
  /** `complete`: put together and its digest is right. `refused`: given up; sending more is no use. */
  readonly state: (typeof states)[number]
  /** Every fragment below is there; this one is not. */
  readonly first: number
  /** Fragment `first + i` is there when bit `i & 7` (from the lowest) of byte `i >> 3` is set. No longer than needed. */
  readonly bitmap: Uint8Array
}

/** @throws ArgumentError on fields out of their range. */
export function encodeBlockAck({ id, state, first, bitmap }: BlockAck): Uint8Array {
  if (id.length !== FRAGMENT_ID_BYTES) throw new ArgumentError(`a fragment id of ${id.length} bytes`)
  if (!(first >= 0 && first <= 0xffff)) throw new ArgumentError(`a first missing fragment of ${first}`)
  if (bitmap.length > MAX_BITMAP_BYTES) throw new ArgumentError(`a bitmap of ${bitmap.length} bytes`)
  const out = new Uint8Array(FRAGMENT_ID_BYTES + 3 + bitmap.length)
  out.set(id)
  out[8] = states.indexOf(state)
  out[9] = first >>> 8
  out[10] = first
  out.set(bitmap, 11)
  return out
}

/** Id and bitmap are views into `bytes`. `undefined`: of the wrong length, or with a state that nobody knows. */
export function decodeBlockAck(bytes: Uint8Array): BlockAck | undefined {
  if (bytes.length < FRAGMENT_ID_BYTES + 3 || bytes.length > MAX_BLOCK_ACK_BYTES) return undefined
  const state = states[bytes[8] as number]
  if (state === undefined) return undefined
  const first = ((bytes[9] as number) << 8) | (bytes[10] as number)
  return { id: bytes.subarray(0, FRAGMENT_ID_BYTES), state, first, bitmap: bytes.subarray(11) }
}

/** True when `ack` says that fragment `index` is there. */
export function acknowledges({ state, first, bitmap }: BlockAck, index: number): boolean {
  if (index < first || state === 'complete') return true
  const bit = index - first
  return (((bitmap[bit >>> 3] ?? 0) >>> (bit & 7)) & 1) === 1
}
