import { ArgumentError, type Millis } from '@aiv/transport-api'

/** Bounds of what one source can make us hold while its messages are put in order. */
export interface InboundOptions {
  /** How long a missing message holds up the ordered ones after it. @defaultValue 2000 */
  readonly gapTimeoutMs: Millis
  /**
   * How far above the lowest missing counter one is taken, and below the highest one it is told apart; a multiple of
   * 32. Senders keep at most this many counters between the lowest unacknowledged and the highest sent, so both sides
   * must agree on it. @defaultValue 4096
   */
  readonly windowCounters: number
  /** Messages held out of order, all priorities together; one more is not taken. @defaultValue 256 */
  readonly maxHeldMessages: number
  /** Their payload bytes. @defaultValue 16 MiB */
  readonly maxHeldBytes: number
  /** Ranges of counters waiting to be acknowledged, per priority; what does not fit is repeated. @defaultValue 1024 */
  readonly maxPendingRanges: number
}

export const defaultInboundOptions: InboundOptions = Object.freeze({
  gapTimeoutMs: 2000,
  windowCounters: 4096,
  maxHeldMessages: 256,
  maxHeldBytes: 16 * 1024 * 1024,
  maxPendingRanges: 1024,
})

/** @throws ArgumentError when a value cannot be. */
export function verifyInboundOptions(options: InboundOptions): InboundOptions {
  positive('gapTimeoutMs', options.gapTimeoutMs)
  if (!(options.windowCounters >= 32 && options.windowCounters % 32 === 0)) {
    throw new ArgumentError(`windowCounters ${options.windowCounters}: a multiple of 32`)
  }
  wholeNumber('maxHeldMessages', options.maxHeldMessages)
  wholeNumber('maxHeldBytes', options.maxHeldBytes)
  wholeNumber('maxPendingRanges', options.maxPendingRanges)
  return options
}

/** Bounds of the table of sources. */
export interface InboundTableOptions {
  /** Sources, one for each (node, epoch). @defaultValue 16,384 */
  readonly maxSources: number
  /** How long a source that nobody uses is remembered at least. @defaultValue 600,000 */
  readonly keepMs: Millis
  /** Epochs of one node. @defaultValue 4 */
  readonly maxEpochsPerNode: number
  /** Payload bytes held out of order for all sources together. @defaultValue 256 MiB */
  readonly maxHeldBytesInAll: number
  /** For each source. */
  readonly inbound: InboundOptions
}

export const defaultInboundTableOptions: InboundTableOptions = Object.freeze({
  maxSources: 16_384,
  keepMs: 600_000,
  maxEpochsPerNode: 4,
  maxHeldBytesInAll: 256 * 1024 * 1024,
  inbound: defaultInboundOptions,
})

/** @throws ArgumentError when a value cannot be. */
export function verifyInboundTableOptions(options: InboundTableOptions): InboundTableOptions {
  wholeNumber('maxSources', options.maxSources)
  positive('keepMs', options.keepMs)
  wholeNumber('maxEpochsPerNode', options.maxEpochsPerNode)
  wholeNumber('maxHeldBytesInAll', options.maxHeldBytesInAll)
  verifyInboundOptions(options.inbound)
  return options
}

/** Bounds of a {@link DuplicateWindow}. */
export interface DuplicateWindowOptions {
  /** Entries in all. */
  readonly maxEntries: number
  /** Entries of one owner: the link that a message came in on, or its verified source. */
  readonly maxEntriesPerOwner: number
}

/** For relays: envelopes seen, by link. */
export const relayDuplicateOptions: DuplicateWindowOptions = Object.freeze({
  maxEntries: 65_536,
  maxEntriesPerOwner: 16_384,
})

/** For recipients: ids of messages without a session, by verified source. */
export const sessionlessDuplicateOptions: DuplicateWindowOptions = Object.freeze({
  maxEntries: 65_536,
  maxEntriesPerOwner: 4096,
})

/** @throws ArgumentError when a value cannot be. */
export function verifyDuplicateWindowOptions(options: DuplicateWindowOptions): DuplicateWindowOptions {
  wholeNumber('maxEntries', options.maxEntries)
  wholeNumber('maxEntriesPerOwner', options.maxEntriesPerOwner)
  return options
}

function positive(name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) throw new ArgumentError(`${name} ${value}: above 0`)
}

function wholeNumber(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name} ${value}: a whole number above 0`)
}
