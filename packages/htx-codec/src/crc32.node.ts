import * as zlib from 'node:zlib'
import { type Crc32, portableCrc32 } from './crc32.js'

/** Below this many bytes the call into zlib costs more than the sum in JavaScript. */
const NATIVE_FROM_BYTES = 200

// Node has it since 20.15 and 22.2; other runtimes that offer node:zlib may not
const native = (zlib as { readonly crc32?: Crc32 }).crc32

/** {@link Crc32} by zlib where that is there and pays, else in JavaScript; the result is the same. */
export const crc32: Crc32 =
  native === undefined
    ? portableCrc32
    : (bytes, seed = 0) => (bytes.length < NATIVE_FROM_BYTES ? portableCrc32(bytes, seed) : native(bytes, seed))
