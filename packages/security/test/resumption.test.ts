import { describe, expect, test } from '@jest/globals'
import {
  ArgumentError,
  MAX_EARLY_BYTES,
  toHex,
  type AivError,
  type Handshake,
  type HandshakeOptions,
  type SecureChannels,
  type SecureSession,
} from '@aiv/transport-api'
import {
  type Crypto,
  type Identity,
  MAX_TICKETS,
  TICKET_LIFETIME_MS,
  NOISE_KEY_LIFE_MS,
  certificateBody,
  encodeCertificate,
  identityFromSeed,
  nodeCrypto,
  secureChannels,
} from '../src/index.js'
import { MAX_READ_EARLY, ResumptionTickets, type ResumptionTicket } from '../src/resumption-tickets.js'
import { cryptos } from './cryptos.js'

const utf8 = new TextEncoder()
const start = Date.UTC(2026, 0, 1)
const fill = (byte: number, length = 32) => new Uint8Array(length).fill(byte)

interface Party {
  readonly identity: Identity
  channels: SecureChannels
}

/** Two nodes whose channels live on from handshake to handshake. */
class World {
  now = start
  readonly alice: Party
  readonly bob: Party
  readonly #clock = { unixNow: () => this.now }

  constructor(readonly crypto: Crypto = nodeCrypto) {
    this.alice = this.party(1)
    this.bob = this.party(2)
  }

