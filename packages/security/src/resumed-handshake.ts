import {
  type AivError,
  ArgumentError,
  joinBytes,
  MAX_EARLY_BYTES,
  type Handshake,
  type HandshakeErrorCode,
  type HandshakeOptions,
  type SecureSession,
} from '@aiv/transport-api'
import type { X25519KeyPair } from './crypto.js'
import { establish } from './established.js'
import { FullHandshake, MAX_HANDSHAKE_PAYLOAD_BYTES, MAX_MESSAGE_BYTES, type HandshakeParts } from './full-handshake.js'
import { faultCodes, handshakeError } from './handshake-error.js'
import { HandshakeState } from './noise/handshake-state.js'
import { TICKET_ID_BYTES, type ResumptionTicket } from './resumption-tickets.js'

/** XX message 1, which is what comes from somebody who offers no ticket. */
const XX_FIRST_BYTES = 32
/** Name of the ticket, ephemeral key, payload with its tag. */
const MIN_OFFER_BYTES = TICKET_ID_BYTES + 32 + 2 + 16
/** Unix time in ms, before what comes early. */
const TIME_BYTES = 8
const MAX_OFFER_BYTES = MIN_OFFER_BYTES + MAX_HANDSHAKE_PAYLOAD_BYTES + TIME_BYTES + MAX_EARLY_BYTES
/** By so much the clocks of both sides may differ, and so long may what comes early have been held back. */
const EARLY_AGE_MS = 30_000
/** First byte of the answer to an offer. */
const Answer = { Full: 0, Resumed: 1 } as const

/*
 * Noise NNpsk0 with the ticket's key, and XX where the other side has the ticket no more (docs/wire/identity.md):
 *
 *   1 →  id 16 ‖ NNpsk0 message 1 (psk, e; n u16 ‖ payload n [‖ Unix ms u64 ‖ what comes early])
 *   2 ←  01 ‖ NNpsk0 message 2 (e, ee, payload), or 00 ‖ XX message 2
 *   3 →  after 00 only: XX message 3
 *
 * XX goes on from the ephemeral key of the offer, and has the whole offer in its prologue. It also answers what comes
 * early and is too old: the ticket is spent then, and nothing of it is read.
 */

/** The initiator's side: offers a ticket. */
export class OfferingHandshake implements Handshake {
  readonly #parts: HandshakeParts
  readonly #options: HandshakeOptions
  readonly #ticket: ResumptionTicket
  readonly #e: X25519KeyPair
  readonly #state: HandshakeState
  #offer: Uint8Array | undefined
  #full: FullHandshake | undefined
  #outcome: SecureSession | AivError<HandshakeErrorCode> | undefined

  constructor(parts: HandshakeParts, options: HandshakeOptions, ticket: ResumptionTicket) {
    this.#parts = parts
    this.#options = options
    this.#ticket = ticket
    this.#e = parts.identity.crypto.x25519KeyPair()
    this.#state = resumedState(parts, options, ticket, this.#e)
    this.#state.beginMessage()
    ticket.secret.fill(0)
  }

  get resumes(): Pick<SecureSession, 'remote' | 'remotePayload'> {
    return this.#ticket
  }

  get outcome(): SecureSession | AivError<HandshakeErrorCode> | undefined {
    return this.#full === undefined ? this.#outcome : this.#full.outcome
  }

