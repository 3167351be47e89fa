import { ArgumentError } from '@aiv/transport-api'

/** Length of a message's id: random, so that two messages of one connection never share one. */
export const FRAGMENT_ID_BYTES = 8
/** id 8 ‖ index u16 ‖ total u16. */
export const FRAGMENT_HEADER_BYTES = 12
/** The first bytes of SHA-256 over the whole message; they follow it, and are cut with it. */
export const FRAGMENT_DIGEST_BYTES = 8
/** Smallest fragment of several, header included. */
export const MIN_FRAGMENT_BYTES = 64
/** Largest fragment, header included. */
export const MAX_FRAGMENT_BYTES = 65_536
/** Fragments of one message. */
export const MAX_FRAGMENTS = 65_535

/** One piece of a message: docs/wire/fragments.md. All fragments of a message but the last have the same length. */
export interface Fragment {
  /** {@link FRAGMENT_ID_BYTES} long. */
  readonly id: Uint8Array
  /** From 0. */
  readonly index: number
  /** 1 to {@link MAX_FRAGMENTS}. */
  readonly total: number
  /** At least one byte. */
  readonly data: Uint8Array
}

/** Header and data as two pieces; `data` is not copied. @throws ArgumentError on fields out of their range. */
export function encodeFragment({ id, index, total, data }: Fragment): readonly [Uint8Array, Uint8Array] {
  if (id.length !== FRAGMENT_ID_BYTES) throw new ArgumentError(`a fragment id of ${id.length} bytes`)
  if (!(total >= 1 && total <= MAX_FRAGMENTS && index >= 0 && index < total)) {
    throw new ArgumentError(`fragment ${index} of ${total}`)
  }
  const header = new Uint8Array(FRAGMENT_HEADER_BYTES)
  header.set(id)
  header[8] = index >>> 8
  header[9] = index
  header[10] = total >>> 8
  header[11] = total
  return [header, data]
}

/** Id and data are views into `bytes`. `undefined`: too short, or an index out of range. */
export function decodeFragment(bytes: Uint8Array): Fragment | undefined {
  if (bytes.length <= FRAGMENT_HEADER_BYTES || bytes.length > MAX_FRAGMENT_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAGMENT_HEADER_BYTES)
  const index = view.getUint16(8)
  const total = view.getUint16(10)
  if (index >= total) return undefined
  const id = bytes.subarray(0, FRAGMENT_ID_BYTES)
  return { id, index, total, data: bytes.subarray(FRAGMENT_HEADER_BYTES) }
}

/** Fragments that a message of `length` bytes needs when each holds `fragmentBytes`, header included. */
export function fragmentsFor(length: number, fragmentBytes: number): number {
  return Math.ceil((length + FRAGMENT_DIGEST_BYTES) / (fragmentBytes - FRAGMENT_HEADER_BYTES))
}
