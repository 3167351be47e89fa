export { quic } from './quic.node.js'
export { type QuicOptions, DEFAULT_PORT } from './options.js'
export { QuicError, type QuicErrorCode } from './errors.js'
export { quicMetricNames } from './metrics.js'

// For those who bring another engine
export type {
  CongestionControl,
  QuicClose,
  QuicCredentials,
  QuicEndpoint,
  QuicEndpointHandler,
  QuicEndpointSettings,
  QuicEngine,
  QuicLimits,
  QuicPathChange,
  QuicSession,
  QuicSessionHandler,
  QuicSessionState,
  QuicSessionStats,
  QuicStreams,
  StreamRead,
  UdpAddress,
  UnvalidatedLimits,
} from './quic-engine.js'
export type {
  PacketEngine,
  PacketEngineConfig,
  PacketEngineOptions,
  PacketPath,
  PacketPathEvent,
  PacketSession,
  StrangerPacket,
  Transmit,
} from './packet-engine.js'
export { quicheEngine } from './engine-quiche.node.js'
export { udpEngine } from './udp-engine.node.js'
