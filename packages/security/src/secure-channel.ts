import { ArgumentError, type Clock, type NodeId, type SecureChannels } from '@aiv/transport-api'
import { FullHandshake, MAX_HANDSHAKE_PAYLOAD_BYTES } from './full-handshake.js'
import type { Identity } from './identity.js'
import { KnownCertificates } from './known-certificates.js'
import { AnsweringHandshake, OfferingHandshake, fits } from './resumed-handshake.js'
import { ResumptionTickets } from './resumption-tickets.js'

/** What {@link secureChannels} takes from outside. */
export interface SecureChannelComponents {
  readonly identity: Identity
  /** Only `unixNow` is asked, for certificates. */
  readonly clock: Pick<Clock, 'unixNow'>
}

/**
 * Noise XX and XK with static-key certificates, over the identity's own crypto.
 *
 * | message | XX | XK | payload |
 * |--:|---|---|---|
 * | 1 → | e | e, es | none |
 * | 2 ← | e, ee, s, es | e, ee | the responder's certificate ‖ payload |
 * | 3 → | s, se | s, se | the initiator's certificate ‖ payload |
 *
 * With `resume` the next handshake between the two begins with a ticket of the last one (resumed-handshake.ts).
 *
 * The initiator verifies message 2 before it makes message 3, so that whoever is not the node that was dialled learns
 * nothing about us; the responder has a session only after message 3 is verified. docs/wire/identity.md
 */
export function secureChannels(components: SecureChannelComponents): SecureChannels {
  const { suites } = components.identity.crypto
  const { identity, clock } = components
  const known = new KnownCertificates(identity.crypto)
  const tickets = new ResumptionTickets()
  const parts = { identity, clock, known, tickets }
  return {
    suites,
    canResume: (node: NodeId) => tickets.hasDialled(node, clock.unixNow(), identity.noiseStatic.publicKey),
    start(options) {
      if (!suites.includes(options.suite)) throw new ArgumentError(`no ${options.suite} on this platform`)
      if (options.payload.length > MAX_HANDSHAKE_PAYLOAD_BYTES) {
        throw new ArgumentError(`a handshake payload has at most ${MAX_HANDSHAKE_PAYLOAD_BYTES} bytes`)
      }
      if (options.pattern === 'XK' && options.role === 'initiator' && options.remoteStatic === undefined) {
        throw new ArgumentError('XK needs the static key of the responder')
      }
      const { resume, role, pattern, expected } = options
      if (resume !== true) return new FullHandshake(parts, options)
      if (role === 'responder') return new AnsweringHandshake(parts, options)
      if (expected === undefined || pattern !== 'XX') return new FullHandshake(parts, options)
      const ticket = tickets.takeDialled(expected, clock.unixNow(), identity.noiseStatic.publicKey)
      return ticket !== undefined && fits(ticket, options)
        ? new OfferingHandshake(parts, options, ticket)
        : new FullHandshake(parts, options)
    },
  }
}
