import { expect, test } from '@jest/globals'
import { fromHex, toHex } from '@aiv/transport-api'
import { nodeCrypto, portableCrypto } from '../src/index.js'
import { describeWith } from './vectors.js'

interface AeadGroup {
  readonly ivSize: number
  readonly keySize: number
  readonly tagSize: number
  readonly tests: readonly {
    readonly tcId: number
    readonly key: string
    readonly iv: string
    readonly aad: string
    readonly msg: string
    readonly ct: string
    readonly tag: string
    readonly result: 'valid' | 'invalid'
  }[]
}

interface SignatureGroup {
  readonly publicKey: { readonly pk: string }
  readonly tests: readonly {
    readonly tcId: number
    readonly msg: string
    readonly sig: string
    readonly result: 'valid' | 'invalid'
  }[]
}

const portable = await portableCrypto()

describeWith<{ numberOfTests: number; testGroups: readonly AeadGroup[] }>(
  'Wycheproof AES-GCM',
  'wycheproof/aes_gcm_test.json',
  ({ numberOfTests, testGroups = [] }) => {
    // Noise and HTX have one key size, one nonce size and one tag size; others cannot even be asked for
    const isOurs = ({ keySize, ivSize, tagSize }: AeadGroup) => keySize === 256 && ivSize === 96 && tagSize === 128
    const ours = testGroups.filter(isOurs).flatMap(({ tests }) => tests)

    test('66 of 316 tests have our sizes, the other 250 are skipped', () => {
      expect({ numberOfTests, ours: ours.length }).toEqual({ numberOfTests: 316, ours: 66 })
    })

    test('node:crypto seals the valid ones to these bytes, opens them whole and in pieces, and refuses the invalid ones', () => {
      for (const { tcId, key, iv, aad, msg, ct, tag, result } of ours) {
        const aead = nodeCrypto.aead('aes-256-gcm', fromHex(key))
        const [nonce, ad] = [fromHex(iv), fromHex(aad)]
        const opened = aead.open(nonce, ad, fromHex(ct + tag))
        expect([tcId, opened && toHex(opened)]).toEqual([tcId, result === 'valid' ? msg : undefined])
        const opener = aead.opener(nonce, ad)
        for (const byte of fromHex(ct)) opener.update(Uint8Array.of(byte))
        const pieces = opener.finish(fromHex(tag))?.map(toHex).join('')
        expect([tcId, pieces]).toEqual([tcId, result === 'valid' ? msg : undefined])
        if (result === 'valid') expect(aead.seal(nonce, ad, fromHex(msg)).map(toHex).join('')).toBe(ct + tag)
      }
    })
  },
)

describeWith<{ numberOfTests: number; testGroups: readonly SignatureGroup[] }>(
  'Wycheproof Ed25519',
  'wycheproof/ed25519_test.json',
  ({ numberOfTests, testGroups = [] }) => {
    const tests = testGroups.flatMap(({ publicKey, tests }) => tests.map((entry) => ({ ...entry, pk: publicKey.pk })))

    test('all 151 tests are run, none is skipped', () => {
      expect([numberOfTests, tests.length]).toEqual([151, 151])
    })

    test('node:crypto and libsodium both give the verdict of every test', () => {
      for (const { tcId, pk, msg, sig, result } of tests) {
        const verdict = [nodeCrypto, portable].map((c) => c.verify(fromHex(pk), fromHex(msg), fromHex(sig)))
        expect([tcId, ...verdict]).toEqual([tcId, result === 'valid', result === 'valid'])
      }
    })
  },
)
