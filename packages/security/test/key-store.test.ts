import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createIdentity,
  identityFromSeed,
  loadIdentity,
  nodeCrypto,
  NOISE_KEY_LIFE_MS,
  saveIdentity,
} from '../src/index.js'
import { cryptos } from './cryptos.js'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aiv-key-'))
  path = join(folder, 'identity.json')
})
afterEach(() => rm(folder, { recursive: true }))

const code = (name: string) => expect.objectContaining({ name: 'KeyFileError', code: name })
const cheap = { passes: 1, memoryBytes: 8192 }
const isPosix = process.platform !== 'win32'

type Changes = Record<string, unknown>
async function edit(change: (file: Changes & { protection: Changes }) => void): Promise<void> {
  const file = JSON.parse(await readFile(path, 'utf8')) as Changes & { protection: Changes }
  change(file)
  await writeFile(path, JSON.stringify(file))
}

describe('without a passphrase', () => {
  test.each(cryptos)('what was saved is loaded into %s', async (_, crypto) => {
    const identity = await createIdentity()
    const certificate = identity.certificate(Date.now())
    await saveIdentity(path, identity)
    const loaded = await loadIdentity(path, { crypto })
    expect(loaded.nodeId).toBe(identity.nodeId)
    expect(loaded.crypto).toBe(crypto)
    expect(loaded.exportSecrets()).toEqual(identity.exportSecrets())
    expect(loaded.certificate(Date.now()).length).toBe(certificate.length)
  })

  if (isPosix) {
    test('only the owner can read it, whatever the umask', async () => {
      const before = process.umask(0)
      try {
        await saveIdentity(path, await createIdentity())
      } finally {
        process.umask(before)
      }
      expect((await stat(path)).mode & 0o777).toBe(0o600)
    })

    test.each([0o640, 0o604, 0o660, 0o610, 0o601, 0o602])('a file with mode %o is refused', async (mode) => {
      await saveIdentity(path, await createIdentity())
      await chmod(path, mode)
      await expect(loadIdentity(path)).rejects.toEqual(code('KEY_FILE_PERMISSIONS'))
    })
  }

  test('an identity is never overwritten, unless asked for', async () => {
    const [first, second] = [await createIdentity(), await createIdentity()]
    await saveIdentity(path, first)
    await expect(saveIdentity(path, second)).rejects.toEqual(code('KEY_FILE_EXISTS'))
    expect((await loadIdentity(path)).nodeId).toBe(first.nodeId)
    await saveIdentity(path, second, { overwrite: true })
    expect((await loadIdentity(path)).nodeId).toBe(second.nodeId)
  })

  test('of many that save at the same moment one wins, the others are told, and nothing is left behind', async () => {
    const identities = await Promise.all(Array.from({ length: 8 }, () => createIdentity()))
    const results = await Promise.allSettled(identities.map((identity) => saveIdentity(path, identity)))
    const won = identities.filter((_, i) => results[i]?.status === 'fulfilled')
    expect(won.length).toBe(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toEqual(code('KEY_FILE_EXISTS'))
    expect((await loadIdentity(path)).nodeId).toBe(won[0]?.nodeId)
    expect(await readdir(folder)).toEqual(['identity.json'])
  })

  test('missing folders are made, for the owner alone', async () => {
    const deep = join(folder, 'a', 'b', 'identity.json')
    await saveIdentity(deep, await createIdentity())
    if (isPosix) expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o700)
    await expect(loadIdentity(deep)).resolves.toBeDefined()
  })

  test('nothing there is KEY_FILE_NOT_FOUND', async () => {
    await expect(loadIdentity(path)).rejects.toEqual(code('KEY_FILE_NOT_FOUND'))
  })

  test.each(['', 'not json', 'null', '[]', '{}', '{"format":"aiv-identity","version":2}', 'x'.repeat(20_000)])(
    'other content is KEY_FILE_CORRUPT: %.40s',
    async (text) => {
      await writeFile(path, text, { mode: 0o600 })
      await expect(loadIdentity(path)).rejects.toEqual(code('KEY_FILE_CORRUPT'))
    },
  )

  test('a folder is KEY_FILE_CORRUPT', async () => {
    await mkdir(path, { mode: 0o700 })
    await expect(loadIdentity(path)).rejects.toEqual(code('KEY_FILE_CORRUPT'))
  })

  test('a private key that does not belong to the public key is KEY_FILE_CORRUPT', async () => {
    await saveIdentity(path, identityFromSeed(nodeCrypto, new Uint8Array(32).fill(1)))
    await edit((file) => (file['secrets'] = `02${String(file['secrets']).slice(2)}`))
    await expect(loadIdentity(path)).rejects.toEqual(code('KEY_FILE_CORRUPT'))
    await edit((file) => (file['secrets'] = '0102'))
    await expect(loadIdentity(path)).rejects.toEqual(code('KEY_FILE_CORRUPT'))
  })

  test('a static key that is 90 days old is replaced, and the new one saved', async () => {
    const identity = await createIdentity()
    const start = Date.UTC(2026, 0, 1)
    identity.certificate(start)
    await saveIdentity(path, identity)
    const old = identity.noiseStatic.publicKey
    const almost = start + NOISE_KEY_LIFE_MS - 1
    expect((await loadIdentity(path, { unixNow: almost })).noiseStatic.publicKey).toEqual(old)
    const rotated = await loadIdentity(path, { unixNow: almost + 1 })
    expect(rotated.noiseStatic.publicKey).not.toEqual(old)
    const again = await loadIdentity(path, { unixNow: almost + 2 })
    expect(again.noiseStatic.publicKey).toEqual(rotated.noiseStatic.publicKey)
    expect(again.nodeId).toBe(identity.nodeId)
  })
})

