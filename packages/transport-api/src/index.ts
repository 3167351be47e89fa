export {
  type NodeId,
  NODE_ID_BYTES,
  isNodeId,
  parseNodeId,
  nodeIdFromBytes,
  nodeIdToBytes,
  compareNodeIds,
  xorDistance,
} from './node-id.js'
export { type Address, MAX_ADDRESS_LENGTH, parseAddress, formatAddress } from './address.js'
export { Priority, priorities, type PerPriority, type PrivacyLevel, type DeviceType } from './priority.js'
export {
  AivError,
  ArgumentError,
  DialError,
  type DialErrorCode,
  TransportError,
  type TransportErrorCode,
} from './errors.js'
export type { Millis, Clock, Timer, Random } from './clock.js'
export { type Logger, type LogFields, silentLogger } from './logger.js'
export type { Metrics, MetricLabels, CounterMetric, GaugeMetric, HistogramMetric } from './metrics.js'

// For those who write a transport
export type {
  Transport,
  TransportHost,
  TransportProfile,
  TransportPolicy,
  TransportComponents,
  TransportFactory,
  DialOptions,
} from './transport.js'
export { parseDialAddress, dialTarget } from './dial-target.js'
export { type SourcePrefixes, sourcePrefixes } from './ip-prefix.js'
export { type InterfaceAddress, dialableHosts, socketAddress } from './socket-address.js'
export { SourceRates, type SourceRatesOptions } from './source-rates.js'
export type {
  Connection,
  ConnectionHandler,
  ConnectionStats,
  PacketInfo,
  Path,
  SendOptions,
  SendResult,
  CloseReason,
  ByteStream,
  ByteStreamHandler,
} from './connection.js'
export type { ProtocolCore } from './protocol-core.js'
export type {
  SecureChannels,
  SecureSession,
  Handshake,
  HandshakeOptions,
  HandshakePattern,
  HandshakeErrorCode,
  CipherSuite,
  AeadKey,
  AeadOpener,
} from './secure-channel.js'
export { MAX_EARLY_BYTES } from './secure-channel.js'
export type { PeerIdentity, LocalIdentity, SignatureTag } from './identity.js'
export {
  type PeerRecord,
  type PeerRecordFields,
  MAX_PEER_RECORD_BYTES,
  MAX_PEER_RECORD_LIFE_MS,
  encodePeerRecordBody,
  decodePeerRecord,
  deviceTypeToByte,
  deviceTypeFromByte,
} from './peer-record.js'
export type { Compressor } from './compressor.js'
export { type Bytes, byteLength, joinBytes, equalBytes } from './bytes.js'
export { toHex, fromHex } from './hex.js'
export { MAX_VARINT, varintLength, writeVarint, varintLengthFrom, readVarint } from './varint.js'
export { ReplayWindow } from './replay-window.js'
