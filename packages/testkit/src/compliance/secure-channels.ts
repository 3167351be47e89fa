import {
  type AivError,
  type AeadKey,
  type CipherSuite,
  type Handshake,
  type HandshakeOptions,
  type HandshakePattern,
  type NodeId,
  type SecureChannels,
  type SecureSession,
  joinBytes,
} from '@aiv/transport-api'
import { check, codeOf, equal, fail, sameBytes, thrownCode } from './assert.js'
import type { ComplianceRunner } from './runner.js'

/** One node that can make handshakes. */
export interface SecureParty {
  readonly channels: SecureChannels
  readonly nodeId: NodeId
}

/** What {@link secureChannelsCompliance} needs of an implementation. */
export interface SecureChannelsSetup {
  /** Another name gives another identity; the same name need not give the same one again. */
  create(name: string): SecureParty | Promise<SecureParty>
  /** An identity whose static-key certificate has run out; without it that one test is not registered. */
  createExpired?(name: string): SecureParty | Promise<SecureParty>
  /** Suites that every party has. @defaultValue both */
  readonly suites?: readonly CipherSuite[]
}

type Overrides = Partial<Omit<HandshakeOptions, 'role'>>

const text = new TextEncoder()
const NOTHING = new Uint8Array(0)
const LABEL = 'aiv-compliance/1'
const PROLOGUE = text.encode('prologue of the compliance suite')
/** Longest payload of a handshake, and so the largest that both sides must take. */
const MAX_PAYLOAD_BYTES = 512
const TAG_BYTES = 16

/**
 * What every `SecureChannels` owes a transport: handshakes that prove both sides or fail with a code, and keys that
 * open what the other side sealed and nothing else. The whole use, with jest or node:test:
 *
 * ```ts
 * import { describe, test } from 'node:test' // or from '@jest/globals'
 * import { secureChannelsCompliance } from '@aiv/testkit'
 *
 * secureChannelsCompliance({ describe, test }, {
 *   create: async (name) => {
 *     const identity = await createIdentity(seedOf(name))
 *     return { channels: noiseChannels(identity), nodeId: identity.nodeId }
 *   },
 * })
 * ```
 */
export function secureChannelsCompliance(runner: ComplianceRunner, setup: SecureChannelsSetup): void {
  const suites = setup.suites ?? (['aes-256-gcm', 'chacha20-poly1305'] as const)
  const test = (name: string, body: () => Promise<void>): void => void runner.test(name, body)

  const parties = async (): Promise<{ alice: SecureParty; bob: SecureParty }> => ({
    alice: await setup.create('alice'),
    bob: await setup.create('bob'),
  })

  runner.describe('SecureChannels compliance', () => {
    test('different names are different nodes, and every suite is offered', async () => {
      const { alice, bob } = await parties()
      check(alice.nodeId !== bob.nodeId, 'setup.create() gave one identity for two names')
      for (const suite of suites) {
        check(alice.channels.suites.includes(suite), `${suite} is missing in channels.suites`)
      }
    })

    for (const suite of suites) {
      for (const pattern of ['XX', 'XK'] as const) {
        runner.describe(`${pattern} with ${suite}`, () => handshakeTests(test, parties, pattern, suite))
      }
      runner.describe(`keys of ${suite}`, () => keyTests(test, parties, suite))
    }

    test('XK needs the static key of the other side', async () => {
      const { alice, bob } = await parties()
      const options = baseOptions('XK', suites[0] ?? 'chacha20-poly1305')
      const start = (remoteStatic: Uint8Array | undefined): Handshake =>
        alice.channels.start({ ...options, role: 'initiator', expected: bob.nodeId, remoteStatic })
      const [without, short] = ['XK without remoteStatic', 'XK with a static key of 31 bytes']
      equal(
        thrownCode(() => start(undefined), without),
        'ARGUMENT_INVALID',
        without,
      )
      equal(
        thrownCode(() => start(new Uint8Array(31)), short),
        'ARGUMENT_INVALID',
        short,
      )
    })

    test('a suite that is not offered and a payload over 512 bytes are our own mistake', async () => {
      const { alice } = await parties()
      const options = { ...baseOptions('XX', suites[0] ?? 'chacha20-poly1305'), role: 'initiator' } as const
      const unknown = 'rot13' as CipherSuite
      equal(
        thrownCode(() => alice.channels.start({ ...options, suite: unknown }), 'an unknown suite'),
        'ARGUMENT_INVALID',
        'an unknown suite',
      )
      const payload = new Uint8Array(MAX_PAYLOAD_BYTES + 1)
      equal(
        thrownCode(() => alice.channels.start({ ...options, payload }), 'a payload of 513 bytes'),
        'ARGUMENT_INVALID',
        'a payload of 513 bytes',
      )
    })

    if (setup.createExpired !== undefined) {
      const createExpired = setup.createExpired.bind(setup)
      test('a certificate that has run out is refused by either side', async () => {
        const fresh = await setup.create('alice')
        const expired = await createExpired('bob')
        const suite = suites[0] ?? 'chacha20-poly1305'
        const asResponder = begin(fresh, expired, 'XX', suite)
        exchange(asResponder.initiator, asResponder.responder)
        expectFault(asResponder.initiator, ['CERTIFICATE_EXPIRED'], 'an initiator that meets an expired certificate')
        const asInitiator = begin(expired, fresh, 'XX', suite)
        exchange(asInitiator.initiator, asInitiator.responder)
        expectFault(asInitiator.responder, ['CERTIFICATE_EXPIRED'], 'a responder that meets an expired certificate')
      })
    }
  })
}

