import { HciFault } from './hci-fault.js'
import { PacketType, readU16 } from './hci.js'

/** Longest packet that a host or controller here sends: ACL of 64 KiB would be legal, but nobody has such buffers. */
const MAX_PACKET_BYTES = 4096

/** Cuts a byte stream into HCI packets; Vol 4, Part A. */
export class H4Framer {
  #pending = new Uint8Array(0)

  /**
   * The packets that are complete now, type byte included; new buffers.
   * @throws HciFault HCI_PACKET when the stream is none: there is no way to find the next packet after that.
   */
  push(bytes: Uint8Array): Uint8Array[] {
    const stream = new Uint8Array(this.#pending.length + bytes.length)
    stream.set(this.#pending)
    stream.set(bytes, this.#pending.length)
    const packets: Uint8Array[] = []
    let offset = 0
    for (;;) {
      const length = packetLength(stream, offset)
      if (length === undefined || offset + length > stream.length) break
      packets.push(stream.slice(offset, offset + length))
      offset += length
    }
    this.#pending = stream.slice(offset)
    return packets
  }
}

/** `undefined`: the header is not complete. */
function packetLength(stream: Uint8Array, offset: number): number | undefined {
  const type = stream[offset]
  if (type === undefined) return undefined
  let length: number
  if (type === PacketType.command) {
    if (offset + 4 > stream.length) return undefined
    length = 4 + (stream[offset + 3] as number)
  } else if (type === PacketType.event) {
    if (offset + 3 > stream.length) return undefined
    length = 3 + (stream[offset + 2] as number)
  } else if (type === PacketType.acl) {
    if (offset + 5 > stream.length) return undefined
    length = 5 + readU16(stream, offset + 3)
  } else {
    throw new HciFault('HCI_PACKET', `packet type ${type}`)
  }
  if (length > MAX_PACKET_BYTES) throw new HciFault('HCI_PACKET', `a packet of ${length} bytes`)
  return length
}
