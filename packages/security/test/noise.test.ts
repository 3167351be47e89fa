import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { toHex } from '@aiv/transport-api'
import { CipherState, HandshakeState, noisePattern, nodeCrypto, type Crypto } from '../src/index.js'
import { cryptos } from './cryptos.js'

const none = new Uint8Array(0)
const fundamental = 'N K X NN NK NX XN XK XX KN KK KX IN IK IX'
const deferred = 'NK1 NX1 X1N X1K XK1 X1K1 X1X XX1 X1X1 K1N K1K KK1 K1K1 K1X KX1 K1X1 I1N I1K IK1 I1K1 I1X IX1 I1X1'
const patterns = `${fundamental} ${deferred}`.split(' ')

function pair(
  crypto: Crypto,
  pattern: string,
  prologue = none,
): { initiator: HandshakeState; responder: HandshakeState } {
  const [a, b] = [crypto.x25519KeyPair(new Uint8Array(32).fill(1)), crypto.x25519KeyPair(new Uint8Array(32).fill(2))]
  const { initiatorKnown, responderKnown } = noisePattern(pattern)
  const common = { crypto, pattern, suite: 'chacha20-poly1305', prologue } as const
  return {
    initiator: new HandshakeState({
      ...common,
      role: 'initiator',
      s: a,
      rs: responderKnown ? b.publicKey : undefined,
    }),
    responder: new HandshakeState({
      ...common,
      role: 'responder',
      s: b,
      rs: initiatorKnown ? a.publicKey : undefined,
    }),
  }
}

describe.each(cryptos)('Noise with %s', (_, crypto) => {
  test.each(patterns)('%s: both sides agree on hash, keys and each other', (pattern) => {
    const { initiator, responder } = pair(crypto, pattern)
    const sides = [initiator, responder] as const
    for (let i = 0; !initiator.isComplete; i++) {
      const payload = Uint8Array.of(i, i, i)
      const message = sides[i % 2 === 0 ? 0 : 1].writeMessage(payload)
      if (typeof message === 'string') throw new Error(message)
      expect(sides[i % 2 === 0 ? 1 : 0].readMessage(message)).toEqual(expect.objectContaining({ length: 3, 0: i }))
    }
    expect(responder.isComplete).toBe(true)
    expect(initiator.handshakeHash).toEqual(responder.handshakeHash)
    if (initiator.remoteStatic !== undefined) {
      expect(toHex(initiator.remoteStatic)).toBe(toHex(crypto.x25519KeyPair(new Uint8Array(32).fill(2)).publicKey))
    }
    if (responder.remoteStatic !== undefined) {
      expect(toHex(responder.remoteStatic)).toBe(toHex(crypto.x25519KeyPair(new Uint8Array(32).fill(1)).publicKey))
    }
    const keys = initiator.split().map(toHex)
    expect(responder.split().map(toHex)).toEqual(keys)
    expect(new Set(keys).size).toBe(2)
  })

  test('whatever bytes come as a message, reading gives a payload or a fault', () => {
    const anyMessage = fc.uint8Array({ maxLength: 300 })
    fc.assert(
      fc.property(fc.constantFrom('XX', 'XK', 'IK', 'X'), anyMessage, (pattern, bytes) => {
        const { responder } = pair(crypto, pattern)
        const result = responder.readMessage(bytes)
        if (pattern !== 'XX') expect(['malformed', 'decrypt', 'key']).toContain(result)
        else if (bytes.length < 32) expect(result).toBe('malformed')
      }),
      { numRuns: 60 },
    )
  })
})