type Test = (name: string, body: () => Promise<void>) => void
type Parties = () => Promise<{ alice: SecureParty; bob: SecureParty }>

function handshakeTests(test: Test, parties: Parties, pattern: HandshakePattern, suite: CipherSuite): void {
  const start = async (
    overrides: { initiator?: Overrides; responder?: Overrides } = {},
  ): Promise<{ alice: SecureParty; bob: SecureParty; initiator: Handshake; responder: Handshake }> => {
    const { alice, bob } = await parties()
    return { alice, bob, ...begin(alice, bob, pattern, suite, overrides) }
  }

  test('completes, and both sides agree on who is there and on the hash', async () => {
    const { alice, bob, initiator, responder } = await start()
    exchange(initiator, responder)
    const ours = session(initiator, 'initiator')
    const theirs = session(responder, 'responder')
    equal(ours.remote.nodeId, bob.nodeId, 'the node that the initiator sees')
    equal(theirs.remote.nodeId, alice.nodeId, 'the node that the responder sees')
    equal(ours.remote.publicKey.length, 32, 'bytes of the public key')
    equal(ours.remoteStatic.length, 32, 'bytes of the static key')
    check(ours.handshakeHash.length >= 32, 'a handshake hash has at least 32 bytes')
    sameBytes(ours.handshakeHash, theirs.handshakeHash, 'handshake hash')
    equal([ours.sending.generation, ours.receiving.generation], [0, 0], 'generation of the first keys')
  })

  test('the initiator has a session once its last message was polled, and not before', async () => {
    const { initiator, responder } = await start()
    equal(initiator.outcome, undefined, 'outcome before the first message')
    responder.handleMessage(poll(initiator, 'message 1'))
    equal(initiator.outcome, undefined, 'outcome of the initiator after message 1')
    initiator.handleMessage(poll(responder, 'message 2'))
    equal(responder.outcome, undefined, 'outcome of the responder before message 3')
    const last = poll(initiator, 'message 3')
    session(initiator, 'initiator')
    responder.handleMessage(last)
    session(responder, 'responder')
    equal([initiator.pollMessage(), responder.pollMessage()], [undefined, undefined], 'messages after the last one')
  })

  for (const length of [0, 1, MAX_PAYLOAD_BYTES]) {
    test(`payloads of ${length} bytes arrive in both directions`, async () => {
      const [first, second] = [ramp(length, 3), ramp(length, 7)]
      const { initiator, responder } = await start({ initiator: { payload: first }, responder: { payload: second } })
      exchange(initiator, responder)
      sameBytes(session(responder, 'responder').remotePayload, first, 'payload of the initiator')
      sameBytes(session(initiator, 'initiator').remotePayload, second, 'payload of the responder')
    })
  }

  test('neither payload is on the wire in the clear', async () => {
    const canary = text.encode('a canary that nobody may read')
    const { initiator, responder } = await start({ initiator: { payload: canary }, responder: { payload: canary } })
    for (const message of exchange(initiator, responder)) {
      check(!includes(message, canary), 'a handshake message has its payload in the clear')
    }
  })

  test('every handshake has a hash and keys of its own', async () => {
    const { alice, bob, ...first } = await start()
    exchange(first.initiator, first.responder)
    const second = begin(alice, bob, pattern, suite)
    exchange(second.initiator, second.responder)
    const [one, two] = [session(first.initiator, 'initiator'), session(second.responder, 'responder')]
    check(!same(one.handshakeHash, two.handshakeHash), 'two handshakes have one hash')
    const sealed = joinBytes(one.sending.seal(1, NOTHING, Uint8Array.of(1, 2, 3)))
    equal(two.receiving.open(1, NOTHING, sealed), undefined, 'what the keys of another handshake sealed')
  })

  test('without an expected id whoever answers is taken and named', async () => {
    const { bob, initiator, responder } = await start({ initiator: { expected: undefined } })
    exchange(initiator, responder)
    equal(session(initiator, 'initiator').remote.nodeId, bob.nodeId, 'the node that answered')
  })

  test('another node than the expected one ends in IDENTITY_MISMATCH, before message 3', async () => {
    const { alice, bob } = await parties()
    // anybody but bob; not alice, who would be our own
    const expected = flip(bob.nodeId)
    const { initiator, responder } = begin(alice, bob, pattern, suite, { initiator: { expected } })
    responder.handleMessage(poll(initiator, 'message 1'))
    initiator.handleMessage(poll(responder, 'message 2'))
    expectFault(initiator, ['IDENTITY_MISMATCH'], 'an initiator that reached another node')
    equal(responder.outcome, undefined, 'outcome of a responder without message 3')
  })

  test('a node that reaches itself ends in IDENTITY_OWN', async () => {
    const { alice, bob } = await parties()
    const remoteStatic = staticKeyOf(bob, alice)
    const { initiator, responder } = begin(alice, alice, pattern, suite, {
      initiator: { remoteStatic, expected: undefined },
    })
    exchange(initiator, responder)
    expectFault(initiator, ['IDENTITY_OWN'], 'an initiator that reached itself')
  })

  test('another prologue on one side ends the handshake', async () => {
    const { initiator, responder } = await start({ responder: { prologue: text.encode('another') } })
    exchange(initiator, responder)
    // whichever side is the first to open something
    const faulty = responder.outcome === undefined ? initiator : responder
    expectFault(faulty, ['HANDSHAKE_DECRYPT'], 'a side whose prologue differs')
    check(!isSession(initiator.outcome) || !isSession(responder.outcome), 'both have a session over two prologues')
  })

  test('bytes changed in any message end the handshake, and nothing is established', async () => {
    const { alice, bob } = await parties()
    const sizes = transcript(alice, bob, pattern, suite).map((message) => message.length)
    for (const [number, size] of sizes.entries()) {
      for (const at of places(size)) {
        const what = `message ${number + 1} with byte ${at} of ${size} changed`
        const victim = play(alice, bob, pattern, suite, number, (message) => {
          const changed = message.slice()
          changed[at] = (changed[at] as number) ^ 0x20
          return changed
        })
        // a changed ephemeral key may show only one message later, at the other side
        const fault = victim.fault()
        check(fault !== undefined, `${what} was not noticed`)
        check(['HANDSHAKE_DECRYPT', 'KEY_INVALID', 'HANDSHAKE_MALFORMED'].includes(fault), `${what} ended in ${fault}`)
        check(!victim.bothEstablished(), `${what} left a session on both sides`)
      }
    }
  })

  test('a message cut short or too long ends the handshake', async () => {
    const { alice, bob } = await parties()
    const sizes = transcript(alice, bob, pattern, suite).map((message) => message.length)
    for (const [number, size] of sizes.entries()) {
      for (const length of [0, 1, 31, 32, 33, 47, size - 17, size - 16, size - 1, size + 1, size + 16, 70_000]) {
        if (length < 0 || length === size) continue
        const what = `message ${number + 1} of ${length} instead of ${size} bytes`
        const victim = play(alice, bob, pattern, suite, number, (message) => resize(message, length))
        const fault = victim.fault()
        check(fault !== undefined, `${what} was not noticed`)
        check(['HANDSHAKE_MALFORMED', 'HANDSHAKE_DECRYPT', 'KEY_INVALID'].includes(fault), `${what} ended in ${fault}`)
        check(!victim.bothEstablished(), `${what} left a session on both sides`)
      }
    }
  })

  test('a message out of turn is a fault and throws nothing', async () => {
    const { initiator } = await start()
    initiator.handleMessage(new Uint8Array(100))
    expectFault(initiator, ['HANDSHAKE_MALFORMED', 'HANDSHAKE_DECRYPT', 'KEY_INVALID'], 'an answer before message 1')

    const again = await start()
    const first = poll(again.initiator, 'message 1')
    again.responder.handleMessage(first)
    again.responder.handleMessage(first)
    expectFault(again.responder, ['HANDSHAKE_MALFORMED', 'HANDSHAKE_DECRYPT', 'KEY_INVALID'], 'message 1 twice')
  })

  test('a fault is final', async () => {
    const { alice, bob, initiator, responder } = await start()
    const good = begin(alice, bob, pattern, suite)
    responder.handleMessage(new Uint8Array(3))
    const fault = responder.outcome
    expectFault(responder, ['HANDSHAKE_MALFORMED', 'HANDSHAKE_DECRYPT'], 'a responder that got 3 bytes')
    responder.handleMessage(poll(initiator, 'message 1'))
    responder.handleMessage(poll(good.initiator, 'message 1'))
    check(responder.outcome === fault, 'the outcome of a failed handshake changed')
    equal(responder.pollMessage(), undefined, 'a message after a fault')
  })

  test('a small-order ephemeral key ends in KEY_INVALID', async () => {
    const { alice, bob } = await parties()
    // an all-zero u coordinate: every shared secret with it is zero
    const zeros = (message: Uint8Array): Uint8Array => {
      const changed = message.slice()
      changed.fill(0, 0, 32)
      return changed
    }
    for (const number of [0, 1]) {
      const what = `message ${number + 1} with an ephemeral key of zeros`
      equal(play(alice, bob, pattern, suite, number, zeros).fault(), 'KEY_INVALID', what)
    }
  })

  if (pattern === 'XK') {
    test('message 1 to a node with another static key ends at the responder', async () => {
      const { alice, bob } = await parties()
      const remoteStatic = staticKeyOf(bob, alice)
      const { initiator, responder } = begin(alice, bob, pattern, suite, { initiator: { remoteStatic } })
      exchange(initiator, responder)
      expectFault(responder, ['HANDSHAKE_DECRYPT'], 'a responder addressed by another static key')
      equal(initiator.outcome, undefined, 'outcome of an initiator that got no answer')
    })
  }
}

