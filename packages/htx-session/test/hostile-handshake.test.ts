import { describe, expect, test } from '@jest/globals'
import { FrameType, decodeFrames, encodeFrame } from '@aiv/htx-codec'
import { identityFromSeed, nodeCrypto, secureChannels, seededCrypto } from '@aiv/security'
import { SeededRandom } from '@aiv/testkit'
import type { CipherSuite, SecureChannels } from '@aiv/transport-api'
import { HtxSession, ReassemblyBudget, htxSessionOptions } from '../src/index.js'
import { withCrc } from './raw-peer.js'
import { type PairOptions, SessionPair, type SideName, testChannels } from './session-pair.js'

interface Change {
  readonly from: SideName
  /** Of the frames of that side. */
  readonly frame: number
  readonly change: (frame: Uint8Array) => readonly Uint8Array[]
}

/** A pair with somebody in between who changes one frame; the CRC is right again afterwards. */
function tampered({ from, frame: wanted, change }: Change, options: PairOptions = {}): SessionPair {
  let seen = 0
  const pair = new SessionPair({
    ...options,
    wire: (bytes, side) => {
      if (side !== from) return [bytes]
      const out: Uint8Array[] = []
      for (const { payload } of decodeFrames(bytes, { maxFrameBytes: 65_536 })) {
        const start = payload.byteOffset - bytes.byteOffset - 20
        const frame = bytes.slice(start, start + 24 + payload.length)
        if (seen++ === wanted) out.push(...change(frame))
        else out.push(frame)
      }
      return out
    },
  })
  const { initiator, responder } = pair
  pair.send(initiator, new TextEncoder().encode('before anything is proven'))
  pair.send(responder, new TextEncoder().encode('so am I'))
  pair.advance(0)
  return pair
}

/** Bytes in the clear on the wire, both ways. */
function inClear(pair: SessionPair, text: string): boolean {
  return [...pair.initiator.outputs, ...pair.responder.outputs].some((bytes) => Buffer.from(bytes).includes(text))
}

/** Payloads of the HANDSHAKE frames among what a side sent. */
function handshakes(outputs: readonly Uint8Array[]): Uint8Array[] {
  return outputs
    .flatMap((bytes) => decodeFrames(bytes, { maxFrameBytes: 65_536 }))
    .filter(({ type }) => type === FrameType.Handshake)
    .map(({ payload }) => payload)
}

const ways = (['XX', 'XK', 'resumed'] as const).flatMap((pattern) =>
  (['aes-256-gcm', 'chacha20-poly1305'] as const).map((suite) => ({ pattern, suite })),
)
/** Message 1 and 3 are the initiator's frames 0 and 1, message 2 is the responder's frame 0. */
const messages = [
  { message: 1, from: 'initiator', frame: 0 },
  { message: 2, from: 'responder', frame: 0 },
  { message: 3, from: 'initiator', frame: 1 },
] as const

