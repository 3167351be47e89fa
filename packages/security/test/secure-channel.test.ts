import { describe, expect, test } from '@jest/globals'
import {
  toHex,
  type AivError,
  type CipherSuite,
  type Handshake,
  type HandshakeOptions,
  type HandshakePattern,
  type SecureSession,
} from '@aiv/transport-api'
import {
  certificateBody,
  encodeCertificate,
  HandshakeState,
  Identity,
  identityFromSeed,
  NOISE_KEY_LIFE_MS,
  nodeCrypto,
  secureChannels,
  type Crypto,
} from '../src/index.js'
import { cryptos } from './cryptos.js'

const utf8 = new TextEncoder()
const now = Date.UTC(2026, 0, 1)
const clock = { unixNow: () => now }
const none = new Uint8Array(0)
const prologue = utf8.encode('prologue')
const fill = (byte: number) => new Uint8Array(32).fill(byte)

interface Play {
  readonly alice?: Identity
  readonly bob?: Identity
  readonly pattern: HandshakePattern
  readonly suite: CipherSuite
  readonly initiator?: Partial<HandshakeOptions>
  readonly responder?: Partial<HandshakeOptions>
}

function start({ pattern, suite, ...play }: Play, crypto: Crypto = nodeCrypto) {
  const alice = play.alice ?? identityFromSeed(crypto, fill(1))
  const bob = play.bob ?? identityFromSeed(crypto, fill(2))
  const common = { pattern, suite, label: 'test/1', prologue, payload: none, remoteStatic: undefined } as const
  const initiator = secureChannels({ identity: alice, clock }).start({
    ...common,
    role: 'initiator',
    expected: bob.nodeId,
    ...(pattern === 'XK' && { remoteStatic: bob.noiseStatic.publicKey }),
    ...play.initiator,
  })
  const responder = secureChannels({ identity: bob, clock }).start({
    ...common,
    role: 'responder',
    expected: undefined,
    ...play.responder,
  })
  return { alice, bob, initiator, responder }
}

function run({ initiator, responder }: { initiator: Handshake; responder: Handshake }): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let i = 0; i < 4; i++) {
    const message = (i % 2 === 0 ? initiator : responder).pollMessage()
    if (message === undefined) break
    messages.push(message)
    ;(i % 2 === 0 ? responder : initiator).handleMessage(message)
  }
  return messages
}

function session(handshake: Handshake): SecureSession {
  const { outcome } = handshake
  if (outcome === undefined || !('sending' in outcome)) throw new Error('no session')
  return outcome
}

const codeOf = (handshake: Handshake) => (handshake.outcome as AivError | undefined)?.code

const both = [
  ['XX', 'aes-256-gcm'],
  ['XX', 'chacha20-poly1305'],
  ['XK', 'aes-256-gcm'],
  ['XK', 'chacha20-poly1305'],
] as const

