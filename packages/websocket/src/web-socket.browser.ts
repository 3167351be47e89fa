import { ArgumentError, type TransportFactory } from '@aiv/transport-api'
import { HtxTransport, type HtxTransportOptions } from '@aiv/htx-session'
import { profile, sessionOptions } from './profile.js'
import { BrowserWsProvider } from './ws-provider.browser.js'
import type { PlatformWebSocketConstructor } from './ws-socket.browser.js'

/** What {@link webSocket} takes where there is nothing but the platform's own WebSocket. */
export interface WebSocketOptions extends HtxTransportOptions {
  /** Makes WebSockets. @defaultValue the global `WebSocket` */
  readonly WebSocket?: PlatformWebSocketConstructor
}

/**
 * HTX over the platform's WebSocket, dialled only, under the schemes `ws` and `wss`. Runs in browsers, and wherever else
 * there is a global `WebSocket`.
 *
 * @throws ArgumentError at once, for options that cannot be, and where there is no WebSocket.
 */
export function webSocket(options: WebSocketOptions = {}): TransportFactory {
  const { WebSocket = (globalThis as { WebSocket?: PlatformWebSocketConstructor }).WebSocket } = options
  if (WebSocket === undefined) throw new ArgumentError('there is no WebSocket on this platform')
  const capped = sessionOptions(options)
  const known = profile(capped)
  return (components) => new HtxTransport(components, new BrowserWsProvider(WebSocket, components.clock, known), capped)
}