describe('with a passphrase', () => {
  test('it opens with it and with no other, however it was typed', async () => {
    const identity = await createIdentity()
    await saveIdentity(path, identity, { passphrase: 'caf\u00e9', cost: cheap })
    expect((await loadIdentity(path, { passphrase: 'cafe\u0301' })).nodeId).toBe(identity.nodeId)
    await expect(loadIdentity(path)).rejects.toEqual(code('KEY_FILE_PASSPHRASE_NEEDED'))
    await expect(loadIdentity(path, { passphrase: 'cafe' })).rejects.toEqual(code('KEY_FILE_PASSPHRASE_WRONG'))
    await expect(loadIdentity(path, { passphrase: '' })).rejects.toEqual(code('KEY_FILE_PASSPHRASE_WRONG'))
  })

  test('no private key is in the file in the clear', async () => {
    const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(0xa5))
    await saveIdentity(path, identity, { passphrase: 'x', cost: cheap })
    expect(await readFile(path, 'utf8')).not.toContain('a5'.repeat(8))
  })

  test('the default cost is the moderate one of libsodium, and works', async () => {
    const identity = await createIdentity()
    await saveIdentity(path, identity, { passphrase: 'x' })
    await edit((file) => expect(file.protection).toMatchObject({ passes: 3, memoryBytes: 268_435_456 }))
    expect((await loadIdentity(path, { passphrase: 'x' })).nodeId).toBe(identity.nodeId)
  }, 120_000) // twice Argon2id over 256 MiB: seconds, and more where the machine is busy

  test('an empty passphrase and a cost out of range are our own mistake', async () => {
    const identity = await createIdentity()
    const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
    await expect(saveIdentity(path, identity, { passphrase: '' })).rejects.toEqual(invalid)
    for (const cost of [
      { ...cheap, passes: 0 },
      { ...cheap, passes: 1.5 },
      { ...cheap, memoryBytes: 2 ** 31 },
    ]) {
      await expect(saveIdentity(path, identity, { passphrase: 'x', cost })).rejects.toEqual(invalid)
    }
    expect(await readdir(folder)).toEqual([])
  })

  test.each([
    ['passes', 17],
    ['passes', 0],
    ['memoryBytes', 2 ** 30 + 1],
    ['memoryBytes', 1],
    ['salt', '00'],
    ['nonce', 'zz'.repeat(24)],
    ['kdf', 'scrypt'],
    ['cipher', 'none'],
  ])('a file with another %s (%s) is KEY_FILE_CORRUPT and costs nothing', async (name, value) => {
    await saveIdentity(path, await createIdentity(), { passphrase: 'x', cost: cheap })
    await edit((file) => (file.protection[name] = value))
    await expect(loadIdentity(path, { passphrase: 'x' })).rejects.toEqual(code('KEY_FILE_CORRUPT'))
  })

  test('another public key in the file is noticed', async () => {
    await saveIdentity(path, await createIdentity(), { passphrase: 'x', cost: cheap })
    await edit((file) => (file['publicKey'] = '11'.repeat(32)))
    await expect(loadIdentity(path, { passphrase: 'x' })).rejects.toEqual(code('KEY_FILE_PASSPHRASE_WRONG'))
  })

  test('a static key that was replaced is saved under the same passphrase and cost', async () => {
    const identity = await createIdentity()
    identity.certificate(1)
    await saveIdentity(path, identity, { passphrase: 'x', cost: cheap })
    const rotated = await loadIdentity(path, { passphrase: 'x', unixNow: NOISE_KEY_LIFE_MS + 1 })
    expect(rotated.noiseStatic.publicKey).not.toEqual(identity.noiseStatic.publicKey)
    await edit((file) => expect(file.protection).toMatchObject(cheap))
    const again = await loadIdentity(path, { passphrase: 'x', unixNow: NOISE_KEY_LIFE_MS + 1 })
    expect(again.noiseStatic.publicKey).toEqual(rotated.noiseStatic.publicKey)
  })
})
