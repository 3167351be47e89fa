// QUIC through quiche's raw binding; no core above it.
import { quic } from '@aiv/quic'
import { transportAdapter } from '../transport-adapter.mjs'

/** Set-up is measured from one address, faster than strangers may come. */
const unvalidated = Object.freeze({ perHostPerSecond: Infinity })

export const { server, client } = transportAdapter(
  quic({ listen: { host: '127.0.0.1', port: 0 }, unvalidated }),
  quic({ listen: false }),
)
