import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { lz4Compressor } from '@aiv/htx-codec'
import { ArgumentError, toHex } from '@aiv/transport-api'
import {
  HTX_VERSION,
  ReassemblyBudget,
  closeName,
  closeNumber,
  decodeCapabilities,
  defaultHtxSessionOptions,
  encodeCapabilities,
  htxSessionOptions,
} from '../src/index.js'
import { isDowngrade } from '../src/capabilities.js'
import { SessionHandshake } from '../src/session-handshake.js'
import { RawPeer, ordinaryCapabilities } from './raw-peer.js'
import { SessionPair, filled, testChannels } from './session-pair.js'

describe('capabilities', () => {
  test('are the bytes of the wire document', () => {
    expect(toHex(encodeCapabilities(ordinaryCapabilities))).toBe(
      '010111' + '02020102' + '03020102' + '040400010000' + '050401000000' + '0600',
    )
  })

  test('come back as they were', () => {
    expect(decodeCapabilities(encodeCapabilities(ordinaryCapabilities))).toEqual(ordinaryCapabilities)
  })

  test('unknown types are passed over, missing ones have defaults', () => {
    expect(decodeCapabilities(Uint8Array.of(0x70, 2, 1, 2))).toMatchObject({ maxFrameBytes: 65_536, lz4: false })
  })

  test.each([
    ['cut off', '0102'],
    ['not ascending', '0201010101110'.slice(0, 12)],
    ['the same twice', '06000600'],
    ['a size of three bytes', '0403010000'],
    ['frames too small', '040400000fff'],
  ])('%s: refused', (_, hex) => {
    expect(decodeCapabilities(Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16)))).toBeUndefined()
  })

  test('any bytes are read or refused, never thrown at', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decodeCapabilities(bytes)))
  })
})

describe('a downgrade', () => {
  test('is when both sides know a higher version than the one in use', () => {
    expect(isDowngrade(0x11, [0x11], [0x11, 0x12])).toBe(false)
    expect(isDowngrade(0x11, [0x11, 0x12], [0x11])).toBe(false)
    expect(isDowngrade(0x11, [0x11, 0x12], [0x11, 0x12])).toBe(true)
    expect(isDowngrade(0x11, [0x10, 0x11], [0x10, 0x11])).toBe(false)
  })

  test('ends the handshake with DOWNGRADE on both sides', () => {
    const versions = [HTX_VERSION, HTX_VERSION + 1]
    const make = (role: 'initiator' | 'responder', seed: number) =>
      new SessionHandshake({
        role,
        secure: testChannels(seed).secure,
        expected: undefined,
        remoteStatic: undefined,
        capabilities: { ...ordinaryCapabilities, versions },
      })
    const initiator = make('initiator', 1)
    const responder = make('responder', 2)
    responder.handleMessage(initiator.pollMessage() as Uint8Array)
    initiator.handleMessage(responder.pollMessage() as Uint8Array)
    responder.handleMessage(initiator.pollMessage() as Uint8Array)
    for (const { outcome } of [initiator, responder]) expect(outcome).toMatchObject({ fault: { code: 'DOWNGRADE' } })
  })

  test('a session with capabilities that cannot be used ends, sealed, with MALFORMED', () => {
    const peer = new RawPeer({}, new ReassemblyBudget(), { ...ordinaryCapabilities, maxFrameBytes: 100 })
    expect(peer.code).toBe('MALFORMED')
    expect(peer.received).toHaveLength(1)
  })
})

describe('the first handshake payload', () => {
  const respond = (head: readonly number[], suites?: readonly ['aes-256-gcm']) => {
    const { secure } = testChannels(2)
    const responder = new SessionHandshake({
      role: 'responder',
      secure: suites === undefined ? secure : { ...secure, suites },
      expected: undefined,
      remoteStatic: undefined,
      capabilities: ordinaryCapabilities,
    })
    responder.handleMessage(Uint8Array.from([...head, ...filled(32, 9)]))
    return responder.outcome
  }

  test.each([
    [[0, 1, 1, 0]],
    [[2, 1, 1, 0]],
    [[1, 0, 1, 0]],
    [[1, 3, 1, 0]],
    [[1, 1, 0, 0]],
    [[1, 1, 3, 0]],
    [[1, 1, 1, 1]],
    [[]],
  ])('that begins with %j is not supported', (head) => {
    const { secure } = testChannels(2)
    const responder = new SessionHandshake({
      role: 'responder',
      secure,
      expected: undefined,
      remoteStatic: undefined,
      capabilities: ordinaryCapabilities,
    })
    responder.handleMessage(Uint8Array.from(head))
    expect(responder.outcome).toMatchObject({ code: 'HANDSHAKE_UNSUPPORTED' })
  })

  test('with a suite that this platform lacks is not supported', () => {
    expect(respond([1, 1, 2, 0], ['aes-256-gcm'])).toMatchObject({ code: 'HANDSHAKE_UNSUPPORTED' })
    expect(respond([1, 1, 1, 0], ['aes-256-gcm'])).toBeUndefined()
  })
})

