import { toHex } from '@aiv/transport-api'
import { makeIdentity, openIdentity } from '../own-identity.js'
import type { Context } from './context.js'

/** `aiv init`: makes the data folder and the node's key. */
export async function init({ output, folder }: Context, options: { readonly passphraseFile?: string }): Promise<void> {
  const identity = await makeIdentity(folder, options.passphraseFile)
  output.note(`the key of this node is in ${folder.identityFile}: keep it secret, and keep a copy`)
  output.result(identity.nodeId, { type: 'identity', id: identity.nodeId, dataDir: folder.path })
}

/** `aiv id`: who this node is. */
export async function id({ output, folder }: Context, options: { readonly passphraseFile?: string }): Promise<void> {
  const identity = await openIdentity(folder, options.passphraseFile)
  const { nodeId, publicKey } = identity
  output.result(nodeId, { type: 'identity', id: nodeId, publicKey: toHex(publicKey), dataDir: folder.path })
}
