import type { Millis } from '@aiv/transport-api'
import { ByteBudget } from './byte-budget.js'
import type { Epoch } from './epoch.js'
import { InboundDelivery, type InboundMessage } from './inbound-delivery.js'
import { defaultInboundTableOptions, verifyInboundTableOptions, type InboundTableOptions } from './options.js'

interface Entry<T extends InboundMessage> {
  readonly delivery: InboundDelivery<T>
  users: number
  idleSince: Millis
}

/**
 * One `InboundDelivery` for each (source, epoch). A connection opens the one of its remote when it has its HELLO and
 * closes it when it ends; one that nobody uses is kept for `keepMs`, so that what is repeated over the next connection
 * is recognised. When the table is full only those that were idle longer than that go; otherwise the newcomer is
 * refused: what was delivered is never forgotten early.
 */
export class InboundTable<T extends InboundMessage> {
  readonly #options: InboundTableOptions
  readonly #budget: ByteBudget
  readonly #sources = new Map<string, Map<Epoch, Entry<T>>>()
  /** Those that nobody uses, the longest idle first. */
  readonly #idle = new Map<InboundDelivery<T>, Entry<T>>()
  readonly #gapped = new Set<InboundDelivery<T>>()
  #size = 0

  /** @throws ArgumentError for an option out of range. */
  constructor(options: Partial<InboundTableOptions> = {}) {
    this.#options = verifyInboundTableOptions({ ...defaultInboundTableOptions, ...options })
    this.#budget = new ByteBudget(this.#options.maxHeldBytesInAll)
  }

  /** Sources known, used or not. */
  get size(): number {
    return this.#size
  }

  /** Payload bytes held out of order for all of them. */
  get heldBytes(): number {
    return this.#budget.used
  }

  /**
   * The delivery of (source, epoch), made when there is none; counted as in use until `close`. `busy` when there is no
   * place: the table is full, or all epochs of that source are in use or too young to forget.
   */
  open(now: Millis, source: string, epoch: Epoch): InboundDelivery<T> | 'busy' {
    const known = this.#sources.get(source)?.get(epoch)
    if (known !== undefined) {
      known.users++
      this.#idle.delete(known.delivery)
      return known.delivery
    }
    if (!this.#makeRoom(now, source)) return 'busy'
    const delivery = new InboundDelivery<T>({ source, epoch }, this.#options.inbound, {
      budget: this.#budget,
      onGap: (gapped) => this.#gapped.add(gapped),
    })
    let epochs = this.#sources.get(source)
    if (epochs === undefined) this.#sources.set(source, (epochs = new Map<Epoch, Entry<T>>()))
    epochs.set(epoch, { delivery, users: 1, idleSince: now })
    this.#size++
    return delivery
  }

  /** One user less; does nothing for a delivery that is not in use. */
  close(now: Millis, delivery: InboundDelivery<T>): void {
    const entry = this.#sources.get(delivery.source)?.get(delivery.epoch)
    if (entry === undefined || entry.delivery !== delivery || entry.users === 0) return
    entry.users--
    if (entry.users > 0) return
    entry.idleSince = now
    this.#idle.set(delivery, entry)
  }

  /** When `handleTimeout` is due. */
  nextTimeout(): Millis | undefined {
    let next: Millis | undefined
    for (const delivery of this.#gapped) {
      const timeout = delivery.nextTimeout()
      if (timeout === undefined) this.#gapped.delete(delivery)
      else if (next === undefined || timeout < next) next = timeout
    }
    return next
  }

  /** Gives up gaps whose time is over; returns the deliveries whose `pollReady` is to be emptied now. */
  handleTimeout(now: Millis): readonly InboundDelivery<T>[] {
    const due: InboundDelivery<T>[] = []
    for (const delivery of this.#gapped) {
      const timeout = delivery.nextTimeout()
      if (timeout === undefined) {
        this.#gapped.delete(delivery)
      } else if (timeout <= now) {
        delivery.handleTimeout(now)
        due.push(delivery)
      }
    }
    return due
  }

  #makeRoom(now: Millis, source: string): boolean {
    const epochs = this.#sources.get(source)
    if (epochs !== undefined && epochs.size >= this.#options.maxEpochsPerNode) {
      let oldest: Entry<T> | undefined
      for (const entry of epochs.values()) {
        if (entry.users === 0 && (oldest === undefined || entry.idleSince < oldest.idleSince)) oldest = entry
      }
      if (oldest === undefined) return false
      // A node has one life at a time: what an earlier one sent is not repeated by a later one, so this forgets nothing
      // that can still come, except over a connection of that life, and then it is in use.
      this.#forget(oldest)
      return true
    }
    if (this.#size < this.#options.maxSources) return true
    for (const oldest of this.#idle.values()) {
      if (now - oldest.idleSince <= this.#options.keepMs) return false
      this.#forget(oldest)
      return true
    }
    return false
  }

  #forget({ delivery }: Entry<T>): void {
    const epochs = this.#sources.get(delivery.source)
    epochs?.delete(delivery.epoch)
    if (epochs?.size === 0) this.#sources.delete(delivery.source)
    this.#idle.delete(delivery)
    this.#gapped.delete(delivery)
    this.#size--
    delivery.release()
  }
}
