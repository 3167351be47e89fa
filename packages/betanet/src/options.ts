import { ArgumentError, parseAddress } from '@aiv/transport-api'
import type { HtxTransportOptions } from '@aiv/htx-session'

/** The port that nodes listen on, and that an `htx:` address without a port means. */
export const DEFAULT_PORT = 8888

/** What {@link betanet} takes; times in milliseconds. */
export interface BetanetOptions extends HtxTransportOptions {
  /**
   * Where to listen; `false`: only dial. `host`: an IP address or a name of this machine, by default every address of
   * it, IPv6 and IPv4. `port`: 0 takes a free one. @defaultValue port 8888 on every address
   */
  readonly listen?: { readonly host?: string; readonly port?: number } | false
  /**
   * `htx:` addresses that others are told instead of those of the network interfaces: what a router forwards here.
   * Without a node id. @defaultValue those of the interfaces
   */
  readonly advertise?: readonly string[]
}

/** {@link BetanetOptions.listen} and {@link BetanetOptions.advertise} with defaults filled in. */
export interface VerifiedBetanetOptions {
  readonly listen: { readonly host: string | undefined; readonly port: number } | undefined
  readonly advertise: readonly string[] | undefined
}

/** @throws ArgumentError on a port out of range and on an address to advertise that is none. */
export function verifyBetanetOptions(options: BetanetOptions): VerifiedBetanetOptions {
  const { listen = {}, advertise } = options
  for (const address of advertise ?? []) {
    const { scheme, nodeId } = parseAddress(address)
    if (scheme !== 'htx' || nodeId !== undefined) throw new ArgumentError(`"${address}" is not htx://host:port`)
  }
  if (listen === false) return { listen: undefined, advertise }
  const { host, port = DEFAULT_PORT } = listen
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new ArgumentError(`port ${port}: 0 to 65535`)
  return { listen: { host, port }, advertise }
}
