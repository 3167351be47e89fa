import { createHmac, timingSafeEqual } from 'node:crypto'
import type { UdpAddress } from './quic-engine.js'

/** How long an answer to a Retry may take, in seconds. */
const TOKEN_LIFE_S = 10
const MAC_BYTES = 16

/**
 * Tokens of Retry packets (RFC 9000 section 8.1.4): who shows one receives at its address. Nothing is kept for them.
 * Bytes: issue time u32 s ‖ the client's first destination id ‖ HMAC-SHA256[0..16] over both, the address, and the id
 * that the Retry gave.
 */
export class AddressTokens {
  readonly #key: Uint8Array

  /** @param key - 32 random bytes, for the life of the endpoint. */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  issue(unixMs: number, from: UdpAddress, originalId: Uint8Array, newId: Uint8Array): Uint8Array {
    const token = Buffer.alloc(4 + originalId.length + MAC_BYTES)
    token.writeUInt32BE(Math.floor(unixMs / 1000) >>> 0)
    token.set(originalId, 4)
    token.set(this.#mac(token.subarray(0, -MAC_BYTES), from, newId), token.length - MAC_BYTES)
    return token
  }

  /** The client's first destination id, in a new buffer; `undefined` for a token that is forged, old or of another address. */
  verify(unixMs: number, from: UdpAddress, token: Uint8Array, newId: Uint8Array): Uint8Array | undefined {
    if (token.length < 4 + MAC_BYTES || token.length > 4 + 20 + MAC_BYTES) return undefined
    const body = token.subarray(0, -MAC_BYTES)
    if (!timingSafeEqual(token.subarray(-MAC_BYTES), this.#mac(body, from, newId))) return undefined
    const age = Math.floor(unixMs / 1000) - new DataView(token.buffer, token.byteOffset).getUint32(0)
    return age < 0 || age > TOKEN_LIFE_S ? undefined : Uint8Array.from(body.subarray(4))
  }

  #mac(body: Uint8Array, from: UdpAddress, newId: Uint8Array): Uint8Array {
    const where = `${from.host} ${from.port} ${body.length} `
    return createHmac('sha256', this.#key).update(where).update(body).update(newId).digest().subarray(0, MAC_BYTES)
  }
}
