import { AivError } from '@aiv/transport-api'

/** How a host broke the rules of the interface, or of the protocols above it. */
export type HciFaultCode =
  | 'HCI_PACKET' // no H4 packet: unknown type, or cut off
  | 'HCI_UNKNOWN_OPCODE' // a command that this controller does not have
  | 'HCI_PARAMETERS' // parameters of the wrong length or out of their range
  | 'HCI_ACL_TOO_LONG' // longer than the buffers announced
  | 'HCI_ACL_OVERRUN' // more packets than buffers
  | 'HCI_ACL_FRAGMENT' // a continuation without a start, or more than the L2CAP header announced
  | 'ATT_TOO_LONG' // an attribute PDU over the MTU that both sides agreed on

/**
 * A host did what a real controller, or a real peer, would not put up with. Hardware mostly keeps silent about it and
 * something fails later; here it is named at once.
 */
export class HciFault extends AivError<HciFaultCode> {}
