// HTX over TCP: handshake with identities on both sides, sealed frames, credit, priorities; no core above it.
import { betanet } from '@aiv/betanet'
import { transportAdapter, unhurried } from '../transport-adapter.mjs'

export const { server, client } = transportAdapter(
  betanet({ listen: { host: '127.0.0.1', port: 0 }, halfOpen: unhurried }),
  betanet({ listen: false }),
)
