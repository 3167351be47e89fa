// Sessions and records do not depend on how a cipher hands its output over.
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type AeadKey, byteLength, equalBytes, joinBytes } from '@aiv/transport-api'
import { nodeCrypto, portableCrypto, SessionKey } from '@aiv/security'
import { FrameType } from '@aiv/htx-codec'
import { AeadRecordSealer } from '../src/index.js'
import { filled, SessionPair } from './session-pair.js'

const key = (): SessionKey => new SessionKey(nodeCrypto, 'chacha20-poly1305', 'test', new Uint8Array(32).fill(7))

/** The key of the test, whose ciphertext comes in pieces of at most `sizes[i]` bytes, the last size repeating. */
function cutting(sizes: readonly number[]): AeadKey {
  const whole = key()
  return {
    generation: 0,
    open: (sequence, aad, sealed) => whole.open(sequence, aad, sealed),
    opener: (sequence, aad) => whole.opener(sequence, aad),
    next: () => whole.next(),
    seal: (sequence, aad, plain) => {
      const sealed = whole.seal(sequence, aad, plain)
      const tag = sealed.pop() as Uint8Array
      const ciphertext = joinBytes(sealed)
      const pieces: Uint8Array[] = []
      for (let at = 0, i = 0; at < ciphertext.length; i++) {
        const size = sizes[Math.min(i, sizes.length - 1)] as number
        pieces.push(ciphertext.slice(at, at + size))
        at += size
      }
      return [...pieces, tag]
    },
  }
}

test('a frame has the same bytes however the cipher cuts them', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(
      lengths,
      fc.array(fc.integer({ min: 1, max: 4_000 }), { minLength: 1, maxLength: 4 }),
      (plain, sizes) => {
        const pieces = plain.map((length, i) => filled(length, i))
        const seal = (by: AeadKey): Uint8Array => {
          const out: Uint8Array[] = []
          new AeadRecordSealer(by).seal(FrameType.Data, 0, pieces, byteLength(pieces), 5, out)
          return joinBytes(out)
        }
        expect(equalBytes(seal(cutting(sizes)), seal(key()))).toBe(true)
      },
    ),
  )
})

describe('a session on libsodium', () => {
  test('carries small and large packets both ways', async () => {
    const pair = SessionPair.open({ crypto: await portableCrypto(), suite: 'chacha20-poly1305' })
    const sizes = [0, 1, 1_000, 3_000, 70_000, 300_000, 5]
    const sides = [pair.initiator, pair.responder]
    sizes.forEach((size, i) => {
      for (const side of sides) expect(pair.send(side, filled(size, i))).toBe('accepted')
      pair.advance(100)
    })
    for (const { packets } of sides) {
      expect(packets.map((packet, i) => equalBytes(packet, filled(sizes[i] as number, i)))).toEqual(
        sizes.map(() => true),
      )
    }
  })
})
