/** Packet types that the driver tells apart. RFC 9000 section 17. */
export type PacketType = 'initial' | 'early' | 'other-long' | 'short'

/** What can be read of a packet without keys (RFC 8999). One object, reused: nothing is made per packet. */
export class PacketHeader {
  type: PacketType = 'short'
  version = 0
  destinationStart = 0
  destinationEnd = 0
  sourceStart = 0
  sourceEnd = 0
  tokenStart = 0
  tokenEnd = 0

  /**
   * Reads the first packet of a datagram. False for bytes that are no QUIC packet.
   * @param idBytes - length of our connection ids, which a short header does not tell.
   */
  read(bytes: Uint8Array, idBytes: number): boolean {
    const first = bytes[0]
    if (first === undefined) return false
    if ((first & 0x80) === 0) {
      if ((first & 0x40) === 0 || bytes.length < 1 + idBytes) return false
      this.type = 'short'
      this.destinationStart = 1
      this.destinationEnd = 1 + idBytes
      return true
    }
    return this.#readLong(bytes, first)
  }

  #readLong(bytes: Uint8Array, first: number): boolean {
    if (bytes.length < 7) return false
    const at = (index: number): number => bytes[index] as number
    this.version = ((at(1) << 24) | (at(2) << 16) | (at(3) << 8) | at(4)) >>> 0
    this.destinationStart = 6
    this.destinationEnd = 6 + at(5)
    this.sourceStart = this.destinationEnd + 1
    if (at(5) > 20 || bytes.length < this.sourceStart) return false
    this.sourceEnd = this.sourceStart + at(this.destinationEnd)
    if (this.sourceEnd - this.sourceStart > 20 || bytes.length < this.sourceEnd) return false
    const kind = (first >>> 4) & 3
    this.type = kind === 0 ? 'initial' : kind === 1 ? 'early' : 'other-long'
    this.tokenStart = this.tokenEnd = this.sourceEnd
    return this.type !== 'initial' || this.version !== 1 || this.#readToken(bytes)
  }

  /** Initial packets of version 1: a varint length, then the token. */
  #readToken(bytes: Uint8Array): boolean {
    const first = bytes[this.sourceEnd]
    if (first === undefined) return false
    const size = 1 << (first >>> 6)
    // A token of 16 KiB or more is none of ours and fits no datagram that we take
    if (size > 2 || this.sourceEnd + size > bytes.length) return false
    const length = size === 1 ? first : ((first & 0x3f) << 8) | (bytes[this.sourceEnd + 1] as number)
    this.tokenStart = this.sourceEnd + size
    this.tokenEnd = this.tokenStart + length
    return this.tokenEnd <= bytes.length
  }
}
