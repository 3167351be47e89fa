import { ArgumentError } from '@aiv/transport-api'
import type { ReassemblyLimits } from './reassembly.js'
import type { SessionLimits } from './session-table.js'

/** All of them have defaults; those of the deployed apps are in docs/wire/bitchat-compatible.md. */
export interface CompatibleMeshOptions {
  /** What others see; at most 255 bytes of UTF-8. @defaultValue 'anon' */
  readonly nickname?: string
  /** Announced bit field; `undefined`: the field is left out. @defaultValue undefined */
  readonly capabilities?: bigint | undefined
  /** How relaying is thinned out: as iOS does (`degree`) or Android (`probability`). @defaultValue 'degree' */
  readonly relayRules?: 'degree' | 'probability'
  /** Packets longer than this, in bytes, or than a link takes, are sent as fragments. 99 to 512. @defaultValue 512 */
  readonly fragmentThresholdBytes?: number
  /** Longest packet that is sent, in fragments; Android takes 256. @defaultValue 256 */
  readonly maxSentFragments?: number
  /** Longest packet that is taken from one link, unfragmented, in bytes; also what a link may keep waiting. @defaultValue 65_536 */
  readonly maxFrameBytes?: number
  /** Peers that are known at one time; beyond, the one not heard for longest goes. @defaultValue 512 */
  readonly maxPeers?: number
  /** Peers whose keys are remembered, the most recent ones. @defaultValue 4096 */
  readonly maxPins?: number
  /** Packets that are remembered as seen, for 5 min. @defaultValue 10_000 */
  readonly maxSeenPackets?: number
  /** Frames that wait for one link; beyond, new ones are dropped. @defaultValue 512 */
  readonly maxQueuedFrames?: number
  /** Packets that wait to be relayed; beyond, new ones are not relayed. @defaultValue 512 */
  readonly maxScheduledRelays?: number
  /** Long packets that wait to be sent in fragments; beyond, sending is refused, and so is a relay. @defaultValue 16 */
  readonly maxTransfers?: number
  /** Private messages to one peer that have not been delivered. @defaultValue 100 */
  readonly maxMessagesPerPeer?: number
  /** Private messages to all. @defaultValue 1000 */
  readonly maxMessages?: number
  /** Public messages of senders who have not been announced, waiting for that; the oldest go. @defaultValue 32 */
  readonly maxUnverifiedMessages?: number
  /** Packets per second that one link may bring, on average. @defaultValue 200 */
  readonly packetsPerSecond?: number
  /** And at once. @defaultValue 400 */
  readonly packetBurst?: number
  readonly reassembly?: Partial<ReassemblyLimits>
  readonly sessions?: Partial<SessionLimits>
}

export type ResolvedOptions = Readonly<
  Required<Omit<CompatibleMeshOptions, 'capabilities' | 'reassembly' | 'sessions'>>
> & {
  readonly capabilities: bigint | undefined
  readonly reassembly: ReassemblyLimits
  readonly sessions: SessionLimits
}

const defaults = Object.freeze({
  nickname: 'anon',
  capabilities: undefined,
  relayRules: 'degree' as const,
  fragmentThresholdBytes: 512,
  maxSentFragments: 256,
  maxFrameBytes: 65_536,
  maxPeers: 512,
  maxPins: 4_096,
  maxSeenPackets: 10_000,
  maxQueuedFrames: 512,
  maxScheduledRelays: 512,
  maxTransfers: 16,
  maxMessagesPerPeer: 100,
  maxMessages: 1_000,
  maxUnverifiedMessages: 32,
  packetsPerSecond: 200,
  packetBurst: 400,
})

/** iOS, but for the share of one link and the bytes in all (Android). */
const reassemblyDefaults: ReassemblyLimits = Object.freeze({
  maxAssemblies: 128,
  maxAssembliesPerLink: 32,
  maxFragments: 10_000,
  maxAssemblyBytes: 1_048_576 + 131_088,
  maxTotalBytes: 4 * 1_048_576,
  lifetimeMs: 30_000,
  stallMs: 5_000,
  retryMs: 10_000,
})

const sessionDefaults: SessionLimits = Object.freeze({
  maxSessions: 256,
  handshakeTimeoutMs: 10_000,
  responderTimeoutMs: 20_000,
  sessionLifetimeMs: 86_400_000,
  sessionMessages: 1_000_000_000,
  handshakesPerMinute: 10,
  totalHandshakesPerMinute: 30,
})

/** @throws ArgumentError for what makes no sense. */
export function resolveOptions(options: CompatibleMeshOptions): ResolvedOptions {
  const resolved: ResolvedOptions = Object.freeze({
    ...defaults,
    ...options,
    reassembly: { ...reassemblyDefaults, ...options.reassembly },
    sessions: { ...sessionDefaults, ...options.sessions },
  })
  const numbers = { ...resolved, ...resolved.reassembly, ...resolved.sessions }
  for (const [name, value] of Object.entries(numbers)) {
    if (typeof value === 'number' && !(value > 0)) throw new ArgumentError(`${name} is ${value}: it must be above 0`)
  }
  if (new TextEncoder().encode(resolved.nickname).length > 255) throw new ArgumentError('nickname: at most 255 bytes')
  const { fragmentThresholdBytes } = resolved
  if (fragmentThresholdBytes < 99 || fragmentThresholdBytes > 512) {
    throw new ArgumentError(`fragmentThresholdBytes is ${fragmentThresholdBytes}: 99 to 512`)
  }
  return resolved
}
