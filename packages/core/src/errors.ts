import { AivError } from '@aiv/transport-api'

/** Why a node could not do what it was asked. */
export type NodeErrorCode =
  | 'NODE_CLOSED'
  | 'NO_TRANSPORT' // none of the transports could start
  | 'QUEUE_FULL' // `whenFull: 'fail'`, or too many sends wait already
  | 'SEND_ABORTED' // the caller's signal, before it was handed to a connection
  | 'QUEUE_DROPPED' // an emergency message took its place
  | 'PEER_UNKNOWN' // no connection and no address
  | 'PEER_UNREACHABLE' // every address was tried; see `failures`
  | 'PEER_DENIED' // our own allow list, deny list or admission hook
  | 'POOL_FULL' // as many connections as allowed, none of them idle
  | 'ID_COLLISION' // another key under an id that is known already
  | 'MESSAGE_TOO_LARGE'
  | 'DELIVERY_TIMEOUT' // not acknowledged by its deadline
  | 'DELIVERY_TRIES' // repeated as often as allowed
  | 'DELIVERY_ORDER' // arrived after its place in the order had been given up
  | 'REQUEST_TIMEOUT'
  | 'REQUEST_FAILED' // the handler on the other side failed
  | 'PROTOCOL_UNKNOWN' // nobody handles this protocol there
  | 'PROTOCOL_TAKEN' // handled by somebody else in this node

/** An operation of a node failed. */
export class NodeError extends AivError<NodeErrorCode> {
  /** When several things were tried: what became of each. */
  readonly failures: readonly Error[]

  constructor(
    code: NodeErrorCode,
    message: string,
    options?: ErrorOptions & { readonly retryable?: boolean; readonly failures?: readonly Error[] },
  ) {
    super(code, message, options)
    this.failures = options?.failures ?? []
  }
}
