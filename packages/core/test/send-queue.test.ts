import { describe, expect, test } from '@jest/globals'
import { MessageKind } from '@aiv/routing'
import { Priority, type NodeId } from '@aiv/transport-api'
import { OutgoingMessage } from '../src/outgoing-message.js'
import { SendQueue } from '../src/send-queue.js'

const peer = '0'.repeat(32) as NodeId

function message(bytes: number, priority: Priority = Priority.Normal): OutgoingMessage {
  return new OutgoingMessage({
    to: peer,
    protocol: '',
    payload: new Uint8Array(bytes),
    priority,
    ordered: true,
    kind: MessageKind.Message,
    requestId: undefined,
    queuedAt: 0,
    deadlineAt: 1_000,
  })
}

function setup(maxBytes = 1_000) {
  const queue = new SendQueue({ queues: { maxBytes, peerShare: 1 }, maxWaiting: 10, onQueued: () => undefined })
  const enqueue = (one: OutgoingMessage): OutgoingMessage => {
    queue.enqueue(one, 'wait').catch(() => undefined)
    return one
  }
  const take = (priority: Priority = Priority.Normal): OutgoingMessage | undefined => queue.take(peer, priority)
  return { queue, enqueue, take }
}

describe('the line before a full queue', () => {
  test('a small message does not overtake a large one of its kind that does not fit yet', () => {
    const { queue, enqueue, take } = setup()
    const [first, second, large, small] = [400, 400, 800, 10].map((bytes) => enqueue(message(bytes)))
    expect(queue).toMatchObject({ size: 2, waiting: 2 })
    expect(take()).toBe(first)
    expect(queue.waiting).toBe(2)
    expect(take()).toBe(second)
    expect(queue.waiting).toBe(0)
    expect([take(), take()]).toEqual([large, small])
  })

  test('an emergency waits behind an emergency, and behind nothing else', () => {
    const { queue, enqueue, take } = setup()
    const [first, large] = [400, 800].map((bytes) => enqueue(message(bytes, Priority.Emergency)))
    const small = enqueue(message(10, Priority.Emergency))
    expect(queue).toMatchObject({ size: 1, waiting: 2 })
    expect([take(0), take(0), take(0)]).toEqual([first, large, small])
  })

  test('what waits in line counts as waiting for its peer and priority until it has left', () => {
    const { queue, enqueue } = setup(500)
    enqueue(message(400))
    const low = enqueue(message(400, Priority.Low))
    expect(queue.has(peer, Priority.Low)).toBe(true)
    queue.withdraw(low)
    expect(queue.has(peer, Priority.Low)).toBe(false)
    expect(queue.has(peer, Priority.Normal)).toBe(true)
  })
})
