import type { NodeId } from '@aiv/transport-api'

/** Tickets live as long as the keys that they are made with. */
const TICKET_LIFE_MS = 24 * 3_600_000

interface Ticket {
  readonly bytes: Uint8Array
  readonly until: number
}

/**
 * What 0-RTT resumes with, one ticket per peer, the newest. A ticket proves who we are as a private key does, so it is
 * kept in memory alone, given out once, and wiped when it is dropped. Bounded: the peer unheard of for longest goes.
 */
export class TicketStore {
  readonly #limit: number
  /** Least recently stored first. */
  readonly #tickets = new Map<string, Ticket>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#tickets.size
  }

  /** Takes over `bytes`. @param address - where the node was: a ticket is of use there alone. */
  put(unixMs: number, node: NodeId, address: string, bytes: Uint8Array): void {
    this.drop(node, address)
    if (this.#limit === 0) return
    if (this.#tickets.size >= this.#limit) {
      for (const [oldest, ticket] of this.#tickets) {
        ticket.bytes.fill(0)
        this.#tickets.delete(oldest)
        break
      }
    }
    this.#tickets.set(`${node}@${address}`, { bytes, until: unixMs + TICKET_LIFE_MS })
  }

  /** The caller's from then on, to be wiped after use. */
  take(unixMs: number, node: NodeId, address: string): Uint8Array | undefined {
    const key = `${node}@${address}`
    const ticket = this.#tickets.get(key)
    this.#tickets.delete(key)
    if (ticket === undefined || ticket.until > unixMs) return ticket?.bytes
    ticket.bytes.fill(0)
    return undefined
  }

  drop(node: NodeId, address: string): void {
    const key = `${node}@${address}`
    this.#tickets.get(key)?.bytes.fill(0)
    this.#tickets.delete(key)
  }

  clear(): void {
    for (const { bytes } of this.#tickets.values()) bytes.fill(0)
    this.#tickets.clear()
  }
}
