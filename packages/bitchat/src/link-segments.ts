import { ArgumentError, type Bytes, joinBytes } from '@aiv/transport-api'
import type { BleLink, BleLinkHandler } from './ble-radio.js'
import { MAX_MESH_PACKET_BYTES } from './mesh-packet.js'

/** Smallest link that carries the mesh: an ATT MTU of 64 less three bytes. */
export const MIN_LINK_PACKET_BYTES = 61
export const SEGMENT_HEADER_BYTES = 2

/** First byte of a segment; a whole packet begins with its version, which is below. */
const SEGMENT = 0x80
const LAST = 0x40
const INDEX_MASK = 0x0f

/**
 * Cuts a packet for a link that is too small for it: docs/wire/bitchat-native.md. What fits goes as it is.
 *
 * | offset | bytes | field |
 * |--:|--:|---|
 * | 0 | 1 | 1 bit set, last 1 bit, 2 bits clear, index 4 bits |
 * | 1 | 1 | number of the packet on this link, modulo 256 |
 * | 2 | n | data |
 *
 * @throws ArgumentError for a packet over 244 bytes or without a version, and a link below {@link MIN_LINK_PACKET_BYTES}.
 */
export function splitPacket(packet: Uint8Array, maxPacketBytes: number, number: number): Uint8Array[] {
  if (maxPacketBytes < MIN_LINK_PACKET_BYTES) throw new ArgumentError(`a link of ${maxPacketBytes} bytes`)
  if (packet.length > MAX_MESH_PACKET_BYTES) throw new ArgumentError(`a packet of ${packet.length} bytes`)
  if (packet[0] === undefined || packet[0] >= SEGMENT) throw new ArgumentError('a packet begins with its version')
  if (packet.length <= maxPacketBytes) return [packet]
  const dataBytes = maxPacketBytes - SEGMENT_HEADER_BYTES
  const segments: Uint8Array[] = []
  for (let start = 0; start < packet.length; start += dataBytes) {
    const data = packet.subarray(start, start + dataBytes)
    const segment = new Uint8Array(SEGMENT_HEADER_BYTES + data.length)
    segment[0] = SEGMENT | (start + dataBytes >= packet.length ? LAST : 0) | segments.length
    segment[1] = number
    segment.set(data, SEGMENT_HEADER_BYTES)
    segments.push(segment)
  }
  return segments
}

/** Rejoins what one link brings, in order. Holds one packet at most; where a segment is missing, the packet is lost. */
export class PacketJoiner {
  #number: number | undefined
  #parts: Uint8Array[] = []
  #length = 0

  /** A whole packet when `bytes` is or completes one; the joined one is a new buffer. */
  join(bytes: Uint8Array): Uint8Array | undefined {
    const [first, number] = bytes
    if (first === undefined || first < SEGMENT) {
      this.#reset()
      return first === undefined ? undefined : bytes
    }
    const index = first & INDEX_MASK
    const isNext = number === this.#number && index === this.#parts.length
    if (index !== 0 && !isNext) {
      this.#reset()
      return undefined
    }
    if (index === 0) this.#reset()
    this.#number = number
    this.#length += bytes.length - SEGMENT_HEADER_BYTES
    if (bytes.length <= SEGMENT_HEADER_BYTES || this.#length > MAX_MESH_PACKET_BYTES) {
      this.#reset()
      return undefined
    }
    this.#parts.push(bytes.slice(SEGMENT_HEADER_BYTES))
    if ((first & LAST) === 0) return undefined
    const packet = joinBytes(this.#parts)
    this.#reset()
    return packet
  }

  #reset(): void {
    this.#number = undefined
    this.#parts = []
    this.#length = 0
  }
}

/** A link that takes 244 bytes, over one that takes less. */
class SegmentedLink implements BleLink {
  readonly maxPacketBytes = MAX_MESH_PACKET_BYTES
  readonly #link: BleLink
  readonly #joiner = new PacketJoiner()
  /** Segments of a packet that was taken. */
  #rest: Uint8Array[] = []
  #number = 0
  #refused = false

  constructor(link: BleLink) {
    this.#link = link
  }

  get id(): number {
    return this.#link.id
  }

  get device(): string {
    return this.#link.device
  }

  get role(): 'central' | 'peripheral' {
    return this.#link.role
  }

  get rssi(): number | undefined {
    return this.#link.rssi
  }

  attach(handler: BleLinkHandler): void {
    this.#link.attach({
      onPacket: (bytes) => {
        const packet = this.#joiner.join(bytes)
        if (packet !== undefined) handler.onPacket(packet)
      },
      onWritable: () => {
        this.#flush()
        if (!this.#refused || this.#rest.length > 0) return
        this.#refused = false
        handler.onWritable()
      },
      onClosed: (code) => handler.onClosed(code),
    })
  }

  write(packet: Bytes): boolean {
    if (this.#rest.length > 0) {
      this.#refused = true
      return false
    }
    const segments = splitPacket(joinBytes(packet), this.#link.maxPacketBytes, this.#number)
    const [first] = segments
    if (first === undefined || !this.#link.write(first)) {
      this.#refused = true
      return false
    }
    this.#number = (this.#number + 1) & 0xff
    this.#rest = segments.slice(1)
    this.#flush()
    return true
  }

  close(): void {
    this.#link.close()
  }

  #flush(): void {
    while (this.#rest[0] !== undefined && this.#link.write(this.#rest[0])) this.#rest.shift()
  }
}

/**
 * The same link, taking whole packets of the mesh whatever its MTU is, also after that has grown; `undefined` when it is
 * too small for them: close it. Use it instead of `link` before anything is attached.
 */
export function segmented(link: BleLink): BleLink | undefined {
  return link.maxPacketBytes < MIN_LINK_PACKET_BYTES ? undefined : new SegmentedLink(link)
}
