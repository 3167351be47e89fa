import { describe, expect, test } from '@jest/globals'
import { FrameType, encodeFrame, writeChunkHeader } from '@aiv/htx-codec'
import { joinBytes } from '@aiv/transport-api'
import { ReassemblyBudget, closeNumber } from '../src/index.js'
import { RawPeer, withCrc } from './raw-peer.js'
import { SessionPair, filled } from './session-pair.js'

const EMPTY = new Uint8Array(0)
const sealedTypes = [0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0b]

function chunk(number: number, final: boolean, bytes: Uint8Array, total?: number): Uint8Array {
  const head = new Uint8Array(24)
  const end = writeChunkHeader(head, 0, { number, final, length: bytes.length, total })
  return joinBytes([head.subarray(0, end), bytes])
}

/** A payload that is right for its type. */
function payloadOf(type: number): Uint8Array {
  if (type === FrameType.Data) return chunk(1, true, filled(10))
  if (type === FrameType.KeyUpdate) return EMPTY
  if (type === FrameType.Close) return Uint8Array.of(0, 0)
  return new Uint8Array(8)
}

function u64(value: bigint): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, value)
  return out
}

describe('a peer, or somebody in between, that breaks the rules after the handshake', () => {
  test.each(sealedTypes)('frame type %i unsealed: PLAINTEXT_FRAME', (type) => {
    const peer = new RawPeer()
    peer.write(encodeFrame({ flags: 0, type, sequence: 0, timestamp: 0, payload: payloadOf(type) }))
    expect(peer.code).toBe('PLAINTEXT_FRAME')
    expect(peer.packets).toEqual([])
  })

  test.each(sealedTypes)('frame type %i with the ENCRYPTED flag cleared and a right CRC: PLAINTEXT_FRAME', (type) => {
    const peer = new RawPeer()
    const frame = peer.frame(type, payloadOf(type))
    frame[3] = 0
    peer.write(withCrc(frame))
    expect(peer.code).toBe('PLAINTEXT_FRAME')
  })

  test.each(sealedTypes)('any bit of frame type %i changed, CRC right: no plaintext, and a code', (type) => {
    const codes = new Set<string | undefined>()
    const length = new RawPeer().frame(type, payloadOf(type)).length
    for (let at = 0; at < length - 4; at++) {
      const peer = new RawPeer()
      const frame = peer.frame(type, payloadOf(type))
      frame[at] = (frame[at] as number) ^ 1
      peer.write(withCrc(frame))
      // a length that is now longer leaves the frame unfinished, until the stream ends
      if (peer.code === undefined) peer.session.handleEnd(0)
      peer.drain()
      expect(peer.packets).toEqual([])
      codes.add(peer.code)
    }
    expect(codes).not.toContain('CLOSED')
    expect(codes).toContain('FORGED')
    expect(codes).toContain('REPLAY')
  })

  test.each(sealedTypes)('frame type %i twice: REPLAY', (type) => {
    const peer = new RawPeer()
    const frame = peer.frame(type, payloadOf(type))
    peer.write(frame)
    peer.write(frame)
    // after a CLOSE nothing counts; after a KEY_UPDATE the old number is the wrong one as well, under a new key
    expect(peer.code).toBe(type === FrameType.Close ? 'CLOSED' : type === FrameType.KeyUpdate ? 'FORGED' : 'REPLAY')
  })

  test('a frame left out: REPLAY', () => {
    const peer = new RawPeer()
    peer.frame(FrameType.Data, chunk(1, true, filled(5)))
    peer.send(FrameType.Data, chunk(2, true, filled(5)))
    expect(peer.code).toBe('REPLAY')
    expect(peer.packets).toEqual([])
  })

  test('two frames in the wrong order: REPLAY', () => {
    const peer = new RawPeer()
    const first = peer.frame(FrameType.Data, chunk(1, true, filled(5)))
    const second = peer.frame(FrameType.Data, chunk(2, true, filled(5)))
    peer.write(joinBytes([second, first]))
    expect(peer.code).toBe('REPLAY')
  })

  test('a forged tag on a frame that arrives in pieces gives nothing out', () => {
    const peer = new RawPeer()
    const frame = peer.frame(FrameType.Data, chunk(1, true, filled(5_000)))
    frame[frame.length - 5] = (frame[frame.length - 5] as number) ^ 0x80
    const forged = withCrc(frame)
    for (let at = 0; at < forged.length; at += 700) peer.write(forged.subarray(at, at + 700))
    expect(peer.code).toBe('FORGED')
    expect(peer.packets).toEqual([])
  })

  test('fewer than 16 sealed bytes: MALFORMED', () => {
    const peer = new RawPeer()
    peer.write(encodeFrame({ flags: 2, type: 0, sequence: 1, timestamp: 0, payload: new Uint8Array(15) }))
    expect(peer.code).toBe('MALFORMED')
  })

  test('a bare end of the stream is an abort', () => {
    const peer = new RawPeer()
    peer.session.handleEnd(5)
    peer.drain()
    expect(peer.closed).toMatchObject({ reason: { by: 'lost', code: 'CONNECTION_LOST', retryable: true } })
  })

  test.each([
    ['a HANDSHAKE frame', FrameType.Handshake, new Uint8Array(4), 'UNEXPECTED_FRAME'],
    ['a type that nobody defined', 0x0c, EMPTY, 'UNKNOWN_FRAME'],
    ['a type that nobody defined', 0x3f, EMPTY, 'UNKNOWN_FRAME'],
    ['a short WINDOW_UPDATE', FrameType.WindowUpdate, new Uint8Array(7), 'MALFORMED'],
    ['a long ACK', FrameType.Ack, new Uint8Array(9), 'MALFORMED'],
    ['an ACK for what was not sent', FrameType.Ack, u64(1n), 'MALFORMED'],
    ['a PING of 7 bytes', FrameType.Ping, new Uint8Array(7), 'MALFORMED'],
    ['a KEY_UPDATE with a payload', FrameType.KeyUpdate, new Uint8Array(1), 'MALFORMED'],
    ['a CLOSE of one byte', FrameType.Close, new Uint8Array(1), 'MALFORMED'],
    ['a CLOSE of 259 bytes', FrameType.Close, new Uint8Array(259), 'MALFORMED'],
    ['an empty chunk that is not final', FrameType.Data, Uint8Array.of(2, 0, 5), 'CHUNK_MALFORMED'],
    ['a chunk beyond its frame', FrameType.Data, Uint8Array.of(3, 9, 1), 'CHUNK_MALFORMED'],
    ['a message number left out', FrameType.Data, chunk(2, true, filled(3)), 'MALFORMED'],
    [
      'chunks that do not add up',
      FrameType.Data,
      joinBytes([chunk(1, false, filled(5), 9), chunk(1, true, filled(3))]),
      'MALFORMED',
    ],
    [
      'chunks that add up to more',
      FrameType.Data,
      joinBytes([chunk(1, false, filled(5), 9), chunk(1, false, filled(4))]),
      'MALFORMED',
    ],
    [
      'a chunk of a message that is over',
      FrameType.Data,
      joinBytes([chunk(1, true, filled(5)), chunk(1, true, filled(4))]),
      'MALFORMED',
    ],
    [
      'a message above the limit',
      FrameType.Data,
      chunk(1, false, filled(5), 16 * 1024 * 1024 + 1),
      'MESSAGE_TOO_LARGE',
    ],
  ])('%s ends the session with its code', (_, type, payload, code) => {
    const peer = new RawPeer()
    peer.send(type, payload)
    expect(peer.code).toBe(code)
    expect(peer.closed?.reason.by).toBe('protocol')
    const close = peer.ofType(FrameType.Close)
    expect(close).toHaveLength(1)
    expect(((close[0]?.[0] as number) << 8) | (close[0]?.[1] as number)).toBe(closeNumber(code))
  })

  test.each([0x04, 0x05, 0x06, 0x07, 0x40, 0x7f, 0x80, 0xff])('frame type %i is passed over', (type) => {
    const peer = new RawPeer()
    peer.send(type, filled(30))
    peer.send(FrameType.Data, chunk(1, true, filled(3)))
    expect(peer.packets).toHaveLength(1)
  })

  test('a compressed frame where none was agreed on: MALFORMED; on another type as well', () => {
    for (const type of [FrameType.Data, FrameType.Ping]) {
      const peer = new RawPeer()
      peer.send(type, new Uint8Array(8), 1)
      expect(peer.code).toBe('MALFORMED')
    }
  })

  test('padding is skipped but costs credit', () => {
    const peer = new RawPeer()
    peer.send(FrameType.Data, joinBytes([chunk(0, true, filled(100)), chunk(1, true, filled(3))]))
    expect(peer.packets.map((packet) => packet.length)).toEqual([3])
    peer.session.pause()
    for (let i = 0; i < 5 && peer.code === undefined; i++) peer.send(FrameType.Data, chunk(0, true, filled(60_000)))
    expect(peer.code).toBe('FLOW_CONTROL_VIOLATION')
  })

  test('more than the window allows: FLOW_CONTROL_VIOLATION', () => {
    const peer = new RawPeer()
    peer.session.pause()
    let sent = 0
    while (peer.code === undefined && sent < 100) peer.send(FrameType.Data, chunk(++sent, true, filled(10_000)))
    expect(peer.code).toBe('FLOW_CONTROL_VIOLATION')
    // 26 × 10,016 bytes are within 256 KiB, 27 are not
    expect(sent).toBe(27)
  })

  test('millions of one-byte chunks cost credit like larger ones and end as a credit overrun', () => {
    const peer = new RawPeer()
    peer.session.pause()
    peer.send(FrameType.Data, chunk(1, false, filled(1), 1_000_000))
    const many = joinBytes(Array.from({ length: 10_000 }, () => chunk(1, false, filled(1))))
    peer.send(FrameType.Data, many)
    expect(peer.code).toBeUndefined()
    peer.send(FrameType.Data, many)
    expect(peer.code).toBe('FLOW_CONTROL_VIOLATION')
  })

  test('empty final messages without end cost credit as well', () => {
    const peer = new RawPeer()
    peer.session.pause()
    let number = 0
    const many = (): Uint8Array => joinBytes(Array.from({ length: 8_000 }, () => chunk(++number, true, EMPTY)))
    for (let i = 0; i < 3 && peer.code === undefined; i++) peer.send(FrameType.Data, many())
    expect(peer.code).toBe('FLOW_CONTROL_VIOLATION')
  })

  test('the 65th unfinished message: FLOW_CONTROL_VIOLATION', () => {
    const peer = new RawPeer()
    for (let number = 1; number <= 64; number++) peer.send(FrameType.Data, chunk(number, false, filled(1), 100))
    expect(peer.code).toBeUndefined()
    peer.send(FrameType.Data, chunk(65, false, filled(1), 100))
    expect(peer.code).toBe('FLOW_CONTROL_VIOLATION')
  })

  test('unfinished messages of more than 32 MiB together: FLOW_CONTROL_VIOLATION, and everything is given back', () => {
    const budget = new ReassemblyBudget()
    const peer = new RawPeer({}, budget)
    peer.send(FrameType.Data, chunk(1, false, filled(1), 16 * 2 ** 20))
    peer.send(FrameType.Data, chunk(2, false, filled(1), 16 * 2 ** 20))
    expect(budget.reservedBytes).toBe(32 * 2 ** 20)
    peer.send(FrameType.Data, chunk(3, false, filled(1), 2))
    expect(peer.code).toBe('FLOW_CONTROL_VIOLATION')
    expect(budget.reservedBytes).toBe(0)
  })

  test('a hundred sessions that hold unfinished messages take no more than the budget of the node', () => {
    const budget = new ReassemblyBudget(256 * 2 ** 20)
    const codes = new Map<string | undefined, number>()
    const peers = Array.from({ length: 20 }, () => new RawPeer({}, budget))
    for (const peer of peers) {
      peer.send(FrameType.Data, chunk(1, false, filled(1), 16 * 2 ** 20))
      peer.send(FrameType.Data, chunk(2, false, filled(1), 16 * 2 ** 20))
      expect(budget.reservedBytes).toBeLessThanOrEqual(256 * 2 ** 20)
      codes.set(peer.code, (codes.get(peer.code) ?? 0) + 1)
    }
    expect(codes).toEqual(
      new Map([
        [undefined, 8],
        ['REASSEMBLY_BUSY', 12],
      ]),
    )
    for (const { session } of peers) session.abort(0, new Error('over'))
    expect(budget.reservedBytes).toBe(0)
  })

  test('an unfinished message that hardly moves: PROGRESS_TIMEOUT after 30 s', () => {
    const peer = new RawPeer()
    peer.send(FrameType.Data, chunk(1, false, filled(1), 1_000_000))
    for (let s = 0; s < 29; s++) {
      peer.advance(1_000)
      peer.send(FrameType.Data, chunk(1, false, filled(4_000)))
    }
    expect(peer.code).toBeUndefined()
    peer.advance(1_001)
    expect(peer.code).toBe('PROGRESS_TIMEOUT')
  })

  test('an unfinished message that moves fast enough may take its time', () => {
    const peer = new RawPeer()
    peer.send(FrameType.Data, chunk(1, false, filled(1), 1_000_000))
    for (let s = 0; s < 120; s++) {
      peer.advance(1_000)
      peer.send(FrameType.Data, chunk(1, false, filled(4_400)))
    }
    expect(peer.code).toBeUndefined()
  })

  test('a WINDOW_UPDATE to 2^64 − 1 gives a gigabyte of credit and no more', () => {
    const peer = new RawPeer()
    peer.send(FrameType.WindowUpdate, u64(2n ** 64n - 1n))
    expect(peer.code).toBeUndefined()
    peer.send(FrameType.WindowUpdate, u64(3n))
    expect(peer.code).toBeUndefined()
  })

  test('a flood of PINGs is answered at most once a turn, stops the reading, and goes on later', () => {
    const peer = new RawPeer()
    const pings: Uint8Array[] = []
    for (let i = 0; i < 2_500; i++) pings.push(peer.frame(FrameType.Ping, u64(BigInt(i))))
    peer.write(joinBytes(pings))
    expect(peer.ofType(FrameType.Pong)).toEqual([u64(2_499n)])
    expect(peer.session.wantsInput).toBe(false)
    expect(peer.session.nextTimeout()).toBeLessThan(600)
    peer.advance(1_000)
    expect(peer.session.wantsInput).toBe(true)
    expect(peer.code).toBeUndefined()
  })

  test('a flood of large frames of unknown type stops the reading by its bytes', () => {
    const peer = new RawPeer()
    for (let i = 0; i < 40; i++) peer.send(0x80, new Uint8Array(60_000))
    expect(peer.session.wantsInput).toBe(false)
  })

  test('two KEY_UPDATEs next to each other: KEY_LIMIT; a second apart, or 1,024 frames apart: fine', () => {
    const near = new RawPeer()
    const update = (peer: RawPeer): void => {
      peer.send(FrameType.KeyUpdate)
      peer.sealer.next()
    }
    update(near)
    update(near)
    expect(near.code).toBe('KEY_LIMIT')

    const later = new RawPeer()
    update(later)
    later.advance(1_000)
    update(later)
    expect(later.code).toBeUndefined()

    const busy = new RawPeer({ controlFramesPerSecond: 100_000 })
    update(busy)
    for (let i = 0; i < 1_023; i++) busy.send(FrameType.Pong, u64(0n))
    update(busy)
    expect(busy.code).toBeUndefined()
  })
})

