import { ArgumentError } from '@aiv/transport-api'
import { MAX_HOPS } from './mesh-packet.js'

/** What a person may set on a mesh. Times in milliseconds. */
export interface MeshOptions {
  /** Links that our packets may cross, 1 to 7. Fewer save energy and reach less far. @defaultValue 7 */
  readonly hopLimit?: number
  /** Between two announcements of ours, ±25 %; 5,000 to 600,000. Longer saves energy, and routes are older. @defaultValue 60,000 */
  readonly announceIntervalMs?: number
  /**
   * Announcements of all nodes together come no closer than this on average: with n nodes known each waits at least n
   * times as long. 0 to 60,000. Lower finds new ways sooner and costs every node more. @defaultValue 3,000
   */
  readonly announceSpacingMs?: number
  /** How long a way is trusted after the last announcement that came over it. @defaultValue 600,000 */
  readonly routeLifetimeMs?: number
  /** A flooded packet waits up to this long at a node with many neighbours; 0 to 1,000. @defaultValue 60 */
  readonly relayJitterMs?: number
  /** A waiting relay is given up when copies came from this many neighbours; from 1. @defaultValue 3 */
  readonly cancelAfterCopies?: number
  /**
   * With no more neighbours than this a flooded packet is repeated until each has it, and none is given up: there is
   * no redundancy to rely on. @defaultValue 3
   */
  readonly sparseLinks?: number
  /** Times that a packet is sent again on one link, when the neighbour does not say that it has it. @defaultValue 4 */
  readonly hopRepeats?: number
  /** Packets per second that one neighbour may send, and how many at once. @defaultValue 50 */
  readonly linkPacketsPerSecond?: number
  /** @defaultValue 100 */
  readonly linkBurst?: number
  /** Announcements per second that are verified for one neighbour; ten times as many at once. @defaultValue 10 */
  readonly announcementsPerSecond?: number
  /** Packets without a known way that are flooded per second for one neighbour; four times as many at once. @defaultValue 5 */
  readonly floodsPerSecond?: number
  /** Packets that wait for one link, of all sources; from 16. @defaultValue 256 */
  readonly maxQueuedPackets?: number
  /** Packets on one link that the neighbour has not acknowledged; further ones are sent without repeating. @defaultValue 64 */
  readonly maxUnacknowledged?: number
  /** Packets that are remembered as seen, about 100 bytes each. @defaultValue 8,192 */
  readonly maxSeen?: number
  /** @defaultValue 300,000 */
  readonly seenLifetimeMs?: number
  /** Nodes whose announcements are kept, about 500 bytes each. @defaultValue 1,024 */
  readonly maxPeers?: number
  /** Packets whose way back is remembered, about 150 bytes each. @defaultValue 2,048 */
  readonly maxBreadcrumbs?: number
  /** A proof of delivery that is not back by then counts as a failure of the way. @defaultValue 15,000 */
  readonly proofTimeoutMs?: number
  /** What is kept for absent nodes: packets in all, bytes in all, packets of one source, age. 0 packets: nothing is. */
  readonly store?: MeshStoreOptions
}

/** What is kept for absent nodes. */
export interface MeshStoreOptions {
  /** @defaultValue 512 */
  readonly maxPackets?: number
  /** @defaultValue 131,072 */
  readonly maxBytes?: number
  /** Of one source; trusted ones are free of it. @defaultValue 64 */
  readonly maxPacketsPerSource?: number
  /** @defaultValue 43,200,000 (12 h) */
  readonly maxAgeMs?: number
}

/** {@link MeshOptions} with every default filled in and every range checked. */
export type VerifiedMeshOptions = Readonly<Required<Omit<MeshOptions, 'store'>>> & {
  readonly store: Readonly<Required<MeshStoreOptions>>
}

export const defaultMeshOptions: VerifiedMeshOptions = Object.freeze({
  hopLimit: MAX_HOPS,
  announceIntervalMs: 60_000,
  announceSpacingMs: 3_000,
  routeLifetimeMs: 600_000,
  relayJitterMs: 60,
  cancelAfterCopies: 3,
  sparseLinks: 3,
  hopRepeats: 4,
  linkPacketsPerSecond: 50,
  linkBurst: 100,
  announcementsPerSecond: 10,
  floodsPerSecond: 5,
  maxQueuedPackets: 256,
  maxUnacknowledged: 64,
  maxSeen: 8_192,
  seenLifetimeMs: 300_000,
  maxPeers: 1_024,
  maxBreadcrumbs: 2_048,
  proofTimeoutMs: 15_000,
  store: Object.freeze({ maxPackets: 512, maxBytes: 131_072, maxPacketsPerSource: 64, maxAgeMs: 43_200_000 }),
})

const ranges: readonly (readonly [keyof Omit<VerifiedMeshOptions, 'store'>, number, number])[] = [
  ['hopLimit', 1, MAX_HOPS],
  ['announceIntervalMs', 5_000, 600_000],
  ['announceSpacingMs', 0, 60_000],
  ['routeLifetimeMs', 1_000, 86_400_000],
  ['relayJitterMs', 0, 1_000],
  ['cancelAfterCopies', 1, 1_000],
  ['sparseLinks', 0, 1_000],
  ['hopRepeats', 0, 20],
  ['linkPacketsPerSecond', 1, 10_000],
  ['linkBurst', 1, 100_000],
  ['announcementsPerSecond', 1, 1_000],
  ['floodsPerSecond', 1, 1_000],
  ['maxQueuedPackets', 16, 65_536],
  ['maxUnacknowledged', 1, 4_096],
  ['maxSeen', 16, 1_000_000],
  ['seenLifetimeMs', 1_000, 86_400_000],
  ['maxPeers', 2, 65_536],
  ['maxBreadcrumbs', 16, 65_536],
  ['proofTimeoutMs', 1_000, 600_000],
]

/** @throws ArgumentError for a value out of range. */
export function verifyMeshOptions(options: MeshOptions = {}): VerifiedMeshOptions {
  const store = { ...defaultMeshOptions.store, ...options.store }
  const verified = { ...defaultMeshOptions, ...options, store }
  for (const [name, least, most] of ranges) {
    const value = verified[name]
    if (!(value >= least && value <= most)) throw new ArgumentError(`${name} ${value}: ${least} to ${most}`)
  }
  for (const [name, value] of Object.entries(store)) {
    if (!(value >= 0)) throw new ArgumentError(`store.${name} ${value}`)
  }
  return Object.freeze(verified)
}
