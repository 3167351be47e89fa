/**
 * Base of every error that an `@aiv` package throws or hands out. Callers branch on {@link AivError.code};
 * `message` is for people and may change between releases, codes do not.
 */
export class AivError<Code extends string = string> extends Error {
  /** Stable, upper case, prefixed by its field: `HTX_BAD_MAGIC`, `DIAL_TIMEOUT`. */
  readonly code: Code
  /** True when the same call may succeed later without anything else changing. */
  readonly retryable: boolean

  constructor(code: Code, message: string, options?: ErrorOptions & { readonly retryable?: boolean }) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.retryable = options?.retryable ?? false
  }
}

/** What a dial ends in when no connection comes of it. */
export type DialErrorCode =
  | 'DIAL_REFUSED' // nobody listens there, or the host is unreachable
  | 'DIAL_TIMEOUT' // no authenticated connection in time
  | 'DIAL_ABORTED' // the caller's signal
  | 'DIAL_DENIED' // our own admission says no
  | 'IDENTITY_MISMATCH' // somebody else answered
  | 'IDENTITY_OWN' // we reached ourselves
  | 'HANDSHAKE_FAILED' // bytes that are no valid handshake
  | 'ADDRESS_INVALID'
  | 'ADDRESS_UNSUPPORTED' // no transport for its scheme
  | 'TRANSPORT_CLOSED'

/** A dial failed; `cause` is what the platform said. */
export class DialError extends AivError<DialErrorCode> {}

/** What `Transport.start` rejects with. */
export type TransportErrorCode =
  'TRANSPORT_PORT_TAKEN' | 'TRANSPORT_PERMISSION' | 'TRANSPORT_UNAVAILABLE' | 'TRANSPORT_CLOSED'

/** A transport cannot start or went down; `message` says what to do about it. */
export class TransportError extends AivError<TransportErrorCode> {}

/** Our own caller handed in something that cannot be: thrown at once. */
export class ArgumentError extends AivError<'ARGUMENT_INVALID'> {
  constructor(message: string, options?: ErrorOptions) {
    super('ARGUMENT_INVALID', message, options)
  }
}
