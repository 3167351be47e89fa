import type { NodeId, Priority } from '@aiv/transport-api'

const utf8 = new TextDecoder()

/** A message that arrived, authenticated: `from` is proven. */
export class Message {
  constructor(
    readonly from: NodeId,
    /** The application protocol that it was sent under. */
    readonly protocol: string,
    /** Yours to keep; may be a view into a larger buffer. */
    readonly payload: Uint8Array,
    readonly priority: Priority,
    /** The transport that it came in on. */
    readonly transport: string,
    /** True when the sender waits for an answer. */
    readonly expectsAnswer: boolean,
  ) {}

  /** The payload as UTF-8 text; what is not UTF-8 becomes U+FFFD. */
  text(): string {
    return utf8.decode(this.payload)
  }
}
