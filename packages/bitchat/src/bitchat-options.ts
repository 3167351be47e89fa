import { ArgumentError, type NodeId } from '@aiv/transport-api'
import type { BleRadio } from './ble-radio.js'
import type { DutyCycleInput, DutyCycleOptions } from './duty-cycle.js'
import type { MeshOptions } from './mesh-options.js'
import type { AnnouncedKey, MeshCrypto } from './mesh-types.js'
import type { MeshSessionOptions } from './session-options.js'

/** What a BitChat transport is made of and what a person may set. */
export interface BitchatOptions {
  /** Closed with the transport. */
  readonly radio: BleRadio
  /** `@aiv/security`'s `Crypto` will do. */
  readonly crypto: MeshCrypto
  /** Our X25519 static key as it is announced, and until when (Unix s); asked for each announcement. */
  readonly staticKey: (unixNowMs: number) => AnnouncedKey
  /** Whose packets are kept longest for absent nodes. @defaultValue nobody's */
  readonly isTrusted?: (node: NodeId) => boolean
  /** What is left of the battery; asked every ten seconds. @defaultValue mains */
  readonly battery?: () => Pick<DutyCycleInput, 'batteryLevel' | 'isCharging'>
  /** Links to neighbours at once, 1 to 32; most controllers have no more than 7 to 10. @defaultValue 7 */
  readonly maxLinks?: number
  readonly mesh?: MeshOptions
  readonly session?: MeshSessionOptions
  readonly dutyCycle?: DutyCycleOptions
}

export const DEFAULT_MAX_LINKS = 7

/** @throws ArgumentError when it is out of range. */
export function verifyMaxLinks(maxLinks: number = DEFAULT_MAX_LINKS): number {
  if (!(maxLinks >= 1 && maxLinks <= 32)) throw new ArgumentError(`maxLinks ${maxLinks}: 1 to 32`)
  return maxLinks
}
