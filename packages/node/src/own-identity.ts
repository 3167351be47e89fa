import { readFile } from 'node:fs/promises'
import { createIdentity, loadIdentity, saveIdentity, type Identity } from '@aiv/security'
import { makeDataFolder, type DataFolder } from './data-folder.js'
import { CommandError } from './errors.js'

/** Makes a node's key. @throws KeyFileError KEY_FILE_EXISTS; CommandError */
export async function makeIdentity(folder: DataFolder, passphraseFile: string | undefined): Promise<Identity> {
  const passphrase = await readPassphrase(passphraseFile)
  await makeDataFolder(folder)
  const identity = await createIdentity()
  await saveIdentity(folder.identityFile, identity, { passphrase })
  return identity
}

/** Reads a node's key. @throws KeyFileError KEY_FILE_NOT_FOUND and others; CommandError */
export async function openIdentity(folder: DataFolder, passphraseFile: string | undefined): Promise<Identity> {
  return loadIdentity(folder.identityFile, { passphrase: await readPassphrase(passphraseFile) })
}

/** The first line of the file, without its end. */
async function readPassphrase(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CommandError('INPUT_UNREADABLE', `${file}: ${(error as Error).message}`, { cause: error })
  })
  const passphrase = text.split(/\r?\n/, 1)[0] ?? ''
  if (passphrase === '') throw new CommandError('INPUT_UNREADABLE', `the first line of ${file} is empty`)
  return passphrase
}
