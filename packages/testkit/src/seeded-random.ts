import type { Random } from '@aiv/transport-api'

/**
 * Chance that can be played again: sfc32 (Chris Doty-Humphrey, PractRand: "small fast counting", 128 bits of state, one
 * of them a counter, so that no cycle is shorter than 2^32). Seeded from a text; its first 16 outputs are thrown away,
 * since texts that differ in one character begin with related states.
 *
 * For tests and simulations only: whoever sees outputs can compute the next ones.
 */
export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #counter: number

  constructor(seed: string) {
    // four FNV-1a hashes with different beginnings; each character is taken as its two bytes
    const [a, b, c, counter] = [0x811c9dc5, 0x9747b28c, 0x2545f491, 0x5bd1e995].map((basis) => fnv32(seed, basis))
    this.#a = a as number
    this.#b = b as number
    this.#c = c as number
    this.#counter = counter as number
    for (let i = 0; i < 16; i++) this.next()
  }

  /** 32 bits, from 0 to 2^32 − 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length)
    for (let at = 0; at < length; at += 4) {
      const word = this.next()
      for (let i = 0; i < 4 && at + i < length; i++) out[at + i] = word >>> (8 * i)
    }
    return out
  }

  /** 53 bits of chance: every double of the form n / 2^53 may come. */
  uniform(): number {
    const high = this.next() >>> 5
    const low = this.next() >>> 6
    return (high * 0x4000000 + low) / 0x20000000000000
  }

  /** An integer from 0 to `below` − 1. Its bias is below 2^-20 for anything a test counts. */
  below(below: number): number {
    return Math.floor(this.uniform() * below)
  }

  /** True with the given probability, 0 to 1. Nothing is drawn for 0 and 1. */
  chance(probability: number): boolean {
    if (probability <= 0) return false
    return probability >= 1 || this.uniform() < probability
  }
}

function fnv32(text: string, basis: number): number {
  let hash = basis
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    hash = Math.imul(hash ^ (code & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (code >>> 8), 0x01000193)
  }
  return hash
}
