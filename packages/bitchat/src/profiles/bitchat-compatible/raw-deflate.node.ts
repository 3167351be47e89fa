import { deflateRawSync, inflateRawSync, inflateSync } from 'node:zlib'
import type { Compressor } from '@aiv/transport-api'

/**
 * Raw DEFLATE (RFC 1951) on node:zlib. Takes zlib-wrapped data (RFC 1950), too, as Android's decoder does. Elsewhere any
 * DEFLATE that can be told to stop at a size will do.
 *
 * Departure from the seam: a result that is one byte smaller is given, since the deployed encoder sends that.
 */
export const rawDeflate: Compressor = Object.freeze({
  name: 'deflate-raw',
  compress(bytes: Uint8Array): Uint8Array | undefined {
    const compressed = deflateRawSync(bytes)
    return compressed.length < bytes.length ? new Uint8Array(compressed) : undefined
  },
  decompress(bytes: Uint8Array, maxBytes: number): Uint8Array | undefined {
    const plain = inflate(inflateRawSync, bytes, maxBytes)
    return plain === undefined && isZlib(bytes) ? inflate(inflateSync, bytes, maxBytes) : plain
  },
})

/** RFC 1950 section 2.2: method 8, and a checksum over the first two bytes. */
function isZlib(bytes: Uint8Array): boolean {
  const [method = 0, flags = 0] = bytes
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0
}

function inflate(run: typeof inflateRawSync, bytes: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    // zlib refuses a limit of 0
    const plain = run(bytes, { maxOutputLength: Math.max(1, maxBytes) })
    return plain.length <= maxBytes ? new Uint8Array(plain) : undefined
  } catch {
    return undefined
  }
}
