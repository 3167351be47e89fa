import { networkInterfaces } from 'node:os'
import { dialableHosts as hostsOf, type TransportFactory } from '@aiv/transport-api'
import { createCredentials, identifyPeer } from './certificate.node.js'
import { quicheEngine } from './engine-quiche.node.js'
import { KnownPeers } from './known-peers.node.js'
import { type QuicOptions, verifyQuicOptions } from './options.js'
import { QuicTransport } from './quic-transport.js'

/**
 * QUIC: TLS 1.3 with node keys both ways, streams by priority, datagrams, 0-RTT, migration; dialled and accepted, under
 * the scheme `quic`. Where the engine has no binary, `start` rejects with QUIC_UNAVAILABLE.
 *
 * @throws ArgumentError at once, for options that cannot be.
 */
export function quic(options: QuicOptions = {}): TransportFactory {
  const verified = verifyQuicOptions(options)
  const engine = verified.engine ?? quicheEngine()
  return (components) => {
    const peers = new KnownPeers(identifyPeer)
    return new QuicTransport(components, verified, {
      engine,
      credentials: createCredentials(components.identity),
      identify: (chain) => peers.identify(chain),
      dialableHosts,
    })
  }
}

/** Of the machine as it is now. */
function dialableHosts(host: string): readonly string[] {
  return hostsOf(host, networkInterfaces())
}
