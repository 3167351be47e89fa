export { PacketKind, FIRST_PRIVATE_PACKET_KIND, packetKind } from './packet.js'
export {
  encodeLinkEnvelopeHeader,
  decodeLinkEnvelope,
  LinkFlag,
  MessageKind,
  MAX_LIFETIME_S,
  type LinkEnvelope,
  type LinkEnvelopeFields,
} from './link-envelope.js'
export { encodeProtocol, decodeProtocol, protocolFieldLength, MAX_PROTOCOL_NAME_BYTES } from './protocol.js'
export { type Hello, Capability, HELLO_VERSION, MAX_HELLO_BYTES, encodeHello, decodeHello } from './hello.js'
export { type Epoch, EPOCH_BYTES, epochFromBytes, epochToBytes } from './epoch.js'
export { type LinkAck, MAX_LINK_ACK_RANGES, encodeLinkAck, decodeLinkAck } from './link-ack.js'
export { type CounterRange, CounterRanges } from './counter-ranges.js'
export { type Ping, PING_OPAQUE_BYTES, encodePing, decodePing } from './ping.js'
export { InboundDelivery, type InboundMessage, type InboundResult } from './inbound-delivery.js'
export { InboundTable } from './inbound-table.js'
export {
  type InboundOptions,
  type InboundTableOptions,
  defaultInboundOptions,
  defaultInboundTableOptions,
  verifyInboundOptions,
  verifyInboundTableOptions,
} from './options.js'
