import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from '@jest/globals'
import { FrameType, encodeFrame, lz4Compressor, writeChunkHeader } from '@aiv/htx-codec'
import { type AeadKey, type AeadOpener, joinBytes } from '@aiv/transport-api'
import { AeadRecordOpener, HtxSession, ReassemblyBudget, htxSessionOptions } from '../src/index.js'
import { KEY_FRAMES_SLACK, MAX_KEY_FRAMES } from '../src/record-layer.js'
import { RawPeer } from './raw-peer.js'
import { SessionPair, filled, testChannels } from './session-pair.js'

function chunk(number: number, final: boolean, bytes: Uint8Array, total?: number): Uint8Array {
  const head = new Uint8Array(24)
  const end = writeChunkHeader(head, 0, { number, final, length: bytes.length, total })
  return joinBytes([head.subarray(0, end), bytes])
}

/** Bytes of the process that are in use once everything that can be given back was. */
function residentBytes(): number {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
  return process.memoryUsage().rss
}

/** A cipher that does nothing but count what it is given. */
class CountingKey implements AeadKey {
  readonly generation = 0
  updates = 0

  seal(): Uint8Array[] {
    return []
  }

  open(_sequence: number, _aad: Uint8Array, sealed: Uint8Array): Uint8Array {
    return sealed.subarray(0, sealed.length - 16)
  }

  opener(): AeadOpener {
    const pieces: Uint8Array[] = []
    return {
      update: (piece) => {
        this.updates += 1
        pieces.push(piece.slice())
      },
      finish: () => pieces,
    }
  }

  next(): AeadKey {
    return this
  }
}

const header = (sequence: number, length: number) => ({ flags: 2, length, type: 0, sequence, timestamp: 0 })
const noHeader = new Uint8Array(20)

describe('bytes that come one by one', () => {
  test('reach the cipher in runs, in order, whatever their sizes', () => {
    const key = new CountingKey()
    const opener = new AeadRecordOpener(key)
    const plain = filled(60_000)
    const sealed = joinBytes([plain, new Uint8Array(16)])
    opener.start(header(1, sealed.length), noHeader)
    for (let at = 0; at < sealed.length; at++) opener.update(sealed.subarray(at, at + 1))
    expect(joinBytes(opener.finish())).toEqual(plain)
    expect(key.updates).toBeLessThan(60)

    opener.start(header(2, sealed.length), noHeader)
    const sizes = [1, 1_023, 2, 5_000, 1, 1_024, 1, 1]
    for (let at = 0, i = 0; at < sealed.length; i++) {
      const size = sizes[i % sizes.length] as number
      opener.update(sealed.subarray(at, at + size))
      at += size
    }
    expect(joinBytes(opener.finish())).toEqual(plain)
  })

  test('of a handshake take little more memory than they are', () => {
    const { secure } = testChannels(2)
    const options = htxSessionOptions()
    const budget = new ReassemblyBudget()
    const frame = encodeFrame({
      flags: 0,
      type: FrameType.Handshake,
      sequence: 0,
      timestamp: 0,
      payload: new Uint8Array(2_048),
    })
    const halfOpen = (): HtxSession => {
      const session = new HtxSession(0, {
        role: 'responder',
        secure,
        expected: undefined,
        remoteStatic: undefined,
        options,
        budget,
        compressor: undefined,
      })
      for (let at = 0; at < frame.length - 5; at++) session.handleInput(0, frame.slice(at, at + 1))
      return session
    }
    for (let i = 0; i < 20; i++) halfOpen()
    const before = residentBytes()
    const held = Array.from({ length: 300 }, halfOpen)
    const grown = residentBytes() - before
    expect(held.every(({ state }) => state === 'handshaking')).toBe(true)
    // 300 of them held 240 MB when each byte was kept as a view
    expect(grown).toBeLessThan(60e6)
  })
})

