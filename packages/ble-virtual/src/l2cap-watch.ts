import { HciFault } from './hci-fault.js'
import { readU16 } from './hci.js'

const ATT_CHANNEL = 0x0004
const EXCHANGE_MTU_REQUEST = 0x02
const EXCHANGE_MTU_RESPONSE = 0x03
/** Vol 3, Part G, section 5.2.1: what holds until the two sides have agreed on something else. */
const DEFAULT_ATT_MTU = 23

/** What both ends of a link have agreed on. */
export interface AttMtu {
  /** Offered by whoever asked; the answer makes the smaller of both count. */
  requested: number
  value: number
}

export function defaultAttMtu(): AttMtu {
  return { requested: DEFAULT_ATT_MTU, value: DEFAULT_ATT_MTU }
}

/**
 * Reads along in one direction of a link: do the fragments make up whole L2CAP frames, and does no attribute PDU exceed
 * the MTU? Hosts get away with both among themselves, and not with others.
 */
export class L2capWatch {
  readonly #mtu: AttMtu
  /** Bytes of the frame in progress that are still to come. */
  #missing = 0
  /** What the frame in progress does to the MTU once it is whole. */
  #onWhole: (() => void) | undefined

  constructor(mtu: AttMtu) {
    this.#mtu = mtu
  }

  /**
   * @param first - whether it is marked as the start of a frame.
   * @throws HciFault HCI_ACL_FRAGMENT, ATT_TOO_LONG.
   */
  fragment(first: boolean, data: Uint8Array): void {
    if (first) this.#start(data)
    else if (this.#missing === 0) throw new HciFault('HCI_ACL_FRAGMENT', 'a continuation without a start')
    else this.#missing -= data.length
    if (this.#missing < 0) throw new HciFault('HCI_ACL_FRAGMENT', 'more data than the L2CAP header announced')
    if (this.#missing > 0) return
    this.#onWhole?.()
    this.#onWhole = undefined
  }

  #start(data: Uint8Array): void {
    if (this.#missing > 0) throw new HciFault('HCI_ACL_FRAGMENT', `a start while ${this.#missing} bytes are missing`)
    if (data.length < 4) throw new HciFault('HCI_ACL_FRAGMENT', 'a start without a whole L2CAP header')
    const length = readU16(data, 0)
    this.#missing = length + 4 - data.length
    if (readU16(data, 2) !== ATT_CHANNEL) return
    if (length > this.#mtu.value) {
      throw new HciFault('ATT_TOO_LONG', `attribute PDU of ${length} bytes, MTU ${this.#mtu.value}`)
    }
    // both are 3 bytes long and so never split behind their header by buffers of 27 bytes and more
    if (length !== 3 || data.length < 7) return
    const offered = Math.max(readU16(data, 5), DEFAULT_ATT_MTU)
    if (data[4] === EXCHANGE_MTU_REQUEST) this.#mtu.requested = offered
    if (data[4] === EXCHANGE_MTU_RESPONSE) {
      this.#onWhole = () => (this.#mtu.value = Math.min(this.#mtu.requested, offered))
    }
  }
}