function keyTests(test: Test, parties: Parties, suite: CipherSuite): void {
  type Pair = { readonly ours: SecureSession; readonly theirs: SecureSession }
  const connect = async (overrides: { initiator?: Overrides; responder?: Overrides } = {}): Promise<Pair> => {
    const { alice, bob } = await parties()
    const { initiator, responder } = begin(alice, bob, 'XX', suite, overrides)
    exchange(initiator, responder)
    return { ours: session(initiator, 'initiator'), theirs: session(responder, 'responder') }
  }
  const aad = text.encode('additional data')

  test('what one side seals the other side opens, in both directions and at any size', async () => {
    const { ours, theirs } = await connect()
    let sequence = 0
    for (const size of [0, 1, 15, 16, 17, 1000, 65_536, 1_048_576]) {
      const plain = ramp(size, 5)
      sequence++
      for (const [from, to] of directions(ours, theirs)) {
        const pieces = from.seal(sequence, aad, plain)
        equal(pieces.at(-1)?.length, TAG_BYTES, 'bytes of the last piece, the tag')
        const sealed = joinBytes(pieces)
        equal(sealed.length, size + TAG_BYTES, 'bytes of ciphertext and tag')
        const copy = sealed.slice()
        sameBytes(to.open(sequence, aad, sealed), plain, `${size} bytes opened`)
        sameBytes(sealed, copy, 'the sealed bytes after they were opened')
        sameBytes(plain, ramp(size, 5), 'the plaintext after it was sealed')
      }
    }
  })

  test('sequences are taken in any order, from 0 to 2^32 − 1', async () => {
    const { ours, theirs } = await connect()
    const sequences = [0xffff_ffff, 7, 0, 0x8000_0000]
    const sealed = sequences.map((sequence) => joinBytes(ours.sending.seal(sequence, aad, Uint8Array.of(1, 2))))
    for (const [index, sequence] of [...sequences.entries()].reverse()) {
      const bytes = theirs.receiving.open(sequence, aad, sealed[index] ?? NOTHING)
      sameBytes(bytes, Uint8Array.of(1, 2), `sequence ${sequence}`)
    }
    equal(new Set(sealed.map(String)).size, sequences.length, 'different ciphertexts for different sequences')
  })

  test('plaintext in pieces is sealed as if it were one run', async () => {
    const { ours, theirs } = await connect()
    const whole = ramp(1000, 1)
    const pieces = [whole.subarray(0, 1), NOTHING, whole.subarray(1, 500), whole.subarray(500)]
    const sealed = joinBytes(ours.sending.seal(1, aad, pieces))
    sameBytes(theirs.receiving.open(1, aad, sealed), whole, 'pieces opened')
  })

  test('changed bytes, other additional data and another sequence are refused', async () => {
    const { ours, theirs } = await connect()
    const sealed = joinBytes(ours.sending.seal(9, aad, ramp(100, 2)))
    for (let at = 0; at < sealed.length; at++) {
      const forged = sealed.slice()
      forged[at] = (forged[at] as number) ^ 1
      equal(theirs.receiving.open(9, aad, forged), undefined, `opened with byte ${at} changed`)
    }
    equal(theirs.receiving.open(10, aad, sealed), undefined, 'opened with another sequence')
    equal(theirs.receiving.open(9, NOTHING, sealed), undefined, 'opened without its additional data')
    equal(theirs.receiving.open(9, text.encode('additional Data'), sealed), undefined, 'opened with other data')
    sameBytes(theirs.receiving.open(9, aad, sealed), ramp(100, 2), 'opened after the forgeries')
  })

  test('anything cut short is refused, also when it is shorter than a tag', async () => {
    const { ours, theirs } = await connect()
    const sealed = joinBytes(ours.sending.seal(1, aad, ramp(40, 2)))
    for (let length = 0; length < sealed.length; length++) {
      equal(theirs.receiving.open(1, aad, sealed.subarray(0, length)), undefined, `opened from ${length} bytes`)
    }
    equal(theirs.receiving.open(1, aad, resize(sealed, sealed.length + 1)), undefined, 'opened with a byte more')
  })

  test('the two directions have keys of their own', async () => {
    const { ours, theirs } = await connect()
    const sealed = joinBytes(ours.sending.seal(1, aad, Uint8Array.of(1)))
    equal(ours.receiving.open(1, aad, sealed), undefined, 'our own message, reflected')
    const back = joinBytes(theirs.sending.seal(1, aad, Uint8Array.of(1)))
    equal(theirs.receiving.open(1, aad, back), undefined, 'their own message, reflected')
  })

  test('a streaming opener takes its input in any split and gives out what open gives', async () => {
    const { ours, theirs } = await connect()
    const plain = ramp(97, 4)
    const sealed = joinBytes(ours.sending.seal(3, aad, plain))
    const [body, tag] = [sealed.subarray(0, plain.length), sealed.subarray(plain.length)]
    for (let at = 0; at <= body.length; at++) {
      const opener = theirs.receiving.opener(3, aad)
      opener.update(body.slice(0, at))
      opener.update(body.slice(at))
      sameBytes(joinAll(opener.finish(tag.slice())), plain, `opened in two pieces cut at ${at}`)
    }
    const single = theirs.receiving.opener(3, aad)
    for (const byte of body) single.update(Uint8Array.of(byte))
    sameBytes(joinAll(single.finish(tag.slice())), plain, 'opened byte by byte')
  })

  test('a streaming opener gives nothing out for a forgery', async () => {
    const { ours, theirs } = await connect()
    const plain = ramp(64, 4)
    const sealed = joinBytes(ours.sending.seal(3, aad, plain))
    const [body, tag] = [sealed.subarray(0, plain.length), sealed.subarray(plain.length)]
    const run = (sequence: number, data: Uint8Array, bytes: Uint8Array, end: Uint8Array): unknown => {
      const opener = theirs.receiving.opener(sequence, data)
      opener.update(bytes.slice())
      return opener.finish(end)
    }
    const changed = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte))
    equal(run(3, aad, changed(body), tag), undefined, 'finished with a changed byte')
    equal(run(3, aad, body, changed(tag)), undefined, 'finished with a changed tag')
    equal(run(4, aad, body, tag), undefined, 'finished with another sequence')
    equal(run(3, NOTHING, body, tag), undefined, 'finished without its additional data')
    equal(run(3, aad, body, tag.subarray(0, 12)), undefined, 'finished with a tag of 12 bytes')
    equal(run(3, aad, body.subarray(1), tag), undefined, 'finished with a byte missing')
  })

  test('both sides rekey in step, each direction alone', async () => {
    const { ours, theirs } = await connect()
    let [sending, receiving] = [ours.sending, theirs.receiving]
    for (let generation = 1; generation <= 3; generation++) {
      sending = sending.next()
      receiving = receiving.next()
      equal([sending.generation, receiving.generation], [generation, generation], 'generation')
      const sealed = joinBytes(sending.seal(1, aad, Uint8Array.of(generation)))
      sameBytes(receiving.open(1, aad, sealed), Uint8Array.of(generation), `generation ${generation}`)
    }
    const back = joinBytes(theirs.sending.seal(1, aad, Uint8Array.of(9)))
    sameBytes(ours.receiving.open(1, aad, back), Uint8Array.of(9), 'the other direction, still at generation 0')
  })

  test('a side that rekeyed alone is not understood until the other has', async () => {
    const { ours, theirs } = await connect()
    const old = joinBytes(ours.sending.seal(1, aad, Uint8Array.of(1)))
    const ahead = joinBytes(ours.sending.next().seal(1, aad, Uint8Array.of(2)))
    check(!same(old.subarray(0, 1), ahead) && !same(old, ahead), 'two generations seal alike')
    equal(theirs.receiving.open(1, aad, ahead), undefined, 'a newer generation')
    const next = theirs.receiving.next()
    equal(next.open(1, aad, old), undefined, 'an older generation')
    sameBytes(next.open(1, aad, ahead), Uint8Array.of(2), 'the same generation')
  })

  test('another label gives other keys', async () => {
    const { ours, theirs } = await connect({ initiator: { label: 'aiv-one/1' }, responder: { label: 'aiv-two/1' } })
    const sealed = joinBytes(ours.sending.seal(1, aad, Uint8Array.of(1)))
    equal(theirs.receiving.open(1, aad, sealed), undefined, 'sealed under another label')
  })
}

