import type { TransportFactory } from '@aiv/transport-api'
import { htxSessionOptions, HtxTransport } from '@aiv/htx-session'
import { type BetanetOptions, verifyBetanetOptions } from './options.js'
import { TcpProvider } from './tcp-provider.js'

/**
 * HTX over TCP: encrypted, framed, flow-controlled connections to authenticated nodes, dialled and accepted, under the
 * scheme `htx`.
 *
 * @throws ArgumentError at once, for options that cannot be.
 */
export function betanet(options: BetanetOptions = {}): TransportFactory {
  const verified = verifyBetanetOptions(options)
  const { maxMessageBytes } = htxSessionOptions(options.session)
  return (components) => new HtxTransport(components, new TcpProvider(verified, maxMessageBytes), options)
}
