import { AivError } from '@aiv/transport-api'

/** What ends a session from inside; the codes of the frame codec (`HTX_…`) and of the handshake come beside these. */
export type HtxSessionErrorCode =
  | 'PLAINTEXT_FRAME' // an unsealed frame after the handshake
  | 'REPLAY' // a sequence number that is not the next one: repeated, left out or out of order
  | 'FORGED' // the tag is wrong
  | 'MALFORMED' // a payload that is not what its type asks for
  | 'UNEXPECTED_FRAME' // a type that is not legal at this point
  | 'UNKNOWN_FRAME' // a type below 0x40 that nobody defined
  | 'KEY_LIMIT' // a key used for too long, or changed too often
  | 'FLOW_CONTROL_VIOLATION' // more than the credit, or more unfinished messages than may be
  | 'MESSAGE_TOO_LARGE'
  | 'REASSEMBLY_BUSY' // the node has no memory left for unfinished messages
  | 'PROGRESS_TIMEOUT' // an unfinished message that hardly moves
  | 'IDLE_TIMEOUT'
  | 'HANDSHAKE_TIMEOUT'
  | 'HANDSHAKE_UNSUPPORTED' // a version, pattern or suite that we do not have
  | 'DOWNGRADE' // both sides know a higher version than the one in use
  | 'CONNECTION_LOST' // the byte stream ended without a CLOSE
  | 'ABORTED' // by us

/** Why a session ended. Never thrown by a core: it comes in the `closed` event. */
export class HtxSessionError extends AivError<HtxSessionErrorCode> {}