function baseOptions(pattern: HandshakePattern, suite: CipherSuite): Omit<HandshakeOptions, 'role'> {
  const none = { payload: NOTHING, expected: undefined, remoteStatic: undefined }
  return { pattern, suite, label: LABEL, prologue: PROLOGUE, ...none }
}

function begin(
  from: SecureParty,
  to: SecureParty,
  pattern: HandshakePattern,
  suite: CipherSuite,
  overrides: { initiator?: Overrides; responder?: Overrides } = {},
): { initiator: Handshake; responder: Handshake } {
  const base = baseOptions(pattern, suite)
  const known = overrides.initiator?.remoteStatic
  const remoteStatic = pattern === 'XX' ? undefined : (known ?? staticKeyOf(from, to))
  const expected = to.nodeId
  return {
    initiator: from.channels.start({ ...base, expected, ...overrides.initiator, remoteStatic, role: 'initiator' }),
    responder: to.channels.start({ ...base, ...overrides.responder, role: 'responder' }),
  }
}

/** Learns a node's static key as another node does that has no record of it: from an XX handshake. */
function staticKeyOf(observer: SecureParty, of: SecureParty): Uint8Array {
  const known = staticKeys.get(of)
  if (known !== undefined) return known
  const [suite] = of.channels.suites
  if (suite === undefined) return fail('channels.suites is empty')
  const base = baseOptions('XX', suite)
  const initiator = of.channels.start({ ...base, role: 'initiator' })
  const responder = observer.channels.start({ ...base, role: 'responder' })
  responder.handleMessage(poll(initiator, 'message 1'))
  initiator.handleMessage(poll(responder, 'message 2'))
  responder.handleMessage(poll(initiator, 'message 3'))
  const key = session(responder, 'responder of XX').remoteStatic.slice()
  staticKeys.set(of, key)
  return key
}

