import type { Bytes } from './bytes.js'
import type { Millis } from './clock.js'

/**
 * A protocol as a pure state machine: bytes and time in; bytes, events and one deadline out. It owns no socket, no
 * timer, no clock and no randomness.
 *
 * After every `handle*` call or command the owner drains {@link pollOutput} (while its socket takes more) and
 * {@link pollEvent} until both give `undefined`, then arms its one timer from {@link nextTimeout}.
 *
 * `In` and `Out` are runs of bytes for a stream, addressed datagrams for QUIC, `{ link, bytes }` for a mesh.
 * The peer's mistakes never throw out of a core: they end in an event. The caller's mistakes throw at once.
 */
export interface ProtocolCore<Event, In = Uint8Array, Out = Bytes> {
  /** `input` may be kept or decrypted in place: it belongs to the core from here on. */
  handleInput(now: Millis, input: In): void
  /** Does nothing when called before {@link nextTimeout}. */
  handleTimeout(now: Millis): void
  /** `unixNow() - now()`; called at the start and again after sleep or a clock step. */
  handleUnixTime?(offsetMs: number): void
  /** The next bytes to send, or `undefined`. Asking is what makes a core decide what goes next. */
  pollOutput(now: Millis): Out | undefined
  /** What happened since, oldest first, or `undefined`. */
  pollEvent(): Event | undefined
  /** When {@link handleTimeout} wants to be called; `undefined`: nothing is waited for. */
  nextTimeout(): Millis | undefined
}
