import { ArgumentError } from '@aiv/transport-api'
import type { StackOptions } from './ble-stacks.node.js'

export interface NobleBlenoOptions {
  /** The adapter that scans and dials. @defaultValue the first one */
  readonly central?: StackOptions
  /**
   * The adapter that advertises; `false`: nobody can connect to this node. On Linux the same one as for `central` is
   * experimental, and taken only when both are named. @defaultValue on Linux the second one, on macOS the same one, on
   * Windows `false`
   */
  readonly peripheral?: StackOptions | false
  /** GATT service and its one characteristic, UUIDs of 128 bits. @defaultValue those of docs/wire/bitchat-ble.md */
  readonly service?: string
  readonly characteristic?: string
  /**
   * As the deployed bitchat apps do: advertise the service alone, without the four bytes of payload, and tell of devices
   * that do so. @defaultValue false
   */
  readonly unnamed?: boolean
  /** What a central asks for: 23 to 256, as bleno gives no more. @defaultValue 247: packets of 244 bytes */
  readonly attMtu?: number
  /** Both roles together; controllers have 3 to 20. @defaultValue 5 */
  readonly maxLinks?: number
  /** Connects that wait for another one, as there is one at a time. @defaultValue 4 */
  readonly maxWaitingConnects?: number
  /** Packets per link that a stack may hold unsent. More: higher throughput, and later news. @defaultValue 8 */
  readonly windowPackets?: number
  /** Until the stacks are ready. @defaultValue 5,000 */
  readonly startTimeoutMs?: number
  /**
   * How long a connect waits for the device's next advertisement: it may have gone, and no other connect is possible
   * meanwhile. Several of the longest advertising intervals around. @defaultValue 4,000
   */
  readonly initiateTimeoutMs?: number
  /** For a connect, from its turn to the subscription. @defaultValue 10,000 */
  readonly connectTimeoutMs?: number
  /** For a central, from its connection to its subscription. @defaultValue 10,000 */
  readonly setupTimeoutMs?: number
  /** A link that nothing is heard on for so long is over: 100 to 32,000. @defaultValue 4,000 */
  readonly supervisionTimeoutMs?: number
  /** A link whose window does not move for so long is closed. @defaultValue 6,000 */
  readonly stallTimeoutMs?: number
  /** How long links and stacks may take to close. @defaultValue 2,000 */
  readonly closeTimeoutMs?: number
  /** Where the stack does not say what was sent (macOS, Windows), a packet counts as sent after so long. @defaultValue 15 */
  readonly paceMs?: number
}

/** Ours, drawn at random, the second one higher by one; the deployed protocol has its own. */
const SERVICE = 'a6301b8e-2852-4040-adf1-e73acd05d18e'
const CHARACTERISTIC = 'a6301b8f-2852-4040-adf1-e73acd05d18e'

/** Checked, with its defaults; UUIDs as the stacks write them. @throws ArgumentError on what cannot be. */
export function verifyNobleBlenoOptions(options: NobleBlenoOptions) {
  const verified = {
    central: options.central ?? {},
    peripheral: options.peripheral,
    service: uuid('service', options.service ?? SERVICE),
    characteristic: uuid('characteristic', options.characteristic ?? CHARACTERISTIC),
    unnamed: options.unnamed ?? false,
    attMtu: options.attMtu ?? 247,
    maxLinks: options.maxLinks ?? 5,
    maxWaitingConnects: options.maxWaitingConnects ?? 4,
    windowPackets: options.windowPackets ?? 8,
    startTimeoutMs: options.startTimeoutMs ?? 5_000,
    initiateTimeoutMs: options.initiateTimeoutMs ?? 4_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    setupTimeoutMs: options.setupTimeoutMs ?? 10_000,
    supervisionTimeoutMs: options.supervisionTimeoutMs ?? 4_000,
    stallTimeoutMs: options.stallTimeoutMs ?? 6_000,
    closeTimeoutMs: options.closeTimeoutMs ?? 2_000,
    paceMs: options.paceMs ?? 15,
  }
  within(verified, 'attMtu', 23, 256)
  within(verified, 'maxLinks', 1, 255)
  within(verified, 'maxWaitingConnects', 0, 255)
  within(verified, 'windowPackets', 1, 1024)
  within(verified, 'supervisionTimeoutMs', 100, 32_000)
  for (const name of [
    'startTimeoutMs',
    'initiateTimeoutMs',
    'connectTimeoutMs',
    'setupTimeoutMs',
    'stallTimeoutMs',
  ] as const) {
    within(verified, name, 1, 600_000)
  }
  within(verified, 'closeTimeoutMs', 1, 60_000)
  within(verified, 'paceMs', 1, 10_000)
  return verified
}

function uuid(name: string, text: string): string {
  const digits = text.replaceAll('-', '').toLowerCase()
  if (!/^[0-9a-f]{32}$/.test(digits)) throw new ArgumentError(`${name} "${text}" is no UUID of 128 bits`)
  return digits
}

function within<K extends string>(options: Readonly<Record<K, number>>, name: K, least: number, most: number): void {
  const value = options[name]
  if (!(value >= least && value <= most)) throw new ArgumentError(`${name} ${value}: from ${least} to ${most}`)
}
