import { ArgumentError } from '@aiv/transport-api'

/** What a person may set on HTX sessions. Every field has a default; sizes in bytes, times in milliseconds. */
export interface HtxSessionOptions {
  /**
   * Largest frame, header and CRC included, taken and sent; 4,096 to 196,608. Above 65,536 only fast links see it, see
   * {@link DeliveryRate}; smaller costs speed. @defaultValue 196,608
   */
  readonly maxFrameBytes?: number
  /** Largest message taken and sent; 1,024 to 32 MiB. @defaultValue 16 MiB */
  readonly maxMessageBytes?: number
  /**
   * What `send` queues per priority before it says `full`, 64 bytes for each message included; a single message is
   * always taken when nothing is queued. 16 KiB to 256 MiB: a low value costs speed, a high one memory, delay and, where
   * it outgrows the cache of the processor, speed again.
   * @defaultValue 384 KiB
   */
  readonly maxQueuedBytes?: number
  /** Ceiling of the receive window that is tuned to the path; 256 KiB to 1 GiB. @defaultValue 16 MiB */
  readonly maxWindowBytes?: number
  /**
   * What one `pollOutput` gives of messages at most, but always one frame; 64 KiB to 16 MiB. Larger delays urgent
   * messages. @defaultValue 192 KiB
   */
  readonly maxOutputBytes?: number
  /** A PING goes out after this long without a byte from the other side. @defaultValue 15,000 */
  readonly keepAliveMs?: number
  /** The session ends after this long without a byte from the other side; above `keepAliveMs`. @defaultValue 45,000 */
  readonly idleTimeoutMs?: number
  /** Until the first frame of the other side. @defaultValue 5,000 */
  readonly firstFrameTimeoutMs?: number
  /** Until the handshake is done. @defaultValue 10,000 */
  readonly handshakeTimeoutMs?: number
  /** How long `close` flushes and waits for the other side's CLOSE. @defaultValue 2,000 */
  readonly closeDrainMs?: number
  /** Frames under one key; 1,100 to 2^20. @defaultValue 2^20 */
  readonly rekeyAfterFrames?: number
  /** Bytes under one key; 1 MiB to 64 GiB. @defaultValue 64 GiB */
  readonly rekeyAfterBytes?: number
  /** Age of a key; from 1,000. @defaultValue 3,600,000 */
  readonly rekeyAfterMs?: number
  /** An ACK for little waits at most this long for a message to ride with; 0 to 100. @defaultValue 25 */
  readonly ackDelayMs?: number
  /**
   * Frames other than DATA taken per second, besides one for each 64 KiB of DATA in either direction; over it the
   * session stops reading. From 100. @defaultValue 1,000
   */
  readonly controlFramesPerSecond?: number
  /** Bytes of such frames per second; from 16 KiB. @defaultValue 1 MiB */
  readonly controlBytesPerSecond?: number
  /** An unfinished message that brings less is given up on, with the session; 0 turns this off. @defaultValue 4,096 */
  readonly minProgressBytesPerSecond?: number
  /** Time over which that is looked at. @defaultValue 30,000 */
  readonly progressWindowMs?: number
  /**
   * Allows LZ4 on frames of one message when the other side has it too. Off unless the messages of this session are
   * neither secret beside attacker-chosen bytes nor compressed before. @defaultValue false
   */
  readonly compression?: boolean
}

/** Largest frame that a session can be set to. */
export const LARGEST_FRAME_BYTES = 3 * 65_536

/** {@link HtxSessionOptions} with every default filled in and every range checked. */
export type VerifiedHtxSessionOptions = Readonly<Required<HtxSessionOptions>>

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

export const defaultHtxSessionOptions: VerifiedHtxSessionOptions = Object.freeze({
  maxFrameBytes: LARGEST_FRAME_BYTES,
  maxMessageBytes: 16 * MIB,
  maxQueuedBytes: 384 * KIB,
  maxWindowBytes: 16 * MIB,
  maxOutputBytes: 192 * KIB,
  keepAliveMs: 15_000,
  idleTimeoutMs: 45_000,
  firstFrameTimeoutMs: 5_000,
  handshakeTimeoutMs: 10_000,
  closeDrainMs: 2_000,
  rekeyAfterFrames: 2 ** 20,
  rekeyAfterBytes: 64 * GIB,
  rekeyAfterMs: 3_600_000,
  ackDelayMs: 25,
  controlFramesPerSecond: 1_000,
  controlBytesPerSecond: MIB,
  minProgressBytesPerSecond: 4_096,
  progressWindowMs: 30_000,
  compression: false,
})

type NumericOption = Exclude<keyof HtxSessionOptions, 'compression'>

const DAY_MS = 86_400_000

const ranges: Readonly<Record<NumericOption, readonly [number, number]>> = {
  maxFrameBytes: [4_096, LARGEST_FRAME_BYTES],
  maxMessageBytes: [1_024, 32 * MIB],
  maxQueuedBytes: [16 * KIB, 256 * MIB],
  maxWindowBytes: [256 * KIB, GIB],
  maxOutputBytes: [64 * KIB, 16 * MIB],
  keepAliveMs: [10, DAY_MS],
  idleTimeoutMs: [20, 2 * DAY_MS],
  firstFrameTimeoutMs: [1, DAY_MS],
  handshakeTimeoutMs: [1, DAY_MS],
  closeDrainMs: [0, DAY_MS],
  rekeyAfterFrames: [1_100, 2 ** 20],
  rekeyAfterBytes: [MIB, 64 * GIB],
  rekeyAfterMs: [1_000, DAY_MS],
  ackDelayMs: [0, 100],
  controlFramesPerSecond: [100, 1_000_000],
  controlBytesPerSecond: [16 * KIB, GIB],
  minProgressBytesPerSecond: [0, MIB],
  progressWindowMs: [100, DAY_MS],
}

/**
 * Fills in the defaults.
 * @throws ArgumentError on a value out of its range, and on timeouts that contradict one another.
 */
export function htxSessionOptions(options: HtxSessionOptions = {}): VerifiedHtxSessionOptions {
  const verified: Required<HtxSessionOptions> = { ...defaultHtxSessionOptions }
  for (const [name, [lowest, highest]] of Object.entries(ranges) as [NumericOption, readonly [number, number]][]) {
    const value = options[name]
    if (value === undefined) continue
    if (!Number.isFinite(value) || value < lowest || value > highest)
      throw new ArgumentError(`${name} is ${value}: ${lowest} to ${highest}`)
    Object.assign(verified, { [name]: value })
  }
  if (options.compression !== undefined) Object.assign(verified, { compression: options.compression })
  if (verified.idleTimeoutMs <= verified.keepAliveMs)
    throw new ArgumentError(
      `idleTimeoutMs (${verified.idleTimeoutMs}) must be above keepAliveMs (${verified.keepAliveMs})`,
    )
  return Object.freeze(verified)
}
