import { joinBytes, type Millis } from '@aiv/transport-api'
import { packetLength } from './packet.js'
import { paddingLength } from './padding.js'

const NOTHING = new Uint8Array(0)
/** A packet that stops coming for this long is given up, in ms. */
const STALL_MS = 250

/**
 * Packets out of what one link delivers. Notifications carry a stream of bytes: a packet may come in pieces, several in
 * one, padding between them is skipped. What cannot begin a packet costs everything up to the end of the input.
 *
 * Departure: the deployed assembler holds up to 8 MiB; here it is `maxFrameBytes`, as long packets come in fragments.
 */
export class FrameAssembler {
  readonly #maxFrameBytes: number
  #rest: Uint8Array = NOTHING
  #lastAt: Millis = 0

  /** @param maxFrameBytes - longest packet that is taken from one link, and what is held at most. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Bytes that wait for more. */
  get bytes(): number {
    return this.#rest.length
  }

  /** The packets that `bytes` completes, each exactly as long as it is, as views; and whether anything was thrown away. */
  push(now: Millis, bytes: Uint8Array): { readonly frames: readonly Uint8Array[]; readonly lost: boolean } {
    const stalled = this.#rest.length > 0 && now - this.#lastAt > STALL_MS
    let rest = stalled || this.#rest.length === 0 ? bytes : joinBytes([this.#rest, bytes])
    let lost = stalled
    const frames: Uint8Array[] = []
    this.#lastAt = now
    while (rest.length > 0) {
      const length = packetLength(rest)
      if (length === undefined) break
      const padding = length < 0 ? paddingLength(rest) : 0
      if (padding === undefined) break
      if (padding > 0) {
        rest = rest.subarray(padding)
      } else if (length < 0 || length > this.#maxFrameBytes) {
        lost = true
        rest = NOTHING
      } else {
        if (rest.length < length) break
        frames.push(rest.subarray(0, length))
        rest = rest.subarray(length)
      }
    }
    this.#rest = rest.length === 0 ? NOTHING : new Uint8Array(rest)
    return { frames, lost }
  }
}
