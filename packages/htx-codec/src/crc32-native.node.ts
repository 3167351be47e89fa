import { type Crc32, portableCrc32 } from './crc32.js'

/** Imported by a variable name, so that neither compiler nor bundler asks for a package that is optional. */
const PACKAGE: string = '@node-rs/crc32'
/** Below this many bytes the call costs more than the sum in JavaScript. */
const NATIVE_FROM_BYTES = 200
/** The published check value of CRC-32: who gets it wrong is something else. */
const CHECK = new TextEncoder().encode('123456789')
const CHECK_VALUE = 0xcbf43926

/**
 * {@link Crc32} by the native package `@node-rs/crc32`, an optional peer dependency: it uses the processor's carry-less
 * multiplication, which the zlib inside Node does not, and takes two fifths of its time on large frames.
 *
 * @param load - how to import the package; by default from where this package is installed.
 * @returns `undefined` where the package is not installed, or has no binary for this platform.
 */
export async function loadNativeCrc32(
  load: () => Promise<unknown> = () => import(PACKAGE),
): Promise<Crc32 | undefined> {
  let native: Crc32 | undefined
  try {
    native = nativeFrom(await load())
    if (native === undefined || !isRight(native)) return undefined
  } catch {
    return undefined // whoever wants to know why imports it alone
  }
  const sum = native
  return (bytes, seed = 0) => (bytes.length < NATIVE_FROM_BYTES ? portableCrc32(bytes, seed) : sum(bytes, seed))
}

/** Also for what alone comes to it here: long input, in parts. */
function isRight(native: Crc32): boolean {
  const long = new Uint8Array(2 * NATIVE_FROM_BYTES).map((_, i) => i * 7)
  const half = long.subarray(0, NATIVE_FROM_BYTES)
  const whole = portableCrc32(long)
  return native(CHECK) === CHECK_VALUE && native(long.subarray(NATIVE_FROM_BYTES), native(half)) === whole
}

function nativeFrom(module: unknown): Crc32 | undefined {
  const found = module as { readonly crc32?: unknown; readonly default?: { readonly crc32?: unknown } } | undefined
  const crc32 = found?.crc32 ?? found?.default?.crc32
  return typeof crc32 === 'function' ? (crc32 as Crc32) : undefined
}
