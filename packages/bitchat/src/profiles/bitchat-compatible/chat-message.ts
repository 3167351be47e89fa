import { ArgumentError, joinBytes } from '@aiv/transport-api'
import { decodeText, encodeText } from './tlv.js'

/**
 * The structured payload that older clients put into a public message; today's is the text alone. Only what every
 * version wrote: optional fields that follow are not read, as their flag 0x40 means one thing on iOS and another on
 * Android.
 *
 * offset  bytes  field
 *      0      1  flags
 *      1      8  timestamp, Unix ms
 *      9      1+ id, after a length of 1 byte
 *             1+ sender, after a length of 1 byte
 *             2+ content, after a length of 2 bytes
 */
export interface ChatMessage {
  readonly timestamp: bigint
  readonly id: string
  readonly sender: string
  readonly content: string
}

/** @throws ArgumentError for an id or a sender over 255 bytes, or content over 65,535. */
export function encodeChatMessage({ timestamp, id, sender, content }: ChatMessage): Uint8Array {
  const [idBytes, senderBytes, text] = [encodeText(id), encodeText(sender), encodeText(content)]
  if (idBytes.length > 255 || senderBytes.length > 255 || text.length > 0xffff) throw new ArgumentError('too long')
  const head = new Uint8Array(9)
  new DataView(head.buffer).setBigUint64(1, timestamp)
  return joinBytes([
    head,
    Uint8Array.of(idBytes.length),
    idBytes,
    Uint8Array.of(senderBytes.length),
    senderBytes,
    Uint8Array.of(text.length >>> 8, text.length & 0xff),
    text,
  ])
}

/** `undefined` when it is cut off or no UTF-8. */
export function decodeChatMessage(bytes: Uint8Array): ChatMessage | undefined {
  if (bytes.length < 13) return undefined
  const timestamp = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(1)
  let at = 9
  const text = (lengthBytes: 1 | 2): string | undefined => {
    const start = at + lengthBytes
    if (start > bytes.length) return undefined
    const high = lengthBytes === 1 ? 0 : (bytes[at] as number)
    at = start + high * 256 + (bytes[start - 1] as number)
    return at > bytes.length ? undefined : decodeText(bytes.subarray(start, at))
  }
  const id = text(1)
  const sender = id === undefined ? undefined : text(1)
  const content = sender === undefined ? undefined : text(2)
  if (id === undefined || sender === undefined || content === undefined) return undefined
  return { timestamp, id, sender, content }
}
