import { AivError } from '@aiv/transport-api'

/** What a {@link BleRadio} rejects with. */
export type BleErrorCode =
  | 'NO_ADAPTER' // no Bluetooth, switched off, no permission, or its stacks are not installed; the message has the hint
  | 'TRANSPORT_CLOSED' // the radio is closed, or was never started
  | 'TIMEOUT' // no link in time
  | 'UNREACHABLE' // a device that was never seen, or no node of ours
  | 'LINK_LIMIT' // the controller, or the radio's option, has no more
  | 'LINK_EXISTS' // to that device there is one

/** A radio that did not start, or a link that did not come about; `cause` is what the stack said. */
export class BleError extends AivError<BleErrorCode> {}