describe.each(ways)('a handshake $pattern with $suite', ({ pattern, suite }) => {
  const options = (): PairOptions =>
    pattern === 'resumed' ? { suite, after: SessionPair.open({ suite }) } : { pattern, suite }
  const sent = messages.filter(({ message }) => pattern !== 'resumed' || message < 3)

  test.each(sent)('with any byte of message $message changed establishes nothing', ({ from, frame }) => {
    const codes = new Map<string, number>()
    let length = 1
    for (let at = 0; at < length; at++) {
      const pair = tampered(
        {
          from,
          frame,
          change: (bytes) => {
            length = bytes.length - 4
            const bent = bytes.slice()
            bent[at] = (bent[at] as number) ^ (1 << (at % 8))
            return [withCrc(bent)]
          },
        },
        options(),
      )
      // neither the length of the frame nor its timestamp is part of what is proven
      const isTime = at >= 12 && at < 20
      const [last, other] = from === 'initiator' ? [pair.responder, pair.initiator] : [pair.initiator, pair.responder]
      if (isTime) {
        expect(last.eventsOf('established')).toHaveLength(1)
        continue
      }
      if (last.closed === undefined) last.session.handleEnd(0)
      pair.drain(last)
      expect(last.eventsOf('established')).toEqual([])
      expect([...last.packets, ...(frame === 0 ? other.packets : [])]).toEqual([])
      expect(last.closed?.reason.code).not.toBe('CLOSED')
      codes.set(last.closed?.reason.code ?? '', (codes.get(last.closed?.reason.code ?? '') ?? 0) + 1)
      expect(inClear(pair, 'before anything')).toBe(false)
      expect(inClear(pair, 'so am I')).toBe(false)
      // of a message 3 that is refused, the dialler learns why
      if (frame === 1) {
        expect(other.closed?.reason).toEqual({ by: 'remote', code: last.closed?.reason.code, retryable: true })
      }
      // nothing else is tried: the initiator said what it wants once, and closed sessions are silent
      const openings = handshakes(pair.initiator.outputs).filter((_, index) => index === 0)
      expect(openings.map((payload) => payload[2])).toEqual([suite === 'aes-256-gcm' ? 1 : 2])
      expect(handshakes(pair.initiator.outputs).length).toBeLessThanOrEqual(2)
      pair.advance(60_000)
      expect(pair.initiator.session.state).toBe('closed')
      expect(pair.initiator.session.pollOutput(pair.now)).toBeUndefined()
      expect(pair.responder.eventsOf('established')).toEqual([])
    }
    expect([...codes.keys()]).toEqual(expect.arrayContaining(['HTX_BAD_MAGIC', 'MALFORMED']))
    if (pattern === 'XK' || frame === 1 || from === 'responder') expect(codes.has('HANDSHAKE_DECRYPT')).toBe(true)
  })

  test('with a message left out, doubled or cut off ends in a code', () => {
    for (const { from, frame } of sent) {
      const gone = tampered({ from, frame, change: () => [] }, options())
      gone.advance(60_000)
      const twice = tampered({ from, frame, change: (bytes) => [bytes, bytes] }, options())
      const cut = tampered(
        {
          from,
          frame,
          change: (bytes) => {
            const short = encodeFrame({
              flags: 0,
              type: FrameType.Handshake,
              sequence: 0,
              timestamp: 0,
              payload: bytes.subarray(20, bytes.length - 5),
            })
            return [short]
          },
        },
        options(),
      )
      const last = from === 'initiator' ? 'responder' : 'initiator'
      const code = (pair: SessionPair): string | undefined => pair[last].closed?.reason.code
      expect(code(gone)).toMatch(from === 'initiator' && frame === 1 ? /^(UNEXPECTED_FRAME|MALFORMED)$/ : /TIMEOUT$/)
      // a second message 3 comes after the keys are there, and so does a second offer
      expect(code(twice)).toMatch(
        frame === 1 || from === 'responder' || pattern === 'resumed'
          ? /^(PLAINTEXT_FRAME|HANDSHAKE_MALFORMED)$/
          : /^HANDSHAKE_(MALFORMED|DECRYPT)$/,
      )
      expect(code(cut)).toMatch(/^HANDSHAKE_(MALFORMED|DECRYPT)$/)
      for (const pair of [gone, cut]) expect(pair[last].eventsOf('established')).toEqual([])
    }
  })
})

describe('who is there', () => {
  test('another node than the one that was dialled: IDENTITY_MISMATCH, and it learns nothing of us', () => {
    const { nodeId } = testChannels(9)
    const pair = new SessionPair({ expected: nodeId })
    pair.advance(0)
    expect(pair.initiator.closed?.reason.code).toBe('IDENTITY_MISMATCH')
    expect(pair.initiator.eventsOf('established')).toEqual([])
    expect(pair.responder.eventsOf('established')).toEqual([])
    // one HANDSHAKE frame and the CLOSE: our own certificate, in message 3, was not sent
    const sent = pair.initiator.outputs.flatMap((bytes) => decodeFrames(bytes, { maxFrameBytes: 65_536 }))
    expect(sent.map(({ type }) => type)).toEqual([FrameType.Handshake, FrameType.Close])
  })

  test('a peer that publishes the static key of somebody else and relays the handshake to him: IDENTITY_MISMATCH', () => {
    // Mallory's record names Mallory, and has Bob's X25519 key in it; Bob answers what she passes on to him
    const mallory = testChannels(3)
    const pair = new SessionPair({ expected: mallory.nodeId, pattern: 'XK' })
    pair.advance(0)
    expect(pair.initiator.closed?.reason.code).toBe('IDENTITY_MISMATCH')
    expect(pair.responder.eventsOf('established')).toEqual([])
    expect(pair.responder.closed?.reason).toMatchObject({ by: 'remote', code: 'IDENTITY_MISMATCH' })
  })

  test('ourselves, by way of a mirror: IDENTITY_OWN', () => {
    const one = testChannels(1)
    const make = (role: 'initiator' | 'responder'): HtxSession => session(role, one.secure)
    const codes = converse(make('initiator'), make('responder'))
    expect(codes.initiator).toBe('IDENTITY_OWN')
  })
})