describe.each(both)('%s with %s', (pattern, suite) => {
  test('the messages have the sizes of the wire document', () => {
    const sides = start({ pattern, suite, initiator: { payload: fill(7) }, responder: { payload: fill(8) } })
    const sizes = run(sides).map(({ length }) => length)
    expect(sizes).toEqual(pattern === 'XX' ? [32, 228, 196] : [48, 180, 196])
    expect(session(sides.initiator).remote.nodeId).toBe(sides.bob.nodeId)
    expect(session(sides.responder).remotePayload).toEqual(fill(7))
  })

  test('every changed byte of every message ends in a fault, and no side that sees it has a session', () => {
    const { alice, bob, ...first } = start({ pattern, suite })
    const sizes = run(first).map(({ length }) => length)
    sizes.forEach((size, spoiled) => {
      for (let at = 0; at < size; at++) {
        const { initiator, responder } = start({ pattern, suite, alice, bob })
        for (let i = 0; i < 3; i++) {
          const message = (i % 2 === 0 ? initiator : responder).pollMessage()
          if (message === undefined) break
          if (i === spoiled) message[at] = (message[at] as number) ^ (1 << (at % 8))
          ;(i % 2 === 0 ? responder : initiator).handleMessage(message)
        }
        const codes = [codeOf(initiator), codeOf(responder)].filter((code) => code !== undefined)
        expect([spoiled, at, codes.length]).toEqual([spoiled, at, 1])
        // the initiator of a spoiled message 3 cannot know; nobody else has a session
        const established = [initiator, responder].filter(({ outcome }) => outcome && 'sending' in outcome)
        expect(established).toEqual(spoiled === 2 ? [initiator] : [])
      }
    })
  })

  test('nothing of the identities can be read on the wire', () => {
    const sides = start({ pattern, suite })
    const wire = run(sides).map(toHex).join('')
    for (const { publicKey, noiseStatic } of [sides.alice, sides.bob]) {
      expect(wire).not.toContain(toHex(publicKey))
      expect(wire).not.toContain(toHex(noiseStatic.publicKey))
    }
  })
})

describe('the keys of a session', () => {
  test('are those of the wire document', () => {
    const sides = start({ pattern: 'XX', suite: 'aes-256-gcm' })
    // the same handshake on the bare Noise state, which gives the secrets of Split
    const seeds = [fill(31), fill(32)] as const
    const crypto = (seed: Uint8Array): Crypto => ({
      ...nodeCrypto,
      x25519KeyPair: (given) => nodeCrypto.x25519KeyPair(given ?? seed),
    })
    const [alice, bob] = [identityFromSeed(crypto(seeds[0]), fill(1)), identityFromSeed(crypto(seeds[1]), fill(2))]
    const real = start({ pattern: 'XX', suite: 'aes-256-gcm', alice, bob })
    run(real)
    const state = (role: 'initiator' | 'responder', identity: Identity, e: Uint8Array) =>
      new HandshakeState({
        crypto: nodeCrypto,
        pattern: 'XX',
        suite: 'aes-256-gcm',
        role,
        prologue,
        s: nodeCrypto.x25519KeyPair(identity.exportSecrets().noisePrivateKey),
        e: nodeCrypto.x25519KeyPair(e),
      })
    const [i, r] = [state('initiator', alice, seeds[0]), state('responder', bob, seeds[1])]
    r.readMessage(i.writeMessage(none) as Uint8Array)
    i.readMessage(r.writeMessage(bob.certificate(now)) as Uint8Array)
    r.readMessage(i.writeMessage(alice.certificate(now)) as Uint8Array)
    let [secret] = i.split()

    expect(toHex(session(real.initiator).handshakeHash)).toBe(toHex(r.handshakeHash))
    let key = session(real.initiator).sending
    for (let generation = 0; generation < 3; generation++) {
      const nonce = new Uint8Array(12)
      nonce.set(nodeCrypto.hkdfExpand(secret, 'test/1 salt', 4))
      nonce[7] = generation
      nonce.set([0x01, 0x02, 0x03, 0x04], 8)
      const aead = nodeCrypto.aead('aes-256-gcm', nodeCrypto.hkdfExpand(secret, 'test/1 key', 32))
      expect(key.generation).toBe(generation)
      expect(key.seal(0x01020304, prologue, fill(5)).map(toHex)).toEqual(aead.seal(nonce, prologue, fill(5)).map(toHex))
      secret = nodeCrypto.hkdfExpand(secret, 'test/1 next', 32)
      key = key.next()
    }
    run(sides)
  })

  test('cannot be used once they were replaced, and take no sequence that is no u32', () => {
    const sides = start({ pattern: 'XX', suite: 'chacha20-poly1305' })
    run(sides)
    const { sending, receiving } = session(sides.initiator)
    const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
    for (const sequence of [-1, 2 ** 32, 1.5, NaN, Infinity]) {
      expect(() => sending.seal(sequence, none, none)).toThrow(invalid)
      expect(() => receiving.open(sequence, none, fill(0))).toThrow(invalid)
      expect(() => receiving.opener(sequence, none)).toThrow(invalid)
    }
    sending.next()
    expect(() => sending.next()).toThrow(invalid)
    expect(() => sending.seal(1, none, none)).toThrow(invalid)
  })

  test.each(both)('%s, %s: no key is ever used twice with one nonce, over handshakes and rekeys', (pattern, suite) => {
    const used = new Set<string>()
    let sealed = 0
    const recording: Crypto = {
      ...nodeCrypto,
      aead(name, key) {
        const aead = nodeCrypto.aead(name, key)
        const keyText = toHex(key)
        return {
          seal(nonce, aad, plain) {
            sealed++
            used.add(`${keyText} ${toHex(nonce)}`)
            return aead.seal(nonce, aad, plain)
          },
          open: (nonce, aad, bytes) => aead.open(nonce, aad, bytes),
          opener: (nonce, aad) => aead.opener(nonce, aad),
          wipe: () => aead.wipe(),
        }
      },
    }
    const [alice, bob] = [identityFromSeed(recording, fill(1)), identityFromSeed(recording, fill(2))]
    for (let i = 0; i < 4; i++) {
      const sides = start({ pattern, suite, alice, bob })
      run(sides)
      for (const side of [sides.initiator, sides.responder]) {
        let key = session(side).sending
        for (let generation = 0; generation < 4; generation++) {
          for (const sequence of [0, 1, 2, 255, 256, 65_536, 0x7fffffff, 0x80000000, 0xffffffff]) {
            key.seal(sequence, none, fill(1))
          }
          key = key.next()
        }
      }
    }
    expect(sealed).toBeGreaterThan(288)
    expect(used.size).toBe(sealed)
  })
})

