import type { Millis, Random } from '@aiv/transport-api'
import { ADVERTISED_BYTES, type BleSighting } from './ble-radio.js'

interface Seen {
  readonly since: Millis
  failures: number
  notBefore: Millis
}

/** What is advertised changes this often, and with it the address: so nobody is followed around. */
const RENEW_MS = 15 * 60_000
/** The side with the larger value waits for so long, and dials then: the other may not hear it, or have no room. */
const WAIT_MS = 10_000
const FIRST_RETRY_MS = 2_000
const MAX_RETRY_MS = 60_000
const MAX_DEVICES = 256

/**
 * Which of the devices that are seen is to be connected to: of two that see each other the one with the smaller
 * advertised value dials, so that a pair has one link. Nothing about the nodes is known before there is a link.
 */
export class NeighbourFinder {
  readonly #random: Random
  readonly #maxLinks: number
  readonly #devices = new Map<string, Seen>()
  #payload: Uint8Array
  #renewAt: Millis

  constructor(now: Millis, random: Random, maxLinks: number) {
    this.#random = random
    this.#maxLinks = maxLinks
    this.#payload = random.bytes(ADVERTISED_BYTES)
    this.#renewAt = now + RENEW_MS
  }

  /** What to advertise. */
  get payload(): Uint8Array {
    return this.#payload
  }

  /** True when {@link payload} is another one now. */
  renew(now: Millis): boolean {
    if (now < this.#renewAt) return false
    this.#payload = this.#random.bytes(ADVERTISED_BYTES)
    this.#renewAt = now + RENEW_MS
    return true
  }

  get renewAt(): Millis {
    return this.#renewAt
  }

  /** Whether to connect to the device, given the devices that there are links to. */
  wants(now: Millis, sighting: BleSighting, linked: readonly string[]): boolean {
    if (linked.includes(sighting.device) || linked.length >= this.#maxLinks) return false
    const seen = this.#note(now, sighting.device)
    if (now < seen.notBefore) return false
    return compare(this.#payload, sighting.payload) <= 0 || now >= seen.since + WAIT_MS
  }

  /** Connecting did not work out: not so soon again. */
  failed(now: Millis, device: string): void {
    const seen = this.#note(now, device)
    seen.notBefore = now + Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** seen.failures)
    seen.failures = Math.min(10, seen.failures + 1)
  }

  /** There is a link. */
  connected(device: string): void {
    this.#devices.delete(device)
  }

  /** A neighbour that misbehaved stays away for the longest time that a retry takes. */
  shun(now: Millis, device: string): void {
    this.#note(now, device).notBefore = now + MAX_RETRY_MS
  }

  #note(now: Millis, device: string): Seen {
    let seen = this.#devices.get(device)
    if (seen !== undefined) return seen
    seen = { since: now, failures: 0, notBefore: now }
    if (this.#devices.size >= MAX_DEVICES) {
      for (const oldest of this.#devices.keys()) {
        this.#devices.delete(oldest)
        break
      }
    }
    this.#devices.set(device, seen)
    return seen
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
