import { AEAD_TAG_BYTES, FrameType, decodeFrames, encodeFrame, lz4Compressor, writeChunkHeader } from '@aiv/htx-codec'
import {
  AeadRecordOpener,
  AeadRecordSealer,
  HtxSession,
  HtxSessionError,
  ReassemblyBudget,
  closeNumber,
  decodeCapabilities,
  encodeCapabilities,
  htxSessionOptions,
} from '@aiv/htx-session'
import { SessionKey, identityFromSeed, nodeCrypto, secureChannels, seededCrypto } from '@aiv/security'
import { SeededRandom } from '@aiv/testkit'
import { AivError, MAX_EARLY_BYTES, equalBytes, joinBytes } from '@aiv/transport-api'
import { codec, ensure } from '../expect.mjs'
import { cut } from '../mutate.mjs'
import { remembering } from '../remember.mjs'
import { repairCrc } from './codec.mjs'

const lz4 = lz4Compressor()
const EMPTY = new Uint8Array(0)
const bytes = (length, step = 7) => Uint8Array.from({ length }, (_, i) => i * step)
const budgetBytes = 64 * 2 ** 20
const options = htxSessionOptions({ compression: true, maxMessageBytes: 2 ** 20 })

const capabilities = {
  versions: [0x11],
  patterns: ['XX', 'XK'],
  suites: ['aes-256-gcm', 'chacha20-poly1305'],
  maxFrameBytes: 65_536,
  maxMessageBytes: 16 * 2 ** 20,
  lz4: true,
}

/** The chance of one side's keys, to be begun anew for each input so that recorded messages fit again. */
class Restarting {
  #seed
  constructor(seed) {
    this.#seed = seed
    this.restart()
  }
  restart() {
    this.#random = new SeededRandom(this.#seed)
  }
  #random
  bytes(length) {
    return this.#random.bytes(length)
  }
  uniform() {
    return this.#random.uniform()
  }
}

function party(number) {
  const random = new Restarting(`party ${number}`)
  const identity = identityFromSeed(seededCrypto(remembering(nodeCrypto), random), new Uint8Array(32).fill(number))
  /** With nothing kept of earlier handshakes. */
  const channels = () => secureChannels({ identity, clock: { unixNow: () => 1_750_000_000_000 } })
  return { random, identity, channels, secure: channels() }
}

/** Empties a session into `events` and returns its bytes. */
function drain(session, now, events) {
  const out = []
  for (let more = true; more;) {
    more = false
    for (let event; (event = session.pollEvent()) !== undefined; more = true) events.push(event)
    const pieces = session.pollOutput(now)
    if (pieces === undefined) continue
    more = true
    out.push(joinBytes(pieces).slice())
  }
  return joinBytes(out)
}

/** What every session owes its owner, whatever came in. */
function checkEnd(session, events) {
  const closed = events.filter(({ type }) => type === 'closed')
  ensure(
    closed.length === (session.state === 'closed' ? 1 : 0),
    `${closed.length} closed events, state ${session.state}`,
  )
  if (closed.length === 0) return 'open'
  ensure(events.at(-1) === closed[0], 'something came after closed')
  const { code, by } = closed[0].reason
  ensure(/^[A-Z][A-Z0-9_]+$/.test(code), `code ${code}`)
  if (by === 'protocol') ensure(code === 'MALFORMED' || closeNumber(code) !== 0x0107, `${code} has no number`)
  ensure(session.nextTimeout() === undefined, 'a closed session wants to be woken')
  return code
}

// ---- before the handshake is done

