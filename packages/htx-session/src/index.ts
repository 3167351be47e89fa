export {
  type HtxSessionOptions,
  type VerifiedHtxSessionOptions,
  htxSessionOptions,
  defaultHtxSessionOptions,
} from './options.js'
export { ReassemblyBudget } from './reassembly-budget.js'
export { HtxSessionError, type HtxSessionErrorCode } from './errors.js'

// For those who write a shell
export type { HtxSessionEvent, HtxSessionStart } from './session-events.js'
export { type Capabilities, HTX_VERSION, encodeCapabilities, decodeCapabilities } from './capabilities.js'
export type { HtxLink, HtxLinkHandler } from './htx-link.js'
export {
  HtxConnection,
  type HtxConnectionOwner,
  type HtxConnectionParts,
  LINK_CLOSE_TIMEOUT_MS,
} from './htx-connection.js'
export { type Arrival, LISTEN_BACKLOG, type LinkListener, type LinkProvider, type Listening } from './link-provider.js'
export { HtxTransport } from './htx-transport.js'
export type { HtxTransportOptions } from './transport-options.js'
export {
  type HalfOpenLimits,
  type HalfOpenVerdict,
  HalfOpenTable,
  defaultHalfOpenLimits,
  verifyHalfOpenLimits,
} from './half-open-table.js'
export { transportMetricNames } from './transport-metrics.js'
export { listenError } from './listen-error.js'
export { HtxSession } from './session-core.js'
export { type RecordSealer, type RecordOpener, AeadRecordSealer, AeadRecordOpener } from './record-layer.js'
export { closeName, closeNumber, FIRST_APPLICATION_CODE } from './close-codes.js'
