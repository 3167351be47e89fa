import { connect, createServer, type AddressInfo, type Server, type TcpNetConnectOpts } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Address, DialError, dialableHosts, socketAddress, type TransportProfile } from '@aiv/transport-api'
import { LISTEN_BACKLOG, listenError, type Listening, type LinkListener, type LinkProvider } from '@aiv/htx-session'
import { DEFAULT_PORT, type VerifiedBetanetOptions } from './options.js'
import { SOCKET_HIGH_WATER_MARK, TcpLink } from './tcp-link.js'

/** TCP sockets as links. */
export class TcpProvider implements LinkProvider {
  readonly name = 'betanet'
  readonly schemes = ['htx']
  readonly profile: TransportProfile
  readonly #options: VerifiedBetanetOptions

  constructor(options: VerifiedBetanetOptions, maxMessageBytes: number) {
    this.#options = options
    this.profile = Object.freeze({
      reach: 'internet',
      largestPacketBytes: maxMessageBytes,
      datagrams: false,
      streams: false,
      // Rough figures of a phone on Wi-Fi, for comparison with radios; nothing was measured here
      energy: Object.freeze({ idleMilliwatts: 20, microjoulesPerByte: 0.2, millijoulesPerDial: 10 }),
    })
  }

  async listen(listener: LinkListener): Promise<Listening | undefined> {
    const { listen, advertise } = this.#options
    if (listen === undefined) return undefined
    const server = createServer({ noDelay: true, highWaterMark: SOCKET_HIGH_WATER_MARK }, (socket) =>
      listener.onLink(new TcpLink(socket)),
    )
    await listening(server, listen.host, listen.port)
    server.on('error', (error) => listener.onDown(error))
    const bound = server.address() as AddressInfo
    return {
      get addresses() {
        if (advertise !== undefined) return advertise
        return dialableHosts(bound.address, networkInterfaces()).map((host) => socketAddress('htx', host, bound.port))
      },
      close: () => new Promise((resolve) => server.close(() => resolve())),
    }
  }

  dial(address: Address, signal: AbortSignal): Promise<TcpLink> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const { host, port = DEFAULT_PORT } = address
      const target: DialTarget = { host, port, noDelay: true, highWaterMark: SOCKET_HIGH_WATER_MARK }
      const socket = connect(target)
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort)
        socket.removeListener('error', onError)
        socket.removeListener('connect', onConnect)
      }
      const onAbort = (): void => {
        settle()
        socket.on('error', () => undefined)
        socket.destroy()
        reject(signal.reason as Error)
      }
      const onError = (error: Error): void => {
        settle()
        socket.destroy()
        const where = socketAddress('htx', host, port) ?? host
        reject(new DialError('DIAL_REFUSED', `${where}: ${error.message}`, { cause: error, retryable: true }))
      }
      const onConnect = (): void => {
        settle()
        resolve(new TcpLink(socket))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      socket.once('error', onError)
      socket.once('connect', onConnect)
    })
  }
}

/** `highWaterMark` reaches the stream, but is missing from the published types of `connect`. */
type DialTarget = TcpNetConnectOpts & { readonly highWaterMark: number }

function listening(server: Server, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port))
    server.once('error', onError)
    server.listen({ port, backlog: LISTEN_BACKLOG, ...(host === undefined ? {} : { host }) }, () => {
      server.removeListener('error', onError)
      resolve()
    })
  })
}
