import { ArgumentError, parseAddress } from '@aiv/transport-api'
import type { CongestionControl, QuicEngine, QuicLimits, UnvalidatedLimits } from './quic-engine.js'

/** The UDP port that nodes listen on, and that a `quic:` address without a port means. */
export const DEFAULT_PORT = 8890

/** What {@link quic} takes; sizes in bytes, times in milliseconds. */
export interface QuicOptions {
  /**
   * Where to listen; `false`: only dial. `host`: an IP address or a name of this machine, by default every address of
   * it, IPv6 and IPv4. `port`: 0 takes a free one. @defaultValue UDP port 8890 on every address
   */
  readonly listen?: { readonly host?: string; readonly port?: number } | false
  /** `quic:` addresses that others are told instead of those of the interfaces, without a node id. */
  readonly advertise?: readonly string[]
  /** @defaultValue quiche, through `@matrixai/quic` */
  readonly engine?: QuicEngine
  /** How long a dial may take in all. @defaultValue 10,000 */
  readonly dialTimeoutMs?: number
  /** Handed out and open, in all. @defaultValue 10,240 */
  readonly maxConnections?: number
  /** Accepted from one IPv4 address or IPv6 /64. @defaultValue 512 */
  readonly maxConnectionsPerAddress?: number
  /** Largest packet taken and sent; 1,024 to 32 MiB. @defaultValue 16 MiB */
  readonly maxMessageBytes?: number
  /** What `send` queues per priority before it says `full`; 16 KiB to 256 MiB. @defaultValue 256 KiB */
  readonly maxQueuedBytes?: number
  /** Memory for unfinished packets of all connections together. @defaultValue 256 MiB */
  readonly maxReassemblyBytes?: number
  /** The connection ends after this long without a packet from the other side. @defaultValue 45,000 */
  readonly idleTimeoutMs?: number
  /** Something that has to be answered goes out after this long without a packet. @defaultValue 15,000 */
  readonly keepAliveMs?: number
  /** The dialler closes a connection of this age, so that a fresh one is made. @defaultValue 86,400,000 */
  readonly maxConnectionAgeMs?: number
  /** Streams of each kind that the other side may have open at once; 16 to 65,535. @defaultValue 4,096 */
  readonly maxStreams?: number
  /**
   * Receive window at first; 64 KiB to 64 MiB. Large, since the engine does not repeat an update of it that is lost with
   * a path: docs/decisions/0224-large-windows-from-the-start.md @defaultValue 16 MiB
   */
  readonly initialWindowBytes?: number
  /** Ceiling of the window that is tuned to the path. @defaultValue 24 MiB */
  readonly maxWindowBytes?: number
  /** Largest UDP payload sent, 1,200 to 16,384: it has to fit every path, as nothing finds out what fits. @defaultValue 1,350 */
  readonly maxUdpPayloadBytes?: number
  /** Connection ids of a connection: about so many changes of address can it go through. 2 to 64. @defaultValue 40 */
  readonly maxConnectionIds?: number
  /** docs/decisions/0223-bbr-by-default.md @defaultValue 'bbr' */
  readonly congestionControl?: CongestionControl
  /** Handshakes that are not finished. */
  readonly unvalidated?: Partial<UnvalidatedLimits>
  /** Peers whose tickets for 0-RTT are kept; 0: none. @defaultValue 1,024 */
  readonly maxTickets?: number
}

/** {@link QuicOptions} with defaults filled in. */
export interface VerifiedQuicOptions extends Required<
  Omit<QuicOptions, 'listen' | 'advertise' | 'engine' | 'unvalidated'>
> {
  readonly listen: { readonly host: string | undefined; readonly port: number } | undefined
  readonly advertise: readonly string[] | undefined
  readonly engine: QuicEngine | undefined
  readonly unvalidated: UnvalidatedLimits
}

const KIB = 1024
const MIB = 1024 * KIB
const DAY_MS = 86_400_000

const defaults = Object.freeze({
  dialTimeoutMs: 10_000,
  maxConnections: 10_240,
  maxConnectionsPerAddress: 512,
  maxMessageBytes: 16 * MIB,
  maxQueuedBytes: 256 * KIB,
  maxReassemblyBytes: 256 * MIB,
  idleTimeoutMs: 45_000,
  keepAliveMs: 15_000,
  maxConnectionAgeMs: DAY_MS,
  maxStreams: 4096,
  initialWindowBytes: 16 * MIB,
  maxWindowBytes: 24 * MIB,
  maxUdpPayloadBytes: 1350,
  maxConnectionIds: 40,
  maxTickets: 1024,
})

