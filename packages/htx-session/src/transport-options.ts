import type { Crc32 } from '@aiv/htx-codec'
import { ArgumentError, type Compressor } from '@aiv/transport-api'
import { type HalfOpenLimits, verifyHalfOpenLimits } from './half-open-table.js'
import { type HtxSessionOptions, htxSessionOptions, type VerifiedHtxSessionOptions } from './options.js'
import type { ReassemblyBudget } from './reassembly-budget.js'

/** What every HTX transport takes, whatever carries it. */
export interface HtxTransportOptions {
  /** For every session of this transport. */
  readonly session?: HtxSessionOptions
  /** A dial gives up after this long, connecting and handshake together, in ms; 1 to 600,000. @defaultValue 10,000 */
  readonly dialTimeoutMs?: number
  /** Established connections, dialled and accepted together; beyond, neither is let in. @defaultValue 10,240 */
  readonly maxConnections?: number
  /** Unfinished handshakes of strangers, and how fast they may come. */
  readonly halfOpen?: Partial<HalfOpenLimits>
  /**
   * Hosts remembered because a handshake from them succeeded: a quarter of the places for unfinished handshakes is kept
   * for them. The one unseen for longest is forgotten. @defaultValue 4,096
   */
  readonly knownHosts?: number
  /**
   * Memory for unfinished messages. @defaultValue 256 MiB, shared by all transports that have the same identity
   */
  readonly reassemblyBudget?: ReassemblyBudget
  /** LZ4, for sessions whose options allow `compression`. */
  readonly compressor?: Compressor
  /** What sums up frames: `loadNativeCrc32()` of `@aiv/htx-codec`. @defaultValue the fastest that the platform has */
  readonly crc32?: Crc32
}

/** {@link HtxTransportOptions} with every default filled in and every range checked. */
export interface VerifiedHtxTransportOptions {
  readonly dialTimeoutMs: number
  readonly maxConnections: number
  readonly knownHosts: number
  readonly halfOpen: HalfOpenLimits
  readonly compressor: Compressor | undefined
  readonly crc32: Crc32 | undefined
  /**
   * The options of a new session. `heartbeatIntervalMs`: what the resource policy asks for; never so rare that a side
   * with the same idle timeout would give up on us.
   */
  session(heartbeatIntervalMs: number | undefined): VerifiedHtxSessionOptions
}

/** @throws ArgumentError on a value out of its range. */
export function verifyHtxTransportOptions(options: HtxTransportOptions): VerifiedHtxTransportOptions {
  const { dialTimeoutMs = 10_000, maxConnections = 10_240, knownHosts = 4096, compressor, crc32 } = options
  count('dialTimeoutMs', dialTimeoutMs, 600_000)
  count('maxConnections', maxConnections, 1_000_000)
  count('knownHosts', knownHosts, 1_000_000)
  const usual = htxSessionOptions(options.session)
  let latest = { heartbeatIntervalMs: usual.keepAliveMs, session: usual }
  return {
    dialTimeoutMs,
    maxConnections,
    knownHosts,
    halfOpen: verifyHalfOpenLimits(options.halfOpen),
    compressor,
    crc32,
    session: (heartbeatIntervalMs = usual.keepAliveMs) => {
      if (heartbeatIntervalMs !== latest.heartbeatIntervalMs) {
        const keepAliveMs = Math.max(10, Math.min(heartbeatIntervalMs, (usual.idleTimeoutMs * 2) / 3))
        const session = htxSessionOptions({ ...options.session, keepAliveMs })
        latest = { heartbeatIntervalMs, session }
      }
      return latest.session
    },
  }
}

function count(name: string, value: number, highest: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= highest) return
  throw new ArgumentError(`${name} is ${value}: a whole number from 1 to ${highest}`)
}