describe('sequence numbers and keys at their ends', () => {
  test.each([0, 2, 0x7fffffff, 0x80000000, 0xffffffff])('a first frame with number %i: REPLAY', (sequence) => {
    const opener = new AeadRecordOpener(new CountingKey())
    expect(() => opener.open(header(sequence, 20), noHeader, new Uint8Array(20))).toThrow(
      expect.objectContaining({ code: 'REPLAY' }),
    )
  })

  test('a key serves for 2^20 frames and the slack of 1,024, then: KEY_LIMIT', () => {
    const opener = new AeadRecordOpener(new CountingKey())
    const last = MAX_KEY_FRAMES + KEY_FRAMES_SLACK
    const sealed = new Uint8Array(16)
    for (let sequence = 1; sequence <= last; sequence++) opener.open(header(sequence, 16), noHeader, sealed)
    expect(() => opener.open(header(last + 1, 16), noHeader, sealed)).toThrow(
      expect.objectContaining({ code: 'KEY_LIMIT' }),
    )
  })

  test('a timestamp of 2^64 − 1 decides nothing', () => {
    const pair = new SessionPair()
    const wire = new Uint8Array(joinBytes(pair.initiator.session.pollOutput(0) ?? []))
    const { payload } = { payload: wire.subarray(20, wire.length - 4) }
    const frame = encodeFrame({
      flags: 0,
      type: FrameType.Handshake,
      sequence: 0,
      timestamp: Number.MAX_SAFE_INTEGER,
      payload,
    })
    pair.responder.session.handleInput(0, frame)
    expect(pair.responder.session.state).toBe('handshaking')
    expect(pair.responder.session.pollOutput(0)).toBeDefined()
  })

  test('a message number at the end of its range: MALFORMED, as every one that is not the next', () => {
    const peer = new RawPeer()
    peer.send(FrameType.Data, chunk(2 ** 52 - 1, true, filled(3)))
    expect(peer.code).toBe('MALFORMED')
  })
})

describe('frames that cost their reader more than their sender', () => {
  const lz4 = lz4Compressor()

  /** A responder that reads LZ4, and somebody proven who sends what he likes. */
  function reader(): RawPeer {
    return new RawPeer({ compression: true }, new ReassemblyBudget(), undefined, lz4)
  }

  test('DATA frames with nothing in them stop the reading like frames of other types', () => {
    const peer = new RawPeer()
    const empty = joinBytes(Array.from({ length: 2_100 }, () => peer.frame(FrameType.Data)))
    peer.write(empty)
    expect(peer.session.wantsInput).toBe(false)
    peer.advance(1_000)
    expect(peer.session.wantsInput).toBe(true)
    peer.send(FrameType.Data, chunk(1, true, filled(4)))
    expect(peer.packets).toHaveLength(1)
  })

  test('a compressed frame stands for one frame of plaintext and no more: a bomb is MALFORMED', () => {
    const good = reader()
    good.send(FrameType.Data, lz4.compress(chunk(1, true, new Uint8Array(65_000))), 1)
    expect(good.code).toBeUndefined()
    expect(good.packets.map(({ length }) => length)).toEqual([65_000])

    for (const size of [65_600, 16 * 2 ** 20, 0xffffffff]) {
      const peer = reader()
      const packed = (lz4.compress(chunk(1, true, new Uint8Array(65_000))) as Uint8Array).slice()
      new DataView(packed.buffer).setUint32(0, size)
      peer.send(FrameType.Data, packed, 1)
      expect(peer.code).toBe('MALFORMED')
      expect(peer.packets).toEqual([])
    }
  })

  test('what comes out of compressed frames costs credit by its length, not by what was sent', () => {
    const peer = reader()
    peer.session.pause()
    const packed = (number: number): Uint8Array =>
      lz4.compress(chunk(number, true, new Uint8Array(60_000))) as Uint8Array
    let sent = 0
    while (peer.code === undefined && sent < 100) peer.send(FrameType.Data, packed(++sent), 1)
    expect(peer.code).toBe('FLOW_CONTROL_VIOLATION')
    expect(sent).toBe(5) // 4 × 60,016 bytes are within 256 KiB, 5 are not
  })

  test('64 unfinished messages of 16 MiB on each of 100 sessions take the budget of the node and no more', () => {
    const budget = new ReassemblyBudget(256 * 2 ** 20)
    const honest = SessionPair.open({ budget })
    const codes = new Map<string | undefined, number>()
    const before = residentBytes()
    for (let session = 0; session < 100; session++) {
      const peer = new RawPeer({}, budget)
      for (let number = 1; number <= 64 && peer.code === undefined; number++) {
        peer.send(FrameType.Data, chunk(number, false, filled(1), 16 * 2 ** 20))
        expect(budget.reservedBytes).toBeLessThanOrEqual(256 * 2 ** 20)
      }
      codes.set(peer.code, (codes.get(peer.code) ?? 0) + 1)
    }
    // the third one is over what a session may hold, and what its session held is given back: nobody holds anything
    expect(codes).toEqual(new Map([['FLOW_CONTROL_VIOLATION', 100]]))
    expect(budget.reservedBytes).toBe(0)
    expect(residentBytes() - before).toBeLessThan(320e6)
    honest.send(honest.initiator, filled(1_000_000))
    honest.advance(100)
    expect(honest.responder.sizes).toEqual([1_000_000])
  })
})

