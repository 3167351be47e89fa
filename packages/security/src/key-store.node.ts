import { link, mkdir, open, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AivError, equalBytes, fromHex, toHex } from '@aiv/transport-api'
import { nodeCrypto } from './crypto.node.js'
import type { Crypto } from './crypto.js'
import { Identity, type IdentitySecrets } from './identity.js'
import { defaultProtection, protect, unprotect, type Protection, type ProtectionCost } from './passphrase.js'

/** What is wrong with a key file. */
export type KeyFileErrorCode =
  | 'KEY_FILE_EXISTS' // there is one already, and it is not overwritten
  | 'KEY_FILE_NOT_FOUND'
  | 'KEY_FILE_PERMISSIONS' // others may read it, or we may not
  | 'KEY_FILE_CORRUPT' // no key file, one of a later version, or damaged
  | 'KEY_FILE_PASSPHRASE_NEEDED'
  | 'KEY_FILE_PASSPHRASE_WRONG' // or the file was tampered with

/** A key file cannot be read or written; `message` says what to do about it. */
export class KeyFileError extends AivError<KeyFileErrorCode> {}

export interface SaveIdentityOptions {
  /** Seals the private keys. Normalised (NFKC), so that it does not depend on the keyboard. */
  readonly passphrase?: string | undefined
  /** Replace a file that is there. @defaultValue false */
  readonly overwrite?: boolean
  /** What a guess of the passphrase costs. @defaultValue 3 passes over 256 MiB: about 2 s */
  readonly cost?: ProtectionCost
}

export interface LoadIdentityOptions {
  readonly passphrase?: string | undefined
  /** @defaultValue nodeCrypto */
  readonly crypto?: Crypto
  /** Unix ms, by which the age of the Noise static key is judged. @defaultValue now */
  readonly unixNow?: number
}

/** The file is a few hundred bytes; nothing larger is read. */
const MAX_FILE_BYTES = 16_384
const SECRETS_BYTES = 72
const isPosix = process.platform !== 'win32'

/** docs/wire/identity.md; all bytes in hex. */
interface KeyFile {
  readonly format: 'aiv-identity'
  readonly version: 1
  readonly nodeId: string
  readonly publicKey: string
  readonly protection?: Protection
  readonly secrets: string
}

/**
 * Writes an identity into a file that only its owner can read (mode 0600). The file appears whole or not at all, and
 * is on the disk when this resolves. Missing folders are made, for the owner alone.
 *
 * @throws KeyFileError KEY_FILE_EXISTS; ArgumentError for an empty passphrase; else the platform's error, such as a full disk.
 */
export async function saveIdentity(path: string, identity: Identity, options: SaveIdentityOptions = {}): Promise<void> {
  const { passphrase, overwrite = false, cost = defaultProtection } = options
  if (!overwrite && (await exists(path))) throw alreadyThere(path)
  const secrets = encodeSecrets(identity.exportSecrets())
  const sealed = passphrase === undefined ? undefined : await protect(secrets, passphrase, identity.publicKey, cost)
  const file: KeyFile = {
    format: 'aiv-identity',
    version: 1,
    nodeId: identity.nodeId,
    publicKey: toHex(identity.publicKey),
    ...(sealed === undefined ? {} : { protection: sealed.protection }),
    secrets: toHex(sealed?.sealed ?? secrets),
  }
  secrets.fill(0)
  await writeAtomically(path, `${JSON.stringify(file, undefined, 2)}\n`, overwrite)
}

/**
 * Reads an identity. A Noise static key that is 90 days old is replaced, and the file rewritten.
 * @throws KeyFileError
 */
export async function loadIdentity(path: string, options: LoadIdentityOptions = {}): Promise<Identity> {
  const { passphrase, crypto = nodeCrypto, unixNow = Date.now() } = options
  const file = parse(await read(path), path)
  const publicKey = fromHex(file.publicKey)
  let secrets = fromHex(file.secrets)
  if (file.protection !== undefined) {
    if (passphrase === undefined) {
      throw new KeyFileError('KEY_FILE_PASSPHRASE_NEEDED', `${path} is protected by a passphrase`)
    }
    const opened = await unprotect(secrets, passphrase, publicKey, file.protection)
    if (opened === 'corrupt') throw corrupt(path)
    if (opened === 'wrong') {
      throw new KeyFileError('KEY_FILE_PASSPHRASE_WRONG', `the passphrase does not open ${path}`)
    }
    secrets = opened
  }
  if (secrets.length !== SECRETS_BYTES) throw corrupt(path)
  const identity = new Identity(crypto, decodeSecrets(secrets))
  secrets.fill(0)
  if (!equalBytes(identity.publicKey, publicKey)) throw corrupt(path)
  if (identity.rotateNoiseKey(unixNow)) {
    const protection = file.protection
    const cost = protection && { passes: protection.passes, memoryBytes: protection.memoryBytes }
    await saveIdentity(path, identity, { passphrase, overwrite: true, ...(cost && { cost }) }).catch(() => {
      // a read-only disk must not keep a node from starting; the new key then lasts for this run
    })
  }
  return identity
}

