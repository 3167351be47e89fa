// HTX over TCP with ChaCha20-Poly1305 by sodium-native; otherwise as htx.mjs. Left out where that package is not.
import { betanet } from '@aiv/betanet'
import { createNodeCrypto, loadNativeSodium } from '@aiv/security'
import { importNative } from '../native.mjs'
import { transportAdapter, unhurried } from '../transport-adapter.mjs'

const suite = 'chacha20-poly1305'
const aead = await loadNativeSodium(importNative('sodium', 'sodium-native'))
if (aead === undefined) throw new Error('sodium-native is not here: tools/ci/install fetches it')

export const { server, client } = transportAdapter(
  betanet({ listen: { host: '127.0.0.1', port: 0 }, halfOpen: unhurried }),
  betanet({ listen: false }),
  createNodeCrypto({ aeads: { [suite]: aead }, suites: [suite, 'aes-256-gcm'] }),
)
