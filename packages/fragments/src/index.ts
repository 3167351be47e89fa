export { Fragmenter, type FragmenterComponents, type FragmenterEvent } from './fragmenter.js'
export { Reassembler, type ReassemblerEvent, type PeerBytes, type DropCode } from './reassembler.js'
export type { FragmenterOptions, ReassemblerOptions } from './options.js'

// For those who look at the bytes
export {
  type Fragment,
  encodeFragment,
  decodeFragment,
  fragmentsFor,
  FRAGMENT_ID_BYTES,
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_DIGEST_BYTES,
  MIN_FRAGMENT_BYTES,
  MAX_FRAGMENT_BYTES,
  MAX_FRAGMENTS,
} from './fragment.js'
export { type BlockAck, encodeBlockAck, decodeBlockAck, acknowledges, MAX_BLOCK_ACK_BYTES } from './block-ack.js'
