import { describe, expect, test } from '@jest/globals'
import { Priority, type NodeId } from '@aiv/transport-api'
import { Message } from '../src/message.js'
import { ProtocolRegistry } from '../src/protocol-registry.js'

const from = '0'.repeat(32) as NodeId
const message = (text: string): Message =>
  new Message(from, 'any/1', new TextEncoder().encode(text), Priority.Normal, 'memory', false)

describe('protocol registry', () => {
  test('a protocol has one handler at a time', () => {
    const registry = new ProtocolRegistry(() => undefined)
    const remove = registry.handle('chat/1', () => undefined)
    expect(() => registry.handle('chat/1', () => undefined)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_TAKEN' }),
    )
    remove()
    expect(registry.handler('chat/1')).toBeUndefined()
    expect(() => registry.handle('x'.repeat(33), () => undefined)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_UNKNOWN' }),
    )
  })

  test('without anybody iterating only so much is held', () => {
    const registry = new ProtocolRegistry(() => undefined, { maxUnclaimedMessages: 2, maxUnclaimedBytes: 1_000 })
    expect(registry.hasRoom(745)).toBe(false)
    expect(registry.hasRoom(744)).toBe(true)
    registry.put(message('a'))
    registry.put(message('b'))
    expect(registry.hasRoom(1)).toBe(false)
  })

  test('empty messages are counted, and a small view keeps nothing else alive while it waits', async () => {
    const registry = new ProtocolRegistry(() => undefined, { maxWaitingBytes: 1_024 })
    const messages = registry.messages()
    let held = 0
    for (; registry.hasRoom(0); held++) registry.put(message(''))
    expect(held).toBe(4)
    for (; held > 0; held--) await messages.next()
    expect(registry.waitingBytes).toBe(0)
    const small = new Uint8Array(65_536).fill(7).subarray(100, 110)
    registry.put(new Message(from, 'any/1', small, Priority.Normal, 'memory', false))
    const { value } = await messages.next()
    expect(value?.payload).toEqual(new Uint8Array(10).fill(7))
    expect(value?.payload.buffer.byteLength).toBe(10)
  })

  test('iterators share what comes and what waited, and end when the registry closes', async () => {
    let taken = 0
    const registry = new ProtocolRegistry(() => taken++, { maxWaitingBytes: 266 })
    registry.put(message('first'))
    const one = registry.messages()
    const two = registry.messages()
    expect((await one.next()).value?.text()).toBe('first')
    const [a, b] = [one.next(), two.next()]
    registry.put(message('second'))
    registry.put(message('third'))
    expect([(await a).value?.text(), (await b).value?.text()]).toEqual(['second', 'third'])
    registry.put(message('12345678'))
    expect(registry.hasRoom(3)).toBe(false)
    registry.close()
    expect((await one.next()).value?.text()).toBe('12345678')
    expect((await two.next()).done).toBe(true)
    expect(registry.waitingBytes).toBe(0)
    expect(taken).toBe(2)
  })
})
