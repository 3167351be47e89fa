import { joinBytes, ReplayWindow, type Millis } from '@aiv/transport-api'
import type { ChaChaPoly, CompatibleCrypto } from './crypto.js'

const NOTHING = new Uint8Array(0)
/** Before the ciphertext. */
const NONCE_BYTES = 4
/** What sealing adds: the nonce and the tag. */
export const SEAL_OVERHEAD_BYTES = NONCE_BYTES + 16
const MAX_COUNTER = 2 ** 32 - 2
const WINDOW = 1_024

/**
 * Transport messages of a session.
 *
 * offset  bytes  field
 *      0      4  counter, big-endian
 *      4      …  ChaCha20-Poly1305: ciphertext, then the tag (16). Nonce: 4 zero bytes, the counter as u64 little-endian
 */
export class NoiseSession {
  readonly establishedAt: Millis
  readonly #sending: ChaChaPoly
  readonly #receiving: ChaChaPoly
  readonly #window = new ReplayWindow(WINDOW)
  #counter = 0

  /** Takes the keys over and wipes them. */
  constructor(now: Millis, crypto: CompatibleCrypto, sendingKey: Uint8Array, receivingKey: Uint8Array) {
    this.establishedAt = now
    this.#sending = crypto.chaChaPoly(sendingKey)
    this.#receiving = crypto.chaChaPoly(receivingKey)
    sendingKey.fill(0)
    receivingKey.fill(0)
  }

  /** Messages sealed so far. */
  get sealed(): number {
    return this.#counter
  }

  /** `undefined`: every counter was used. */
  seal(plain: Uint8Array): Uint8Array | undefined {
    if (this.#counter > MAX_COUNTER) return undefined
    const counter = this.#counter++
    const prefix = new Uint8Array(NONCE_BYTES)
    new DataView(prefix.buffer).setUint32(0, counter)
    return joinBytes([prefix, ...this.#sending.seal(nonceOf(counter), NOTHING, plain)])
  }

  /** The plaintext, or why there is none. The window moves only after the tag was right. */
  open(message: Uint8Array): Uint8Array | 'replayed' | 'forged' {
    if (message.length < SEAL_OVERHEAD_BYTES) return 'forged'
    const counter = new DataView(message.buffer, message.byteOffset).getUint32(0)
    if (counter > MAX_COUNTER) return 'forged'
    if (this.#window.check(counter) !== 'new') return 'replayed'
    const plain = this.#receiving.open(nonceOf(counter), NOTHING, message.subarray(NONCE_BYTES))
    if (plain === undefined) return 'forged'
    this.#window.record(counter)
    return plain
  }

  /** Forgets the keys. */
  wipe(): void {
    this.#sending.wipe()
    this.#receiving.wipe()
  }
}

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setUint32(4, counter, true)
  return nonce
}
