import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { loadNativeCrc32, portableCrc32 } from '../src/index.js'

// Needs the package `@node-rs/crc32`: see the head of lz4-native.test.ts; the folder is native-crc32.
const modules = process.env.AIV_NATIVE_MODULES ?? fileURLToPath(new URL('../../../tools/ci/cache', import.meta.url))
const requireNative = createRequire(`${modules}/native-crc32/package.json`)

test('native CRC-32 gives the sums of the portable one, from any seed and in pieces', async () => {
  const native = await loadNativeCrc32(() => Promise.resolve(requireNative('@node-rs/crc32') as unknown))
  if (native === undefined) throw new Error('the package @node-rs/crc32 cannot be loaded')
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 70_000, size: 'max' }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.nat(70_000),
      (bytes, seed, cut) => {
        const sum = portableCrc32(bytes, seed)
        expect(native(bytes, seed)).toBe(sum)
        expect(native(bytes.subarray(cut), native(bytes.subarray(0, cut), seed))).toBe(sum)
      },
    ),
    { numRuns: 500 },
  )
})
