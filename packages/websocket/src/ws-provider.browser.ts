import { type Address, type Clock, DialError, formatAddress, type TransportProfile } from '@aiv/transport-api'
import type { HtxLink, Listening, LinkProvider } from '@aiv/htx-session'
import { WsLink } from './ws-link.js'
import { BrowserWsSocket, type PlatformWebSocketConstructor } from './ws-socket.browser.js'
import { SUBPROTOCOL } from './ws-socket.js'

/** The platform's WebSockets as links; they are dialled only. */
export class BrowserWsProvider implements LinkProvider {
  readonly name = 'websocket'
  readonly schemes = ['ws', 'wss']
  readonly profile: TransportProfile
  readonly #WebSocket: PlatformWebSocketConstructor
  readonly #clock: Clock

  constructor(WebSocket: PlatformWebSocketConstructor, clock: Clock, profile: TransportProfile) {
    this.#WebSocket = WebSocket
    this.#clock = clock
    this.profile = profile
  }

  listen(): Promise<Listening | undefined> {
    return Promise.resolve(undefined)
  }

  async dial(address: Address, signal: AbortSignal): Promise<HtxLink> {
    signal.throwIfAborted()
    const url = formatAddress({ ...address, nodeId: undefined })
    let socket: BrowserWsSocket
    try {
      socket = new BrowserWsSocket(new this.#WebSocket(url, [SUBPROTOCOL]), url, this.#clock)
    } catch (error) {
      // A page from https may not open ws, and some ports are forbidden
      throw new DialError('DIAL_REFUSED', `${url} is not allowed here`, { cause: error })
    }
    try {
      await socket.opened(signal)
    } catch (error) {
      signal.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      throw new DialError('DIAL_REFUSED', `${url}: ${message}`, { cause: error, retryable: true })
    }
    return new WsLink(socket)
  }
}
