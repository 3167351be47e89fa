import { ArgumentError } from '@aiv/transport-api'

/**
 * The protocol field of envelopes: one byte that is a number of ours, or `80 + n` and then a name of n bytes of UTF-8.
 *
 * | number | name |
 * |--:|---|
 * | 00 | the empty name: a message for no protocol in particular |
 * | 01 | `aiv-file/1` |
 *
 * A number that this version does not know reads as `#` and the number in decimal, so that it reaches whoever says
 * that nobody handles it; names on the wire never begin with `#`. docs/wire/link-envelope.md
 */
const registry: readonly string[] = ['', 'aiv-file/1']

/** Longest protocol name, in bytes of UTF-8. */
export const MAX_PROTOCOL_NAME_BYTES = 32
const NAMED = 0x80
const UNKNOWN_MARK = '#'

// Both memories only save work: what they answer is what would be computed again. Neither grows with what peers send.
const ENCODED_NAMES = 64
const encoded = new Map<string, Uint8Array>(registry.map((name, number) => [name, Uint8Array.of(number)]))
const DECODED_NAMES = 16
const decodedBytes: (Uint8Array | undefined)[] = new Array<undefined>(DECODED_NAMES)
const decodedNames: string[] = new Array<string>(DECODED_NAMES).fill('')
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The protocol field of a name: a buffer that is shared and must not be changed.
 * @throws ArgumentError when the name has more than 32 bytes, begins with `#` or is no well-formed string.
 */
export function encodeProtocol(name: string): Uint8Array {
  const known = encoded.get(name)
  if (known !== undefined) return known
  if (name.startsWith(UNKNOWN_MARK)) throw new ArgumentError(`protocol name "${name.slice(0, 64)}" begins with #`)
  const text = new TextEncoder().encode(name)
  if (text.length > MAX_PROTOCOL_NAME_BYTES) {
    throw new ArgumentError(`a protocol name has at most ${MAX_PROTOCOL_NAME_BYTES} bytes, not ${text.length}`)
  }
  // a lone surrogate would be replaced, and another name would arrive than was sent
  if (utf8.decode(text) !== name) throw new ArgumentError('a protocol name is a well-formed string')
  const field = new Uint8Array(1 + text.length)
  field[0] = NAMED + text.length
  field.set(text, 1)
  if (encoded.size >= registry.length + ENCODED_NAMES) {
    for (const oldest of encoded.keys()) {
      if (registry.includes(oldest)) continue
      encoded.delete(oldest)
      break
    }
  }
  encoded.set(name, field)
  return field
}

/** Bytes of the protocol field whose first byte is `first`; 0 when no field begins so. */
export function protocolFieldLength(first: number): number {
  if (first < NAMED) return 1
  const length = first - NAMED
  return length >= 1 && length <= MAX_PROTOCOL_NAME_BYTES ? 1 + length : 0
}

/**
 * The name in the protocol field at `offset`, which is {@link protocolFieldLength} long; `undefined` when the field is
 * cut off, too long, no UTF-8, or a name that begins with `#`.
 */
export function decodeProtocol(bytes: Uint8Array, offset: number): string | undefined {
  const first = bytes[offset]
  if (first === undefined) return undefined
  if (first < NAMED) return registry[first] ?? `${UNKNOWN_MARK}${first}`
  const length = first - NAMED
  const start = offset + 1
  if (length < 1 || length > MAX_PROTOCOL_NAME_BYTES || start + length > bytes.length) return undefined
  const slot = (length * 7 + (bytes[start] as number) + (bytes[start + length - 1] as number) * 3) % DECODED_NAMES
  const known = decodedBytes[slot]
  if (known !== undefined && known.length === length && isAt(known, bytes, start)) return decodedNames[slot]
  const name = bytes.slice(start, start + length)
  let text: string
  try {
    text = utf8.decode(name)
  } catch {
    return undefined
  }
  if (text.startsWith(UNKNOWN_MARK)) return undefined
  decodedBytes[slot] = name
  decodedNames[slot] = text
  return text
}

function isAt(name: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false
  return true
}
