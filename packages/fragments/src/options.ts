import { ArgumentError } from '@aiv/transport-api'
import { MAX_FRAGMENTS_AHEAD, MAX_BLOCK_ACK_BYTES } from './block-ack.js'
import {
  FRAGMENT_DIGEST_BYTES,
  FRAGMENT_HEADER_BYTES,
  MAX_FRAGMENTS,
  MAX_FRAGMENT_BYTES,
  MIN_FRAGMENT_BYTES,
} from './fragment.js'

/** How messages are cut and sent. */
export interface FragmenterOptions {
  /** Length of a fragment, header included: 64 to 65,536. @defaultValue 179, what a sealed mesh packet holds */
  readonly fragmentBytes?: number
  /** Largest message; 1 to fragmentBytes × 65,535. @defaultValue 1 MiB */
  readonly maxMessageBytes?: number
  /** Messages that wait or are under way; beyond it `send` takes none. From 1. @defaultValue 64 */
  readonly maxMessages?: number
  /** Bytes of those messages; a single one is always taken. @defaultValue 2 MiB */
  readonly maxQueuedBytes?: number
  /**
   * Fragments that may be unconfirmed at once, 1 to 256. High: fast on long paths, and one message fills the queues on
   * the way. @defaultValue 32
   */
  readonly maxInFlight?: number
  /** Until something is repeated as long as no round trip has been measured; 10 to 60,000. @defaultValue 2,000 */
  readonly initialTimeoutMs?: number
  /** Shortest wait before something is repeated; 1 to 10,000. @defaultValue 400 */
  readonly minTimeoutMs?: number
  /** Longest wait; from minTimeoutMs. @defaultValue 8,000 */
  readonly maxTimeoutMs?: number
  /** Waits without any answer after which a message has failed; 1 to 100. @defaultValue 12 */
  readonly maxTimeouts?: number
}

/** What a receiver takes and keeps. */
export interface ReassemblerOptions {
  /** Largest message. @defaultValue 1 MiB */
  readonly maxMessageBytes?: number
  /** Unfinished messages in all; beyond it the oldest of whoever has most goes. @defaultValue 128 */
  readonly maxAssemblies?: number
  /** Unfinished messages of one peer; further ones are refused. @defaultValue 16 */
  readonly maxAssembliesPerPeer?: number
  /** Bytes of unfinished messages, 64 more counted for each fragment. @defaultValue 8 MiB */
  readonly maxBytes?: number
  /** The same for one peer. @defaultValue 2 MiB */
  readonly maxBytesPerPeer?: number
  /** An unfinished message to which nothing is added for so long is dropped. 100 to 600,000. @defaultValue 30,000 */
  readonly assemblyTimeoutMs?: number
  /** Silence after which an unfinished message is acknowledged, doubled up to four times. 1 to 10,000. @defaultValue 250 */
  readonly ackDelayMs?: number
  /** New fragments after which one is acknowledged at once; 1 to 256. @defaultValue 16 */
  readonly ackEvery?: number
  /** Finished messages whose ids are kept for the assembly timeout; beyond it the oldest goes. @defaultValue 512 */
  readonly maxFinished?: number
}

const MIB = 1024 * 1024

const defaultFragmenterOptions: Required<FragmenterOptions> = Object.freeze({
  fragmentBytes: 179,
  maxMessageBytes: MIB,
  maxMessages: 64,
  maxQueuedBytes: 2 * MIB,
  maxInFlight: 32,
  initialTimeoutMs: 2_000,
  minTimeoutMs: 400,
  maxTimeoutMs: 8_000,
  maxTimeouts: 12,
})

const defaultReassemblerOptions: Required<ReassemblerOptions> = Object.freeze({
  maxMessageBytes: MIB,
  maxAssemblies: 128,
  maxAssembliesPerPeer: 16,
  maxBytes: 8 * MIB,
  maxBytesPerPeer: 2 * MIB,
  assemblyTimeoutMs: 30_000,
  ackDelayMs: 250,
  ackEvery: 16,
  maxFinished: 512,
})

export function verifyFragmenterOptions(options: FragmenterOptions): Required<FragmenterOptions> {
  const all = { ...defaultFragmenterOptions, ...options }
  integer('fragmentBytes', all.fragmentBytes, MIN_FRAGMENT_BYTES, MAX_FRAGMENT_BYTES)
  const largest = (all.fragmentBytes - FRAGMENT_HEADER_BYTES) * MAX_FRAGMENTS - FRAGMENT_DIGEST_BYTES
  integer('maxMessageBytes', all.maxMessageBytes, 1, largest)
  integer('maxMessages', all.maxMessages, 1, 65_536)
  integer('maxQueuedBytes', all.maxQueuedBytes, 1)
  integer('maxInFlight', all.maxInFlight, 1, MAX_FRAGMENTS_AHEAD)
  within('initialTimeoutMs', all.initialTimeoutMs, 10, 60_000)
  within('minTimeoutMs', all.minTimeoutMs, 1, 10_000)
  within('maxTimeoutMs', all.maxTimeoutMs, all.minTimeoutMs, 600_000)
  integer('maxTimeouts', all.maxTimeouts, 1, 100)
  return Object.freeze(all)
}

export function verifyReassemblerOptions(options: ReassemblerOptions): Required<ReassemblerOptions> {
  const all = { ...defaultReassemblerOptions, ...options }
  integer('maxMessageBytes', all.maxMessageBytes, 1)
  integer('maxAssemblies', all.maxAssemblies, 1)
  integer('maxAssembliesPerPeer', all.maxAssembliesPerPeer, 1)
  integer('maxBytes', all.maxBytes, MAX_BLOCK_ACK_BYTES)
  integer('maxBytesPerPeer', all.maxBytesPerPeer, MAX_BLOCK_ACK_BYTES)
  within('assemblyTimeoutMs', all.assemblyTimeoutMs, 100, 600_000)
  within('ackDelayMs', all.ackDelayMs, 1, 10_000)
  integer('ackEvery', all.ackEvery, 1, MAX_FRAGMENTS_AHEAD)
  integer('maxFinished', all.maxFinished, 1)
  return Object.freeze(all)
}

function integer(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value)) throw new ArgumentError(`${name} ${value}: an integer`)
  within(name, value, least, most)
}

function within(name: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most)) throw new ArgumentError(`${name} ${value}: ${least} to ${most}`)
}