describe('options', () => {
  test('have defaults', () => {
    expect(htxSessionOptions()).toEqual(defaultHtxSessionOptions)
    expect(htxSessionOptions({ ackDelayMs: 1 })).toEqual({ ...defaultHtxSessionOptions, ackDelayMs: 1 })
  })

  test.each([
    { maxFrameBytes: 4_095 },
    { maxFrameBytes: 196_609 },
    { maxMessageBytes: 0 },
    { maxMessageBytes: 33 * 2 ** 20 },
    { maxQueuedBytes: Number.NaN },
    { rekeyAfterFrames: 2 ** 20 + 1 },
    { rekeyAfterFrames: 10 },
    { idleTimeoutMs: 15_000 },
    { keepAliveMs: 60_000 },
    { controlFramesPerSecond: 0 },
  ])('that make no sense are refused: %j', (options) => {
    expect(() => htxSessionOptions(options)).toThrow(ArgumentError)
  })

  test('close codes and their numbers belong to each other', () => {
    for (const code of ['CLOSED', 'REPLAY', 'HTX_BAD_CRC', 'IDENTITY_MISMATCH', 'DOWNGRADE', 'CHUNK_MALFORMED'])
      expect(closeName(closeNumber(code))).toBe(code)
    expect(closeName(0x1000)).toBe('CLOSED')
    expect(closeName(0x0fff)).toBe('REMOTE_ERROR')
    expect(closeNumber('SOMETHING_ELSE')).toBe(closeNumber('MALFORMED'))
  })

  test('a reassembly budget refuses what is too much and takes it when something was given back', () => {
    const budget = new ReassemblyBudget(100)
    expect(budget.tryReserve(60)).toBe(true)
    expect(budget.tryReserve(41)).toBe(false)
    budget.release(60)
    expect(budget.tryReserve(100)).toBe(true)
    expect(() => new ReassemblyBudget(-1)).toThrow(ArgumentError)
  })
})

describe('compression', () => {
  const text = new TextEncoder().encode('the same again and again. '.repeat(400))
  const sentBytes = (pair: SessionPair): number => pair.initiator.session.stats(pair.now).sentBytes

  test('is off unless both a compressor and the option are there', () => {
    for (const options of [{}, { compressor: lz4Compressor() }, { options: { compression: true } }]) {
      const pair = SessionPair.open(options)
      const before = sentBytes(pair)
      pair.send(pair.initiator, text)
      pair.advance(10)
      expect(sentBytes(pair) - before).toBeGreaterThan(text.length)
      expect(pair.responder.sizes).toEqual([text.length])
    }
  })

  test('shrinks a frame of one message, never one that gathers several', () => {
    const pair = SessionPair.open({ compressor: lz4Compressor(), options: { compression: true } })
    const before = sentBytes(pair)
    pair.send(pair.initiator, text)
    pair.settle()
    const one = sentBytes(pair) - before
    expect(one).toBeLessThan(1_000)
    pair.send(pair.initiator, text)
    pair.send(pair.initiator, text.subarray(0, 100))
    pair.settle()
    expect(sentBytes(pair) - before - one).toBeGreaterThan(text.length)
    expect(pair.responder.sizes).toEqual([text.length, text.length, 100])
  })

  test('a compressed frame that cannot be unpacked ends the session', () => {
    const pair = SessionPair.open({
      compressor: { name: 'lz4', compress: (bytes) => filled(bytes.length - 100), decompress: () => undefined },
      options: { compression: true },
    })
    pair.send(pair.initiator, text)
    pair.settle()
    expect(pair.responder.closed?.reason.code).toBe('MALFORMED')
  })
})
