import { ArgumentError, type TransportProfile } from '@aiv/transport-api'

/** How one memory transport behaves; every field has a default. */
export interface MemoryOptions {
  /** `Transport.name`. @defaultValue 'memory' */
  readonly name?: string
  /** Listens on `mem://<host>` as well as on `mem://<node id>`. @defaultValue none: `mem://<node id>` only */
  readonly host?: string
  /** False: it dials only. @defaultValue true */
  readonly listen?: boolean
  /** @defaultValue 16 MiB */
  readonly maxPacketBytes?: number
  /** 0: the transport has no datagrams. @defaultValue 1200 */
  readonly maxDatagramBytes?: number
  /** What may wait per connection and priority; `send` says `full` above it. At least one packet always fits. @defaultValue 1 MiB */
  readonly maxQueuedBytes?: number
  /** Credit: bytes that are on the way or that the other side has not taken. One packet always goes. @defaultValue 256 KiB */
  readonly windowBytes?: number
  /** Connections, dialled and accepted, half-open ones included; more are refused. @defaultValue 10_000 */
  readonly maxConnections?: number
  /** No authenticated connection after this long: DIAL_TIMEOUT. @defaultValue 10_000 */
  readonly handshakeTimeoutMs?: number
  /** A ping after this much silence. @defaultValue 15_000 */
  readonly keepAliveIntervalMs?: number
  /** Nothing heard for this long: the connection is lost. @defaultValue 45_000 */
  readonly idleTimeoutMs?: number
  /** How long `close` waits for its flush and for the other side. @defaultValue 2_000 */
  readonly closeTimeoutMs?: number
  /** @defaultValue 'lan' */
  readonly reach?: TransportProfile['reach']
}

/** Options with nothing left out. */
export type CompleteMemoryOptions = Readonly<Required<Omit<MemoryOptions, 'host'>>> & {
  readonly host: string | undefined
}

export const defaultMemoryOptions: CompleteMemoryOptions = Object.freeze({
  name: 'memory',
  host: undefined,
  listen: true,
  maxPacketBytes: 16 * 1024 * 1024,
  maxDatagramBytes: 1200,
  maxQueuedBytes: 1024 * 1024,
  windowBytes: 256 * 1024,
  maxConnections: 10_000,
  handshakeTimeoutMs: 10_000,
  keepAliveIntervalMs: 15_000,
  idleTimeoutMs: 45_000,
  closeTimeoutMs: 2_000,
  reach: 'lan',
})

/** @throws ArgumentError for a number that is not above 0 (`maxDatagramBytes`: below 0). */
export function completeMemoryOptions(options: MemoryOptions): CompleteMemoryOptions {
  const complete = { ...defaultMemoryOptions, ...options }
  for (const [name, value] of Object.entries(complete)) {
    if (typeof value !== 'number') continue
    const least = name === 'maxDatagramBytes' ? 0 : Number.MIN_VALUE
    if (!(value >= least)) throw new ArgumentError(`${name} ${value}: out of range`)
  }
  return complete
}
