// HTX over WebSocket (ws, not wss: HTX seals by itself); no core above it.
import { webSocket } from '@aiv/websocket'
import { transportAdapter, unhurried } from '../transport-adapter.mjs'

export const { server, client } = transportAdapter(
  webSocket({ listen: { host: '127.0.0.1', port: 0 }, halfOpen: unhurried }),
  webSocket({ listen: false }),
)
