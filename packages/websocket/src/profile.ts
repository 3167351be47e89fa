import type { TransportProfile } from '@aiv/transport-api'
import { htxSessionOptions, type HtxTransportOptions } from '@aiv/htx-session'
import { MAX_OUTPUT_BYTES } from './ws-socket.js'

/** Sessions over WebSocket: one poll becomes one message, which must not exceed what the other side takes. */
export function sessionOptions<Options extends HtxTransportOptions>(options: Options): Options {
  const { maxOutputBytes = MAX_OUTPUT_BYTES } = options.session ?? {}
  return { ...options, session: { ...options.session, maxOutputBytes: Math.min(maxOutputBytes, MAX_OUTPUT_BYTES) } }
}

/** What is known before any dial. */
export function profile(options: HtxTransportOptions): TransportProfile {
  return Object.freeze({
    reach: 'internet',
    largestPacketBytes: htxSessionOptions(options.session).maxMessageBytes,
    datagrams: false,
    streams: false,
    // Rough figures of a phone on Wi-Fi, for comparison with radios; nothing was measured here
    energy: Object.freeze({ idleMilliwatts: 20, microjoulesPerByte: 0.21, millijoulesPerDial: 15 }),
  })
}
