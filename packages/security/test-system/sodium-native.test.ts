import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { joinBytes } from '@aiv/transport-api'
import fc from 'fast-check'
import { createNodeCrypto, identityFromSeed, loadNativeSodium, nodeCrypto, secureChannels } from '../src/index.js'

/*
 * Needs the package `sodium-native`: `tools/ci/install` puts it into tools/ci/cache/native-sodium, or AIV_NATIVE_MODULES
 * names the folder that native-sodium is in. From this package's folder:
 *
 *   npx jest --testMatch '<rootDir>/test-system/**\/*.test.ts'
 *
 * Where it is missing these tests fail: they are not for passing over.
 */
const suite = 'chacha20-poly1305'
const modules = process.env.AIV_NATIVE_MODULES ?? fileURLToPath(new URL('../../../tools/ci/cache', import.meta.url))
const requireNative = createRequire(`${modules}/native-sodium/package.json`)
const aead = await loadNativeSodium(() => Promise.resolve(requireNative('sodium-native') as unknown))

function native(): ReturnType<typeof createNodeCrypto> {
  if (aead === undefined) throw new Error('the package sodium-native cannot be loaded: see the head of this file')
  return createNodeCrypto({ aeads: { [suite]: aead }, suites: [suite, 'aes-256-gcm'] })
}

const bytes = (min: number, max = min): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: min, maxLength: max })

test('sodium-native and node:crypto seal to the same bytes and open what the other sealed, whole and in pieces', () => {
  fc.assert(
    fc.property(
      bytes(32),
      bytes(12),
      bytes(0, 40),
      fc.array(bytes(0, 300), { maxLength: 4 }),
      (key, nonce, aad, plain) => {
        const ours = native().aead(suite, key)
        const theirs = nodeCrypto.aead(suite, key)
        const sealed = joinBytes(ours.seal(nonce, aad, plain))
        expect(sealed).toEqual(new Uint8Array(joinBytes(theirs.seal(nonce, aad, plain))))
        const joined = joinBytes(plain)
        expect(new Uint8Array(ours.open(nonce, aad, sealed) as Uint8Array)).toEqual(new Uint8Array(joined))
        const opener = ours.opener(nonce, aad)
        for (const byte of sealed.subarray(0, -16)) opener.update(Uint8Array.of(byte))
        expect(new Uint8Array(joinBytes(opener.finish(sealed.subarray(-16)) as Uint8Array[]))).toEqual(
          new Uint8Array(joined),
        )
      },
    ),
    { numRuns: 300 },
  )
})

test('sodium-native gives nothing for a changed byte, a short tag, or other additional data', () => {
  const key = new Uint8Array(32).fill(1)
  const nonce = new Uint8Array(12)
  const aad = new Uint8Array(20).fill(3)
  const ours = native().aead(suite, key)
  const sealed = joinBytes(ours.seal(nonce, aad, new Uint8Array(50).fill(4)))
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed)
    changed[at] = (changed[at] as number) ^ 0x80
    expect(ours.open(nonce, aad, changed)).toBeUndefined()
    const opener = ours.opener(nonce, aad)
    opener.update(changed.subarray(0, -16))
    expect(opener.finish(changed.subarray(-16))).toBeUndefined()
  }
  expect(ours.open(nonce, aad.subarray(1), sealed)).toBeUndefined()
  for (let length = 0; length < 16; length++) {
    expect(ours.open(nonce, aad, sealed.subarray(0, length))).toBeUndefined()
    expect(ours.opener(nonce, aad).finish(sealed.subarray(0, length))).toBeUndefined()
  }
})

test('a key of sodium-native that was wiped cannot be used', () => {
  const ours = native().aead(suite, new Uint8Array(32))
  ours.wipe()
  const nonce = new Uint8Array(12)
  expect(() => ours.seal(nonce, nonce, nonce)).toThrow('wiped')
  expect(() => ours.open(nonce, nonce, new Uint8Array(16))).toThrow('wiped')
  expect(() => ours.opener(nonce, nonce)).toThrow('wiped')
})

test('a node with sodium-native and one without it shake hands', () => {
  const clock = { unixNow: () => 1_750_000_000_000 }
  const channels = [native(), nodeCrypto].map((crypto, i) =>
    secureChannels({ identity: identityFromSeed(crypto, new Uint8Array(32).fill(i + 1)), clock }),
  )
  const empty = new Uint8Array(0)
  const options = {
    pattern: 'XX',
    suite,
    label: 'test/1',
    prologue: empty,
    payload: empty,
    expected: undefined,
    remoteStatic: undefined,
  } as const
  const [a, b] = [
    channels[0]?.start({ ...options, role: 'initiator' }),
    channels[1]?.start({ ...options, role: 'responder' }),
  ]
  b?.handleMessage(a?.pollMessage() as Uint8Array)
  a?.handleMessage(b?.pollMessage() as Uint8Array)
  b?.handleMessage(a?.pollMessage() as Uint8Array)
  expect(a?.outcome).toMatchObject({ remote: {} })
  expect(b?.outcome).toMatchObject({ remote: {} })
})
