import type { ChunkErrorCode, FrameErrorCode } from '@aiv/htx-codec'
import type { HandshakeErrorCode } from '@aiv/transport-api'
import type { HtxSessionErrorCode } from './errors.js'

/** Codes from here on belong to applications; a CLOSE with one of them is an orderly end. */
export const FIRST_APPLICATION_CODE = 0x1000

type WireCode = 'CLOSED' | HtxSessionErrorCode | FrameErrorCode | ChunkErrorCode | HandshakeErrorCode

/** The code of a CLOSE frame for each of ours; the table of docs/wire/htx-session.md. Numbers are never used again. */
const numbers: Readonly<Partial<Record<WireCode, number>>> = {
  CLOSED: 0x0000,
  HTX_BAD_MAGIC: 0x0101,
  HTX_BAD_VERSION: 0x0102,
  HTX_RESERVED_FLAGS: 0x0103,
  HTX_FRAME_TOO_LARGE: 0x0104,
  HTX_BAD_CRC: 0x0105,
  CHUNK_MALFORMED: 0x0106,
  MALFORMED: 0x0107,
  UNEXPECTED_FRAME: 0x0108,
  UNKNOWN_FRAME: 0x0109,
  PLAINTEXT_FRAME: 0x0201,
  REPLAY: 0x0202,
  FORGED: 0x0203,
  KEY_LIMIT: 0x0204,
  FLOW_CONTROL_VIOLATION: 0x0301,
  MESSAGE_TOO_LARGE: 0x0302,
  REASSEMBLY_BUSY: 0x0303,
  PROGRESS_TIMEOUT: 0x0304,
  IDLE_TIMEOUT: 0x0305,
  HANDSHAKE_TIMEOUT: 0x0401,
  HANDSHAKE_UNSUPPORTED: 0x0402,
  HANDSHAKE_MALFORMED: 0x0403,
  HANDSHAKE_DECRYPT: 0x0404,
  KEY_INVALID: 0x0405,
  CERTIFICATE_INVALID: 0x0406,
  CERTIFICATE_EXPIRED: 0x0407,
  IDENTITY_MISMATCH: 0x0408,
  IDENTITY_OWN: 0x0409,
  DOWNGRADE: 0x040a,
  HANDSHAKE_REPLAYED: 0x040b,
}

const names: ReadonlyMap<number, string> = /* #__PURE__ */ new Map(
  Object.entries(numbers).map(([name, number]) => [number, name]),
)

/** What goes into a CLOSE for one of our codes; MALFORMED for one that has no number. */
export function closeNumber(code: string): number {
  return (numbers as Readonly<Record<string, number | undefined>>)[code] ?? 0x0107
}

/** What a CLOSE from the other side means: CLOSED for an orderly end, REMOTE_ERROR for a number that nobody defined. */
export function closeName(number: number): string {
  if (number >= FIRST_APPLICATION_CODE) return 'CLOSED'
  return names.get(number) ?? 'REMOTE_ERROR'
}
