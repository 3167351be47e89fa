import { createServer as createHttpServer, type IncomingMessage, type Server as HttpServer } from 'node:http'
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { networkInterfaces } from 'node:os'
import { dialableHosts, socketAddress } from '@aiv/transport-api'
import { type Arrival, listenError, type Listening, LISTEN_BACKLOG, type LinkListener } from '@aiv/htx-session'
import type { VerifiedWebSocketOptions } from './options.node.js'
import { refuseUpgrade, Upgrader } from './upgrade.node.js'

/** How long a stranger may take over TLS and the HTTP request, in ms. */
const REQUEST_TIMEOUT_MS = 5000

/** Largest head of an HTTP request, in bytes. */
const MAX_HEADER_BYTES = 8192

/** Attaches to a server of somebody else: its other requests, its start and its end are not ours. */
export function attachTo(
  server: HttpServer | HttpsServer,
  options: VerifiedWebSocketOptions,
  listener: LinkListener,
): Listening {
  const scheme = server instanceof HttpsServer ? 'wss' : 'ws'
  const upgrader = new Upgrader(options, scheme)
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (upgrader.concerns(request)) upgrader.upgrade(request, socket, head, (link) => listener.onLink(link))
    else if (server.listenerCount('upgrade') === 1) refuseUpgrade(socket, '404 Not Found')
  }
  const onListening = (): void => listener.onAddresses()
  server.on('upgrade', onUpgrade)
  server.on('listening', onListening)
  return {
    get addresses() {
      return dialable(server, scheme, options)
    },
    close: () => {
      server.removeListener('upgrade', onUpgrade)
      server.removeListener('listening', onListening)
      return Promise.resolve()
    },
  }
}

/** A server of our own, that does nothing else. @throws TransportError when it cannot listen. */
export async function listenOn(
  { host, port }: { readonly host: string | undefined; readonly port: number },
  options: VerifiedWebSocketOptions,
  listener: LinkListener,
): Promise<Listening> {
  const limits = {
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: REQUEST_TIMEOUT_MS / 5,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  }
  const { certificate } = options
  const scheme = certificate === undefined ? 'ws' : 'wss'
  const server =
    certificate === undefined
      ? createHttpServer(limits)
      : createHttpsServer({ ...limits, ...certificate, handshakeTimeout: REQUEST_TIMEOUT_MS })
  // TLS sockets are others than the TCP sockets below them, but have the same other end
  const arrivals = new Map<string, { readonly socket: Socket; readonly arrival: Arrival }>()
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => undefined)
    const remote = socketAddress(scheme, socket.remoteAddress, socket.remotePort)
    const arrival = listener.onArrival(remote, () => socket.destroy())
    if (arrival === undefined || remote === undefined) return void socket.destroy()
    arrivals.set(remote, { socket, arrival })
    socket.once('close', () => {
      arrivals.delete(remote)
      arrival.leave()
    })
  })
  const upgrader = new Upgrader(options, scheme)
  server.on('request', (request, response) => {
    const status = upgrader.concerns(request) ? 426 : 404
    response.writeHead(status, { Connection: 'close', ...(status === 426 ? { Upgrade: 'websocket' } : {}) }).end()
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!upgrader.concerns(request)) return refuseUpgrade(socket, '404 Not Found')
    const remote = socketAddress(scheme, request.socket.remoteAddress, request.socket.remotePort)
    const arrived = remote === undefined ? undefined : arrivals.get(remote)
    upgrader.upgrade(request, socket, head, (link) => listener.onLink(link, arrived?.arrival))
  })
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port))
    server.once('error', onError)
    server.listen({ port, backlog: LISTEN_BACKLOG, ...(host === undefined ? {} : { host }) }, () => {
      server.removeListener('error', onError)
      resolve()
    })
  })
  server.on('error', (error) => listener.onDown(error))
  return {
    get addresses() {
      return dialable(server, scheme, options)
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        // Whoever is still at HTTP; what has become a link is closed by its owner
        server.closeAllConnections()
      }),
  }
}

function dialable(
  server: HttpServer | HttpsServer,
  scheme: string,
  options: VerifiedWebSocketOptions,
): readonly string[] {
  if (options.advertise !== undefined) return options.advertise
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return []
  const path = options.path === '/' ? '' : options.path
  return dialableHosts(bound.address, networkInterfaces()).map((host) => socketAddress(scheme, host, bound.port, path))
}
