import { toHex } from '@aiv/transport-api'

/** What the first stream of early data opens with: this, then u64 Unix ms, then 16 random bytes. docs/wire/quic.md */
const MARK = new TextEncoder().encode('aiv-early/1')

export const EARLY_OPENING_BYTES = MARK.length + 8 + 16

/** Early data that is acted on has been sent within this, either way of our clock. */
const WINDOW_MS = 30_000
/** Openings are remembered for longer than one may be presented. */
const KEPT_MS = 60_000

/** An opening, in a new buffer. @param nonce - 16 random bytes. */
export function encodeEarlyOpening(unixMs: number, nonce: Uint8Array): Uint8Array {
  const out = new Uint8Array(EARLY_OPENING_BYTES)
  out.set(MARK)
  new DataView(out.buffer).setBigUint64(MARK.length, BigInt(Math.floor(unixMs)))
  out.set(nonce, MARK.length + 8)
  return out
}

/** True when the bytes begin as an opening does. A stream's head never does: 0x61 is no priority. */
export function hasEarlyMark(bytes: Uint8Array): boolean {
  return bytes[0] === MARK[0]
}

/**
 * Which early data was acted on: each opening counts once. Full, it refuses and never forgets.
 *
 * It lives as long as the ticket keys do, which are never stored: after a restart no ticket is taken and with it no
 * early data, so that nothing from before can be repeated. docs/decisions/0222-ticket-keys-are-never-stored.md
 */
export class EarlyRegister {
  readonly #limit: number
  /** Nonce to the time at which it may be forgotten, oldest first. */
  readonly #seen = new Map<string, number>()

  /** @param limit - openings kept. @defaultValue 65,536 */
  constructor(limit = 65_536) {
    this.#limit = limit
  }

  get size(): number {
    return this.#seen.size
  }

  /** True once for each opening of the last 30 s. */
  accept(unixMs: number, opening: Uint8Array): boolean {
    if (opening.length !== EARLY_OPENING_BYTES || MARK.some((byte, i) => opening[i] !== byte)) return false
    const sentAt = Number(new DataView(opening.buffer, opening.byteOffset).getBigUint64(MARK.length))
    if (Math.abs(unixMs - sentAt) > WINDOW_MS) return false
    for (const [nonce, until] of this.#seen) {
      if (until > unixMs) break
      this.#seen.delete(nonce)
    }
    const nonce = toHex(opening.subarray(MARK.length + 8))
    if (this.#seen.has(nonce) || this.#seen.size >= this.#limit) return false
    this.#seen.set(nonce, unixMs + KEPT_MS)
    return true
  }
}