const NOW = 1_750_000_000_000
const DAY = 86_400_000

/** Channels of a node that shows a certificate which was made at that time. */
function channels(seed: number, madeAt: number): SecureChannels {
  const crypto = seededCrypto(nodeCrypto, new SeededRandom(`certificates ${seed}`))
  const identity = identityFromSeed(crypto, new Uint8Array(32).fill(seed))
  const certificate = identity.certificate(madeAt)
  Object.defineProperty(identity, 'certificate', { value: () => certificate })
  return secureChannels({ identity, clock: { unixNow: () => NOW } })
}

function session(role: 'initiator' | 'responder', secure: SecureChannels, suite?: CipherSuite): HtxSession {
  const suites = suite === undefined ? secure.suites : [suite]
  return new HtxSession(0, {
    role,
    secure: { ...secure, suites },
    expected: undefined,
    remoteStatic: undefined,
    options: htxSessionOptions(),
    budget: new ReassemblyBudget(),
    compressor: undefined,
  })
}

/** Lets two sessions talk until both are silent: how each ended, or `open`. */
function converse(initiator: HtxSession, responder: HtxSession): { initiator: string; responder: string } {
  const codes = { initiator: 'open', responder: 'open' }
  for (let i = 0; i < 6; i++) {
    for (const [name, from, to] of [
      ['initiator', initiator, responder],
      ['responder', responder, initiator],
    ] as const) {
      for (let event; (event = from.pollEvent()) !== undefined;) {
        if (event.type === 'closed') codes[name] = event.error?.code ?? event.reason.code
      }
      for (let pieces; (pieces = from.pollOutput(0)) !== undefined;) {
        for (const piece of pieces) to.handleInput(0, new Uint8Array(piece))
      }
    }
  }
  return codes
}

describe('the life of a certificate', () => {
  test.each([
    ['made an hour ago', -3_600_000, 'open'],
    ['made almost six days ago, still valid', -6 * DAY + 60_000, 'open'],
    ['over since a minute: clocks may be two minutes apart', -6 * DAY - 60_000, 'open'],
    ['over since three minutes', -6 * DAY - 180_000, 'CERTIFICATE_EXPIRED'],
    ['over since a month', -36 * DAY, 'CERTIFICATE_EXPIRED'],
    ['made by a clock that is a minute ahead', 60_000, 'open'],
    ['from the future, by two days: it would serve a thief for longer than seven', 2 * DAY, 'CERTIFICATE_INVALID'],
  ])('%s (%i ms from now): %s', (_, offset, code) => {
    const dialled = converse(session('initiator', channels(1, NOW)), session('responder', channels(2, NOW + offset)))
    expect(dialled).toEqual({ initiator: code, responder: code })
    const accepted = converse(session('initiator', channels(1, NOW + offset)), session('responder', channels(2, NOW)))
    // the dialler was through when its certificate was refused, and still learns why
    expect(accepted).toEqual({ initiator: code, responder: code })
  })
})

