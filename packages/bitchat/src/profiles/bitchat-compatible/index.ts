export {
  CompatibleMesh,
  type CompatibleMeshComponents,
  type CompatibleEvent,
  type CompatibleRefusal,
  type LinkBytes,
} from './compatible-mesh.js'
export type { CompatibleMeshOptions } from './options.js'
export type { ReassemblyLimits } from './reassembly.js'
export type { SessionLimits } from './session-table.js'
export type { CompatibleLink } from './link.js'
export { RadioMesh, type RadioMeshComponents, type RadioMeshOptions } from './radio-mesh.js'
export { bitchatUuids } from './uuids.js'
export { rawDeflate } from './raw-deflate.node.js'
export type { CompatiblePeer } from './peer-table.js'
export { PeerBridge } from './peer-bridge.js'
export { type PeerId, parsePeerId, peerIdOf } from './peer-id.js'
export type { CompatibleCrypto, CompatibleIdentity, ChaChaPoly, XxHandshake } from './crypto.js'
export type { CompatibleFile } from './file.js'

// Codecs, for those who look at packets
export { type Packet, PacketType, encodePacket, decodePacket, packetLength, signaturePreimage } from './packet.js'
export { type Announcement, encodeAnnouncement, decodeAnnouncement } from './announcement.js'
export { type PrivatePayload, encodePrivatePayload, decodePrivatePayload } from './private-payload.js'
export { type Fragment, encodeFragment, decodeFragment } from './fragment.js'
export { type SyncRequest, encodeSyncRequest, decodeSyncRequest } from './sync-request.js'
export { type GolombSet, encodeGolombSet, decodeGolombSet } from './golomb-set.js'
export { encodeFile, decodeFile } from './file.js'
export { type ChatMessage, encodeChatMessage, decodeChatMessage } from './chat-message.js'
export { FrameAssembler } from './frame-assembler.js'
export { COURIER_TAG_BYTES, courierDay, courierTag } from './courier-tag.js'
