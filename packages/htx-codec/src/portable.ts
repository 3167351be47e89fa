/* What is the same on every platform; both entry points give it out. */
export { type Crc32, portableCrc32 } from './crc32.js'
export { FrameError, type FrameErrorCode, ChunkError, type ChunkErrorCode } from './errors.js'
export {
  FrameType,
  FrameFlag,
  type Frame,
  type FrameHeader,
  HEADER_BYTES,
  TRAILER_BYTES,
  FRAME_OVERHEAD,
  AEAD_TAG_BYTES,
  MAX_PAYLOAD_BYTES,
  DEFAULT_MAX_FRAME_BYTES,
  encodeFrame,
  writeFrameHeader,
  writeFrameTrailer,
  readFrameHeader,
  readFrameTrailer,
  checkFrameHeader,
} from './frame.js'
export { FrameDecoder, type FrameDecoderOptions, type FrameSink, decodeFrames } from './frame-decoder.js'
export { type InspectedField, type InspectedFrame, inspectFrame } from './inspect-frame.js'
export {
  type ChunkHead,
  type ChunkSink,
  type MessageRun,
  MAX_CHUNK_HEADER_BYTES,
  MAX_MESSAGE_NUMBER,
  PADDING_NUMBER,
  chunkHeaderLength,
  writeChunkHeader,
  readChunks,
} from './chunk.js'
export { lz4Compressor } from './compressor.js'

// Betanet 1.2, the other published frame
export {
  BETANET_FRAME_OVERHEAD,
  BETANET_MAX_FRAME_BYTES,
  BETANET_MAX_PAYLOAD_BYTES,
  BETANET_PING_BYTES,
  BetanetType,
  BetanetCloseCode,
  BetanetError,
  type BetanetErrorCode,
  type BetanetAead,
  type BetanetFrame,
  type BetanetStream,
  type BetanetWindowUpdate,
  type BetanetClose,
  sealBetanetFrame,
  openBetanetFrame,
  betanetFrameLength,
  encodeBetanetStream,
  decodeBetanetStream,
  encodeBetanetWindowUpdate,
  decodeBetanetWindowUpdate,
  decodeBetanetPing,
  encodeBetanetClose,
  decodeBetanetClose,
} from './betanet-1.2.js'
export {
  type HkdfSha256,
  type BetanetTrafficKeys,
  betanetTrafficSecrets,
  betanetTrafficKeys,
  nextBetanetTrafficSecret,
  betanetNonce,
} from './betanet-1.2-keys.js'
