import { ArgumentError, joinBytes } from '@aiv/transport-api'
import { decodeText, encodeText } from './tlv.js'

const Field = { Name: 1, Size: 2, Mime: 3, Content: 4 } as const

/** A file in one packet or private message. */
export interface CompatibleFile {
  readonly name: string
  /** `image/jpeg` */
  readonly mime: string
  readonly content: Uint8Array
}

/**
 * Lengths have two bytes, that of the content has four.
 * @throws ArgumentError for a name or type over 65,535 bytes.
 */
export function encodeFile({ name, mime, content }: CompatibleFile): Uint8Array {
  const short = (type: number, value: Uint8Array): Uint8Array[] => {
    if (value.length > 0xffff) throw new ArgumentError(`field ${type} has ${value.length} bytes`)
    return [Uint8Array.of(type, value.length >>> 8, value.length & 0xff), value]
  }
  return joinBytes([
    ...short(Field.Name, encodeText(name)),
    ...short(Field.Size, u32(content.length)),
    ...short(Field.Mime, encodeText(mime)),
    Uint8Array.of(Field.Content),
    u32(content.length),
    content,
  ])
}

/** `undefined` when it is cut off, a field is missing, or the size is not that of the content. The content is a view. */
export function decodeFile(bytes: Uint8Array): CompatibleFile | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const fields = new Map<number, Uint8Array>()
  for (let at = 0; at < bytes.length;) {
    const type = bytes[at] as number
    const start = at + (type === Field.Content ? 5 : 3)
    if (start > bytes.length) return undefined
    const end = start + (type === Field.Content ? view.getUint32(at + 1) : view.getUint16(at + 1))
    if (end > bytes.length) return undefined
    fields.set(type, bytes.subarray(start, end))
    at = end
  }
  const text = (type: number): string | undefined => {
    const value = fields.get(type)
    return value && decodeText(value)
  }
  const [name, mime, content, size] = [
    text(Field.Name),
    text(Field.Mime),
    fields.get(Field.Content),
    fields.get(Field.Size),
  ]
  if (name === undefined || mime === undefined || content === undefined || size?.length !== 4) return undefined
  if (new DataView(size.buffer, size.byteOffset).getUint32(0) !== content.length) return undefined
  return { name, mime, content }
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}
