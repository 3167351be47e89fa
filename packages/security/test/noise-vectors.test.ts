import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { fromHex, toHex, type CipherSuite } from '@aiv/transport-api'
import { CipherState, HandshakeState, noisePattern, nodeCrypto, portableCrypto, type Crypto } from '../src/index.js'
import { describeWith } from './vectors.js'

interface Vector {
  readonly protocol_name: string
  readonly init_prologue: string
  readonly init_static?: string
  readonly init_ephemeral?: string
  readonly init_remote_static?: string
  readonly resp_prologue: string
  readonly resp_static?: string
  readonly resp_ephemeral?: string
  readonly resp_remote_static?: string
  readonly psk?: string
  readonly handshake_hash?: string
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[]
}

const portable = await portableCrypto()
const suiteNames: Readonly<Record<string, CipherSuite>> = { AESGCM: 'aes-256-gcm', ChaChaPoly: 'chacha20-poly1305' }

function play(crypto: Crypto, vector: Vector): void {
  const [, pattern = '', curve, cipher = '', hash] = vector.protocol_name.split('_')
  const suite = suiteNames[cipher]
  if (suite === undefined || curve !== '25519' || hash !== 'SHA256') throw new Error(vector.protocol_name)
  const pair = (hex: string | undefined) => (hex === undefined ? undefined : crypto.x25519KeyPair(fromHex(hex)))
  const key = (hex: string | undefined) => (hex === undefined ? undefined : fromHex(hex))
  const psks = vector.psk === undefined ? [] : [fromHex(vector.psk)]
  const common = { crypto, pattern, suite, psks }
  const initiator = new HandshakeState({
    ...common,
    role: 'initiator',
    prologue: fromHex(vector.init_prologue),
    s: pair(vector.init_static),
    e: pair(vector.init_ephemeral),
    rs: key(vector.init_remote_static),
  })
  const responder = new HandshakeState({
    ...common,
    role: 'responder',
    prologue: fromHex(vector.resp_prologue),
    s: pair(vector.resp_static),
    e: pair(vector.resp_ephemeral),
    rs: key(vector.resp_remote_static),
  })
  const rounds = noisePattern(pattern).messages.length
  vector.messages.slice(0, rounds).forEach(({ payload, ciphertext }, i) => {
    const [sender, receiver] = i % 2 === 0 ? [initiator, responder] : [responder, initiator]
    const message = sender.writeMessage(fromHex(payload))
    if (typeof message === 'string') throw new Error(message)
    expect(toHex(message)).toBe(ciphertext)
    const read = receiver.readMessage(message)
    expect(typeof read === 'string' ? read : toHex(read)).toBe(payload)
  })
  expect(toHex(initiator.handshakeHash)).toBe(toHex(responder.handshakeHash))
  if (vector.handshake_hash !== undefined) expect(toHex(initiator.handshakeHash)).toBe(vector.handshake_hash)

  const ciphers = (state: HandshakeState) => state.split().map((k) => new CipherState(crypto, suite, k))
  const [initiatorSends, initiatorReceives] = ciphers(initiator)
  const [responderReceives, responderSends] = ciphers(responder)
  vector.messages.slice(rounds).forEach(({ payload, ciphertext }, i) => {
    // cacophony: the sender goes on alternating from the first handshake message, and a one-way pattern has one sender;
    // flynn/noise: both keys in turn, the initiator's first
    const fromInitiator = vector.psk !== undefined ? i % 2 === 0 : rounds === 1 || (rounds + i) % 2 === 0
    const sender = fromInitiator ? initiatorSends : responderSends
    const receiver = fromInitiator ? responderReceives : initiatorReceives
    const none = new Uint8Array(0)
    expect(toHex(sender?.encryptWithAd(none, fromHex(payload)) ?? none)).toBe(ciphertext)
    expect(toHex(receiver?.decryptWithAd(none, fromHex(ciphertext)) ?? none)).toBe(payload)
  })
}

describeWith<{ vectors: readonly Vector[] }>(
  'Noise vectors of cacophony',
  'noise/cacophony.json',
  ({ vectors = [] }) => {
    const isNode = /^Noise_[A-Z0-9]+_25519_(AESGCM|ChaChaPoly)_SHA256$/
    const played = vectors.filter(({ protocol_name }) => isNode.test(protocol_name))

    test('none is left out', () => {
      expect(played.length).toBe(vectors.length)
      expect(vectors.length).toBeGreaterThan(0)
    })

    for (const vector of played) {
      test(`${vector.protocol_name}: every byte and the hash, on node:crypto`, () => play(nodeCrypto, vector))
      if (vector.protocol_name.includes('ChaChaPoly')) {
        test(`${vector.protocol_name}: every byte and the hash, on libsodium`, () => play(portable, vector))
      }
    }
  },
)

// Of another implementation (test/noise-psk-vectors.json says which), since cacophony's file here has none with keys
describe('Noise vectors with pre-shared keys', () => {
  const file = readFileSync(new URL('noise-psk-vectors.json', import.meta.url), 'utf8')
  const { vectors } = JSON.parse(file) as { vectors: readonly Vector[] }
  const publicOf = (seed: string | undefined) =>
    seed === undefined ? undefined : toHex(nodeCrypto.x25519KeyPair(fromHex(seed)).publicKey)

  test.each(vectors)('$protocol_name: every byte', (vector) => {
    const { initiatorKnown, responderKnown } = noisePattern(vector.protocol_name.split('_')[1] ?? '')
    play(nodeCrypto, {
      ...vector,
      ...(responderKnown ? { init_remote_static: publicOf(vector.resp_static) as string } : {}),
      ...(initiatorKnown ? { resp_remote_static: publicOf(vector.init_static) as string } : {}),
    })
  })
})
