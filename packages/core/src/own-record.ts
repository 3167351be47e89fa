import { signPeerRecord, type Identity } from '@aiv/security'
import {
  formatAddress,
  parseAddress,
  type Clock,
  type DeviceType,
  type Millis,
  type PeerRecord,
} from '@aiv/transport-api'
import { isLoopbackHost } from './peer-book.js'

/** A record is signed anew when this much of its life is gone. */
const RENEW_MS = 3 * 86_400_000
const LIFE_MS = 7 * 86_400_000
/** All of them have to fit into 960 bytes. */
const MAX_ADDRESSES = 8

export interface OwnRecordParts {
  readonly identity: Identity
  readonly clock: Clock
  readonly deviceType: DeviceType
  /** A byte of `Capability` bits. */
  readonly capabilities: number
  /** With our id, as they are now. */
  readonly addresses: () => readonly string[]
}

/** What we say of ourselves, signed when somebody wants it and kept until something changes. */
export class OwnRecord {
  readonly #parts: OwnRecordParts
  #record: PeerRecord | undefined
  #signedAt: Millis = 0
  #sequence = -1

  constructor(parts: OwnRecordParts) {
    this.#parts = parts
  }

  /** The addresses are other ones. */
  changed(): void {
    this.#record = undefined
  }

  get(): PeerRecord {
    const { identity, clock, deviceType, capabilities, addresses } = this.#parts
    const now = clock.now()
    if (this.#record !== undefined && now - this.#signedAt <= RENEW_MS) return this.#record
    const record = signPeerRecord(
      identity,
      {
        deviceType,
        addresses: [...addresses()].sort(loopbackLast).slice(0, MAX_ADDRESSES).map(withoutId),
        relays: [],
        mailboxRelays: [],
        signedPrekey: undefined,
        onionKey: undefined,
        capabilities: Uint8Array.of(capabilities),
        nextKeyHash: undefined,
      },
      { now: clock.unixNow(), lifeMs: LIFE_MS, previousSequence: this.#sequence },
    )
    this.#record = record
    this.#sequence = record.sequence
    this.#signedAt = now
    return record
  }
}

function loopbackLast(a: string, b: string): number {
  return Number(isLoopbackHost(parseAddress(a).host)) - Number(isLoopbackHost(parseAddress(b).host))
}

/** The record names its node already. An address that has nothing but the id keeps it. */
function withoutId(text: string): string {
  const address = parseAddress(text)
  return address.host === '' ? text : formatAddress({ ...address, nodeId: undefined })
}
