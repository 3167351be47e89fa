import { type CipherSuite, type NodeId, type PeerIdentity, toHex } from '@aiv/transport-api'

/** Bytes of a ticket's name on the wire. */
export const TICKET_ID_BYTES = 16
/** After this long without a full handshake a node proves its certificate again. */
export const TICKET_LIFETIME_MS = 86_400_000
/** Tickets kept for each direction, about 300 KiB in all; the one made first goes first. */
export const MAX_TICKETS = 1_024

/** What both sides of a session keep of it, so that their next handshake can begin with it. In memory only. */
export interface ResumptionTicket {
  /** Says which one it is, in the clear: 16 bytes that nobody else can tell from random ones. */
  readonly id: Uint8Array
  /** 32 bytes, the pre-shared key. */
  readonly secret: Uint8Array
  readonly suite: CipherSuite
  readonly label: string
  readonly remote: PeerIdentity
  readonly remoteStatic: Uint8Array
  /** Our static key then: with another one, everything is proven anew. */
  readonly ownStatic: Uint8Array
  /** Unix time in ms: the end of the other side's certificate, or a day after the last full handshake. */
  readonly notAfter: number
}

/**
 * One ticket for each node that we dialled, and one for each that dialled us: the two never serve each other's
 * direction, so that nothing that was sent can be sent back.
 */
export class ResumptionTickets {
  readonly #dialled = new Map<NodeId, ResumptionTicket>()
  readonly #accepted = new Map<string, ResumptionTicket>()
  readonly #acceptedOf = new Map<NodeId, string>()

  /** How many there are. */
  get size(): number {
    return this.#dialled.size + this.#accepted.size
  }

  /** Of a session that we dialled. Replaces the one before. */
  keepDialled(ticket: ResumptionTicket): void {
    const { nodeId } = ticket.remote
    this.#dialled.delete(nodeId)
    this.#dialled.set(nodeId, ticket)
    for (const oldest of this.#dialled.keys()) {
      if (this.#dialled.size <= MAX_TICKETS) return
      this.#dialled.delete(oldest)
    }
  }

  /** Of a session that the other side dialled. Replaces the one before. */
  keepAccepted(ticket: ResumptionTicket): void {
    const { nodeId } = ticket.remote
    const name = toHex(ticket.id)
    this.#forgetAccepted(nodeId)
    this.#accepted.set(name, ticket)
    this.#acceptedOf.set(nodeId, name)
    for (const oldest of this.#acceptedOf.keys()) {
      if (this.#acceptedOf.size <= MAX_TICKETS) return
      this.#forgetAccepted(oldest)
    }
  }

  /** The one to be offered to this node. It stays: the dial may fail before the other side sees it. */
  dialled(node: NodeId, unixNow: number): ResumptionTicket | undefined {
    const ticket = this.#dialled.get(node)
    if (ticket === undefined || isValid(ticket, unixNow)) return ticket
    this.#dialled.delete(node)
    return undefined
  }

  /** The one that is offered to us. */
  accepted(id: Uint8Array, unixNow: number): ResumptionTicket | undefined {
    const ticket = this.#accepted.get(toHex(id))
    return ticket !== undefined && isValid(ticket, unixNow) ? ticket : undefined
  }

  /** It was used: a second time somebody only repeats what was said the first time. */
  spend(ticket: ResumptionTicket): void {
    this.#forgetAccepted(ticket.remote.nodeId)
  }

  #forgetAccepted(node: NodeId): void {
    const name = this.#acceptedOf.get(node)
    if (name === undefined) return
    this.#acceptedOf.delete(node)
    this.#accepted.delete(name)
  }
}

/** A clock that was set back beyond the ticket's making makes it void as well. */
function isValid({ notAfter }: ResumptionTicket, unixNow: number): boolean {
  return unixNow < notAfter && unixNow >= notAfter - TICKET_LIFETIME_MS
}