function handshaking(pattern) {
  return () => {
    const a = party(1)
    const b = party(2)
    const make = (role) => {
      const { random, channels } = role === 'initiator' ? a : b
      random.restart()
      return new HtxSession(0, {
        role,
        secure: channels(),
        expected: role === 'initiator' ? b.identity.nodeId : undefined,
        remoteStatic: role === 'initiator' && pattern === 'XK' ? b.identity.noiseStatic.publicKey : undefined,
        options,
        budget: new ReassemblyBudget(budgetBytes),
        compressor: lz4,
      })
    }
    // an honest handshake, recorded
    const initiator = make('initiator')
    const responder = make('responder')
    const sent = { initiator: [], responder: [] }
    for (let i = 0; i < 3; i++) {
      const one = drain(initiator, 0, [])
      if (one.length > 0) responder.handleInput(0, one.slice())
      sent.initiator.push(one)
      const two = drain(responder, 0, [])
      if (two.length > 0) initiator.handleInput(0, two.slice())
      sent.responder.push(two)
    }
    const streams = { initiator: joinBytes(sent.initiator), responder: joinBytes(sent.responder) }
    ensure(initiator.state === 'open' && responder.state === 'open', 'the recorded handshake failed')
    return {
      seeds: [streams.initiator, streams.responder],
      run(input, random) {
        const role = random.chance(0.5) ? 'responder' : 'initiator'
        const honest = streams[role === 'responder' ? 'initiator' : 'responder']
        const stream = random.chance(0.8) ? repairCrc(input) : input
        const session = make(role)
        const events = []
        let sentBytes = drain(session, 0, events).length
        for (const piece of random.chance(0.5) ? [stream] : cut(random, stream)) {
          session.handleInput(0, piece.slice())
          sentBytes += drain(session, 0, events).length
        }
        const established = events.some(({ type }) => type === 'established')
        if (established) {
          ensure(equalBytes(withoutTimes(stream, honest), honest), `${role} believed a changed handshake`)
        }
        ensure(
          events.every(({ type }) => type !== 'packet'),
          'a packet out of a handshake',
        )
        ensure(sentBytes <= 4_096, `${sentBytes} bytes to somebody who proved nothing`)
        session.handleEnd(0)
        drain(session, 0, events)
        return `${role} ${checkEnd(session, events)}${established ? ' established' : ''}`
      },
    }
  }
}

/**
 * The honest part of a stream with the timestamps and CRCs of the honest one: nothing is decided by a timestamp before
 * the handshake is done, so that it may differ.
 */
function withoutTimes(stream, honest) {
  const out = stream.slice(0, honest.length)
  let at = 0
  for (const { payload } of decodeFrames(honest, { maxFrameBytes: 65_536 })) {
    out.set(honest.subarray(at + 12, at + 20), at + 12)
    const end = at + 20 + payload.length
    out.set(honest.subarray(end, end + 4), end)
    at = end + 4
  }
  return out
}

// ---- after it

const secrets = { initiator: new Uint8Array(32).fill(1), responder: new Uint8Array(32).fill(2) }
const key = (whose) => new SessionKey(nodeCrypto, 'aes-256-gcm', 'aiv-htx/1.1', secrets[whose].slice())
const remotePayload = encodeCapabilities(capabilities)
const remote = Object.freeze({ nodeId: '0'.repeat(32), publicKey: bytes(32) })

/** Stands for a handshake that is over, with real keys: a real one would be nearly all of the time spent. */
const proven = {
  suites: ['aes-256-gcm'],
  start: ({ role }) => {
    const other = role === 'initiator' ? 'responder' : 'initiator'
    let outcome
    let toSend = role === 'initiator'
    const finish = () => {
      outcome = {
        remote,
        remoteStatic: bytes(32),
        remotePayload,
        handshakeHash: bytes(32),
        sending: key(role),
        receiving: key(other),
      }
    }
    return {
      handleMessage: finish,
      pollMessage: () => {
        if (!toSend) return undefined
        toSend = false
        finish()
        return Uint8Array.of(0)
      },
      get outcome() {
        return outcome
      },
    }
  },
}

const opening = encodeFrame({
  flags: 0,
  type: FrameType.Handshake,
  sequence: 0,
  timestamp: 0,
  payload: Uint8Array.of(1, 1, 1, 0, 0),
})