  /** @throws ArgumentError for more than {@link MAX_EARLY_BYTES}. */
  pollMessage(early?: Uint8Array): Uint8Array | undefined {
    if (this.#full !== undefined) return this.#full.pollMessage()
    if (this.#offer !== undefined || this.#outcome !== undefined) return undefined
    const payload = offerPayload(this.#options.payload, early, this.#parts.clock.unixNow())
    const message = this.#state.writeMessage(payload) as Uint8Array
    return (this.#offer = joinBytes([this.#ticket.id, message]))
  }

  handleMessage(message: Uint8Array): void {
    if (this.#full !== undefined) return this.#full.handleMessage(message)
    if (this.#outcome !== undefined) return
    const rest = message.subarray(1)
    if (this.#offer === undefined || message.length > 1 + MAX_MESSAGE_BYTES) return this.#fail('HANDSHAKE_MALFORMED')
    if (message[0] === Answer.Resumed) return this.#resume(rest)
    if (message[0] !== Answer.Full) return this.#fail('HANDSHAKE_MALFORMED')
    this.#state.wipe()
    this.#full = new FullHandshake(this.#parts, afterOffer(this.#options, this.#offer), this.#e)
    // its message 1, the ephemeral key, is there already
    this.#full.pollMessage()
    this.#full.handleMessage(rest)
  }

  #resume(message: Uint8Array): void {
    const payload = this.#state.readMessage(message)
    if (typeof payload === 'string') return this.#fail(faultCodes[payload])
    const fault = payloadFault(payload)
    if (fault !== undefined) return this.#fail(fault)
    this.#outcome = establish(this.#parts, this.#options, this.#state, provenBy(this.#ticket, payload))
  }

  #fail(code: HandshakeErrorCode): void {
    this.#state.wipe()
    this.#outcome = handshakeError(code)
  }
}

/** The responder's side: takes a ticket, or whatever else comes first. */
export class AnsweringHandshake implements Handshake {
  readonly #parts: HandshakeParts
  readonly #options: HandshakeOptions
  #state: HandshakeState | undefined
  #ticket: ResumptionTicket | undefined
  #remotePayload: Uint8Array | undefined
  #early: Uint8Array | undefined
  #full: FullHandshake | undefined
  /** The next message of the full handshake answers an offer. */
  #answersOffer = false
  #outcome: SecureSession | AivError<HandshakeErrorCode> | undefined

  constructor(parts: HandshakeParts, options: HandshakeOptions) {
    this.#parts = parts
    this.#options = options
  }

  /** Keys are derived when this is first asked for after our message, as in {@link FullHandshake}. */
  get outcome(): SecureSession | AivError<HandshakeErrorCode> | undefined {
    if (this.#full !== undefined) return this.#full.outcome
    if (this.#outcome === undefined && this.#state?.isComplete === true && this.#ticket !== undefined) {
      const proven = provenBy(this.#ticket, this.#remotePayload as Uint8Array)
      this.#outcome = establish(this.#parts, this.#options, this.#state, proven)
    }
    return this.#outcome
  }

  get early(): Uint8Array | undefined {
    return this.#early
  }

  pollMessage(): Uint8Array | undefined {
    if (this.#full !== undefined) {
      const message = this.#full.pollMessage()
      if (message === undefined || !this.#answersOffer) return message
      this.#answersOffer = false
      return joinBytes([Uint8Array.of(Answer.Full), message])
    }
    if (this.#outcome !== undefined || this.#state?.isOurTurn !== true) return undefined
    const message = this.#state.writeMessage(this.#options.payload)
    if (typeof message === 'string') {
      this.#fail(faultCodes[message])
      return undefined
    }
    return joinBytes([Uint8Array.of(Answer.Resumed), message])
  }

  handleMessage(message: Uint8Array): void {
    if (this.#full !== undefined) return this.#full.handleMessage(message)
    if (this.outcome !== undefined) return
    // nothing more is due: what proves the other side now is its first record
    if (this.#state !== undefined) return this.#fail('HANDSHAKE_MALFORMED')
    if (this.#options.pattern !== 'XX' || message.length <= XX_FIRST_BYTES) {
      this.#full = new FullHandshake(this.#parts, this.#options)
      return this.#full.handleMessage(message)
    }
    if (message.length < MIN_OFFER_BYTES || message.length > MAX_OFFER_BYTES) return this.#fail('HANDSHAKE_MALFORMED')
    const ticket = this.#find(message.subarray(0, TICKET_ID_BYTES))
    if (ticket !== undefined) return this.#accept(ticket, message)
    // its initiator would take the answer for "not read", and say it again
    if (this.#parts.tickets.wasReadEarly(message.subarray(0, TICKET_ID_BYTES))) return this.#fail('HANDSHAKE_REPLAYED')
    this.#answerInFull(message)
  }

  #answerInFull(offer: Uint8Array): void {
    this.#answersOffer = true
    this.#full = new FullHandshake(this.#parts, afterOffer(this.#options, offer))
    this.#full.handleMessage(offer.subarray(TICKET_ID_BYTES, TICKET_ID_BYTES + XX_FIRST_BYTES))
  }

  #find(id: Uint8Array): ResumptionTicket | undefined {
    const { tickets, clock, identity } = this.#parts
    const ticket = tickets.accepted(id, clock.unixNow(), identity.noiseStatic.publicKey)
    const { expected } = this.#options
    if (ticket === undefined || !fits(ticket, this.#options)) return undefined
    // another node than the expected one is told so by the full handshake
    return expected === undefined || expected === ticket.remote.nodeId ? ticket : undefined
  }

  /** A ticket is spent by who can use it, not by who only heard its name. */
  #accept(ticket: ResumptionTicket, offer: Uint8Array): void {
    const { tickets, clock } = this.#parts
    const state = (this.#state = resumedState(this.#parts, this.#options, ticket))
    const message = state.readMessage(offer.subarray(TICKET_ID_BYTES))
    if (typeof message === 'string') return this.#fail(faultCodes[message])
    tickets.spend(ticket)
    const read = readOffer(message)
    if (read === undefined) return this.#fail('HANDSHAKE_MALFORMED')
    const now = clock.unixNow()
    const isTimely = Math.abs(now - read.sentAt) <= EARLY_AGE_MS
    if (read.early !== undefined && !(isTimely && tickets.readEarly(ticket.id, now))) {
      state.wipe()
      this.#state = undefined
      return this.#answerInFull(offer)
    }
    this.#ticket = ticket
    this.#remotePayload = read.payload
    this.#early = read.early
  }

  #fail(code: HandshakeErrorCode): void {
    this.#state?.wipe()
    this.#ticket = undefined
    this.#outcome = handshakeError(code)
  }
}

/** Whether a ticket is for such a session. */
export function fits(ticket: ResumptionTicket, { suite, label }: HandshakeOptions): boolean {
  return ticket.suite === suite && ticket.label === label
}

function resumedState(
  { identity }: HandshakeParts,
  { role, suite, prologue }: HandshakeOptions,
  { id, secret }: ResumptionTicket,
  e?: X25519KeyPair,
): HandshakeState {
  const { crypto } = identity
  const both = joinBytes([prologue, id])
  return new HandshakeState({ crypto, pattern: 'NNpsk0', suite, role, prologue: both, e, psks: [secret] })
}

function offerPayload(payload: Uint8Array, early: Uint8Array | undefined, unixNow: number): Uint8Array {
  if (early !== undefined && early.length > MAX_EARLY_BYTES)
    throw new ArgumentError(`${early.length} bytes come early: at most ${MAX_EARLY_BYTES}`)
  const out = new Uint8Array(2 + payload.length + (early === undefined ? 0 : TIME_BYTES + early.length))
  const view = new DataView(out.buffer)
  view.setUint16(0, payload.length)
  out.set(payload, 2)
  if (early === undefined) return out
  view.setBigUint64(2 + payload.length, BigInt(Math.floor(unixNow)))
  out.set(early, 2 + payload.length + TIME_BYTES)
  return out
}

interface Offer {
  readonly payload: Uint8Array
  readonly early: Uint8Array | undefined
  /** Unix ms; NaN where nothing comes early. */
  readonly sentAt: number
}

/** Copies, or `undefined` for what is none. */
function readOffer(bytes: Uint8Array): Offer | undefined {
  if (bytes.length < 2) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = 2 + view.getUint16(0)
  if (end - 2 > MAX_HANDSHAKE_PAYLOAD_BYTES || bytes.length < end) return undefined
  const payload = bytes.slice(2, end)
  if (bytes.length === end) return { payload, early: undefined, sentAt: NaN }
  const start = end + TIME_BYTES
  if (bytes.length < start || bytes.length > start + MAX_EARLY_BYTES) return undefined
  return { payload, early: bytes.slice(start), sentAt: Number(view.getBigUint64(end)) }
}

function afterOffer(options: HandshakeOptions, offer: Uint8Array): HandshakeOptions {
  return { ...options, prologue: joinBytes([options.prologue, offer]) }
}

function provenBy(ticket: ResumptionTicket, payload: Uint8Array): Parameters<typeof establish>[3] {
  const { remote, remoteStatic, ownStatic, notAfter } = ticket
  return { remote, remoteStatic, ownStatic, remotePayload: new Uint8Array(payload), notAfter, resumed: true }
}

function payloadFault(payload: Uint8Array): HandshakeErrorCode | undefined {
  return payload.length > MAX_HANDSHAKE_PAYLOAD_BYTES ? 'HANDSHAKE_MALFORMED' : undefined
}