describe('the length of what is compressed', () => {
  test.each([
    ['in the same turn', 0],
    ['in the next one', 50],
  ])('%s says nothing about another message: a right guess is as long on the wire as a wrong one', (_, pauseMs) => {
    const pad = 'some other words of the same page, '.repeat(40)
    const secret = 'session=7f3a9c21d4e8b605'
    const guesses = Array.from({ length: 16 }, (__, i) => `session=7f3a9c21d4e8b60${i.toString(16)}`)
    const lengths = new Map<string, number>()
    for (const guess of [...guesses, 'session=qwertzuiopasdfgh']) {
      const pair = SessionPair.open({ compressor: lz4Compressor(), options: { compression: true } })
      const before = pair.initiator.outputs.length
      // the secret of one origin and the guess of another one, each long enough to be compressed
      pair.send(pair.initiator, new TextEncoder().encode(`${pad}${secret}`))
      pair.advance(pauseMs)
      pair.send(pair.initiator, new TextEncoder().encode(`${guess}${pad.slice(0, 1_200)}`))
      pair.advance(10)
      expect(pair.responder.packets).toHaveLength(2)
      const sent = pair.initiator.outputs.slice(before).reduce((sum, { length }) => sum + length, 0)
      // two messages in one frame are not compressed at all, one in each is
      if (pauseMs > 0) expect(sent).toBeLessThan(1_000)
      lengths.set(guess, sent)
    }
    expect(lengths.size).toBe(17)
    expect(new Set(lengths.values()).size).toBe(1)
  })

  test('small messages of a turn are gathered and not compressed: their frame is as long as they are', () => {
    const lengths = new Set<number>()
    for (const guess of ['token=abcdefgh', 'token=zzzzzzzz']) {
      const pair = SessionPair.open({ compressor: lz4Compressor(), options: { compression: true } })
      const before = pair.initiator.outputs.length
      for (let i = 0; i < 60; i++) pair.send(pair.initiator, new TextEncoder().encode('token=abcdefgh, more of it'))
      for (let i = 0; i < 60; i++) pair.send(pair.initiator, new TextEncoder().encode(guess))
      pair.advance(10)
      lengths.add(pair.initiator.outputs.slice(before).reduce((sum, { length }) => sum + length, 0))
    }
    expect(lengths.size).toBe(1)
  })
})

describe('after a CLOSE', () => {
  const garbage = new Uint8Array(100).fill(0x55)

  test.each([
    ['that names a fault', Uint8Array.of(0x01, 0x07)],
    ['that is orderly', Uint8Array.of(0, 0)],
  ])('%s nothing counts, also what comes in the same read and is no frame', (_, payload) => {
    const peer = new RawPeer()
    peer.write(joinBytes([peer.frame(FrameType.Close, payload), garbage]))
    peer.write(garbage)
    peer.advance(5_000)
    expect(peer.events.filter(({ type }) => type === 'closed')).toHaveLength(1)
    expect(peer.closed?.reason).toMatchObject({ by: 'remote', code: payload[0] === 0 ? 'CLOSED' : 'MALFORMED' })
    expect(peer.ofType(FrameType.Close).length).toBeLessThanOrEqual(1)
  })

  test('of the handshake it is the same', () => {
    const pair = new SessionPair()
    const close = encodeFrame({
      flags: 0,
      type: FrameType.Close,
      sequence: 0,
      timestamp: 0,
      payload: Uint8Array.of(1, 2),
    })
    pair.drain(pair.initiator)
    const sent = pair.initiator.outputs.length
    pair.initiator.session.handleInput(0, joinBytes([close, garbage]))
    pair.drain(pair.initiator)
    expect(pair.initiator.eventsOf('closed')).toHaveLength(1)
    expect(pair.initiator.outputs).toHaveLength(sent)
  })
})
