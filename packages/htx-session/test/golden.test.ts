import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { type FrameHeader, FrameType, readFrameHeader, writeChunkHeader } from '@aiv/htx-codec'
import { SessionKey, nodeCrypto } from '@aiv/security'
import { fromHex, joinBytes, toHex } from '@aiv/transport-api'
import { AeadRecordOpener, AeadRecordSealer, closeName, encodeCapabilities } from '../src/index.js'
import { encodeClose, encodeUint64 } from '../src/control-payloads.js'
import { HTX_LABEL, SessionHandshake } from '../src/session-handshake.js'
import { ordinaryCapabilities } from './raw-peer.js'
import { testChannels } from './session-pair.js'

const page = readFileSync(new URL('../../../docs/wire/htx-session.md', import.meta.url), 'utf8')
const secret = Uint8Array.from({ length: 32 }, (_, i) => i)

/** A DATA frame with the message "hello", and the first frame of the next generation, from the secret 00 … 1f. */
function sealedFrames(suite: 'aes-256-gcm' | 'chacha20-poly1305'): string[] {
  const sealer = new AeadRecordSealer(new SessionKey(nodeCrypto, suite, HTX_LABEL, new Uint8Array(secret)))
  const payload = new Uint8Array(7)
  const at = writeChunkHeader(payload, 0, { number: 1, final: true, length: 5 })
  payload.set(new TextEncoder().encode('hello'), at)
  const seal = (type: number, bytes: Uint8Array): string => {
    const out: Uint8Array[] = []
    sealer.seal(type, 0, bytes, bytes.length, 0, out)
    return toHex(joinBytes(out))
  }
  const frames = [seal(FrameType.Data, payload), seal(FrameType.KeyUpdate, new Uint8Array(0))]
  sealer.next()
  return [...frames, seal(FrameType.Ping, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1))]
}

describe('the wire document', () => {
  test.each(['aes-256-gcm', 'chacha20-poly1305'] as const)('has the sealed frames of %s', (suite) => {
    const frames = sealedFrames(suite)
    for (const frame of frames) expect(page).toContain(frame)
    const opener = new AeadRecordOpener(new SessionKey(nodeCrypto, suite, HTX_LABEL, new Uint8Array(secret)))
    const plain = frames.map((hex) => {
      const bytes = fromHex(hex)
      const header: FrameHeader = readFrameHeader(bytes)
      const opened = opener.open(header, bytes.subarray(0, 20), bytes.subarray(20, -4))
      if (header.type === FrameType.KeyUpdate) opener.next(0)
      return toHex(opened)
    })
    expect(plain).toEqual(['030568656c6c6f', '', '0000000000000001'])
  })

  test('has the capabilities, the payloads of control frames and the head of the handshake', () => {
    expect(page).toContain(toHex(encodeCapabilities(ordinaryCapabilities)))
    expect(page).toContain(toHex(encodeUint64(262_144)))
    expect(page).toContain(toHex(encodeClose(0x1234, 'bye')))
    const start = { expected: undefined, remoteStatic: undefined, capabilities: ordinaryCapabilities }
    const first = new SessionHandshake({ role: 'initiator', secure: testChannels(1).secure, ...start }).pollMessage()
    expect(toHex((first as Uint8Array).subarray(0, 4))).toBe('01010100')
    expect(page).toContain('`01010100`')
  })

  test('has every close code', () => {
    let codes = 0
    for (const [, number = '', name] of page.matchAll(/^\| `([0-9a-f]{4})` \| `([A-Z_]+)`/gm)) {
      expect(closeName(parseInt(number, 16))).toBe(name)
      codes += 1
    }
    for (let number = 0; number < 0x1000; number++) if (closeName(number) !== 'REMOTE_ERROR') codes -= 1
    expect(codes).toBe(0)
  })
})
