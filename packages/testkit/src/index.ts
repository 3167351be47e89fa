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
export { CoreShell, type CoreShellOptions, type CoreEvent } from './core-shell.js'
export { pair, type CorePair, type PairOptions } from './pair.js'
export { World, type WorldOptions } from './world.js'
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.js'
export { SeededRandom } from './seeded-random.js'
export { ImpairedLink, LinkDirection, type Impairment, type LinkCounts, type LinkFate } from './impaired-link.js'
export { type Checker, type Violation, WorldError } from './checker.js'
export { type WorldEvent } from './event-log.js'
export { EventQueue, type Scheduler, type ScheduledEvent } from './event-queue.js'
export { ClockScheduler } from './clock-scheduler.js'
export { memoryNetwork, type MemoryNetwork, type MemoryNetworkOptions } from './memory/network.js'
export type { MemoryOptions } from './memory/options.js'
export { RadioAir, type RadioAirOptions, type RadioFrame, type RadioUse, type Position } from './radio/radio-air.js'
export { randomTopology, hopsFrom, type Topology, type TopologyOptions } from './radio/topology.js'
export { TestClock } from './sockets/test-clock.js'
export { Keeper } from './sockets/keeper.js'
export { TestHost } from './sockets/test-host.js'
