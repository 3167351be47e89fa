// For tools of this repository, which feed bytes to these parts; the package does not export it.
export { safeFileName } from './file/file-name.js'
export {
  decodeFileAnswer,
  decodeFileRequest,
  encodeAnswer,
  encodeCancel,
  encodeOffer,
  writeDataHeader,
} from './file/file-protocol.js'
export { FileReceiverCore } from './file/file-receiver-core.js'
export { inspectBytes, inspectText, inspectionKinds } from './inspect/inspect.js'
export { LineDecoder } from './local/line-decoder.js'
export { parseLocalRequest, parseLocalResponse } from './local/local-protocol.js'
