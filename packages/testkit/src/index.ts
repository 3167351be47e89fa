export { protocolCoreCompliance, type ProtocolCoreSetup } from './compliance/protocol-core.js'
export { secureChannelsCompliance, type SecureChannelsSetup, type SecureParty } from './compliance/secure-channels.js'
export type { ComplianceRunner } from './compliance/runner.js'
export { ComplianceError } from './compliance/assert.js'
export {
  transportCompliance,
  type TransportComplianceSetup,
  type TransportBench,
  type TransportBenchNode,
} from './compliance/transport.js'
