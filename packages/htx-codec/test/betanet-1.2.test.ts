import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'
import fc from 'fast-check'
import {
  BETANET_MAX_PAYLOAD_BYTES,
  type BetanetAead,
  BetanetCloseCode,
  BetanetError,
  BetanetType,
  type HkdfSha256,
  betanetFrameLength,
  betanetNonce,
  betanetTrafficKeys,
  betanetTrafficSecrets,
  decodeBetanetClose,
  decodeBetanetPing,
  decodeBetanetStream,
  decodeBetanetWindowUpdate,
  encodeBetanetClose,
  encodeBetanetStream,
  encodeBetanetWindowUpdate,
  nextBetanetTrafficSecret,
  openBetanetFrame,
  sealBetanetFrame,
} from '../src/index.js'
import { mutated } from './arbitraries.js'

const hkdf: HkdfSha256 = {
  extract: (salt, inputKey) => hmac(salt, inputKey),
  expand: (key, info, length) => {
    let out = new Uint8Array(0)
    let block = new Uint8Array(0)
    for (let i = 1; out.length < length; i++) {
      block = hmac(key, Uint8Array.from([...block, ...info, i]))
      out = Uint8Array.from([...out, ...block])
    }
    return out.subarray(0, length)
  },
}

function hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createHmac('sha256', key).update(bytes).digest())
}

function chachaPoly(key: Uint8Array): BetanetAead {
  const options = { authTagLength: 16 }
  return {
    seal: (nonce, aad, plain) => {
      const cipher = createCipheriv('chacha20-poly1305', key, nonce, options)
      cipher.setAAD(aad, { plaintextLength: plain.length })
      return Uint8Array.from([...cipher.update(plain), ...cipher.final(), ...cipher.getAuthTag()])
    },
    open: (nonce, aad, sealed) => {
      const end = sealed.length - 16
      const decipher = createDecipheriv('chacha20-poly1305', key, nonce, options)
      decipher.setAAD(aad, { plaintextLength: end })
      decipher.setAuthTag(sealed.subarray(end))
      const plain = Uint8Array.from(decipher.update(sealed.subarray(0, end)))
      try {
        decipher.final()
        return plain
      } catch {
        return undefined
      }
    },
  }
}

const exported = fromHex('8b1a9953c4611296a827abf8c47804d77f02b27a3b2e5c5ed1fba6b9b5d80752')
const { client, server } = betanetTrafficSecrets(hkdf, exported)
const { key, nonceSalt } = betanetTrafficKeys(hkdf, client)
const aead = chachaPoly(key)
const stream = { fin: false, offset: 0, data: new TextEncoder().encode('Hello, Betanet 1.2!') }
const published =
  '0000350000000003000026d3fd26498a080a4e63b0c892e5fecdd95bcb6ea4d1148d1c49c66eca925c4805d0d8854469f948e2b08d56e4a3'

describe('Betanet 1.2 published example', () => {
  test('gives the client its traffic secret, key and nonce salt', () => {
    expect(toHex(client)).toBe('114572d3dfdf0e268fc1547659fde69bd1f21c59e5655cc182f78dd8b6f8a7fb')
    expect(toHex(key)).toBe('743dc35fbdfe9f893161f6272858a4c4558a9faddc9a3980218d05367ea6b7bf')
    expect(toHex(nonceSalt)).toBe('ec8decc0494bc6b8acfc0dd5')
  })

  test('seals to the published frame', () => {
    const frame = { type: BetanetType.Stream, streamId: 3, payload: encodeBetanetStream(stream) }
    expect(toHex(sealBetanetFrame(frame, aead, betanetNonce(nonceSalt, 0)))).toBe(published)
  })

  test('stands in docs/wire/betanet-1.2.md as it is checked here', () => {
    const document = readFileSync(new URL('../../../docs/wire/betanet-1.2.md', import.meta.url), 'utf8')
    const values = [exported, client, key, nonceSalt].map(toHex)
    const rows = document.slice(document.indexOf('## Published values')).match(/^\| .* \| `[0-9a-f]+` \|$/gm)
    expect(rows?.map((row) => /`([0-9a-f]+)`/.exec(row)?.[1])).toEqual([...values, published])
  })

  test('opens from the published frame', () => {
    const { type, streamId, aad, payload } = openBetanetFrame(fromHex(published), aead, betanetNonce(nonceSalt, 0))
    expect({ type, streamId, aad }).toEqual({ type: 0, streamId: 3, aad: 0 })
    expect(decodeBetanetStream(payload)).toEqual(stream)
  })
})

