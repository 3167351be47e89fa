// HTX over TCP with frames summed up by @node-rs/crc32; otherwise as htx.mjs. Left out where that package is not.
import { betanet } from '@aiv/betanet'
import { loadNativeCrc32 } from '@aiv/htx-codec'
import { importNative } from '../native.mjs'
import { transportAdapter, unhurried } from '../transport-adapter.mjs'

const crc32 = await loadNativeCrc32(importNative('crc32', '@node-rs/crc32'))
if (crc32 === undefined) throw new Error('@node-rs/crc32 is not here: tools/ci/install fetches it')

export const { server, client } = transportAdapter(
  betanet({ listen: { host: '127.0.0.1', port: 0 }, halfOpen: unhurried, crc32 }),
  betanet({ listen: false, crc32 }),
)
