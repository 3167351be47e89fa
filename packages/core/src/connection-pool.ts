import type { Clock } from '@aiv/transport-api'
import { NodeError } from './errors.js'
import { LazyTimer } from './lazy-timer.js'
import type { NodeSettings } from './options.js'
import type { PeerChannel } from './peer-channel.js'
import type { PeerLink } from './peer-link.js'

/** How often connections are looked over at most. */
const SWEEP_MS = 1_000

export interface ConnectionPoolParts {
  readonly clock: Clock
  readonly settings: NodeSettings
  readonly channels: () => Iterable<PeerChannel>
}

/**
 * How many connections there are, and which ones go: those that nobody used for long, the less wanted of two crossing
 * ones, those that a fresh one has replaced, and an idle one when a place is needed.
 */
export class ConnectionPool {
  readonly #parts: ConnectionPoolParts
  readonly #sweep: LazyTimer
  #dialled = 0
  #accepted = 0
  /** Closing, with their place given away already. */
  readonly #evicted = new WeakSet<PeerLink>()

  constructor(parts: ConnectionPoolParts) {
    this.#parts = parts
    this.#sweep = new LazyTimer(parts.clock, () => this.#lookOver())
  }

  /** False: as many connections were dialled to us as allowed. */
  get takesMore(): boolean {
    return this.#accepted < this.#parts.settings.maxAccepted
  }

  opened(direction: 'dialled' | 'accepted'): void {
    if (direction === 'dialled') this.#dialled++
    else this.#accepted++
    this.#sweep.arm(this.#parts.clock.now() + SWEEP_MS)
  }

  closed(link: PeerLink): void {
    if (link.connection.direction === 'accepted') this.#accepted--
    else if (!this.#evicted.delete(link)) this.#dialled--
  }

  /**
   * Sees to it that one more connection may be dialled.
   * @throws NodeError POOL_FULL when all dialled ones are in use.
   */
  makeRoom(): void {
    const { settings, channels } = this.#parts
    if (this.#dialled < settings.maxDialled) return
    let oldest: PeerLink | undefined
    for (const channel of channels()) {
      if (!channel.isQuiet()) continue
      for (const link of channel.links) {
        if (link.connection.direction !== 'dialled' || this.#evicted.has(link)) continue
        if (oldest === undefined || link.lastUsedAt < oldest.lastUsedAt) oldest = link
      }
    }
    if (oldest === undefined) {
      throw new NodeError('POOL_FULL', `${this.#dialled} dialled connections, all in use`, { retryable: true })
    }
    this.#evicted.add(oldest)
    this.#dialled-- // its place is free now, though it is down a little later
    void oldest.connection.close()
  }

  close(): void {
    this.#sweep.clear()
  }

  #lookOver(): void {
    const { clock, settings, channels } = this.#parts
    const now = clock.now()
    let next = Infinity
    for (const channel of channels()) {
      const quiet = channel.isQuiet()
      for (const link of channel.links) {
        const spare = channel.isSpare(link)
        // who accepted a connection leaves it to the other side to end it, except where both know which one goes
        if (link.connection.direction === 'accepted' && !spare) continue
        const idleAt = link.lastUsedAt + (spare ? settings.spareTimeoutMs : settings.idleTimeoutMs)
        const oldAt = link.openedAt + settings.maxAgeMs
        if (now >= idleAt && (spare ? channel.isUnused(link) : quiet)) void link.connection.close()
        else if (now >= oldAt && !link.retired) channel.renew(link)
        next = Math.min(next, Math.max(link.retired ? idleAt : Math.min(idleAt, oldAt), now + SWEEP_MS))
      }
    }
    this.#sweep.arm(next)
  }
}