describe('a node that was met before', () => {
  const common = { pattern: 'XX', suite: 'aes-256-gcm', label: 'test/1', prologue, payload: none } as const

  function acquainted() {
    let agreed = 0
    const counting: Crypto = {
      ...nodeCrypto,
      x25519: (...args) => {
        agreed++
        return nodeCrypto.x25519(...args)
      },
    }
    const alice = identityFromSeed(counting, fill(1))
    const bob = identityFromSeed(nodeCrypto, fill(2))
    const [ofAlice, ofBob] = [secureChannels({ identity: alice, clock }), secureChannels({ identity: bob, clock })]
    const dial = (answering = ofBob) => {
      agreed = 0
      return {
        initiator: ofAlice.start({ ...common, role: 'initiator', expected: bob.nodeId, remoteStatic: undefined }),
        responder: answering.start({ ...common, role: 'responder', expected: undefined, remoteStatic: undefined }),
      }
    }
    run(dial())
    return { alice, bob, dial, agreed: () => agreed }
  }

  test('costs the initiator one agreement less between message 2 and message 3', () => {
    const { bob, dial, agreed } = acquainted()
    const { initiator, responder } = dial()
    responder.handleMessage(initiator.pollMessage() as Uint8Array)
    expect(agreed()).toBe(1)
    initiator.handleMessage(responder.pollMessage() as Uint8Array)
    responder.handleMessage(initiator.pollMessage() as Uint8Array)
    expect(agreed()).toBe(3)
    expect(session(initiator).remote.nodeId).toBe(bob.nodeId)
    const sealed = session(initiator).sending.seal(1, none, fill(5))
    expect(session(responder).receiving.open(1, none, Buffer.concat(sealed))).toEqual(Buffer.from(fill(5)))
  })

  test('may have another static key by now', () => {
    const { alice, bob, dial, agreed } = acquainted()
    bob.rotateNoiseKey(now)
    expect(bob.rotateNoiseKey(now + NOISE_KEY_LIFE_MS)).toBe(true)
    const sides = dial()
    run(sides)
    expect(agreed()).toBe(4)
    expect(session(sides.initiator).remoteStatic).toEqual(new Uint8Array(bob.noiseStatic.publicKey))
    expect(session(sides.responder).remote.nodeId).toBe(alice.nodeId)
  })

  test('is not taken for whoever answers in its place', () => {
    const { dial } = acquainted()
    const mallory = secureChannels({ identity: identityFromSeed(nodeCrypto, fill(6)), clock })
    const sides = dial(mallory)
    expect(run(sides)).toHaveLength(2)
    expect(codeOf(sides.initiator)).toBe('IDENTITY_MISMATCH')
  })

  test('has every byte of its message looked at', () => {
    const { dial } = acquainted()
    for (let at = 0; at < 196; at++) {
      const { initiator, responder } = dial()
      responder.handleMessage(initiator.pollMessage() as Uint8Array)
      const message = responder.pollMessage() as Uint8Array
      message[at] = (message[at] as number) ^ (1 << (at % 8))
      initiator.handleMessage(message)
      expect([at, codeOf(initiator)]).toEqual([at, 'HANDSHAKE_DECRYPT'])
      expect(initiator.pollMessage()).toBeUndefined()
    }
  })
})