describe('Betanet 1.2 keys', () => {
  test('differ by direction and change with every key update', () => {
    const next = nextBetanetTrafficSecret(hkdf, client)
    expect(new Set([client, server, next].map(toHex)).size).toBe(3)
    expect(toHex(next)).toBe(toHex(hkdf.expand(client, new TextEncoder().encode('betanet next'), 32)))
  })

  test('a nonce is the salt with the counter, little-endian, folded into its first eight bytes', () => {
    expect(toHex(betanetNonce(new Uint8Array(12), 0x0102030405))).toBe('050403020100000000000000')
    expect(toHex(betanetNonce(new Uint8Array(12).fill(255), 1))).toBe('feffffffffffffffffffffff')
    expect(toHex(betanetNonce(new Uint8Array(12), 2 ** 53 - 1))).toBe('ffffffffffff1f0000000000')
  })

  test('a nonce leaves its salt as it is', () => {
    const salt = new Uint8Array(12)
    betanetNonce(salt, 5)
    expect(salt).toEqual(new Uint8Array(12))
  })

  test.each([
    [11, 0],
    [12, -1],
    [12, 2 ** 53],
    [12, 0.5],
  ])('a nonce from a salt of %i bytes and counter %d is refused', (bytes, counter) => {
    expect(() => betanetNonce(new Uint8Array(bytes), counter)).toThrow(ArgumentError)
  })
})

describe('Betanet 1.2 frame', () => {
  const anyFrame = fc.record({
    type: fc.integer({ min: 0, max: 255 }),
    streamId: fc.integer({ min: 0, max: 0xffffffff }),
    aad: fc.integer({ min: 0, max: 0xffff }),
    payload: fc.uint8Array({ maxLength: 300 }),
  })

  test('comes back as it went in', () => {
    fc.assert(
      fc.property(anyFrame, fc.maxSafeNat(), (frame, counter) => {
        const nonce = betanetNonce(nonceSalt, counter)
        const bytes = sealBetanetFrame(frame, aead, nonce)
        expect(betanetFrameLength(bytes)).toBe(bytes.length)
        expect(openBetanetFrame(bytes, aead, nonce)).toEqual(frame)
      }),
    )
  })

  test('takes the largest payload and none of a byte more', () => {
    const nonce = betanetNonce(nonceSalt, 0)
    const frame = { type: 0, streamId: 0, payload: new Uint8Array(BETANET_MAX_PAYLOAD_BYTES) }
    expect(sealBetanetFrame(frame, aead, nonce)).toHaveLength(65_535)
    const larger = { ...frame, payload: new Uint8Array(BETANET_MAX_PAYLOAD_BYTES + 1) }
    expect(() => sealBetanetFrame(larger, aead, nonce)).toThrow(ArgumentError)
  })

  test.each([{ type: 256 }, { streamId: 2 ** 32 }, { aad: 65_536 }, { type: -1 }])('refuses to seal %p', (change) => {
    const frame = { type: 0, streamId: 0, payload: new Uint8Array(0), ...change }
    expect(() => sealBetanetFrame(frame, aead, betanetNonce(nonceSalt, 0))).toThrow(ArgumentError)
  })

  test('with any bit changed is not opened', () => {
    const bytes = fromHex(published)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes)
      changed[bit >>> 3] = (changed[bit >>> 3] as number) ^ (1 << (bit & 7))
      expect(() => openBetanetFrame(changed, aead, betanetNonce(nonceSalt, 0))).toThrow(BetanetError)
    }
  })

  test('under another counter is not opened', () => {
    expect(() => openBetanetFrame(fromHex(published), aead, betanetNonce(nonceSalt, 1))).toThrow(
      expect.objectContaining({ code: 'BETANET_AUTH_FAILED' }),
    )
  })

  test.each([
    ['fffffd', 'BETANET_FRAME_TOO_LARGE'],
    ['00fffd', 'BETANET_FRAME_TOO_LARGE'],
    ['000016', 'BETANET_MALFORMED_FRAME'],
    ['000000', 'BETANET_MALFORMED_FRAME'],
  ])('of length field %s ends in %s', (hex, code) => {
    expect(() => betanetFrameLength(fromHex(hex))).toThrow(expect.objectContaining({ code }))
  })

  test('of the largest and of no payload says its length; of less than three bytes none', () => {
    expect(betanetFrameLength(fromHex('00fffc'))).toBe(65_535)
    expect(betanetFrameLength(fromHex('000017'))).toBe(26)
    expect(betanetFrameLength(fromHex('0000'))).toBeUndefined()
  })

  test('opening survives any bytes', () => {
    const nonce = betanetNonce(nonceSalt, 0)
    fc.assert(
      fc.property(fc.oneof(mutated(fromHex(published)), fc.uint8Array({ maxLength: 60 })), (bytes) => {
        try {
          expect(toHex(bytes)).toBe(published)
          openBetanetFrame(bytes, aead, nonce)
        } catch (error) {
          if (toHex(bytes) === published) throw error
          expect(() => openBetanetFrame(bytes, aead, nonce)).toThrow(BetanetError)
        }
      }),
    )
  })
})