  party(seed: number): Party {
    const identity = identityFromSeed(this.crypto, fill(seed))
    return { identity, channels: secureChannels({ identity, clock: this.#clock }) }
  }

  /** A node that was started again: its keys are the same, its memory is empty. */
  restart(party: Party): void {
    party.channels = secureChannels({ identity: party.identity, clock: this.#clock })
  }

  begin(overrides: Partial<HandshakeOptions> = {}, from = this.alice, to = this.bob) {
    const common = {
      pattern: 'XX',
      suite: 'chacha20-poly1305',
      label: 'test/1',
      prologue: utf8.encode('prologue'),
      remoteStatic: undefined,
      resume: true,
      ...overrides,
    } as const
    const payload = (text: string) => utf8.encode(text)
    return {
      initiator: from.channels.start({
        ...common,
        role: 'initiator',
        expected: to.identity.nodeId,
        payload: payload('of the initiator'),
      }),
      responder: to.channels.start({
        ...common,
        role: 'responder',
        expected: undefined,
        payload: payload('of the responder'),
      }),
    }
  }

  meet(overrides?: Partial<HandshakeOptions>, from?: Party, to?: Party) {
    const pair = this.begin(overrides, from, to)
    const messages = exchange(pair)
    return { ...pair, messages, ours: session(pair.initiator), theirs: session(pair.responder) }
  }
}

function exchange({ initiator, responder }: { initiator: Handshake; responder: Handshake }): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let i = 0; i < 4; i++) {
    const [from, to] = i % 2 === 0 ? [initiator, responder] : [responder, initiator]
    const message = from.pollMessage()
    if (message === undefined) break
    messages.push(message)
    to.handleMessage(message)
  }
  return messages
}

function session({ outcome }: Handshake): SecureSession {
  if (outcome === undefined || !('sending' in outcome)) throw new Error(`no session: ${String(outcome?.code)}`)
  return outcome
}

const codeOf = ({ outcome }: Handshake) => (outcome as AivError | undefined)?.code

function talk(from: SecureSession, to: SecureSession): void {
  const sealed = from.sending.seal(1, fill(1, 4), utf8.encode('hello'))
  const joined = Uint8Array.from(sealed.flatMap((piece) => [...piece]))
  expect(to.receiving.open(1, fill(1, 4), joined)).toEqual(utf8.encode('hello'))
}

describe.each(cryptos)('a handshake that builds on the last one, on %s', (_, crypto) => {
  test('proves the same nodes in two messages, with new keys and what each side has to say', () => {
    const world = new World(crypto)
    const first = world.meet()
    expect([first.ours.resumed, first.messages.length]).toEqual([false, 3])
    expect(world.alice.channels.canResume?.(world.bob.identity.nodeId)).toBe(true)
    const second = world.meet()
    expect(second.messages.map(({ length }) => length)).toEqual([16 + 32 + 2 + 16 + 16, 1 + 32 + 16 + 16])
    const { ours, theirs } = second
    expect([ours.resumed, theirs.resumed]).toEqual([true, true])
    expect(ours.remote).toEqual(first.ours.remote)
    expect(theirs.remote.nodeId).toBe(world.alice.identity.nodeId)
    expect(ours.remoteStatic).toEqual(world.bob.identity.noiseStatic.publicKey)
    expect(theirs.remoteStatic).toEqual(world.alice.identity.noiseStatic.publicKey)
    expect(ours.remotePayload).toEqual(utf8.encode('of the responder'))
    expect(theirs.remotePayload).toEqual(utf8.encode('of the initiator'))
    expect(ours.handshakeHash).toEqual(theirs.handshakeHash)
    expect(toHex(ours.handshakeHash)).not.toBe(toHex(first.ours.handshakeHash))
    talk(ours, theirs)
    talk(theirs, ours)
    // and the third on the second
    expect(world.meet().ours.resumed).toBe(true)
  })
})

describe('what is offered', () => {
  test('is never the same, and tells nobody who is meant', () => {
    const world = new World()
    world.meet()
    const [one] = world.meet().messages
    const [two] = world.meet().messages
    expect(toHex(one?.subarray(0, 16) ?? fill(0))).not.toBe(toHex(two?.subarray(0, 16) ?? fill(0)))
  })

  test('is nothing where it is not asked for, with XK, and without an expected node; XK leads to one', () => {
    const world = new World()
    world.meet({ resume: false })
    expect(world.alice.channels.canResume?.(world.bob.identity.nodeId)).toBe(false)
    world.meet()
    expect(world.meet({ resume: false }).ours.resumed).toBe(false)
    const remoteStatic = world.bob.identity.noiseStatic.publicKey
    expect(world.meet({ pattern: 'XK', remoteStatic }).ours.resumed).toBe(false)
    expect(world.meet().ours.resumed).toBe(true)
    const anybody = { role: 'initiator', pattern: 'XX', suite: 'aes-256-gcm', label: 'test/1', resume: true } as const
    const to = { expected: undefined, remoteStatic: undefined, prologue: fill(1), payload: fill(1) }
    expect(world.alice.channels.start({ ...anybody, ...to }).pollMessage()).toHaveLength(32)
  })

  test('is given out once: after a dial that failed certificates are shown', () => {
    const world = new World()
    world.meet()
    expect(world.begin().initiator.pollMessage()).toHaveLength(82)
    expect(world.alice.channels.canResume?.(world.bob.identity.nodeId)).toBe(false)
    const { ours, messages } = world.meet()
    expect([ours.resumed, messages[0]?.length]).toEqual([false, 32])
  })

  test('that a responder does not understand is not offered again', () => {
    const world = new World()
    world.meet()
    const { initiator } = world.begin()
    const { responder } = world.begin({ resume: false })
    exchange({ initiator, responder })
    expect(codeOf(responder)).toBe('HANDSHAKE_MALFORMED')
    expect(world.meet().ours.resumed).toBe(false)
    expect(world.meet().ours.resumed).toBe(true)
  })

  test('is for one direction: who was dialled dials with certificates', () => {
    const world = new World()
    world.meet()
    expect(world.alice.channels.canResume?.(world.bob.identity.nodeId)).toBe(true)
    expect(world.bob.channels.canResume?.(world.alice.identity.nodeId)).toBe(false)
    const back = world.meet({}, world.bob, world.alice)
    expect([back.ours.resumed, back.messages.length]).toEqual([false, 3])
  })

  test('counts for the same suite and label only', () => {
    const world = new World()
    world.meet()
    expect(world.meet({ suite: 'aes-256-gcm' }).ours.resumed).toBe(false)
    expect(world.meet({ suite: 'aes-256-gcm', label: 'test/2' }).ours.resumed).toBe(false)
  })

  test.each(['at the start', 'before its end'])('is bound to the static keys that were in use, replaced %s', (when) => {
    const world = new World()
    world.now -= 2 * NOISE_KEY_LIFE_MS
    for (const { identity } of [world.alice, world.bob]) identity.certificate(world.now)
    world.now = start
    const pair = world.begin()
    pair.responder.handleMessage(pair.initiator.pollMessage() as Uint8Array)
    if (when === 'before its end') pair.initiator.handleMessage(pair.responder.pollMessage() as Uint8Array)
    for (const { identity } of [world.alice, world.bob]) expect(identity.rotateNoiseKey(world.now)).toBe(true)
    for (let i = 0; i < 2; i++) {
      const message = (i === 0 ? pair.responder : pair.initiator).pollMessage()
      if (message !== undefined) (i === 0 ? pair.initiator : pair.responder).handleMessage(message)
    }
    expect([session(pair.initiator).resumed, session(pair.responder).resumed]).toEqual([false, false])
    expect(world.meet().ours.resumed).toBe(false)
  })

  test('ends after a day, however often it was used', () => {
    const world = new World()
    world.meet()
    for (let i = 0; i < 3; i++) {
      world.now += TICKET_LIFETIME_MS / 4
      expect(world.meet().ours.resumed).toBe(true)
    }
    world.now += TICKET_LIFETIME_MS / 4
    expect(world.alice.channels.canResume?.(world.bob.identity.nodeId)).toBe(false)
    expect(world.meet().ours.resumed).toBe(false)
    // nor with a clock that was set back
    world.now -= TICKET_LIFETIME_MS + 1
    expect(world.alice.channels.canResume?.(world.bob.identity.nodeId)).toBe(false)
  })

  test('ends with the certificate of the other side', () => {
    const world = new World()
    const notAfter = start / 1_000 + 3_600
    const { identity } = world.bob
    const short = Object.create(identity, {
      certificate: {
        value: () => {
          const body = certificateBody(identity.publicKey, identity.noiseStatic.publicKey, notAfter)
          const signature = identity.sign('aiv-noise-static/1', body)
          return encodeCertificate({ publicKey: identity.publicKey, notAfter }, signature)
        },
      },
      ...forwarded(identity),
    }) as Identity
    world.bob.channels = secureChannels({ identity: short, clock: { unixNow: () => world.now } })
    world.meet()
    world.now = notAfter * 1_000 - 1
    expect(world.alice.channels.canResume?.(identity.nodeId)).toBe(true)
    world.now += 1
    expect(world.alice.channels.canResume?.(identity.nodeId)).toBe(false)
  })

  test.each(['alice', 'bob'] as const)('is worth nothing once %s has another static key', (who) => {
    const world = new World()
    world.now -= 2 * NOISE_KEY_LIFE_MS
    world[who].identity.certificate(world.now)
    world.now = start
    world.meet()
    expect(world[who].identity.rotateNoiseKey(world.now)).toBe(true)
    const { ours, messages } = world.meet()
    expect([ours.resumed, messages.length]).toEqual([false, 3])
  })
})

describe('a responder that does not know the ticket', () => {
  test('goes on with XX in the same exchange, and the next one builds on that', () => {
    const world = new World()
    world.meet()
    world.restart(world.bob)
    const pair = world.meet()
    expect(pair.messages).toHaveLength(3)
    expect([pair.ours.resumed, pair.theirs.resumed]).toEqual([false, false])
    talk(pair.ours, pair.theirs)
    talk(pair.theirs, pair.ours)
    expect(world.meet().ours.resumed).toBe(true)
  })

  test('is still held to being the node that was dialled', () => {
    const world = new World()
    world.meet()
    const { initiator } = world.begin()
    const { responder } = world.begin({}, world.alice, world.party(9))
    exchange({ initiator, responder })
    expect(codeOf(initiator)).toBe('IDENTITY_MISMATCH')
    expect(responder.outcome).toBeUndefined()
  })

  test('takes each ticket once: a repeated first message gets a handshake that it cannot finish', () => {
    const world = new World()
    world.meet()
    const { messages } = world.meet()
    const { responder } = world.begin()
    responder.handleMessage(messages[0] as Uint8Array)
    expect(responder.pollMessage()?.[0]).toBe(0)
    expect(responder.outcome).toBeUndefined()
  })
})

describe('what comes early', () => {
  const early = fill(7, MAX_EARLY_BYTES)

  test('is read with the first message, and once', () => {
    const world = new World()
    world.meet()
    const { initiator, responder } = world.begin()
    expect(initiator.resumes).toMatchObject({
      remote: { nodeId: world.bob.identity.nodeId, publicKey: world.bob.identity.publicKey },
      remotePayload: utf8.encode('of the responder'),
    })
    const offer = initiator.pollMessage(early) as Uint8Array
    expect(toHex(offer)).not.toContain('07'.repeat(8))
    responder.handleMessage(offer)
    expect(responder.early).toEqual(early)
    initiator.handleMessage(responder.pollMessage() as Uint8Array)
    expect([session(initiator).resumed, session(responder).resumed]).toEqual([true, true])
    const again = world.begin().responder
    again.handleMessage(offer)
    expect([again.pollMessage(), again.early, codeOf(again)]).toEqual([undefined, undefined, 'HANDSHAKE_REPLAYED'])
  })

  test('is not said to be unread by a second copy of the message, with which the initiator would say it again', () => {
    const world = new World()
    world.meet()
    const { initiator, responder } = world.begin()
    const offer = initiator.pollMessage(early) as Uint8Array
    responder.handleMessage(offer)
    expect(responder.early).toEqual(early)
    // even when others have dialled since, and the responder with them
    for (let i = 0; i < 3; i++) world.meet({}, world.party(i + 5), world.bob)
    world.now += 50_000
    const second = world.begin().responder
    second.handleMessage(offer)
    expect(codeOf(second)).toBe('HANDSHAKE_REPLAYED')
  })

  test('may be empty, and is not there where nothing was given', () => {
    const world = new World()
    for (const given of [fill(0, 0), undefined]) {
      world.meet()
      const { initiator, responder } = world.begin()
      responder.handleMessage(initiator.pollMessage(given) as Uint8Array)
      expect(responder.early).toEqual(given)
    }
  })

  test('is not for a handshake that builds on nothing', () => {
    const world = new World()
    const { initiator, responder } = world.begin()
    expect(initiator.resumes).toBeUndefined()
    const message = initiator.pollMessage(early)
    expect(message).toHaveLength(32)
    responder.handleMessage(message as Uint8Array)
    expect(responder.early).toBeUndefined()
  })

  test('is not taken when there is more of it', () => {
    const world = new World()
    world.meet()
    expect(() => world.begin().initiator.pollMessage(fill(7, MAX_EARLY_BYTES + 1))).toThrow(ArgumentError)
  })

  test.each([
    ['late, with certificates instead', 30_001, false],
    ['from the future, likewise', -30_001, false],
    ['just in time', 30_000, true],
    ['by a clock that goes before ours', -30_000, true],
  ])('%s', (_, laterMs, taken) => {
    const world = new World()
    world.meet()
    world.now += 60_000
    const pair = world.begin()
    const offer = pair.initiator.pollMessage(early) as Uint8Array
    world.now += laterMs
    pair.responder.handleMessage(offer)
    expect(pair.responder.early !== undefined).toBe(taken)
    pair.initiator.handleMessage(pair.responder.pollMessage() as Uint8Array)
    if (!taken) pair.responder.handleMessage(pair.initiator.pollMessage() as Uint8Array)
    const [ours, theirs] = [session(pair.initiator), session(pair.responder)]
    expect([ours.resumed, theirs.resumed ?? false]).toEqual([taken, taken])
    talk(ours, theirs)
    // the ticket is spent either way
    const again = world.begin().responder
    again.handleMessage(offer)
    expect([again.early, codeOf(again)]).toEqual([undefined, taken ? 'HANDSHAKE_REPLAYED' : undefined])
  })

  test('is refused where the node that answers is another one, and read by nobody', () => {
    const world = new World()
    world.meet()
    const { initiator } = world.begin()
    const { responder } = world.begin({}, world.alice, world.party(9))
    responder.handleMessage(initiator.pollMessage(early) as Uint8Array)
    expect(responder.early).toBeUndefined()
    initiator.handleMessage(responder.pollMessage() as Uint8Array)
    expect(codeOf(initiator)).toBe('IDENTITY_MISMATCH')
  })
})

describe('tampering', () => {
  test('with any byte of the first message, or a cut, never leads to a session', () => {
    const world = new World()
    for (let i = 0; i < 16 + 32 + 2 + 16 + 16; i++) {
      world.meet()
      const { initiator, responder } = world.begin()
      const forged = (initiator.pollMessage() as Uint8Array).slice()
      forged[i] = (forged[i] as number) ^ 1
      responder.handleMessage(forged)
      const answer = responder.pollMessage()
      if (answer === undefined) expect(codeOf(responder)).toBe('HANDSHAKE_DECRYPT')
      else initiator.handleMessage(answer)
      const last = initiator.pollMessage()
      if (last !== undefined) responder.handleMessage(last)
      expect([i, initiator.outcome instanceof Error || initiator.outcome === undefined]).toEqual([i, true])
      expect([i, responder.outcome instanceof Error || responder.outcome === undefined]).toEqual([i, true])
    }
    world.meet()
    const { initiator } = world.begin()
    const offer = initiator.pollMessage() as Uint8Array
    for (const length of [33, 48, 65, 66, 81]) {
      const { responder } = world.begin()
      responder.handleMessage(offer.subarray(0, length))
      expect(codeOf(responder)).toBe(length < 66 ? 'HANDSHAKE_MALFORMED' : 'HANDSHAKE_DECRYPT')
    }
    // who only heard its name has not spent the ticket
    const { responder } = world.begin()
    responder.handleMessage(offer)
    initiator.handleMessage(responder.pollMessage() as Uint8Array)
    expect(session(initiator).resumed).toBe(true)
  })

  test('with any byte of the second message, of either kind, never leads to a session of the initiator', () => {
    const world = new World()
    world.meet()
    for (const known of [true, false]) {
      for (let i = 0; i < (known ? 65 : 1 + 32 + 48 + 100); i++) {
        world.meet()
        if (!known) world.restart(world.bob)
        const { initiator, responder } = world.begin()
        responder.handleMessage(initiator.pollMessage() as Uint8Array)
        const forged = responder.pollMessage()?.slice() as Uint8Array
        expect(forged[0]).toBe(known ? 1 : 0)
        forged[i] = (forged[i] as number) ^ (i === 0 ? 4 : 1)
        initiator.handleMessage(forged)
        expect(initiator.outcome).toBeInstanceOf(Error)
        expect(initiator.pollMessage()).toBeUndefined()
      }
    }
  })

  test('an answer of the other kind than it is, too long, empty, or before the offer, is refused', () => {
    const world = new World()
    world.meet()
    for (const change of [
      (answer: Uint8Array) => Uint8Array.of(0, ...answer.subarray(1)),
      () => new Uint8Array(0),
      (answer: Uint8Array) => Uint8Array.of(...answer, ...fill(0, 2_000)),
    ]) {
      world.meet()
      const { initiator, responder } = world.begin()
      responder.handleMessage(initiator.pollMessage() as Uint8Array)
      initiator.handleMessage(change(responder.pollMessage() as Uint8Array))
      expect(initiator.outcome).toBeInstanceOf(Error)
    }
    const { initiator } = world.begin()
    initiator.handleMessage(fill(1, 65))
    expect(codeOf(initiator)).toBe('HANDSHAKE_MALFORMED')
    expect(initiator.pollMessage()).toBeUndefined()
  })

  test('a second message to a responder that has a session is refused by nobody and changes nothing', () => {
    const world = new World()
    world.meet()
    const { responder, theirs } = world.meet()
    responder.handleMessage(fill(1, 40))
    expect(responder.outcome).toBe(theirs)
  })
})

describe('the tickets', () => {
  const own = fill(3)
  const ticket = (node: number, id = node): ResumptionTicket => ({
    id: new Uint8Array(16).fill(id >> 8, 0, 8).fill(id & 255, 8),
    secret: fill(1),
    suite: 'aes-256-gcm',
    label: 'test/1',
    remote: { nodeId: `node-${node}` as never, publicKey: fill(1) },
    remoteStatic: fill(2),
    remotePayload: fill(4),
    ownStatic: own,
    notAfter: start + 1_000,
  })

  const has = (tickets: ResumptionTickets, node: number) => tickets.hasDialled(`node-${node}` as never, start, own)

  test('of which something was read early are remembered, for a minute at least; what cannot be is not read', () => {
    const tickets = new ResumptionTickets()
    const id = (i: number) => Uint8Array.from({ length: 16 }, (_, at) => (at < 4 ? i >>> (8 * at) : 0))
    for (let i = 0; i < MAX_READ_EARLY; i++) expect(tickets.readEarly(id(i), start + i)).toBe(true)
    expect(tickets.readEarly(id(-1), start + 59_999)).toBe(false)
    expect([tickets.wasReadEarly(id(0)), tickets.wasReadEarly(id(-1))]).toEqual([true, false])
    expect(tickets.readEarly(id(-1), start + 60_000)).toBe(true)
    expect([tickets.wasReadEarly(id(0)), tickets.wasReadEarly(id(1))]).toEqual([false, true])
    // with a clock that was set back nothing is forgotten early
    expect(tickets.readEarly(id(-2), start - 1_000)).toBe(false)
  })

  test('are bounded, the oldest go first and are wiped', () => {
    const tickets = new ResumptionTickets()
    const first = [ticket(0), ticket(0)] as const
    tickets.keepDialled(first[0])
    tickets.keepAccepted(first[1])
    for (let node = 1; node < 2 * MAX_TICKETS; node++) {
      tickets.keepDialled(ticket(node))
      tickets.keepAccepted(ticket(node))
    }
    expect(tickets.size).toBe(2 * MAX_TICKETS)
    expect(has(tickets, 0)).toBe(false)
    expect(tickets.accepted(ticket(0).id, start, own)).toBeUndefined()
    for (const { secret } of first) expect(secret).toEqual(fill(0))
    expect(has(tickets, 2 * MAX_TICKETS - 1)).toBe(true)
    expect(tickets.accepted(ticket(2 * MAX_TICKETS - 1).id, start, own)).toBeDefined()
  })

  test('a node has one in each direction, the newest', () => {
    const tickets = new ResumptionTickets()
    tickets.keepAccepted(ticket(1, 1))
    tickets.keepAccepted(ticket(1, 2))
    tickets.keepDialled(ticket(1, 1))
    tickets.keepDialled(ticket(1, 2))
    expect(tickets.size).toBe(2)
    expect(tickets.accepted(ticket(1, 1).id, start, own)).toBeUndefined()
    expect(tickets.takeDialled('node-1' as never, start, own)?.id).toEqual(ticket(1, 2).id)
    expect(tickets.size).toBe(1)
  })

  test('are gone when their time is over', () => {
    const tickets = new ResumptionTickets()
    const [dialled, accepted] = [ticket(1), ticket(1)]
    tickets.keepDialled(dialled)
    tickets.keepAccepted(accepted)
    expect(tickets.hasDialled('node-1' as never, start + 1_000, own)).toBe(false)
    expect(tickets.accepted(accepted.id, start + 1_000, own)).toBeUndefined()
    expect(tickets.size).toBe(0)
    for (const { secret } of [dialled, accepted]) expect(secret).toEqual(fill(0))
  })
})

/** Getters that read private fields work on the identity itself only. */
function forwarded(identity: Identity): PropertyDescriptorMap {
  return {
    noiseStatic: { get: () => identity.noiseStatic },
    sign: { value: identity.sign.bind(identity) },
  }
}
