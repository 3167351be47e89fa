import { ArgumentError, joinBytes } from '@aiv/transport-api'

/** A field: a type, a length of one or two bytes, a value. */
export interface Tlv {
  readonly type: number
  readonly value: Uint8Array
}

/** @throws ArgumentError for a value that is too long for its length field. */
export function encodeTlvs(tlvs: readonly Tlv[], lengthBytes: 1 | 2): Uint8Array {
  return joinBytes(
    tlvs.flatMap(({ type, value }) => {
      if (value.length >= 256 ** lengthBytes) throw new ArgumentError(`field ${type} has ${value.length} bytes`)
      const length = lengthBytes === 1 ? [value.length] : [value.length >>> 8, value.length & 0xff]
      return [Uint8Array.of(type, ...length), value]
    }),
  )
}

/** All fields in their order, values as views; `undefined` when one is cut off. */
export function decodeTlvs(bytes: Uint8Array, lengthBytes: 1 | 2): Tlv[] | undefined {
  const tlvs: Tlv[] = []
  for (let at = 0; at < bytes.length;) {
    const start = at + 1 + lengthBytes
    if (start > bytes.length) return undefined
    const high = lengthBytes === 1 ? 0 : (bytes[at + 1] as number)
    const end = start + high * 256 + (bytes[start - 1] as number)
    if (end > bytes.length) return undefined
    tlvs.push({ type: bytes[at] as number, value: bytes.subarray(start, end) })
    at = end
  }
  return tlvs
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 in a new buffer. */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text)
}

/** `undefined` for what is no UTF-8. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
