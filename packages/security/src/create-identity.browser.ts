import type { Crypto } from './crypto.js'
import { portableCrypto } from './crypto.portable.js'
import { generateIdentity, type Identity } from './identity.js'

/** A fresh identity. @param options - `crypto`: what its keys live in; `portableCrypto()` unless said otherwise. */
export async function createIdentity(options: { readonly crypto?: Crypto } = {}): Promise<Identity> {
  return generateIdentity(options.crypto ?? (await portableCrypto()))
}
