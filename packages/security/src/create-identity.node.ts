import { nodeCrypto } from './crypto.node.js'
import type { Crypto } from './crypto.js'
import { generateIdentity, type Identity } from './identity.js'

/** A fresh identity. @param options - `crypto`: what its keys live in; `nodeCrypto` unless said otherwise. */
export function createIdentity(options: { readonly crypto?: Crypto } = {}): Promise<Identity> {
  return Promise.resolve(generateIdentity(options.crypto ?? nodeCrypto))
}