describe('handshake state', () => {
  const outOfTurn = expect.objectContaining({ name: 'NoiseError', code: 'NOISE_OUT_OF_TURN' })

  test('out of turn is our own mistake', () => {
    const { initiator, responder } = pair(nodeCrypto, 'XX')
    expect(() => responder.writeMessage(none)).toThrow(outOfTurn)
    expect(() => initiator.readMessage(none)).toThrow(outOfTurn)
    expect(() => initiator.split()).toThrow(outOfTurn)
  })

  test('a message of 65,535 bytes goes through, a longer one is refused on either side', () => {
    const { initiator, responder } = pair(nodeCrypto, 'NN')
    const payload = new Uint8Array(65_535 - 32)
    const message = initiator.writeMessage(payload)
    expect(message.length).toBe(65_535)
    expect(responder.readMessage(message as Uint8Array).length).toBe(payload.length)
    const other = pair(nodeCrypto, 'NN')
    expect(() => other.initiator.writeMessage(new Uint8Array(65_504))).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
    )
    expect(other.responder.readMessage(new Uint8Array(65_536))).toBe('malformed')
  })

  test('after a fault the state is spent', () => {
    const { initiator, responder } = pair(nodeCrypto, 'XX')
    expect(responder.readMessage(none)).toBe('malformed')
    expect(() => responder.readMessage(initiator.writeMessage(none) as Uint8Array)).toThrow(outOfTurn)
    expect(() => responder.writeMessage(none)).toThrow(outOfTurn)
  })

  test('a key that the pattern needs and an unknown pattern are our own mistake', () => {
    const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
    const common = { crypto: nodeCrypto, suite: 'aes-256-gcm', role: 'initiator', prologue: none } as const
    const s = nodeCrypto.x25519KeyPair()
    expect(() => new HandshakeState({ ...common, pattern: 'XX' })).toThrow(invalid)
    expect(() => new HandshakeState({ ...common, pattern: 'XK', s })).toThrow(invalid)
    expect(() => new HandshakeState({ ...common, pattern: 'XK', s, rs: new Uint8Array(31) })).toThrow(invalid)
    expect(() => new HandshakeState({ ...common, pattern: 'KN' })).toThrow(invalid)
    for (const pattern of [
      '',
      'toString',
      'xx',
      'XXpsk4',
      'XXpsk',
      'XXpsk1+psk1',
      'ZZpsk0',
      `NNpsk0${'+psk1'.repeat(9)}`,
    ]) {
      expect(() => new HandshakeState({ ...common, pattern, s })).toThrow(invalid)
    }
  })

  test('another prologue makes the first sealed message fail', () => {
    const { initiator } = pair(nodeCrypto, 'IK', Uint8Array.of(1))
    const { responder } = pair(nodeCrypto, 'IK', Uint8Array.of(2))
    expect(responder.readMessage(initiator.writeMessage(none) as Uint8Array)).toBe('decrypt')
  })
})

describe('cipher state', () => {
  const exhausted = expect.objectContaining({ name: 'NoiseError', code: 'NOISE_NONCE_EXHAUSTED' })

  test.each(['aes-256-gcm', 'chacha20-poly1305'] as const)('%s: 2^64 − 2 is the last nonce', (suite) => {
    const state = new CipherState(nodeCrypto, suite, new Uint8Array(32))
    state.setNonce(2n ** 64n - 2n)
    const sealed = state.encryptWithAd(none, Uint8Array.of(1))
    expect(() => state.encryptWithAd(none, Uint8Array.of(1))).toThrow(exhausted)
    expect(() => state.decryptWithAd(none, sealed)).toThrow(exhausted)
    state.setNonce(2n ** 64n - 2n)
    expect(state.decryptWithAd(none, sealed)).toEqual(expect.objectContaining({ length: 1, 0: 1 }))
  })

  test.each(['aes-256-gcm', 'chacha20-poly1305'] as const)(
    '%s: rekey takes the first 32 bytes of zeros sealed under nonce 2^64 − 1, and keeps the counter',
    (suite) => {
      const key = new Uint8Array(32).fill(3)
      const nonce = new Uint8Array(12).fill(0xff, 4)
      const next = (nodeCrypto.aead(suite, key).seal(nonce, none, new Uint8Array(32))[0] as Uint8Array).subarray(0, 32)
      const state = new CipherState(nodeCrypto, suite, key)
      state.encryptWithAd(none, none)
      state.rekey()
      const expected = new CipherState(nodeCrypto, suite, next)
      expected.setNonce(1n)
      const plain = Uint8Array.of(9, 9)
      expect(toHex(state.encryptWithAd(none, plain))).toBe(toHex(expected.encryptWithAd(none, plain)))
    },
  )

  test('a forgery leaves the counter where it was', () => {
    const [sender, receiver] = [1, 2].map(() => new CipherState(nodeCrypto, 'aes-256-gcm', new Uint8Array(32)))
    const sealed = sender?.encryptWithAd(none, Uint8Array.of(5)) ?? none
    const forged = Uint8Array.from(sealed, (byte, i) => (i === 0 ? byte ^ 1 : byte))
    expect(receiver?.decryptWithAd(none, forged)).toBeUndefined()
    expect(receiver?.decryptWithAd(none, sealed)?.length).toBe(1)
  })

  test('without a key everything passes, and rekey does nothing', () => {
    const state = new CipherState(nodeCrypto, 'aes-256-gcm')
    state.rekey()
    expect(state.hasKey).toBe(false)
    expect(state.encryptWithAd(none, Uint8Array.of(1))).toEqual(Uint8Array.of(1))
    expect(state.decryptWithAd(none, Uint8Array.of(1))).toEqual(Uint8Array.of(1))
  })
})