async function read(path: string): Promise<string> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw openError(path, cause)
  })
  try {
    const { mode, size } = await handle.stat()
    if (isPosix && (mode & 0o077) !== 0) {
      const message = `${path} can be read by others: chmod 600, and think whether the key is still secret`
      throw new KeyFileError('KEY_FILE_PERMISSIONS', message)
    }
    if (size > MAX_FILE_BYTES) throw corrupt(path)
    return await handle.readFile('utf8').catch((cause: unknown) => {
      throw corrupt(path, cause) // a folder, for one
    })
  } finally {
    await handle.close()
  }
}

function openError(path: string, cause: unknown): unknown {
  const code = codeOf(cause)
  if (code === 'ENOENT') return new KeyFileError('KEY_FILE_NOT_FOUND', `there is no ${path}`, { cause })
  if (code === 'EACCES' || code === 'EPERM') {
    return new KeyFileError('KEY_FILE_PERMISSIONS', `${path} belongs to somebody else`, { cause })
  }
  return cause
}

function parse(text: string, path: string): KeyFile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw corrupt(path, cause)
  }
  if (!isKeyFile(value)) throw corrupt(path)
  return value
}

function isKeyFile(value: unknown): value is KeyFile {
  if (typeof value !== 'object' || value === null) return false
  const { format, version, publicKey, protection, secrets } = value as Partial<Record<keyof KeyFile, unknown>>
  if (format !== 'aiv-identity' || version !== 1 || !isHex(publicKey, 32) || !isHex(secrets)) return false
  if (protection === undefined) return true
  if (typeof protection !== 'object' || protection === null) return false
  const { kdf, cipher, passes, memoryBytes, salt, nonce } = protection as Partial<Record<keyof Protection, unknown>>
  if (kdf !== 'argon2id13' || cipher !== 'xchacha20-poly1305') return false
  return typeof passes === 'number' && typeof memoryBytes === 'number' && isHex(salt, 16) && isHex(nonce, 24)
}

function isHex(value: unknown, bytes?: number): value is string {
  if (typeof value !== 'string' || !/^(?:[0-9a-f]{2})*$/.test(value)) return false
  return bytes === undefined || value.length === bytes * 2
}

/** seed 32 ‖ Noise private key 32 ‖ since when the Noise key is used, Unix ms u64, 0 = not yet. */
function encodeSecrets({ seed, noisePrivateKey, noiseSince }: IdentitySecrets): Uint8Array {
  const out = new Uint8Array(SECRETS_BYTES)
  out.set(seed)
  out.set(noisePrivateKey, 32)
  new DataView(out.buffer).setBigUint64(64, BigInt(Math.floor(noiseSince ?? 0)))
  seed.fill(0)
  noisePrivateKey.fill(0)
  return out
}

function decodeSecrets(bytes: Uint8Array): IdentitySecrets {
  const since = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(64))
  return {
    seed: bytes.subarray(0, 32),
    noisePrivateKey: bytes.subarray(32, 64),
    noiseSince: since === 0 ? undefined : since,
  }
}

/** A file beside it is written and flushed, then takes its name. */
async function writeAtomically(path: string, text: string, overwrite: boolean): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const temporary = join(folder, `.${basename(path)}.${toHex(nodeCrypto.randomBytes(8))}.tmp`)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (overwrite) await rename(temporary, path)
    else await linkNew(temporary, path)
  } finally {
    await unlink(temporary).catch(() => undefined) // gone already when it was renamed
  }
  await syncFolder(folder)
}

/** A hard link fails when the name is taken, where a rename would silently replace what is there. */
async function linkNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') throw alreadyThere(path, cause)
    // a file system without hard links: look, then rename; only another process in between could lose its file
    if (await exists(path)) throw alreadyThere(path, cause)
    await rename(temporary, path)
  }
}

/** The new name is on the disk only when the folder is. */
async function syncFolder(folder: string): Promise<void> {
  if (!isPosix) return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch {
    // some file systems cannot; the file itself was flushed
  } finally {
    await handle.close()
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => codeOf(error) !== 'ENOENT',
  )
}

function alreadyThere(path: string, cause?: unknown): KeyFileError {
  return new KeyFileError('KEY_FILE_EXISTS', `${path} is there already, and is not overwritten`, { cause })
}

function corrupt(path: string, cause?: unknown): KeyFileError {
  return new KeyFileError('KEY_FILE_CORRUPT', `${path} is no key file, or it is damaged`, { cause })
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