const ranges: Readonly<Record<keyof typeof defaults, readonly [number, number]>> = {
  dialTimeoutMs: [1, 600_000],
  maxConnections: [1, 1_000_000],
  maxConnectionsPerAddress: [1, 1_000_000],
  maxMessageBytes: [1024, 32 * MIB],
  maxQueuedBytes: [16 * KIB, 256 * MIB],
  maxReassemblyBytes: [MIB, 64 * KIB * MIB],
  idleTimeoutMs: [20, 2 * DAY_MS],
  keepAliveMs: [10, DAY_MS],
  maxConnectionAgeMs: [1000, 365 * DAY_MS],
  maxStreams: [16, 65_535],
  initialWindowBytes: [64 * KIB, 64 * MIB],
  maxWindowBytes: [64 * KIB, 1024 * MIB],
  maxUdpPayloadBytes: [1200, 16_384],
  maxConnectionIds: [2, 64],
  maxTickets: [0, 1_000_000],
}

const defaultUnvalidated: UnvalidatedLimits = Object.freeze({
  retryAbove: 128,
  perHost: 16,
  total: 1024,
  perHostPerSecond: 20,
  perHostBurst: 40,
  timeoutMs: 5_000,
})

/** @throws ArgumentError on a value out of its range and on values that contradict one another. */
export function verifyQuicOptions(options: QuicOptions): VerifiedQuicOptions {
  const numbers: Record<keyof typeof defaults, number> = { ...defaults }
  for (const name of Object.keys(ranges) as (keyof typeof defaults)[]) {
    const value = options[name]
    const [lowest, highest] = ranges[name]
    if (value === undefined) continue
    if (!Number.isFinite(value) || value < lowest || value > highest) {
      throw new ArgumentError(`${name} is ${value}: ${lowest} to ${highest}`)
    }
    numbers[name] = value
  }
  if (numbers.keepAliveMs >= numbers.idleTimeoutMs) {
    throw new ArgumentError(`idleTimeoutMs (${numbers.idleTimeoutMs}) must be above keepAliveMs`)
  }
  const { advertise, engine, congestionControl = 'bbr' } = options
  if (!['reno', 'cubic', 'bbr'].includes(congestionControl)) {
    throw new ArgumentError(`congestionControl is reno, cubic or bbr`)
  }
  for (const address of advertise ?? []) {
    const { scheme, nodeId } = parseAddress(address)
    if (scheme !== 'quic' || nodeId !== undefined) throw new ArgumentError(`"${address}" is not quic://host:port`)
  }
  return {
    ...numbers,
    congestionControl,
    advertise,
    engine,
    listen: verifyListen(options.listen),
    unvalidated: verifyUnvalidated(options.unvalidated),
  }
}

function verifyListen(listen: QuicOptions['listen'] = {}): VerifiedQuicOptions['listen'] {
  if (listen === false) return undefined
  const { host, port = DEFAULT_PORT } = listen
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new ArgumentError(`port ${port}: 0 to 65535`)
  return { host, port }
}

function verifyUnvalidated(limits: Partial<UnvalidatedLimits> = {}): UnvalidatedLimits {
  const all = { ...defaultUnvalidated, ...limits }
  for (const [name, value] of Object.entries(all)) {
    const positive = name === 'retryAbove' ? value >= 0 : name === 'perHostPerSecond' ? value > 0 : value >= 1
    if (!positive) throw new ArgumentError(`unvalidated.${name} is ${value}`)
  }
  return all
}

/** What of it the engine has to know. */
export function engineLimits(options: VerifiedQuicOptions): QuicLimits {
  return {
    idleTimeoutMs: options.idleTimeoutMs,
    maxStreams: options.maxStreams,
    initialWindowBytes: options.initialWindowBytes,
    maxWindowBytes: Math.max(options.maxWindowBytes, options.initialWindowBytes),
    maxQueuedDatagrams: 1024,
    maxUdpPayloadBytes: options.maxUdpPayloadBytes,
    maxConnectionIds: options.maxConnectionIds,
    congestionControl: options.congestionControl,
    unvalidated: options.unvalidated,
  }
}
