import type { Address, TransportProfile } from '@aiv/transport-api'
import type { HtxLink } from './htx-link.js'

/** The part of an HTX transport that differs by what carries it: how links come about. */
export interface LinkProvider {
  /** Becomes `Transport.name`. */
  readonly name: string
  readonly schemes: readonly string[]
  /** What the link is; early dials are added, which every HTX session has. */
  readonly profile: TransportProfile
  /**
   * Begins to listen. `undefined`: this provider only dials.
   * @throws TransportError: the port is taken, there is no permission, the address is not ours.
   */
  listen(listener: LinkListener): Promise<Listening | undefined>
  /**
   * Opens one link; whoever called attaches to it in the same turn as the promise resolves.
   * @throws DialError: DIAL_REFUSED, ADDRESS_INVALID; or the signal's reason, and then nothing is left open.
   */
  dial(address: Address, signal: AbortSignal): Promise<HtxLink>
}

/** Told of what comes in. */
export interface LinkListener {
  /**
   * Something arrived that has still to become a link: an HTTP request first, or TLS. It counts as an unfinished
   * handshake from here on. `close` is called when it has to go. `undefined`: refused, close it without a word.
   */
  onArrival(remote: string | undefined, close: () => void): Arrival | undefined
  /**
   * An accepted link, and the arrival that it comes from if there was one. The listener attaches to it or destroys it
   * within the call.
   */
  onLink(link: HtxLink, arrival?: Arrival): void
  /** {@link Listening.addresses} may have changed. */
  onAddresses(): void
  /** Listening ended by itself. */
  onDown(error: Error): void
}

/** What has arrived and is no link yet. */
export interface Arrival {
  /** It is gone without having become one. May be called again, and after {@link LinkListener.onLink}, to no effect. */
  leave(): void
}

/** A listener that is up. */
export interface Listening {
  /** Where it can be dialled right now, without the node id; looked up anew each time. */
  readonly addresses: readonly string[]
  /** No new links from here on; resolves when the listener is down. Links live on. */
  close(): Promise<void>
}

/**
 * Connections that the system holds for a listener until it gets round to them. Of one more the first packet is dropped,
 * an honest one like any other, and comes again only after a second; but whoever comes last waits for all of them, so
 * that there should be no more than are accepted in half a second. docs/decisions/0140-half-open-limits.md
 */
export const LISTEN_BACKLOG = 2_048
