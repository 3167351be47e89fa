import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { ArgumentError, parseAddress } from '@aiv/transport-api'
import type { HtxTransportOptions } from '@aiv/htx-session'

/** The port that a listener of its own takes by default. An address without a port means 80 (`ws`) or 443 (`wss`). */
export const DEFAULT_PORT = 8889

/** What {@link webSocket} takes on Node; times in milliseconds. */
export interface WebSocketOptions extends HtxTransportOptions {
  /**
   * A listener of its own; `false`: only dial. `host`: an IP address or a name of this machine, by default every address
   * of it. `port`: 0 takes a free one. Not together with `server`. @defaultValue port 8889 on every address
   */
  readonly listen?: { readonly host?: string; readonly port?: number } | false
  /**
   * Attaches to this HTTP server instead: requests to upgrade at `path` are taken, everything else is left to its other
   * listeners. The server is neither started nor closed; the time limits for requests are its owner's.
   */
  readonly server?: HttpServer | HttpsServer
  /** Where upgrades are taken, and the path of the announced addresses. @defaultValue '/' */
  readonly path?: string
  /**
   * PEM. `cert` and `key`: the own listener speaks `wss`. `ca`: who is believed when dialling `wss`, instead of the
   * usual authorities. Identities are proven inside either way; TLS hides the handshake and pleases browsers.
   */
  readonly tls?: { readonly cert?: string; readonly key?: string; readonly ca?: string }
  /**
   * Origins of web pages that may connect: a list (`https://example.org`), or a function. A request without an Origin
   * comes from a program and is not asked. @defaultValue none: no web page may connect
   */
  readonly origins?: readonly string[] | ((origin: string) => boolean)
  /** `ws:` or `wss:` addresses that others are told, without a node id. @defaultValue those of the interfaces */
  readonly advertise?: readonly string[]
  /**
   * Masks what is dialled with random keys, as a browser does, at about a fifth of the speed. Masking protects proxies
   * from web pages that choose bytes on the wire, which sealed frames do not allow. docs/decisions/0142-zero-masks.md
   * @defaultValue false
   */
  readonly randomMasks?: boolean
}

/** {@link WebSocketOptions} with defaults filled in. */
export interface VerifiedWebSocketOptions {
  readonly listen: { readonly host: string | undefined; readonly port: number } | undefined
  readonly server: HttpServer | HttpsServer | undefined
  readonly path: string
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
  readonly ca: string | undefined
  readonly mayConnect: (origin: string) => boolean
  readonly advertise: readonly string[] | undefined
  readonly randomMasks: boolean
}

/** @throws ArgumentError on options that contradict one another or are out of range. */
export function verifyWebSocketOptions(options: WebSocketOptions): VerifiedWebSocketOptions {
  const { listen, server, path = '/', tls = {}, origins = [], advertise, randomMasks = false } = options
  if (server !== undefined && listen) throw new ArgumentError('listen and server exclude each other')
  if (!/^\/[^\s?#]*$/.test(path)) throw new ArgumentError(`path "${path}" does not begin with / or has a query`)
  if ((tls.cert === undefined) !== (tls.key === undefined)) throw new ArgumentError('tls: cert and key go together')
  for (const address of advertise ?? []) {
    const { scheme, nodeId } = parseAddress(address)
    if (!['ws', 'wss'].includes(scheme) || nodeId !== undefined) {
      throw new ArgumentError(`"${address}" is not ws://host:port/path or wss://`)
    }
  }
  const { host, port = DEFAULT_PORT } = listen === false ? {} : (listen ?? {})
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new ArgumentError(`port ${port}: 0 to 65535`)
  return {
    listen: server !== undefined || listen === false ? undefined : { host, port },
    server,
    path,
    certificate: tls.cert === undefined || tls.key === undefined ? undefined : { cert: tls.cert, key: tls.key },
    ca: tls.ca,
    mayConnect: typeof origins === 'function' ? origins : (origin) => origins.includes(origin),
    advertise,
    randomMasks,
  }
}
