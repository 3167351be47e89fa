// HTX over TCP whose dials are handed out early: what is sent first goes with the first message of the handshake.
import { betanet } from '@aiv/betanet'
import { transportAdapter, unhurried } from '../transport-adapter.mjs'

export const { server, client } = transportAdapter(
  betanet({ listen: { host: '127.0.0.1', port: 0 }, halfOpen: unhurried }),
  betanet({ listen: false }),
  undefined,
  { early: true },
)