function established(events, budget = new ReassemblyBudget(budgetBytes), given = options) {
  const session = new HtxSession(0, {
    role: 'responder',
    secure: proven,
    expected: undefined,
    remoteStatic: undefined,
    options: given,
    budget,
    compressor: lz4,
  })
  session.handleInput(0, opening.slice())
  drain(session, 0, events)
  ensure(session.state === 'open', 'no session to begin with')
  return session
}

function sealed(frames, sealer = new AeadRecordSealer(key('initiator'))) {
  const out = []
  for (const { type, flags = 0, payload = EMPTY } of frames) {
    sealer.seal(type, flags, payload, payload.length, 0, out)
    if (type === FrameType.KeyUpdate) sealer.next()
  }
  return new Uint8Array(joinBytes(out))
}

function chunk(number, final, payload, total) {
  const head = new Uint8Array(24)
  return joinBytes([
    head.subarray(0, writeChunkHeader(head, 0, { number, final, length: payload.length, total })),
    payload,
  ])
}

const messages = [bytes(5), bytes(700, 3), bytes(40, 9), bytes(2_000, 1)]
const honestFrames = [
  {
    type: FrameType.Data,
    payload: joinBytes([chunk(1, true, messages[0]), chunk(2, false, messages[1].subarray(0, 100), 700)]),
  },
  { type: FrameType.Ping, payload: bytes(8) },
  {
    type: FrameType.Data,
    payload: joinBytes([chunk(3, true, messages[2]), chunk(2, true, messages[1].subarray(100))]),
  },
  { type: FrameType.WindowUpdate, payload: Uint8Array.of(0, 0, 0, 0, 0, 16, 0, 0) },
  { type: FrameType.KeyUpdate },
  { type: FrameType.Data, payload: chunk(4, true, messages[3]) },
  { type: FrameType.Close, payload: Uint8Array.of(0, 0) },
]
const expected = [messages[0], messages[2], messages[1], messages[3]]

/** Somebody in between changes the sealed stream: what comes out of it is a beginning of what was sent, and no more. */
function sealedStream() {
  const stream = sealed(honestFrames)
  return {
    seeds: [stream],
    run(input, random) {
      const bent = random.chance(0.8) ? repairCrc(input) : input
      const events = []
      const session = established(events)
      for (const piece of random.chance(0.5) ? [bent] : cut(random, bent)) {
        session.handleInput(1, piece.slice())
        drain(session, 1, events)
      }
      session.handleEnd(2)
      drain(session, 2, events)
      const packets = events.filter(({ type }) => type === 'packet')
      for (const [index, packet] of packets.entries()) {
        ensure(
          index < expected.length && equalBytes(packet.bytes, expected[index]),
          `packet ${index} is none that was sent`,
        )
      }
      const code = checkEnd(session, events)
      if (code === 'CLOSED') ensure(packets.length === expected.length, 'an orderly end before everything was there')
      return `${packets.length} packets, ${code}`
    },
  }
}

/** An input as frames: type, flags, length u16, payload; then the sides exchange what comes of them. */
function* framesOf(input) {
  for (let at = 0; at + 4 <= input.length;) {
    const length = Math.min((input[at + 2] << 8) | input[at + 3], input.length - at - 4)
    yield { type: input[at], flags: input[at + 1] & 1, payload: input.subarray(at + 4, at + 4 + length) }
    at += 4 + length
  }
}

const asInput = (frames) =>
  joinBytes(
    frames.flatMap(({ type, flags = 0, payload = EMPTY }) => [
      Uint8Array.of(type, flags, payload.length >>> 8, payload.length),
      payload,
    ]),
  )

