import { ArgumentError, type PerPriority } from '@aiv/transport-api'

/** Bounds of the {@link PriorityQueues}. */
export interface QueueOptions {
  /** Places by priority. @defaultValue 10, 50, 200, 500 */
  readonly places: PerPriority<number>
  /**
   * The part of the places of each priority, and of the bytes, that one peer may take, above 0 and at most 1; at least
   * one item per priority. Small keeps peers apart, 1 lets a slow one stop all others. @defaultValue 0.5
   */
  readonly peerShare: number
  /** Bytes of all items together. @defaultValue 64 MiB */
  readonly maxBytes: number
}

export const defaultQueueOptions: QueueOptions = Object.freeze({
  places: Object.freeze([10, 50, 200, 500] as const),
  peerShare: 0.5,
  maxBytes: 64 * 1024 * 1024,
})

/** @throws ArgumentError when a value cannot be. */
export function verifyQueueOptions(options: QueueOptions): QueueOptions {
  const { places, peerShare, maxBytes } = options
  if (places.length !== 4) throw new ArgumentError(`places for ${String(places.length)} priorities: there are 4`)
  for (const count of places) wholeNumber('places', count)
  if (!(peerShare > 0 && peerShare <= 1)) throw new ArgumentError(`peerShare ${peerShare}: above 0, at most 1`)
  wholeNumber('maxBytes', maxBytes)
  return options
}

/** How fast emergency messages from one neighbour are taken as such. */
export interface EmergencyLimitOptions {
  /** Messages per second, and how many at once after a pause. @defaultValue 1 */
  readonly messagesPerSecond: number
  /** Bytes per second, and how many at once after a pause; a larger message is never an emergency. @defaultValue 16 KiB */
  readonly bytesPerSecond: number
  /** Neighbours that were heard in the last second and are told apart; one more is treated as normal. @defaultValue 16,384 */
  readonly maxNeighbours: number
}

export const defaultEmergencyLimitOptions: EmergencyLimitOptions = Object.freeze({
  messagesPerSecond: 1,
  bytesPerSecond: 16 * 1024,
  maxNeighbours: 16_384,
})

/** @throws ArgumentError when a value cannot be. */
export function verifyEmergencyLimitOptions(options: EmergencyLimitOptions): EmergencyLimitOptions {
  positive('messagesPerSecond', options.messagesPerSecond)
  positive('bytesPerSecond', options.bytesPerSecond)
  wholeNumber('maxNeighbours', options.maxNeighbours)
  return options
}

function wholeNumber(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name} ${value}: a whole number above 0`)
}

function positive(name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) throw new ArgumentError(`${name} ${value}: above 0`)
}