describe('who may be there', () => {
  const suite = 'chacha20-poly1305'

  test('XK to another static key fails at the responder, with HANDSHAKE_DECRYPT', () => {
    const remoteStatic = identityFromSeed(nodeCrypto, fill(3)).noiseStatic.publicKey
    const sides = start({ pattern: 'XK', suite, initiator: { remoteStatic } })
    run(sides)
    expect(codeOf(sides.responder)).toBe('HANDSHAKE_DECRYPT')
    expect(sides.initiator.outcome).toBeUndefined()
  })

  test('a static key of low order, from a record, is a fault and no exception', () => {
    const { initiator } = start({ pattern: 'XK', suite, initiator: { remoteStatic: new Uint8Array(32) } })
    expect(codeOf(initiator)).toBe('KEY_INVALID')
    expect(initiator.pollMessage()).toBeUndefined()
  })

  test('whoever publishes the static key of another node and relays its handshake is found out', () => {
    // mallory's record names bob's static key; alice dials mallory, and bob answers
    const mallory = identityFromSeed(nodeCrypto, fill(6))
    for (const pattern of ['XX', 'XK'] as const) {
      const sides = start({ pattern, suite, initiator: { expected: mallory.nodeId } })
      const messages = run(sides)
      expect(codeOf(sides.initiator)).toBe('IDENTITY_MISMATCH')
      expect(messages.length).toBe(2)
    }
  })

  test('a certificate of another node, shown beside an own static key, is CERTIFICATE_INVALID', () => {
    const bob = identityFromSeed(nodeCrypto, fill(2))
    class Impostor extends Identity {
      override certificate(unixNow: number): Uint8Array {
        return bob.certificate(unixNow)
      }
    }
    const impostor = new Impostor(nodeCrypto, identityFromSeed(nodeCrypto, fill(9)).exportSecrets())
    for (const pattern of ['XX', 'XK'] as const) {
      const asResponder = start({ pattern, suite, bob: impostor, initiator: { expected: bob.nodeId } })
      run(asResponder)
      expect(codeOf(asResponder.initiator)).toBe('CERTIFICATE_INVALID')
      const asInitiator = start({ pattern, suite, alice: impostor, bob: identityFromSeed(nodeCrypto, fill(4)) })
      run(asInitiator)
      expect(codeOf(asInitiator.responder)).toBe('CERTIFICATE_INVALID')
    }
  })

  test.each([
    ['one second too old', -120 - 1, 'CERTIFICATE_EXPIRED'],
    ['just old enough', -120, undefined],
    ['as long as is allowed', 604_800 + 120, undefined],
    ['one second too long', 604_800 + 121, 'CERTIFICATE_INVALID'],
    ['at the end of time', 0xffffffff - now / 1000, 'CERTIFICATE_INVALID'],
  ])('a certificate %s: %i s from now', (_, offset, code) => {
    class Timed extends Identity {
      override certificate(unixNow: number): Uint8Array {
        const notAfter = unixNow / 1000 + offset
        const body = certificateBody(this.publicKey, this.noiseStatic.publicKey, notAfter)
        return encodeCertificate({ publicKey: this.publicKey, notAfter }, this.sign('aiv-noise-static/1', body))
      }
    }
    const sides = start({
      pattern: 'XX',
      suite,
      alice: new Timed(nodeCrypto, identityFromSeed(nodeCrypto, fill(1)).exportSecrets()),
    })
    run(sides)
    expect(codeOf(sides.responder)).toBe(code)
  })

  test('a payload in message 1 is HANDSHAKE_MALFORMED, it would be open to all', () => {
    for (const pattern of ['XX', 'XK'] as const) {
      const { bob, responder } = start({ pattern, suite })
      const state = new HandshakeState({
        crypto: nodeCrypto,
        pattern,
        suite,
        role: 'initiator',
        prologue,
        s: nodeCrypto.x25519KeyPair(),
        rs: pattern === 'XK' ? bob.noiseStatic.publicKey : undefined,
      })
      responder.handleMessage(state.writeMessage(Uint8Array.of(1)) as Uint8Array)
      expect(codeOf(responder)).toBe('HANDSHAKE_MALFORMED')
    }
  })

  test('a message 3 without a whole certificate is HANDSHAKE_MALFORMED', () => {
    const { responder } = start({ pattern: 'XX', suite })
    const state = new HandshakeState({
      crypto: nodeCrypto,
      pattern: 'XX',
      suite,
      role: 'initiator',
      prologue,
      s: nodeCrypto.x25519KeyPair(),
    })
    responder.handleMessage(state.writeMessage(none) as Uint8Array)
    state.readMessage(responder.pollMessage() as Uint8Array)
    responder.handleMessage(state.writeMessage(new Uint8Array(99)) as Uint8Array)
    expect(codeOf(responder)).toBe('HANDSHAKE_MALFORMED')
  })

  test('what comes after the end changes nothing', () => {
    const sides = start({ pattern: 'XX', suite })
    const messages = run(sides)
    const before = [sides.initiator.outcome, sides.responder.outcome]
    for (const message of messages) {
      sides.initiator.handleMessage(message)
      sides.responder.handleMessage(message)
    }
    expect([sides.initiator.outcome, sides.responder.outcome]).toEqual(before)
    expect(sides.initiator.outcome).toBe(before[0])
  })

  test('a static key that is replaced during a handshake does not disturb it', () => {
    const sides = start({ pattern: 'XK', suite })
    sides.bob.rotateNoiseKey(now + 91 * 86_400_000)
    run(sides)
    expect(session(sides.initiator).remote.nodeId).toBe(sides.bob.nodeId)
  })

  test('a node with libsodium and one with node:crypto understand each other, and only in the suite of both', () => {
    const [, [, portable]] = cryptos as readonly [unknown, readonly [string, Crypto]]
    const alice = identityFromSeed(portable, fill(1))
    for (const pattern of ['XX', 'XK'] as const) {
      const sides = start({ pattern, suite, alice })
      run(sides)
      const sealed = session(sides.initiator).sending.seal(1, prologue, [fill(1), fill(2)])
      const opener = session(sides.responder).receiving.opener(1, prologue)
      opener.update(sealed[0] as Uint8Array)
      expect(
        opener
          .finish(sealed[1] as Uint8Array)
          ?.map(toHex)
          .join(''),
      ).toBe('01'.repeat(32) + '02'.repeat(32))
    }
    expect(() => start({ pattern: 'XX', suite: 'aes-256-gcm', alice })).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
    )
  })
})