/** The other side is proven, and says what it likes: nothing is thrown, everything is bounded. */
function lyingPeer() {
  const asked = bytes(300)
  const packed = lz4.compress(chunk(1, true, new Uint8Array(20_000)))
  const small = htxSessionOptions({ compression: true, maxMessageBytes: 65_536, controlFramesPerSecond: 100 })
  return {
    seeds: [
      asInput(honestFrames),
      asInput([
        { type: FrameType.Data, flags: 1, payload: packed },
        { type: FrameType.Pong, payload: bytes(8) },
      ]),
      asInput(
        Array.from({ length: 70 }, (_, i) => ({ type: FrameType.Data, payload: chunk(i + 1, false, bytes(1), 1_000) })),
      ),
      asInput([
        { type: FrameType.Ack, payload: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9) },
        { type: 0x41, payload: bytes(40) },
      ]),
    ],
    run(input, random) {
      const events = []
      const budget = new ReassemblyBudget(2 ** 20)
      const session = established(events, budget, small)
      session.send(0, asked.slice(), { priority: 2, delivery: 'reliable', tag: 1 })
      const sealer = new AeadRecordSealer(key('initiator'))
      const opener = new AeadRecordOpener(key('responder'))
      let now = 0
      let received = 0
      let given = 0
      let pinged = 0
      for (const frame of framesOf(input)) {
        const stream = sealed([frame], sealer)
        received += frame.payload.length
        if (frame.type === FrameType.Ping) pinged++
        now += random.below(400)
        const due = session.nextTimeout()
        if (due !== undefined && due <= now) session.handleTimeout(now)
        for (const piece of random.chance(0.7) ? [stream] : cut(random, stream)) session.handleInput(now, piece)
        const answer = drain(session, now, events)
        for (const { type, payload, ...header } of decodeFrames(answer, { maxFrameBytes: 65_536 })) {
          const at = payload.byteOffset - answer.byteOffset - 20
          opener.open({ ...header, type, length: payload.length }, answer.subarray(at, at + 20), payload)
          if (type === FrameType.KeyUpdate) opener.next(now + 1e9)
          ensure(payload.length >= AEAD_TAG_BYTES, 'an answer without a tag')
          if (type === FrameType.Pong) pinged--
        }
        ensure(pinged >= 0, 'more PONGs than PINGs')
        ensure(budget.reservedBytes <= 2 ** 20, 'more memory than the budget')
        if (session.state === 'closed') break
      }
      for (const event of events) if (event.type === 'packet') given += event.bytes.length
      // LZ4 makes at most 255 of one
      ensure(given <= received * 255 + 16, `${given} bytes out of ${received}`)
      session.abort(now, new HtxSessionError('ABORTED', 'over'))
      drain(session, now, events)
      ensure(budget.reservedBytes === 0, 'memory was not given back')
      return checkEnd(session, events)
    },
  }
}

