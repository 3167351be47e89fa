import { describe, expect, test } from '@jest/globals'
import { FrameFlag, FrameType, type FrameHeader } from '@aiv/htx-codec'
import { type AeadKey, type Bytes, joinBytes } from '@aiv/transport-api'
import { AeadRecordOpener, AeadRecordSealer, HtxSessionError } from '../src/index.js'
import { MAX_KEY_BYTES, MAX_KEY_FRAMES } from '../src/record-layer.js'
import { RawPeer } from './raw-peer.js'
import { filled } from './session-pair.js'

/** A key that opens everything at once: for counting to a million. */
const openAll: AeadKey = {
  generation: 0,
  seal: (_sequence, _aad, plain: Bytes) => [joinBytes(plain), new Uint8Array(16)],
  open: () => new Uint8Array(0),
  opener: () => ({ update: () => undefined, finish: () => [] }),
  next: () => openAll,
}

const header = (sequence: number, length = 16): FrameHeader => ({
  flags: FrameFlag.Encrypted,
  length,
  type: FrameType.Data,
  sequence,
  timestamp: 0,
})

function codeOf(run: () => void): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof HtxSessionError) return error.code
    throw error
  }
  return undefined
}

describe('the opener', () => {
  const aad = new Uint8Array(20)
  const sealed = new Uint8Array(16)

  test('takes 2^20 + 1,024 frames under one key and not one more', () => {
    const opener = new AeadRecordOpener(openAll)
    let sequence = 0
    const next = (): string | undefined => codeOf(() => opener.open(header(++sequence), aad, sealed))
    while (sequence < MAX_KEY_FRAMES + 1_024) if (next() !== undefined) throw new Error(`at ${sequence}`)
    expect(next()).toBe('KEY_LIMIT')
  })

  test('takes 64 GiB + 1 MiB under one key and no more', () => {
    const opener = new AeadRecordOpener(openAll)
    const length = 0xffffff
    const most = Math.floor((MAX_KEY_BYTES + 2 ** 20) / (length + 24))
    for (let i = 1; i <= most; i++) opener.open(header(i, length), aad, sealed)
    expect(codeOf(() => opener.open(header(most + 1, length), aad, sealed))).toBe('KEY_LIMIT')
  })

  test('begins to count anew after a KEY_UPDATE', () => {
    const opener = new AeadRecordOpener(openAll)
    for (let i = 1; i <= 5; i++) opener.open(header(i), aad, sealed)
    opener.next(0)
    expect(codeOf(() => opener.open(header(6), aad, sealed))).toBe('REPLAY')
    const again = new AeadRecordOpener(openAll)
    again.next(0)
    expect(codeOf(() => again.open(header(1), aad, sealed))).toBeUndefined()
  })
})

describe('the sealer', () => {
  test('copies nothing of a large payload: the pieces of the cipher go out as they are', () => {
    const made: Uint8Array[] = []
    const key: AeadKey = {
      ...openAll,
      seal: (_sequence, _aad, plain: Bytes) => {
        const pieces = (plain instanceof Uint8Array ? [plain] : plain).map((piece) => new Uint8Array(piece))
        made.push(...pieces)
        return [...pieces, new Uint8Array(16)]
      },
    }
    const out: Uint8Array[] = []
    const size = new AeadRecordSealer(key).seal(0, 0, [filled(7), filled(60_000)], 60_007, 0, out)
    expect(out.map((piece) => piece.length)).toEqual([27, 60_000, 20])
    expect(out[1]).toBe(made[1])
    expect(size).toBe(60_007 + 40)
  })

  test('a small frame is one buffer', () => {
    const out: Uint8Array[] = []
    new AeadRecordSealer(openAll).seal(0, 0, filled(300), 300, 0, out)
    expect(out.map((piece) => piece.length)).toEqual([340])
  })

  test.each([0, 1, 2_048, 2_049, 65_000])('what it seals opens, whole and in pieces: %i bytes', (length) => {
    for (const step of [70_000, 1_000, 17, 1]) {
      if (length > 5_000 && step < 1_000) continue
      const peer = new RawPeer()
      const frame = peer.frame(0x80, filled(length))
      for (let at = 0; at < frame.length; at += step) peer.write(frame.subarray(at, at + step))
      expect(peer.code).toBeUndefined()
      peer.send(FrameType.Ping, new Uint8Array(8))
      expect(peer.ofType(FrameType.Pong)).toHaveLength(1)
    }
  })
})
