import { ArgumentError } from '@aiv/transport-api'

/** What a person may set on connections across the mesh. Times in milliseconds, sizes in bytes. */
export interface MeshSessionOptions {
  /** What `send` queues per priority before it says `full`; a single packet is always taken. @defaultValue 131,072 */
  readonly maxQueuedBytes?: number
  /** Largest packet, 1,024 to 1 MiB. @defaultValue 1 MiB */
  readonly maxPacketBytes?: number
  /** Silence after which the other side is asked whether it is there. The policy's heartbeat goes before. @defaultValue 60,000 */
  readonly keepAliveMs?: number
  /** Silence after which the connection is lost: a node that is away for less gets its packets afterwards. @defaultValue 1,800,000 */
  readonly idleTimeoutMs?: number
  /** Until a dial has failed. @defaultValue 30,000 */
  readonly dialTimeoutMs?: number
  /** How long `close` goes on sending what was accepted. @defaultValue 2,000 */
  readonly closeDrainMs?: number
  /** Age after which a connection is closed with KEY_LIMIT, to be dialled again. @defaultValue 86,400,000 */
  readonly keyLifetimeMs?: number
  /** Handshakes of others that are under way. @defaultValue 30 */
  readonly maxHandshakes?: number
  /** Handshakes per minute that come in over one link. @defaultValue 10 */
  readonly handshakesPerMinute?: number
  /** Connections at once; the policy's cap goes before. @defaultValue 64 */
  readonly maxConnections?: number
}

export type VerifiedSessionOptions = Readonly<Required<MeshSessionOptions>>

export const defaultSessionOptions: VerifiedSessionOptions = Object.freeze({
  maxQueuedBytes: 131_072,
  maxPacketBytes: 1_048_576,
  keepAliveMs: 60_000,
  idleTimeoutMs: 1_800_000,
  dialTimeoutMs: 30_000,
  closeDrainMs: 2_000,
  keyLifetimeMs: 86_400_000,
  maxHandshakes: 30,
  handshakesPerMinute: 10,
  maxConnections: 64,
})

/** @throws ArgumentError for a value out of range. */
export function verifySessionOptions(options: MeshSessionOptions = {}): VerifiedSessionOptions {
  const verified = { ...defaultSessionOptions, ...options }
  for (const [name, value] of Object.entries(verified)) {
    if (!(value > 0)) throw new ArgumentError(`${name} ${String(value)}: above 0`)
  }
  const { maxPacketBytes } = verified
  if (!(maxPacketBytes >= 1_024 && maxPacketBytes <= 1_048_576)) {
    throw new ArgumentError(`maxPacketBytes ${maxPacketBytes}: 1,024 to 1,048,576`)
  }
  return Object.freeze(verified)
}
