export { crc32 } from './crc32.node.js'
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
export {
  type ChunkHead,
  type ChunkSink,
  MAX_CHUNK_HEADER_BYTES,
  MAX_MESSAGE_NUMBER,
  PADDING_NUMBER,
  chunkHeaderLength,
  writeChunkHeader,
  readChunks,
} from './chunk.js'
