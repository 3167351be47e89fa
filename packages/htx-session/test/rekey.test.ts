import { describe, expect, test } from '@jest/globals'
import { type Aead, type Crypto, nodeCrypto } from '@aiv/security'
import type { CipherSuite } from '@aiv/transport-api'
import { toHex } from '@aiv/transport-api'
import { SessionPair, filled } from './session-pair.js'

/** A Crypto that notes every key and nonce that seals, and says when a pair comes twice. */
function recordingCrypto(): { crypto: Crypto; pairs: Set<string>; keys: Set<string>; repeats: string[] } {
  const pairs = new Set<string>()
  const keys = new Set<string>()
  const repeats: string[] = []
  const crypto: Crypto = {
    ...nodeCrypto,
    aead(suite, key): Aead {
      const name = `${suite} ${toHex(key)}`
      const inner = nodeCrypto.aead(suite, key)
      return {
        seal(nonce, aad, plain) {
          const pair = `${name} ${toHex(nonce)}`
          if (pairs.has(pair)) repeats.push(pair)
          pairs.add(pair)
          keys.add(name)
          return inner.seal(nonce, aad, plain)
        },
        open: (nonce, aad, sealed) => inner.open(nonce, aad, sealed),
        opener: (nonce, aad) => inner.opener(nonce, aad),
        wipe: () => inner.wipe(),
      }
    },
  }
  return { crypto, pairs, keys, repeats }
}

describe('keys', () => {
  test.each<CipherSuite>(['aes-256-gcm', 'chacha20-poly1305'])(
    'no key and nonce pair ever repeats, over rekeys and in both directions, with %s',
    (suite) => {
      const { crypto, pairs, keys, repeats } = recordingCrypto()
      const pair = SessionPair.open({
        suite,
        crypto,
        options: { rekeyAfterFrames: 1_100, controlFramesPerSecond: 1_000_000 },
      })
      const handshakeKeys = keys.size
      for (let i = 0; i < 5_000; i++) {
        pair.send(pair.initiator, filled(20, i))
        if (i % 2 === 0) pair.send(pair.responder, filled(30, i))
        pair.settle()
        pair.now += 0.25
      }
      pair.advance(100)
      expect(pair.responder.packets).toHaveLength(5_000)
      expect(pair.initiator.packets).toHaveLength(2_500)
      expect(repeats).toEqual([])
      expect(pairs.size).toBeGreaterThan(7_500)
      // five generations in one direction, three in the other
      expect(keys.size - handshakeKeys).toBeGreaterThanOrEqual(8)
      expect(pair.initiator.closed ?? pair.responder.closed).toBeUndefined()
    },
  )

  test('a key is changed after its bytes as well, though not more often than the other side takes', () => {
    const { crypto, keys } = recordingCrypto()
    const pair = SessionPair.open({ crypto, options: { rekeyAfterBytes: 1024 * 1024 } })
    const before = keys.size
    for (let i = 0; i < 8; i++) {
      pair.send(pair.initiator, filled(900_000))
      pair.advance(1_100)
    }
    expect(pair.responder.packets).toHaveLength(8)
    expect(keys.size - before).toBeGreaterThanOrEqual(7)
  })

  test('a key is changed after an hour', () => {
    const { crypto, keys } = recordingCrypto()
    const pair = SessionPair.open({ crypto, delayMs: 5 })
    pair.send(pair.initiator, filled(1))
    pair.advance(10_000)
    const before = keys.size
    pair.advance(2 * 3_600_000)
    expect(keys.size - before).toBe(4)
    expect(pair.initiator.closed).toBeUndefined()
  })
})
