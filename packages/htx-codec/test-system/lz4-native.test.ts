import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { fromHex } from '@aiv/transport-api'
import fc from 'fast-check'
import { loadNativeLz4, lz4Compressor } from '../src/index.js'
import { compressible, mutated } from '../test/arbitraries.js'

/*
 * Needs the package `lz4`, which is compiled on installation: `tools/ci/install` puts it into tools/ci/cache/native-lz4,
 * or AIV_NATIVE_MODULES names the folder that native-lz4 is in. From this package's folder:
 *
 *   npx jest --testMatch '<rootDir>/test-system/**\/*.test.ts'
 *
 * Where it is missing these tests fail: they are not for passing over.
 */
const modules = process.env.AIV_NATIVE_MODULES ?? fileURLToPath(new URL('../../../tools/ci/cache', import.meta.url))
const requireNative = createRequire(`${modules}/native-lz4/package.json`)
const native = await loadNativeLz4(() => Promise.resolve(requireNative('lz4') as unknown))
const portable = lz4Compressor()

function both(): { native: NonNullable<typeof native>; portable: typeof portable } {
  if (native === undefined) throw new Error('the package lz4 cannot be loaded: see the head of this file')
  return { native, portable }
}

test('native and portable LZ4 take what the other makes', () => {
  const { native, portable } = both()
  fc.assert(
    fc.property(compressible(), (bytes) => {
      for (const [maker, taker] of [
        [native, portable],
        [portable, native],
      ] as const) {
        const packed = maker.compress(bytes)
        if (packed === undefined) continue
        expect(taker.decompress(packed, bytes.length)).toEqual(bytes)
        expect(taker.decompress(packed, bytes.length - 1)).toBeUndefined()
      }
    }),
    { numRuns: 500 },
  )
})

test('native and portable LZ4 give the same verdict and bytes on damaged input', () => {
  const { native, portable } = both()
  const packed = portable.compress(new TextEncoder().encode('{"id":1,"kind":"reading"},'.repeat(40))) as Uint8Array
  fc.assert(
    fc.property(mutated(packed), fc.nat(2000), (bytes, limit) => {
      expect(native.decompress(bytes, limit)).toEqual(portable.decompress(bytes, limit))
    }),
    { numRuns: 20_000 },
  )
})

test('native LZ4 refuses a distance of 0 as the portable one does', () => {
  const { native, portable } = both()
  const packed = fromHex('0000000f' + '1461000060626364656667')
  expect(portable.decompress(packed, 100)).toBeUndefined()
  expect(native.decompress(packed, 100)).toBeUndefined()
})
