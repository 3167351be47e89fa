import type { QuicEndpoint, QuicEngine } from './quic-engine.js'
import type { PacketEngine } from './packet-engine.js'
import { UdpEndpoint } from './udp-endpoint.node.js'

/**
 * Gives a state machine sockets and timers, and so makes an engine of it.
 * @param load - may throw a QuicError QUIC_UNAVAILABLE; called once, when the first endpoint is opened.
 */
export function udpEngine(name: string, load: () => PacketEngine): QuicEngine {
  let engine: PacketEngine | undefined
  return {
    name,
    async open(settings, handler): Promise<QuicEndpoint> {
      engine ??= load()
      return UdpEndpoint.open(engine, settings, handler)
    },
  }
}
