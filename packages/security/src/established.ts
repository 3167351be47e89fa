import type { HandshakeOptions, SecureSession } from '@aiv/transport-api'
import { SessionKey } from './aead-key.js'
import type { HandshakeParts } from './full-handshake.js'
import type { HandshakeState } from './noise/handshake-state.js'
import { TICKET_ID_BYTES } from './resumption-tickets.js'

/** What a handshake has proven of the other side. */
export type Proven = Pick<SecureSession, 'remote' | 'remoteStatic' | 'remotePayload' | 'resumed'> & {
  /** How long a next handshake may build on it: Unix time in ms. */
  readonly notAfter: number
  /** Our static key in it: it may have been replaced since. */
  readonly ownStatic: Uint8Array
}

/**
 * The session of a complete handshake and, with `resume`, the ticket for the next one: from the initiator's
 * secret s_0 of Split(), HKDF-Expand(s_0, label ‖ " resume", 48) is key 32 ‖ id 16. docs/wire/identity.md
 */
export function establish(
  { identity, tickets }: HandshakeParts,
  { suite, label, role, resume }: HandshakeOptions,
  state: HandshakeState,
  { notAfter, ownStatic, ...proven }: Proven,
): SecureSession {
  const { crypto } = identity
  const handshakeHash = state.handshakeHash
  const [first, second] = state.split()
  if (resume === true) {
    const material = crypto.hkdfExpand(first, `${label} resume`, 32 + TICKET_ID_BYTES)
    const { remote, remoteStatic, remotePayload } = proven
    const [secret, id] = [material.slice(0, 32), material.slice(32)]
    material.fill(0)
    const ticket = { id, secret, suite, label, remote, remoteStatic, remotePayload, ownStatic, notAfter }
    if (role === 'initiator') tickets.keepDialled(ticket)
    else tickets.keepAccepted(ticket)
  }
  const [ours, theirs] = role === 'initiator' ? [first, second] : [second, first]
  const sending = new SessionKey(crypto, suite, label, ours)
  const receiving = new SessionKey(crypto, suite, label, theirs)
  return Object.freeze({ ...proven, handshakeHash, sending, receiving })
}
