export { bitchat, type BitchatTransport } from './bitchat-transport.js'
export type { BitchatOptions } from './bitchat-options.js'
export { type MeshSessionOptions, defaultSessionOptions } from './session-options.js'
export { bitchatMetricNames } from './metrics.js'
export {
  type BleRadio,
  type BleRadioHandler,
  type BleAdvertising,
  type BleScanning,
  type BleSighting,
  type BleLink,
  type BleLinkHandler,
  type Airtime,
  ADVERTISED_BYTES,
} from './ble-radio.js'
export { BleError, type BleErrorCode } from './ble-error.js'
export { NobleBlenoRadio, type NobleBlenoComponents } from './noble-bleno-radio.node.js'
export type { NobleBlenoOptions } from './noble-bleno-options.js'
export type { StackOptions } from './ble-stacks.node.js'

// The mesh, for those who bring a radio or a simulation of their own
export { MeshCore, type MeshLinkView, PROOF_BYTES } from './mesh-core.js'
export type {
  MeshDatagram,
  MeshCrypto,
  AnnouncedKey,
  MeshComponents,
  MeshLinkOptions,
  MeshSendResult,
  MeshEvent,
  MeshRoute,
  MeshCounters,
  MeshDropReason,
} from './mesh-types.js'
export { type MeshOptions, type MeshStoreOptions, defaultMeshOptions } from './mesh-options.js'
export { type Announcement, MAX_ANNOUNCED_MORE_BYTES, readAnnouncement } from './announcement.js'
export {
  type MeshPacket,
  type MeshPassage,
  type DecodedMesh,
  MeshPacketType,
  encodeMeshPacket,
  encodeHopAck,
  decodeMesh,
  MAX_MESH_PACKET_BYTES,
  DIRECTED_HEADER_BYTES,
  BROADCAST_HEADER_BYTES,
  PACKET_ID_BYTES,
  MAX_BROADCAST_BYTES,
  MAX_HOPS,
} from './mesh-packet.js'
export {
  InMemoryAir,
  type InMemoryAirComponents,
  type InMemoryAirOptions,
  type InMemoryRadioOptions,
  type Reach,
} from './in-memory-air.js'
export type { InMemoryRadio } from './in-memory-radio.js'
export {
  dutyCycle,
  dutyCycleLevels,
  type DutyCycleInput,
  type DutyCycleLevel,
  type DutyCycleOptions,
  type DutyCyclePlan,
} from './duty-cycle.js'
export { segmented, splitPacket, PacketJoiner, MIN_LINK_PACKET_BYTES, SEGMENT_HEADER_BYTES } from './link-segments.js'
export {
  type SessionFrame,
  encodeFrame as encodeSessionFrame,
  decodeFrames as decodeSessionFrames,
} from './session-frames.js'

// The protocol of the deployed bitchat apps: docs/wire/bitchat-compatible.md
export * as compatible from './profiles/bitchat-compatible/index.js'