/** Of parties that were asked before: a party has one static key, and each test makes its own parties. */
const staticKeys = new WeakMap<SecureParty, Uint8Array>()

/** Carries messages until neither side has one; gives them in order. */
function exchange(initiator: Handshake, responder: Handshake): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let quiet = 0, fromInitiator = true; quiet < 2; fromInitiator = !fromInitiator) {
    const [from, to] = fromInitiator ? [initiator, responder] : [responder, initiator]
    const message = from.pollMessage()
    if (message === undefined) {
      quiet++
      continue
    }
    quiet = 0
    messages.push(message.slice())
    to.handleMessage(message.slice())
    check(messages.length <= 8, 'a handshake of more than 8 messages')
  }
  return messages
}

function transcript(
  alice: SecureParty,
  bob: SecureParty,
  pattern: HandshakePattern,
  suite: CipherSuite,
): readonly Uint8Array[] {
  const { initiator, responder } = begin(alice, bob, pattern, suite)
  const messages = exchange(initiator, responder)
  session(responder, 'responder')
  return messages
}

/** A handshake in which message number `spoiled` (from 0) is changed on the way. */
function play(
  alice: SecureParty,
  bob: SecureParty,
  pattern: HandshakePattern,
  suite: CipherSuite,
  spoiled: number,
  change: (message: Uint8Array) => Uint8Array,
): { fault(): string | undefined; bothEstablished(): boolean } {
  const { initiator, responder } = begin(alice, bob, pattern, suite)
  const sides = [initiator, responder] as const
  for (let number = 0; number < 8; number++) {
    const message = sides[number % 2 === 0 ? 0 : 1].pollMessage()
    if (message === undefined) break
    sides[number % 2 === 0 ? 1 : 0].handleMessage(number === spoiled ? change(message) : message)
  }
  return {
    fault() {
      for (const side of sides) {
        const { outcome } = side
        if (outcome !== undefined && !isSession(outcome)) return codeOf(outcome, 'the outcome of a failed handshake')
      }
      return undefined
    },
    bothEstablished: () => isSession(initiator.outcome) && isSession(responder.outcome),
  }
}

