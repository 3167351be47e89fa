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
