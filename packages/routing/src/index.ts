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
export { type RecordPacket, encodeRecordPacket, decodeRecordPacket } from './record-request.js'
export { PROOF_BYTES, MAX_PROOFS, encodeAcknowledgement, decodeAcknowledgement } from './acknowledgement.js'
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

// For those who carry envelopes further
export {
  EnvelopeType,
  EnvelopeFlag,
  type Envelope,
  type EnvelopeHeader,
  ENVELOPE_VERSION,
  ENVELOPE_HEADER_BYTES,
  FIRST_HOP_LIMIT,
  MESSAGE_ID_BYTES,
  MAX_ENVELOPE_PAYLOAD_BYTES,
  BROADCAST_DESTINATION,
  encodeEnvelopeHeader,
  envelopePacket,
  decodeEnvelope,
  envelopeAuthenticatorLength,
  envelopeAuthenticatorInput,
  envelopeDigestInput,
  immutableEnvelopeHeader,
  messageIdInput,
  isMessageIdOf,
} from './envelope.js'
export { CLOCK_TOLERANCE_MS, envelopeAge, rememberEnvelopeUntil } from './envelope-age.js'
export {
  ContentType,
  ContentCompression,
  type EnvelopePlaintext,
  type EnvelopePlaintextFields,
  encodeEnvelopePlaintextHeader,
  decodeEnvelopePlaintext,
} from './envelope-plaintext.js'
export { DuplicateWindow, type DuplicateResult } from './duplicate-window.js'
export {
  type DuplicateWindowOptions,
  relayDuplicateOptions,
  sessionlessDuplicateOptions,
  verifyDuplicateWindowOptions,
} from './options.js'
export {
  OutboundDelivery,
  type OutboundDeliveryOptions,
  type OutboundFailure,
  type OutboundMessage,
  type OutboundSink,
} from './outbound-delivery.js'
