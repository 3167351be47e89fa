import { toHex } from '@aiv/transport-api'

/** Answers that are kept; those of the recorded, honest steps come first. */
const MAX_KEPT = 500

/**
 * `crypto`, which does its curve arithmetic once for what comes again: most steps of a bent handshake are those of the
 * recorded one, and they would be two thirds of the time. What is new is computed, as ever.
 */
export function remembering(crypto) {
  const kept = new Map()
  const once = (question, compute) => {
    const known = kept.get(question)
    if (known !== undefined) return known
    const answer = compute()
    if (answer !== undefined && kept.size < MAX_KEPT) kept.set(question, answer)
    return answer
  }
  return {
    ...crypto,
    x25519KeyPair: (seed) =>
      seed === undefined ? crypto.x25519KeyPair() : once(`pair ${toHex(seed)}`, () => crypto.x25519KeyPair(seed)),
    x25519: (own, publicKey) => {
      const secret = once(`secret ${toHex(own.publicKey)} ${toHex(publicKey)}`, () => crypto.x25519(own, publicKey))
      // a copy, since whoever asks may wipe it
      return secret === undefined ? undefined : new Uint8Array(secret)
    },
    verify: (publicKey, message, signature) =>
      once(`verdict ${[publicKey, message, signature].map(toHex).join(' ')}`, () =>
        crypto.verify(publicKey, message, signature),
      ),
  }
}