/** Noise itself, without frames; both roles, both patterns. */
function noise() {
  const a = party(1)
  const b = party(2)
  const make = (role, pattern, suite) => {
    const { random, secure } = role === 'initiator' ? a : b
    random.restart()
    return secure.start({
      role,
      pattern,
      suite,
      label: 'aiv-htx/1.1',
      prologue: bytes(20),
      payload: bytes(40),
      expected: role === 'initiator' ? b.identity.nodeId : undefined,
      remoteStatic: role === 'initiator' && pattern === 'XK' ? b.identity.noiseStatic.publicKey : undefined,
    })
  }
  const ways = ['XX', 'XK'].flatMap((pattern) =>
    ['aes-256-gcm', 'chacha20-poly1305'].map((suite) => ({ pattern, suite })),
  )
  const recorded = ways.map(({ pattern, suite }) => {
    const initiator = make('initiator', pattern, suite)
    const one = initiator.pollMessage()
    const responder = make('responder', pattern, suite)
    responder.handleMessage(one)
    const two = responder.pollMessage()
    initiator.handleMessage(two)
    const three = initiator.pollMessage()
    responder.handleMessage(three)
    ensure(!(responder.outcome instanceof AivError) && responder.outcome !== undefined, 'the recorded handshake failed')
    return [one, two, three]
  })
  return {
    seeds: recorded.flat(),
    run(input, random) {
      const way = random.below(ways.length)
      const { pattern, suite } = ways[way]
      const [one, two, three] = recorded[way]
      const place = random.below(3)
      const handshake = make(place === 1 ? 'initiator' : 'responder', pattern, suite)
      if (place === 1) handshake.pollMessage()
      if (place === 2) {
        handshake.handleMessage(one)
        handshake.pollMessage()
      }
      handshake.handleMessage(input)
      const honest = [one, two, three][place]
      const same = equalBytes(input, honest)
      const answer = handshake.pollMessage()
      const { outcome } = handshake
      ensure(answer === undefined || answer.length <= 900, 'an answer without bound')
      if (place === 0) {
        // message 1 proves nothing: any key that is one goes on
        ensure(outcome === undefined || outcome instanceof AivError, 'established after one message')
        return `message 1: ${outcome?.code ?? 'goes on'}`
      }
      if (outcome instanceof AivError) {
        ensure(!same, 'an honest message was refused')
        ensure(answer === undefined, 'an answer after a fault')
        return `message ${place + 1}: ${outcome.code}`
      }
      ensure(same && outcome !== undefined, `a changed message ${place + 1} was believed`)
      return `message ${place + 1}: established`
    },
  }
}

/** A handshake that builds on the last one, or would like to; a responder's ticket is spent only by the honest message. */
function resuming() {
  const options = { pattern: 'XX', suite: 'aes-256-gcm', label: 'aiv-htx/1.1', prologue: bytes(20), payload: bytes(40) }
  const a = party(1)
  const b = party(2)
  let [ofA, ofB] = []
  const make = (role) =>
    (role === 'initiator' ? ofA : ofB).start({
      ...options,
      role,
      expected: role === 'initiator' ? b.identity.nodeId : undefined,
      remoteStatic: undefined,
      resume: true,
    })
  const early = bytes(60, 5)
  const meet = (initiator, responder) => {
    const messages = []
    for (let message; messages.length < 3 && (message = initiator.pollMessage(early)) !== undefined;) {
      messages.push(message)
      responder.handleMessage(message)
      const answer = responder.pollMessage()
      if (answer === undefined) break
      messages.push(answer)
      initiator.handleMessage(answer)
    }
    ensure(initiator.outcome?.remote !== undefined && responder.outcome?.remote !== undefined, 'an honest one failed')
    return messages
  }
  /** From the same keys each time, so that the second handshake has the same bytes. */
  const afresh = () => {
    for (const { random } of [a, b]) random.restart()
    ofA = a.channels()
    ofB = b.channels()
    meet(make('initiator'), make('responder'))
    for (const { random } of [a, b]) random.restart()
  }
  afresh()
  const [offer, answer] = meet(make('initiator'), make('responder'))
  afresh()
  ofB = b.channels()
  const [, full] = meet(make('initiator'), make('responder'))
  afresh()
  return {
    seeds: [offer, answer, full],
    run(input, random) {
      for (const party of [a, b]) party.random.restart()
      const role = random.chance(0.8) ? 'responder' : 'initiator'
      // an initiator gives its ticket away
      if (role === 'initiator') afresh()
      const handshake = make(role)
      if (role === 'initiator') ensure(equalBytes(handshake.pollMessage(early), offer), 'another offer')
      handshake.handleMessage(input)
      const reply = handshake.pollMessage()
      ensure(reply === undefined || reply.length <= 900, 'an answer without bound')
      const { outcome } = handshake
      const established = outcome?.remote !== undefined
      const same = equalBytes(input, role === 'responder' ? offer : answer)
      // the full answer belongs to an offer that was not known: what was said here is another thing, but as good
      const honest = same || (role === 'initiator' && equalBytes(input, full))
      ensure(handshake.early === undefined || established, 'it read early what it does not believe')
      if (established) {
        ensure(honest, `${role} believed a changed message`)
        afresh()
      }
      return `${role} ${established ? 'established' : (outcome?.code ?? 'goes on')}`
    },
  }
}

