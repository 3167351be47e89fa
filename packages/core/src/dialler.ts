import { encodePing, PING_OPAQUE_BYTES } from '@aiv/routing'
import { DialError, parseAddress, type Clock, type Connection, type NodeId, type PeerRecord } from '@aiv/transport-api'
import { NodeError } from './errors.js'
import type { NodeSettings } from './options.js'
import type { PeerBook } from './peer-book.js'
import { staggeredDial, type DialCandidate, type DialledPeer } from './staggered-dial.js'
import type { TransportManager } from './transport-manager.js'

/**
 * With 0-RTT the other side may speak as soon as it has this. It says nothing, so that a replay is worth nothing.
 * docs/decisions/0168-early-data-opens-and-says-nothing.md
 */
const firstFlight = [encodePing({ type: 'ping', opaque: new Uint8Array(PING_OPAQUE_BYTES) })]

export interface DiallerParts {
  readonly book: PeerBook
  readonly transports: TransportManager
  readonly clock: Clock
  readonly settings: NodeSettings
}

/** How a peer is dialled. */
export interface PeerDialOptions {
  /** Transports that are tried last: one of their connections just failed. */
  readonly avoided: ReadonlySet<string>
  /** There is something to say at once: it goes with the handshake where that is safe. */
  readonly early: boolean
  readonly signal: AbortSignal
}

interface AddressDialOptions {
  readonly expected?: NodeId
  readonly record?: PeerRecord | undefined
  readonly early?: boolean
  readonly signal: AbortSignal | undefined
}

/** Reaches a peer by its addresses, whatever transports they are for. */
export class Dialler {
  readonly #parts: DiallerParts

  constructor(parts: DiallerParts) {
    this.#parts = parts
  }

  /**
   * Tries the addresses that are known of a peer: by transport in the order of preference, those that worked before
   * first, `avoided` transports last.
   * @returns rejects with NodeError PEER_UNKNOWN, DialFailures, or the signal's reason.
   */
  async dialPeer(peer: NodeId, { avoided, early, signal }: PeerDialOptions): Promise<DialledPeer> {
    const { book, clock, settings } = this.#parts
    const entry = book.get(peer)
    const candidates = this.#ranked(peer, avoided)
    if (candidates.length === 0) {
      const known = (entry?.addresses.size ?? 0) > 0
      const why = known ? 'no transport for its addresses' : 'no connection to it and no address of it'
      // somebody who was connected before may come back by itself
      throw new NodeError('PEER_UNKNOWN', `${peer}: ${why}`, { retryable: entry?.publicKey !== undefined })
    }
    return staggeredDial(
      candidates.map((address): DialCandidate => ({
        address,
        dial: (race) => this.dialAddress(address, { expected: peer, record: entry?.record, early, signal: race }),
      })),
      { clock, staggerMs: settings.staggerMs, maxParallel: settings.maxParallelDials, signal },
    )
  }

  /** One address, within the time that one attempt has. `expected` undefined: whoever answers. */
  async dialAddress(
    address: string,
    { expected, record, early = false, signal }: AddressDialOptions,
  ): Promise<Connection> {
    const { transports, clock, settings } = this.#parts
    const limit = new AbortController()
    const timeout = clock.setTimeout(() => {
      limit.abort(new DialError('DIAL_TIMEOUT', `${address}: no answer in ${settings.dialTimeoutMs} ms`))
    }, settings.dialTimeoutMs)
    const onAbort = (): void => limit.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    try {
      return await transports.dial(address, {
        expected,
        signal: limit.signal,
        ...(early && this.#canBeEarly(address) ? { early } : { firstFlight }),
        ...(record === undefined ? {} : { record }),
      })
    } finally {
      timeout.clear()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Where what is sent cannot be replayed, and somebody is there when the dial resolves. */
  #canBeEarly(address: string): boolean {
    return this.#parts.transports.forScheme(parseAddress(address).scheme)?.profile.earlyDials === 'once'
  }

  #ranked(peer: NodeId, avoided: ReadonlySet<string>): string[] {
    const { book, transports } = this.#parts
    return [...(book.get(peer)?.addresses ?? [])]
      .flatMap(([address, { lastWorkedAt }]) => {
        const transport = transports.forScheme(parseAddress(address).scheme)?.name
        if (transport === undefined) return []
        return [
          {
            address,
            last: avoided.has(transport) ? 1 : 0,
            rank: transports.rank(transport),
            workedAt: lastWorkedAt ?? -Infinity,
          },
        ]
      })
      .sort((a, b) => a.last - b.last || a.rank - b.rank || compare(b.workedAt, a.workedAt))
      .map(({ address }) => address)
  }
}

/** `a - b` would be NaN for two addresses that never worked. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b
}
