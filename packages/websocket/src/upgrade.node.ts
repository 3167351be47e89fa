import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { HtxLink } from '@aiv/htx-session'
import type { VerifiedWebSocketOptions } from './options.node.js'
import { WsLink } from './ws-link.js'
import { NodeWsSocket } from './ws-socket.node.js'
import { MAX_MESSAGE_BYTES, SUBPROTOCOL } from './ws-socket.js'

/** Turns HTTP requests to upgrade into links, or answers them with what is wrong. */
export class Upgrader {
  readonly #options: VerifiedWebSocketOptions
  readonly #scheme: string
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => SUBPROTOCOL,
  })

  constructor(options: VerifiedWebSocketOptions, scheme: string) {
    this.#options = options
    this.#scheme = scheme
  }

  /** True when the request asks for our path; another listener may want the others. */
  concerns(request: IncomingMessage): boolean {
    return request.url?.split('?', 1)[0] === this.#options.path
  }

  /** Calls `onLink` within the call, or answers 400 or 403 and closes. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, onLink: (link: HtxLink) => void): void {
    const { origin } = request.headers
    const protocols = request.headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? []
    if (origin !== undefined && !this.#options.mayConnect(origin)) return refuseUpgrade(socket, '403 Forbidden')
    if (!protocols.includes(SUBPROTOCOL)) return refuseUpgrade(socket, '400 Bad Request')
    this.#server.handleUpgrade(request, socket, head, (webSocket) =>
      onLink(new WsLink(new NodeWsSocket(webSocket, this.#scheme, request.socket))),
    )
  }
}

/** Answers with a status line and closes; the status is all there is. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on('error', () => undefined)
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy())
}
