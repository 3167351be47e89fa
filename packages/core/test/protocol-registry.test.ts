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
    const registry = new ProtocolRegistry(() => undefined, { maxUnclaimedMessages: 2, maxUnclaimedBytes: 100 })
    expect(registry.hasRoom(101)).toBe(false)
    registry.put(message('a'))
    registry.put(message('b'))
    expect(registry.hasRoom(1)).toBe(false)
  })

  test('iterators share what comes and what waited, and end when the registry closes', async () => {
    let taken = 0
    const registry = new ProtocolRegistry(() => taken++, { maxWaitingBytes: 10 })
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
