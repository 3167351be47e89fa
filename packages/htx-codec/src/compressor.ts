import type { Compressor } from '@aiv/transport-api'
import { Lz4BlockEncoder, decodeLz4Block } from './lz4-block.js'

/*
 * What goes between two nodes under the name `lz4`: u32, big-endian, the original size; then one LZ4 block.
 */
const SIZE_BYTES = 4
/** LZ4 itself goes no further. */
const MAX_INPUT_BYTES = 0x7e000000
/** No byte of a block stands for more than 255 of the original. */
const MAX_EXPANSION = 255

/** How a block is made and taken apart: in JavaScript, or by a native library. */
export interface Lz4BlockCodec {
  /** Writes the block of `source` into `target` from `offset` on; the offset after it, or −1 when it does not fit. */
  encode(source: Uint8Array, target: Uint8Array, offset: number): number
  /** Fills `target` exactly with what `source[offset..]` decodes to; false when it is corrupt or of another length. */
  decode(source: Uint8Array, offset: number, target: Uint8Array): boolean
}

/** A {@link Compressor} named `lz4` over a block codec: the size before the block, and the bounds. */
export function compressorOver(codec: Lz4BlockCodec): Compressor {
  return {
    name: 'lz4',
    compress: (bytes) => {
      // not a byte more is allocated, nor much more looked at, than a result that is 5 % smaller may have
      const target = new Uint8Array(Math.floor((bytes.length * 19) / 20))
      if (target.length <= SIZE_BYTES || bytes.length > MAX_INPUT_BYTES) return undefined
      new DataView(target.buffer).setUint32(0, bytes.length)
      const end = codec.encode(bytes, target, SIZE_BYTES)
      return end < 0 ? undefined : target.slice(0, end)
    },
    decompress: (bytes, maxBytes) => {
      if (bytes.length <= SIZE_BYTES) return undefined
      const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
      if (size > maxBytes || size > (bytes.length - SIZE_BYTES) * MAX_EXPANSION) return undefined
      const target = new Uint8Array(size)
      return codec.decode(bytes, SIZE_BYTES, target) ? target : undefined
    },
  }
}

/** LZ4 in plain JavaScript: runs anywhere. Keeps 32 KiB for its hash table. */
export function lz4Compressor(): Compressor {
  const encoder = new Lz4BlockEncoder()
  return compressorOver({
    encode: (source, target, offset) => encoder.encode(source, target, offset),
    decode: decodeLz4Block,
  })
}