/** What somebody whom we know may put into the first message beside the handshake. */
function earlyWords() {
  const a = party(1)
  const b = party(2)
  const head = Uint8Array.of(1, 1, 1, 0)
  const label = 'aiv-htx/1.1'
  const common = {
    pattern: 'XX',
    suite: 'aes-256-gcm',
    label,
    prologue: joinBytes([new TextEncoder().encode(label), Uint8Array.of(0), head]),
    payload: encodeCapabilities({ ...capabilities, patterns: ['XX'] }),
    remoteStatic: undefined,
    resume: true,
  }
  const small = htxSessionOptions({ maxMessageBytes: 65_536 })
  return {
    seeds: [
      chunk(1, true, bytes(100)),
      joinBytes([chunk(1, true, bytes(9)), chunk(2, false, bytes(700, 3), 20_000)]),
      joinBytes(Array.from({ length: 60 }, (_, i) => chunk(i + 1, true, bytes(i % 7)))),
    ],
    run(input, random) {
      for (const party of [a, b]) party.random.restart()
      const [ofA, ofB] = [a.channels(), b.channels()]
      const dialler = () => ofA.start({ ...common, role: 'initiator', expected: b.identity.nodeId })
      const first = dialler()
      const listener = ofB.start({ ...common, role: 'responder', expected: undefined })
      for (let message; (message = first.pollMessage()) !== undefined;) {
        listener.handleMessage(message)
        const answer = listener.pollMessage()
        if (answer !== undefined) first.handleMessage(answer)
      }
      ensure(first.outcome?.remote !== undefined && listener.outcome?.remote !== undefined, 'they did not meet')
      const early = input.subarray(0, MAX_EARLY_BYTES)
      const payload = joinBytes([head, dialler().pollMessage(early)])
      const frame = encodeFrame({ type: FrameType.Handshake, flags: 0, sequence: 0, timestamp: 0, payload })
      const events = []
      const budget = new ReassemblyBudget(2 ** 20)
      const session = new HtxSession(0, {
        role: 'responder',
        secure: ofB,
        expected: undefined,
        remoteStatic: undefined,
        options: small,
        budget,
        compressor: undefined,
      })
      for (const piece of random.chance(0.7) ? [frame] : cut(random, frame)) session.handleInput(0, piece)
      drain(session, 0, events)
      const packets = events.filter(({ type }) => type === 'packet')
      const given = packets.reduce((sum, { bytes: { length } }) => sum + length, 0)
      ensure(given <= early.length, `${given} bytes out of ${early.length}`)
      ensure(events[0]?.type === 'established' && events[0].early, 'somebody whom we know was not believed')
      ensure(!events.some(({ type }) => type === 'confirmed'), 'confirmed by the first message')
      if (session.state !== 'closed') session.handleTimeout(10_000)
      drain(session, 10_000, events)
      ensure(session.state === 'closed' && budget.reservedBytes === 0, 'believed for longer than ten seconds')
      return `${checkEnd(session, events)} ${Math.min(packets.length, 3)}`
    },
  }
}

export const sessionTargets = {
  'session-early': earlyWords,
  'session-handshake-again': resuming,
  'session-frames': lyingPeer,
  'session-sealed': sealedStream,
  noise,
  'session-handshake-xk': handshaking('XK'),
  'session-handshake-xx': handshaking('XX'),
  capabilities: codec({
    seeds: [encodeCapabilities(capabilities), encodeCapabilities({ ...capabilities, lz4: false, patterns: ['XX'] })],
    decode: decodeCapabilities,
    encode: encodeCapabilities,
    kind: ({ versions, patterns, suites }) => `${Math.min(versions.length, 3)} ${patterns.length} ${suites.length}`,
  }),
}