describe('bytes that are no HTX frame', () => {
  test.each([
    [0, 'HTX_BAD_MAGIC'],
    [2, 'HTX_BAD_VERSION'],
    [3, 'HTX_RESERVED_FLAGS'],
    [4, 'HTX_FRAME_TOO_LARGE'],
    [30, 'HTX_BAD_CRC'],
  ])('byte %i wrong: %s', (at, code) => {
    const peer = new RawPeer()
    const frame = peer.frame(FrameType.Data, chunk(1, true, filled(20)))
    frame[at] = 0xff
    peer.write(frame)
    expect(peer.code).toBe(code)
  })
})

describe('before the handshake is done', () => {
  test.each([0x00, 0x01, 0x02, 0x03, 0x08, 0x0b, 0x40])('frame type %i: UNEXPECTED_FRAME', (type) => {
    const pair = new SessionPair()
    for (const side of [pair.initiator, pair.responder]) {
      const frame = encodeFrame({ flags: 0, type, sequence: 0, timestamp: 0, payload: new Uint8Array(8) })
      side.session.handleInput(0, frame)
      pair.drain(side)
      expect(side.closed?.reason).toEqual({ by: 'protocol', code: 'UNEXPECTED_FRAME', retryable: false })
    }
  })

  test.each([
    ['flags', { flags: 2, sequence: 0, payload: new Uint8Array(40) }],
    ['a sequence number', { flags: 0, sequence: 1, payload: new Uint8Array(40) }],
    ['more than 2,048 bytes', { flags: 0, sequence: 0, payload: new Uint8Array(2_049) }],
  ])('a HANDSHAKE frame with %s: MALFORMED', (_, fields) => {
    const { responder, ...pair } = new SessionPair()
    void pair
    responder.session.handleInput(0, encodeFrame({ type: FrameType.Handshake, timestamp: 0, ...fields }))
    expect(responder.session.pollEvent()).toMatchObject({ type: 'closed', reason: { code: 'MALFORMED' } })
  })

  test('a CLOSE ends it, and changes nothing else', () => {
    const pair = new SessionPair()
    const payload = Uint8Array.of(0x04, 0x08, 0x6e, 0x6f)
    pair.initiator.session.handleInput(
      0,
      encodeFrame({ flags: 0, type: FrameType.Close, sequence: 0, timestamp: 0, payload }),
    )
    pair.drain(pair.initiator)
    expect(pair.initiator.events).toEqual([
      {
        type: 'closed',
        reason: { by: 'remote', code: 'IDENTITY_MISMATCH', retryable: true },
        remoteClose: { code: 0x0408, reason: 'no' },
      },
    ])
  })
})