describe('Betanet 1.2 payloads', () => {
  test('come back as they went in', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.maxSafeNat(), fc.uint8Array({ maxLength: 200 }), (fin, offset, data) => {
        expect(decodeBetanetStream(encodeBetanetStream({ fin, offset, data }))).toEqual({ fin, offset, data })
      }),
    )
    fc.assert(
      fc.property(
        fc.constantFrom('connection' as const, 'stream' as const),
        fc.integer({ min: 0, max: 0xffffffff }),
        (scope, credit) => {
          const update = { scope, credit }
          expect(decodeBetanetWindowUpdate(encodeBetanetWindowUpdate(update))).toEqual(update)
        },
      ),
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff }),
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        (code, reason) => {
          expect(decodeBetanetClose(encodeBetanetClose({ code, reason }))).toEqual({ code, reason })
        },
      ),
    )
  })

  test('have these bytes', () => {
    expect(toHex(encodeBetanetStream({ fin: true, offset: 258, data: Uint8Array.of(7) }))).toBe(
      '010000000000000102000107',
    )
    expect(toHex(encodeBetanetWindowUpdate({ scope: 'stream', credit: 32_768 }))).toBe('0100008000')
    expect(toHex(encodeBetanetClose({ code: BetanetCloseCode.Replay, reason: 'old' }))).toBe('000400036f6c64')
  })

  test('a PING has eight bytes', () => {
    expect(decodeBetanetPing(new Uint8Array(8))).toHaveLength(8)
    expect(() => decodeBetanetPing(new Uint8Array(7))).toThrow(BetanetError)
  })

  test.each([
    { fin: false, offset: -1, data: new Uint8Array(0) },
    { fin: false, offset: 2 ** 53, data: new Uint8Array(0) },
    { fin: false, offset: 0, data: new Uint8Array(BETANET_MAX_PAYLOAD_BYTES - 10) },
  ])('a STREAM that does not fit is refused at once', (payload) => {
    expect(() => encodeBetanetStream(payload)).toThrow(ArgumentError)
  })

  test('a credit or a close that does not fit is refused at once', () => {
    expect(() => encodeBetanetWindowUpdate({ scope: 'stream', credit: 2 ** 32 })).toThrow(ArgumentError)
    expect(() => encodeBetanetClose({ code: 65_536, reason: '' })).toThrow(ArgumentError)
    expect(() => encodeBetanetClose({ code: 0, reason: 'x'.repeat(65_506) })).toThrow(ArgumentError)
  })

  test.each([
    ['STREAM', decodeBetanetStream, encodeBetanetStream({ fin: true, offset: 9, data: new Uint8Array(9) })],
    ['WINDOW_UPDATE', decodeBetanetWindowUpdate, encodeBetanetWindowUpdate({ scope: 'stream', credit: 5 })],
    ['CLOSE', decodeBetanetClose, encodeBetanetClose({ code: 3, reason: 'reason' })],
  ])('%s decoding survives any bytes, and refuses every cut', (_name, decode, valid) => {
    fc.assert(
      fc.property(fc.oneof(mutated(valid), fc.uint8Array({ maxLength: 30 })), (bytes) => {
        try {
          decode(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(BetanetError)
        }
      }),
    )
    for (let end = 0; end < valid.length; end++) expect(() => decode(valid.subarray(0, end))).toThrow(BetanetError)
  })

  test('an unknown STREAM flag and an offset above 2^53 are refused', () => {
    expect(() => decodeBetanetStream(fromHex('0200000000000000000000'))).toThrow(BetanetError)
    expect(() => decodeBetanetStream(fromHex('0000200000000000000000'))).toThrow(BetanetError)
  })
})