describe('a CLOSE that is not sealed', () => {
  const close = (fields: { flags?: number; sequence?: number } = {}): Uint8Array =>
    encodeFrame({
      flags: 0,
      sequence: 0,
      timestamp: 0,
      ...fields,
      type: FrameType.Close,
      payload: Uint8Array.of(0x04, 0x07),
    })
  /** A pair in which message 3 is on its way, for good. */
  const unanswered = (): SessionPair => {
    let sent = 0
    const pair = new SessionPair({ wire: (bytes, side) => (side === 'initiator' && sent++ > 0 ? [] : [bytes]) })
    pair.advance(0)
    expect(pair.initiator.eventsOf('established')).toHaveLength(1)
    expect(pair.responder.eventsOf('established')).toEqual([])
    return pair
  }
  const codeOf = ({ closed }: { closed: { reason: { code: string } } | undefined }): string | undefined =>
    closed?.reason.code

  test('instead of the first sealed frame, also byte by byte, is the refusal of message 3', () => {
    for (const size of [1, 5, 100]) {
      const pair = unanswered()
      for (let at = 0; at < close().length; at += size) pair.deliver(pair.initiator, close().subarray(at, at + size))
      pair.advance(0)
      expect(pair.initiator.closed?.reason).toEqual({ by: 'remote', code: 'CERTIFICATE_EXPIRED', retryable: true })
    }
  })

  test.each([{ sequence: 1 }, { flags: 1 }])('with %j is PLAINTEXT_FRAME', (fields) => {
    const pair = unanswered()
    pair.deliver(pair.initiator, close(fields))
    pair.advance(0)
    expect(codeOf(pair.initiator)).toBe('PLAINTEXT_FRAME')
  })

  test('behind a sealed frame, and to a responder, is PLAINTEXT_FRAME', () => {
    const pair = SessionPair.open()
    pair.send(pair.responder, Uint8Array.of(1))
    pair.advance(0)
    pair.deliver(pair.initiator, close())
    pair.advance(0)
    expect(codeOf(pair.initiator)).toBe('PLAINTEXT_FRAME')

    const other = SessionPair.open()
    other.deliver(other.responder, close())
    other.advance(0)
    expect(codeOf(other.responder)).toBe('PLAINTEXT_FRAME')
  })
})

describe('suites', () => {
  test('a responder without the suite ends it: HANDSHAKE_UNSUPPORTED, and no second suite is tried', () => {
    const ours = session('initiator', testChannels(1).secure, 'aes-256-gcm')
    const theirs = session('responder', testChannels(2).secure, 'chacha20-poly1305')
    const codes = converse(ours, theirs)
    expect(codes).toEqual({ initiator: 'HANDSHAKE_UNSUPPORTED', responder: 'HANDSHAKE_UNSUPPORTED' })
    expect(ours.pollOutput(0)).toBeUndefined()
  })
})

describe('a HANDSHAKE frame behind the last message of the handshake', () => {
  const stray = encodeFrame({
    flags: 0,
    type: FrameType.Handshake,
    sequence: 0,
    timestamp: 0,
    payload: new Uint8Array(8),
  })
  /** One more frame behind the message that ends the handshake for `to`: some of its bytes at once, the rest later. */
  const behind = (to: SideName, count: number, after?: SessionPair): SessionPair => {
    let added = false
    const pair: SessionPair = new SessionPair({
      ...(after === undefined ? {} : { after }),
      wire: (bytes, from) => {
        if (from === to || added) return [bytes]
        added = true
        return [Uint8Array.of(...bytes, ...stray.subarray(0, count))]
      },
    })
    pair.advance(0)
    if (count < stray.length) pair.deliver(pair[to], stray.subarray(count))
    pair.advance(10)
    return pair
  }

  test.each([stray.length, 24, 20, 5])('is refused by an initiator, %i bytes of it in the same read', (count) => {
    expect(behind('initiator', count).initiator.closed?.reason.code).toMatch(/^(PLAINTEXT_FRAME|MALFORMED)$/)
  })

  test.each([stray.length, 24, 20, 5])('is refused by a responder that resumes, %i bytes in the same read', (count) => {
    const pair = behind('responder', count, SessionPair.open())
    expect(pair.responder.closed?.reason.code).toMatch(/^(PLAINTEXT_FRAME|MALFORMED)$/)
  })
})
