import { type CipherSuite, type NodeId, type PeerIdentity, toHex } from '@aiv/transport-api'

/** Bytes of a ticket's name on the wire. */
export const TICKET_ID_BYTES = 16
/** After this long without a full handshake a node proves its certificate again. */
export const TICKET_LIFETIME_MS = 86_400_000
/** Tickets kept for each direction, less than 3 MiB in all; the one made first goes first. */
export const MAX_TICKETS = 1_024

/** Names of tickets whose early part was read, some 2 MiB; each is kept for a minute at least. */
export const MAX_READ_EARLY = 16_384
const READ_EARLY_MS = 60_000

/** What both sides of a session keep of it, so that their next handshake can begin with it. In memory only. */
export interface ResumptionTicket {
  /** Says which one it is, in the clear: 16 bytes that nobody else can tell from random ones. */
  readonly id: Uint8Array
  /** 32 bytes, the pre-shared key; zeros once it was used or dropped. */
  readonly secret: Uint8Array
  readonly suite: CipherSuite
  readonly label: string
  readonly remote: PeerIdentity
  readonly remoteStatic: Uint8Array
  /** What the other side said of itself then. */
  readonly remotePayload: Uint8Array
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
  /** By the name of the ticket, when. The first one is the oldest. */
  readonly #readEarly = new Map<string, number>()

  /** How many there are. */
  get size(): number {
    return this.#dialled.size + this.#accepted.size
  }

  /** Of a session that we dialled. Replaces the one before. */
  keepDialled(ticket: ResumptionTicket): void {
    const { nodeId } = ticket.remote
    this.#forgetDialled(nodeId)
    this.#dialled.set(nodeId, ticket)
    for (const oldest of this.#dialled.keys()) {
      if (this.#dialled.size <= MAX_TICKETS) return
      this.#forgetDialled(oldest)
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

  /** Whether there is one to be offered to this node. */
  hasDialled(node: NodeId, unixNow: number, ownStatic: Uint8Array): boolean {
    const ticket = this.#dialled.get(node)
    if (ticket === undefined) return false
    if (isValid(ticket, unixNow, ownStatic)) return true
    this.#forgetDialled(node)
    return false
  }

  /**
   * Gives it out, once: should it not lead to a session, whatever the reason, the next handshake shows certificates, and
   * nobody sees its name twice.
   */
  takeDialled(node: NodeId, unixNow: number, ownStatic: Uint8Array): ResumptionTicket | undefined {
    if (!this.hasDialled(node, unixNow, ownStatic)) return undefined
    const ticket = this.#dialled.get(node)
    this.#dialled.delete(node)
    return ticket
  }

  /** The one that is offered to us. */
  accepted(id: Uint8Array, unixNow: number, ownStatic: Uint8Array): ResumptionTicket | undefined {
    const ticket = this.#accepted.get(toHex(id))
    if (ticket === undefined || isValid(ticket, unixNow, ownStatic)) return ticket
    this.spend(ticket)
    return undefined
  }

  /** It was used: a second time somebody only repeats what was said the first time. */
  spend(ticket: ResumptionTicket): void {
    this.#forgetAccepted(ticket.remote.nodeId)
  }

  /**
   * Notes that what came early with this ticket is read. False: there are too many of a minute to remember one more, and
   * it must not be.
   */
  readEarly(id: Uint8Array, unixNow: number): boolean {
    for (const [oldest, at] of this.#readEarly) {
      if (this.#readEarly.size < MAX_READ_EARLY) break
      if (Math.abs(unixNow - at) < READ_EARLY_MS) return false
      this.#readEarly.delete(oldest)
    }
    this.#readEarly.set(toHex(id), unixNow)
    return true
  }

  /** Whether something came early with this ticket and was read. */
  wasReadEarly(id: Uint8Array): boolean {
    return this.#readEarly.has(toHex(id))
  }

  #forgetDialled(node: NodeId): void {
    this.#dialled.get(node)?.secret.fill(0)
    this.#dialled.delete(node)
  }

  #forgetAccepted(node: NodeId): void {
    const name = this.#acceptedOf.get(node)
    if (name === undefined) return
    this.#accepted.get(name)?.secret.fill(0)
    this.#acceptedOf.delete(node)
    this.#accepted.delete(name)
  }
}

/** With a clock that was set back by more than a day nothing is known of its age. */
function isValid({ notAfter, ownStatic }: ResumptionTicket, unixNow: number, ours: Uint8Array): boolean {
  return ownStatic === ours && unixNow < notAfter && unixNow >= notAfter - TICKET_LIFETIME_MS
}
