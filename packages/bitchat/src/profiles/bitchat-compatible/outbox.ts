import type { Millis } from '@aiv/transport-api'
import type { PeerId } from './peer-id.js'

/** A private message that has not been acknowledged. */
export interface OutboxMessage {
  readonly to: PeerId
  readonly messageId: string
  readonly text: string
  /** Times it was sent. */
  readonly attempts: number
}

interface Entry {
  to: PeerId
  messageId: string
  text: string
  attempts: number
  at: Millis
  until: Millis
}

/** A first answer is waited for this long, in ms; each further one twice as long. */
const FIRST_WAIT_MS = 10_000
const MAX_ATTEMPTS = 8
const LIFETIME_MS = 86_400_000

/** Private messages until their delivery is acknowledged: 8 attempts, 24 hours. */
export class Outbox {
  readonly #maxPerPeer: number
  readonly #maxMessages: number
  readonly #entries = new Map<string, Entry>()

  constructor(limits: { readonly maxPerPeer: number; readonly maxMessages: number }) {
    this.#maxPerPeer = limits.maxPerPeer
    this.#maxMessages = limits.maxMessages
  }

  get size(): number {
    return this.#entries.size
  }

  /** False: full, or there is such a message already. It is due at once. */
  add(now: Millis, to: PeerId, messageId: string, text: string): boolean {
    const key = `${to} ${messageId}`
    const own = [...this.#entries.values()].filter((entry) => entry.to === to).length
    if (this.#entries.has(key) || own >= this.#maxPerPeer || this.#entries.size >= this.#maxMessages) return false
    this.#entries.set(key, { to, messageId, text, attempts: 0, at: now, until: now + LIFETIME_MS })
    return true
  }

  /** True when such a message was waiting for it. */
  delivered(from: PeerId, messageId: string): boolean {
    return this.#entries.delete(`${from} ${messageId}`)
  }

  /** A peer has appeared, or a session with it: its messages are due. */
  hurry(now: Millis, to: PeerId): void {
    for (const entry of this.#entries.values()) {
      if (entry.to === to) entry.at = Math.min(entry.at, now)
    }
  }

  /**
   * What is to be sent now, and what is given up. Each is due again later; those to a peer that is absent only when
   * {@link hurry} is called for it.
   */
  due(
    now: Millis,
    isPresent: (peer: PeerId) => boolean,
  ): { readonly send: OutboxMessage[]; readonly failed: OutboxMessage[] } {
    const send: OutboxMessage[] = []
    const failed: OutboxMessage[] = []
    for (const [key, entry] of this.#entries) {
      if (now < Math.min(entry.at, entry.until)) continue
      if (now >= entry.until || entry.attempts >= MAX_ATTEMPTS) {
        this.#entries.delete(key)
        failed.push({ ...entry })
      } else if (!isPresent(entry.to)) {
        entry.at = entry.until
      } else {
        entry.at = now + FIRST_WAIT_MS * 2 ** entry.attempts
        send.push({ ...entry })
      }
    }
    return { send, failed }
  }

  /** It was really sent, not only tried without a session. */
  sent(message: OutboxMessage): void {
    const entry = this.#entries.get(`${message.to} ${message.messageId}`)
    if (entry !== undefined) entry.attempts++
  }

  nextTimeout(): Millis | undefined {
    let next: Millis | undefined
    for (const { at, until } of this.#entries.values()) {
      const due = Math.min(at, until)
      if (next === undefined || due < next) next = due
    }
    return next
  }
}
