import { equalBytes, type CipherSuite, type HandshakePattern } from '@aiv/transport-api'

/** The only version of the frame that this package speaks: 1.1. */
export const HTX_VERSION = 0x11

/** Bytes on the wire for what is negotiated. */
export const patternByte: Readonly<Record<HandshakePattern, number>> = { XX: 1, XK: 2 }
export const suiteByte: Readonly<Record<CipherSuite, number>> = { 'aes-256-gcm': 1, 'chacha20-poly1305': 2 }

/** `undefined` for a pattern that nobody defined. */
export function patternFromByte(byte: number | undefined): HandshakePattern | undefined {
  return byte === 1 ? 'XX' : byte === 2 ? 'XK' : undefined
}

/** `undefined` for a suite that nobody defined. */
export function suiteFromByte(byte: number | undefined): CipherSuite | undefined {
  return byte === 1 ? 'aes-256-gcm' : byte === 2 ? 'chacha20-poly1305' : undefined
}

/** What one side can do, as it says under the handshake's encryption. */
export interface Capabilities {
  /** Frame versions as they stand in the header: 0x11 is 1.1. */
  readonly versions: readonly number[]
  readonly patterns: readonly HandshakePattern[]
  readonly suites: readonly CipherSuite[]
  /** Largest frame it takes. */
  readonly maxFrameBytes: number
  /** Largest message it takes. */
  readonly maxMessageBytes: number
  /** Whether it reads LZ4 frames. */
  readonly lz4: boolean
}

const Tlv = { Versions: 1, Patterns: 2, Suites: 3, MaxFrame: 4, MaxMessage: 5, Lz4: 6 } as const

/** TLVs (u8 type, u8 length), ascending; see docs/wire/htx-session.md. A new buffer. */
export function encodeCapabilities(capabilities: Capabilities): Uint8Array {
  const { versions, patterns, suites, maxFrameBytes, maxMessageBytes, lz4 } = capabilities
  const out: number[] = []
  const put = (type: number, value: readonly number[]): unknown => out.push(type, value.length, ...value)
  const u32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
  put(Tlv.Versions, versions)
  put(
    Tlv.Patterns,
    patterns.map((pattern) => patternByte[pattern]),
  )
  put(
    Tlv.Suites,
    suites.map((suite) => suiteByte[suite]),
  )
  put(Tlv.MaxFrame, u32(maxFrameBytes))
  put(Tlv.MaxMessage, u32(maxMessageBytes))
  if (lz4) put(Tlv.Lz4, [])
  return Uint8Array.from(out)
}

/** What was decoded last. Nodes mostly say the same as the one before, and few handshakes are enough to be compiled. */
let last: { readonly bytes: Uint8Array; readonly capabilities: Capabilities } | undefined

/**
 * `undefined` for bytes that are no such list: cut off, not ascending, a wrong length, or sizes below what every side
 * takes (4,096-byte frames, 1,024-byte messages). Unknown types are passed over, missing ones have their defaults.
 */
export function decodeCapabilities(bytes: Uint8Array): Capabilities | undefined {
  if (last !== undefined && equalBytes(last.bytes, bytes)) return last.capabilities
  const capabilities = decode(bytes)
  if (capabilities !== undefined) last = { bytes: bytes.slice(), capabilities }
  return capabilities
}

function decode(bytes: Uint8Array): Capabilities | undefined {
  let versions: readonly number[] = [HTX_VERSION]
  let patterns: readonly HandshakePattern[] = ['XX']
  let suites: readonly CipherSuite[] = []
  let maxFrameBytes = 65_536
  let maxMessageBytes = 16 * 1024 * 1024
  let lz4 = false
  let lastType = -1
  for (let offset = 0; offset < bytes.length;) {
    const type = bytes[offset] as number
    const length = bytes[offset + 1]
    if (length === undefined || type <= lastType || offset + 2 + length > bytes.length) return undefined
    const value = bytes.subarray(offset + 2, offset + 2 + length)
    lastType = type
    offset += 2 + length
    if (type === Tlv.Versions) versions = [...value]
    else if (type === Tlv.Patterns)
      patterns = [...value].map(patternFromByte).filter((pattern) => pattern !== undefined)
    else if (type === Tlv.Suites) suites = [...value].map(suiteFromByte).filter((suite) => suite !== undefined)
    else if (type === Tlv.MaxFrame || type === Tlv.MaxMessage) {
      if (length !== 4) return undefined
      const number = new DataView(value.buffer, value.byteOffset, 4).getUint32(0)
      if (type === Tlv.MaxFrame) maxFrameBytes = number
      else maxMessageBytes = number
    } else if (type === Tlv.Lz4) lz4 = true
  }
  if (maxFrameBytes < 4_096 || maxMessageBytes < 1_024) return undefined
  return { versions, patterns, suites, maxFrameBytes, maxMessageBytes, lz4 }
}

/**
 * True when both sides have a version above the one in use: somebody in between made them settle for less. The lists
 * are believed because they came under the handshake's encryption.
 */
export function isDowngrade(used: number, ours: readonly number[], theirs: readonly number[]): boolean {
  return ours.some((version) => version > used && theirs.includes(version))
}
