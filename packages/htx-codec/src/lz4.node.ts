import type { Compressor } from '@aiv/transport-api'
import { type Lz4BlockCodec, compressorOver } from './compressor.js'
import { decodeLz4Block } from './lz4-block.js'

/** The part of the package `lz4` that is used. */
interface NativeLz4 {
  /** Bytes written, 0 when they do not fit. */
  encodeBlock(source: Buffer, target: Buffer): number
  /** Bytes written, negative when the block is corrupt or does not fit. */
  decodeBlock(source: Buffer, target: Buffer): number
}

/** Imported by a variable name, so that neither compiler nor bundler asks for a package that is optional. */
const PACKAGE: string = 'lz4'

const ZERO_DISTANCE = Buffer.alloc(2)

/**
 * The `lz4` compressor on the native package of that name, an optional peer dependency: about four times as fast as
 * {@link lz4Compressor}. Either takes what the other makes; the bytes themselves may differ.
 *
 * @param load - how to import the package; by default from where this package is installed.
 * @returns `undefined` where the package is not installed, or was built for another Node.
 */
export async function loadNativeLz4(
  load: () => Promise<unknown> = () => import(PACKAGE),
): Promise<Compressor | undefined> {
  let native: NativeLz4 | undefined
  try {
    native = nativeFrom(await load())
  } catch {
    return undefined // whoever wants to know why imports it alone
  }
  return native === undefined ? undefined : compressorOver(blockCodec(native))
}

function blockCodec(native: NativeLz4): Lz4BlockCodec {
  return {
    encode: (source, target, offset) => {
      const written = native.encodeBlock(asBuffer(source), asBuffer(target.subarray(offset)))
      return written > 0 ? offset + written : -1
    },
    decode: (source, offset, target) => {
      const block = asBuffer(source.subarray(offset))
      // liblz4 takes a distance of 0, which the format forbids. Such a block holds two zero bytes in a row, and those
      // few that do are left to the decoder that refuses it: every platform gives the same verdict
      if (target.length === 0 || block.includes(ZERO_DISTANCE)) return decodeLz4Block(source, offset, target)
      return native.decodeBlock(block, asBuffer(target)) === target.length
    },
  }
}

function nativeFrom(module: unknown): NativeLz4 | undefined {
  const found = (module as { readonly default?: unknown } | undefined)?.default ?? module
  const native = (found ?? {}) as NativeLz4
  return typeof native.encodeBlock === 'function' && typeof native.decodeBlock === 'function' ? native : undefined
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
