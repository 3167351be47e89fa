import type { Random } from '@aiv/transport-api'

/** Largest request that `getRandomValues` takes. */
const LIMIT = 65_536

/** The platform's randomness; a node's default. */
export const systemRandom: Random = Object.freeze({
  bytes: (length: number) => {
    const out = new Uint8Array(length)
    for (let at = 0; at < length; at += LIMIT) globalThis.crypto.getRandomValues(out.subarray(at, at + LIMIT))
    return out
  },
  uniform: () => Math.random(),
})
