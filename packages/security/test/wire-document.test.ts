import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fromHex, toHex, type Handshake, type SecureSession } from '@aiv/transport-api'
import {
  Identity,
  identityFromSeed,
  secureChannels,
  signPeerRecord,
  verifyPeerRecord,
  type Crypto,
} from '../src/index.js'
import { cryptos } from './cryptos.js'

const documentText = readFileSync(fileURLToPath(new URL('../../../docs/wire/identity.md', import.meta.url)), 'utf8')

/** The golden values of the document: `name  hex`, one after another in its last code block. */
const golden = new Map<string, string>()
for (const [, name = '', hex = ''] of documentText
  .slice(documentText.indexOf('## Golden values'))
  .matchAll(/^([a-z0-9][a-z0-9 -]*?) {2,}([0-9a-f]+(?:\n {2,}[0-9a-f]+)*)$/gm)) {
  golden.set(name, hex.replace(/\s/g, ''))
}

const seedA = fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
const seedB = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
const now = 1_735_689_600_000

/** An identity with given Noise keys, static and ephemeral: everything that it says is then fixed. */
function fixed(crypto: Crypto, seed: Uint8Array, noise: number, ephemeral: number): Identity {
  const given: Crypto = {
    ...crypto,
    x25519KeyPair: (own) => crypto.x25519KeyPair(own ?? new Uint8Array(32).fill(ephemeral)),
  }
  return new Identity(given, { seed, noisePrivateKey: new Uint8Array(32).fill(noise), noiseSince: undefined })
}

describe.each(cryptos)('docs/wire/identity.md with %s', (_, crypto) => {
  const values = new Map<string, Uint8Array>()
  const a = fixed(crypto, seedA, 0x11, 0x33)
  const b = fixed(crypto, seedB, 0x22, 0x44)
  values.set('a key', a.publicKey)
  values.set('a id', fromHex(a.nodeId))
  values.set('a noise key', a.noiseStatic.publicKey)
  values.set('a certificate', a.certificate(now))
  values.set('b key', b.publicKey)
  values.set('b id', fromHex(b.nodeId))
  values.set('b noise key', b.noiseStatic.publicKey)
  values.set('b certificate', b.certificate(now))
  const record = signPeerRecord(
    a,
    {
      deviceType: 'server',
      addresses: ['htx://192.0.2.7:8888'],
      relays: [b.nodeId],
      mailboxRelays: [],
      signedPrekey: undefined,
      onionKey: undefined,
      capabilities: Uint8Array.of(1),
      nextKeyHash: undefined,
    },
    { now },
  )
  values.set('a record', record.bytes)

  const clock = { unixNow: () => now }
  const [ofA, ofB] = [secureChannels({ identity: a, clock }), secureChannels({ identity: b, clock })]
  // the second one builds on the first
  for (const [pattern, of, count] of [
    ['XX', 'xx', 3],
    ['XX', 'nn', 2],
    ['XK', 'xk', 3],
  ] as const) {
    const common = {
      pattern,
      suite: 'chacha20-poly1305',
      label: 'aiv-htx/1.1',
      prologue: new TextEncoder().encode('golden'),
      resume: true,
    } as const
    const initiator = ofA.start({
      ...common,
      role: 'initiator',
      payload: Uint8Array.of(0xaa),
      expected: b.nodeId,
      remoteStatic: pattern === 'XK' ? b.noiseStatic.publicKey : undefined,
    })
    const responder = ofB.start({
      ...common,
      role: 'responder',
      payload: Uint8Array.of(0xbb),
      expected: undefined,
      remoteStatic: undefined,
    })
    for (let i = 0; i < count; i++) {
      const [from, to]: Handshake[] = i % 2 === 0 ? [initiator, responder] : [responder, initiator]
      const message = from?.pollMessage(Uint8Array.of(0xcc, 0xdd)) ?? new Uint8Array(0)
      values.set(`${of} ${i + 1}`, message)
      to?.handleMessage(message)
    }
    const { handshakeHash, sending } = initiator.outcome as SecureSession
    expect((responder.outcome as SecureSession).handshakeHash).toEqual(handshakeHash)
    values.set(`${of} hash`, handshakeHash)
    const sealed = (key: typeof sending) =>
      fromHex(
        key
          .seal(1, Uint8Array.of(1, 2), Uint8Array.of(3, 4, 5))
          .map(toHex)
          .join(''),
      )
    values.set(`${of} sealed 0`, sealed(sending))
    values.set(`${of} sealed 1`, sealed(sending.next()))
  }

  test('every golden value is what we make', () => {
    expect(Object.fromEntries([...values].map(([name, bytes]) => [name, toHex(bytes)]))).toEqual(
      Object.fromEntries(golden),
    )
  })

  test('the record of the document is believed at its time', () => {
    const bytes = fromHex(golden.get('a record') ?? '')
    expect(verifyPeerRecord(crypto, bytes, now, a.nodeId)).toHaveProperty('deviceType', 'server')
  })

  test('an identity from a seed has the keys of the document', () => {
    const identity = identityFromSeed(crypto, seedA)
    expect(toHex(identity.publicKey)).toBe(golden.get('a key'))
    expect(identity.nodeId).toBe(golden.get('a id'))
  })
})
