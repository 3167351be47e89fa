import { describe, expect, test } from '@jest/globals'
import { decodeFrames } from '@aiv/htx-codec'
import { equalBytes } from '@aiv/transport-api'
import { SessionPair, filled } from './session-pair.js'

describe('a session', () => {
  test.each([
    ['XX', 'aes-256-gcm'],
    ['XX', 'chacha20-poly1305'],
    ['XK', 'aes-256-gcm'],
    ['XK', 'chacha20-poly1305'],
  ] as const)('is established over %s with %s and proves both sides', (pattern, suite) => {
    const pair = SessionPair.open({ pattern, suite })
    expect(pair.initiator.events).toMatchObject([
      { type: 'established', pattern, suite, remote: { nodeId: pair.responder.nodeId } },
    ])
    expect(pair.responder.events).toMatchObject([
      { type: 'established', pattern, suite, remote: { nodeId: pair.initiator.nodeId } },
    ])
    expect(pair.initiator.eventsOf('established')[0]?.remoteCapabilities.maxMessageBytes).toBe(16 * 1024 * 1024)
  })

  test('carries messages of all sizes whole, in order, both ways', () => {
    const pair = SessionPair.open()
    const sizes = [0, 1, 63, 64, 1_000, 16_383, 16_384, 16_385, 65_480, 65_536, 300_000]
    for (const size of sizes) {
      pair.send(pair.initiator, filled(size))
      pair.send(pair.responder, filled(size, 5))
      pair.settle()
    }
    pair.advance(100)
    expect(pair.responder.sizes).toEqual(sizes)
    expect(pair.initiator.sizes).toEqual(sizes)
    sizes.forEach((size, i) => {
      expect(equalBytes(pair.responder.packets[i] as Uint8Array, filled(size))).toBe(true)
      expect(equalBytes(pair.initiator.packets[i] as Uint8Array, filled(size, 5))).toBe(true)
    })
  })

  test('puts small messages of one turn into one frame', () => {
    const pair = SessionPair.open()
    const before = pair.initiator.outputs.length
    for (let i = 0; i < 40; i++) pair.send(pair.initiator, filled(100, i))
    pair.settle()
    const outputs = pair.initiator.outputs.slice(before)
    expect(outputs).toHaveLength(1)
    expect(decodeFrames(outputs[0] as Uint8Array, { maxFrameBytes: 65_536 })).toHaveLength(1)
    expect(pair.responder.packets).toHaveLength(40)
  })
})