function poll(handshake: Handshake, what: string): Uint8Array {
  return handshake.pollMessage() ?? fail(`${what} is missing: pollMessage() gave undefined`)
}

function isSession(outcome: Handshake['outcome']): outcome is SecureSession {
  return outcome !== undefined && 'sending' in outcome
}

function session(handshake: Handshake, who: string): SecureSession {
  const { outcome } = handshake
  if (isSession(outcome)) return outcome
  return fail(`the ${who} has no session: ${outcome === undefined ? 'it still waits' : (outcome as AivError).code}`)
}

function expectFault(handshake: Handshake, codes: readonly string[], what: string): void {
  const { outcome } = handshake
  check(outcome !== undefined, `${what}: no outcome, expected ${codes.join(' or ')}`)
  check(!isSession(outcome), `${what}: a session, expected ${codes.join(' or ')}`)
  const code = codeOf(outcome, what)
  check(codes.includes(code), `${what}: ${code}, expected ${codes.join(' or ')}`)
  equal(handshake.pollMessage(), undefined, `${what}: the message after its fault`)
}

function directions(ours: SecureSession, theirs: SecureSession): readonly (readonly [AeadKey, AeadKey])[] {
  return [
    [ours.sending, theirs.receiving],
    [theirs.sending, ours.receiving],
  ]
}

/** Every place that is special, and some between: first and last bytes, both sides of each 16-byte border. */
function places(size: number): number[] {
  const all = new Set([0, 15, 31, 32, 33, 47, 48, 79, 80, 95, 96, size - 17, size - 16, size - 1])
  for (let at = 3; at < size; at += 29) all.add(at)
  return [...all].filter((at) => at >= 0 && at < size).sort((a, b) => a - b)
}

function ramp(length: number, factor: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = index * factor + (index >>> 8)
  return bytes
}

function resize(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  out.set(bytes.subarray(0, length))
  return out
}

function joinAll(pieces: readonly Uint8Array[] | undefined): Uint8Array | undefined {
  return pieces === undefined ? undefined : joinBytes(pieces)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (same(bytes.subarray(at, at + part.length), part)) return true
  }
  return false
}

function flip(id: NodeId): NodeId {
  return `${id.startsWith('0') ? '1' : '0'}${id.slice(1)}` as NodeId
}
