import type { TransportFactory } from '@aiv/transport-api'
import { HtxTransport } from '@aiv/htx-session'
import { verifyWebSocketOptions, type WebSocketOptions } from './options.node.js'
import { profile, sessionOptions } from './profile.js'
import { NodeWsProvider } from './ws-provider.node.js'

/**
 * HTX over WebSocket: the same sessions as over TCP, where only HTTP gets through, and for browsers. Dialled and
 * accepted, under the schemes `ws` and `wss`.
 *
 * @throws ArgumentError at once, for options that cannot be.
 */
export function webSocket(options: WebSocketOptions = {}): TransportFactory {
  const verified = verifyWebSocketOptions(options)
  const capped = sessionOptions(options)
  const known = profile(capped)
  return (components) => new HtxTransport(components, new NodeWsProvider(verified, known), capped)
}
