import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { type Address, DialError, formatAddress, type TransportProfile } from '@aiv/transport-api'
import type { HtxLink, Listening, LinkListener, LinkProvider } from '@aiv/htx-session'
import type { VerifiedWebSocketOptions } from './options.node.js'
import { WsLink } from './ws-link.js'
import { attachTo, listenOn } from './ws-listener.node.js'
import { MAX_MESSAGE_BYTES, SUBPROTOCOL } from './ws-socket.js'
import { NodeWsSocket } from './ws-socket.node.js'

/** WebSockets of the package `ws` as links. */
export class NodeWsProvider implements LinkProvider {
  readonly name = 'websocket'
  readonly schemes = ['ws', 'wss']
  readonly profile: TransportProfile
  readonly #options: VerifiedWebSocketOptions

  constructor(options: VerifiedWebSocketOptions, profile: TransportProfile) {
    this.#options = options
    this.profile = profile
  }

  async listen(listener: LinkListener): Promise<Listening | undefined> {
    const { server, listen } = this.#options
    if (server !== undefined) return attachTo(server, this.#options, listener)
    return listen === undefined ? undefined : listenOn(listen, this.#options, listener)
  }

  dial(address: Address, signal: AbortSignal): Promise<HtxLink> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const { ca, randomMasks } = this.#options
      const url = formatAddress({ ...address, nodeId: undefined })
      const socket = new WebSocket(url, SUBPROTOCOL, {
        perMessageDeflate: false,
        maxPayload: MAX_MESSAGE_BYTES,
        followRedirects: false,
        ...(ca === undefined ? {} : { ca }),
        ...(randomMasks ? {} : { generateMask: zeroMask }),
      })
      let carrier: Socket | undefined
      socket.once('upgrade', (response) => (carrier = response.socket))
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort)
        socket.removeListener('open', onOpen)
        socket.removeListener('error', onError)
      }
      const onAbort = (): void => {
        settle()
        // It says "closed before it was open", which is what was wanted
        socket.on('error', () => undefined)
        socket.terminate()
        reject(signal.reason as Error)
      }
      const onError = (error: Error): void => {
        settle()
        socket.on('error', () => undefined)
        socket.terminate()
        reject(new DialError('DIAL_REFUSED', `${url}: ${error.message}`, { cause: error, retryable: true }))
      }
      const onOpen = (): void => {
        settle()
        resolve(new WsLink(new NodeWsSocket(socket, address.scheme, carrier)))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      socket.once('open', onOpen)
      socket.once('error', onError)
    })
  }
}

function zeroMask(mask: Uint8Array): void {
  mask.fill(0)
}
