import { ArgumentError, fromHex, joinBytes, toHex } from '@aiv/transport-api'

/** Bytes before the data: id 8, index 2, total 2, original type 1. */
export const FRAGMENT_HEADER_BYTES = 13

/** Payload of a fragment packet: a slice of an encoded packet. */
export interface Fragment {
  /** Random, 16 hex characters. */
  readonly id: string
  readonly index: number
  readonly total: number
  /** Type of the packet that was cut. */
  readonly type: number
  readonly data: Uint8Array
}

/** A new buffer. */
export function encodeFragment({ id, index, total, type, data }: Fragment): Uint8Array {
  const header = new Uint8Array(FRAGMENT_HEADER_BYTES)
  const view = new DataView(header.buffer)
  header.set(fromHex(id))
  view.setUint16(8, index)
  view.setUint16(10, total)
  header[12] = type
  return joinBytes([header, data])
}

/** `undefined` when it is too short or its index is not below its total. The data is a view. */
export function decodeFragment(bytes: Uint8Array): Fragment | undefined {
  if (bytes.length <= FRAGMENT_HEADER_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const [index, total] = [view.getUint16(8), view.getUint16(10)]
  if (index >= total) return undefined
  const data = bytes.subarray(FRAGMENT_HEADER_BYTES)
  return { id: toHex(bytes.subarray(0, 8)), index, total, type: bytes[12] as number, data }
}

/**
 * An encoded packet in fragments of at most `dataBytes`.
 * @throws ArgumentError when that would take more than 65,535.
 */
export function cutPacket(id: string, encoded: Uint8Array, dataBytes: number): Fragment[] {
  const total = Math.ceil(encoded.length / dataBytes)
  if (total > 0xffff) throw new ArgumentError(`${encoded.length} bytes are too many fragments`)
  const type = encoded[1] ?? 0
  return Array.from({ length: total }, (_, index) => {
    return { id, index, total, type, data: encoded.subarray(index * dataBytes, (index + 1) * dataBytes) }
  })
}
