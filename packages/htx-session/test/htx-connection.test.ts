import { describe, expect, jest, test } from '@jest/globals'
import { ArgumentError, Priority } from '@aiv/transport-api'
import { HtxSession, LINK_CLOSE_TIMEOUT_MS } from '../src/index.js'
import { linkedPair, Listener, type End } from './link-pair.js'

const reliable = { priority: Priority.Normal, delivery: 'reliable' } as const

function attach(end: End): Listener {
  const listener = new Listener()
  end.connection.attach(listener)
  return listener
}

describe('a connection before anybody is attached', () => {
  test('reads nothing, and gives everything out once somebody is', async () => {
    const { near, far, pass } = await linkedPair()
    expect([near.told, far.told]).toEqual([['established'], ['established']])
    expect(far.link.paused).toBe(true)
    near.connection.send(Uint8Array.of(1), reliable)
    near.connection.send(Uint8Array.of(2), reliable)
    await pass(5)
    const listener = new Listener()
    far.connection.attach(listener)
    expect(listener.heard).toEqual([])
    await pass(5)
    expect(listener.packets.map(([first]) => first)).toEqual([1, 2])
    expect(far.link.paused).toBe(false)
  })

  test('tells whoever attaches after its end, later in that turn', async () => {
    const { near, pass } = await linkedPair()
    near.connection.abort(new Error('enough'))
    expect(near.told).toEqual(['established', 'closed local', 'down'])
    const listener = attach(near)
    expect(listener.heard).toEqual([])
    await pass(0)
    expect(listener.heard).toEqual(['closed local'])
  })

  test('takes one handler', async () => {
    const { near } = await linkedPair()
    attach(near)
    expect(() => attach(near)).toThrow(ArgumentError)
  })
})

describe('a connection that moves packets', () => {
  test('ends alone where bytes from the other side lead to a mistake of the session', async () => {
    const { near, far, pass } = await linkedPair()
    const [listener, other] = [new Listener(), new Listener()]
    near.connection.attach(listener)
    far.connection.attach(other)
    await pass(5)
    const handleInput = jest.spyOn(HtxSession.prototype, 'handleInput')
    handleInput.mockImplementationOnce(() => {
      throw new TypeError('ours')
    })
    far.connection.send(new Uint8Array(10), reliable)
    await pass(5)
    handleInput.mockRestore()
    expect(listener.closed).toMatchObject({ by: 'local', code: 'ABORTED' })
    expect(near.link.destroyed).toBe(true)
    expect(other.closed?.by).toBe('lost')
  })

  test('gives out the rest in the same turn where a handler throws', async () => {
    const { near, far, pass } = await linkedPair()
    const listener = new Listener()
    near.connection.attach(listener)
    far.connection.attach(new Listener())
    await pass(5)
    let thrown = 0
    listener.whenPacket = () => {
      if (thrown++ === 0) throw new Error('of the handler')
    }
    for (const length of [10, 11, 12]) far.connection.send(new Uint8Array(length), reliable)
    await expect(pass(5)).rejects.toThrow('of the handler')
    await Promise.resolve()
    expect(listener.packets.map(({ length }) => length)).toEqual([10, 11, 12])
  })

  test('gathers what is sent in one turn into one write', async () => {
    const { near, far, pass } = await linkedPair()
    attach(near)
    const listener = attach(far)
    await pass(20)
    const before = near.link.writes.length
    for (let i = 0; i < 50; i++) expect(near.connection.send(new Uint8Array(20), reliable)).toBe('accepted')
    expect(near.link.writes).toHaveLength(before)
    await Promise.resolve()
    expect(near.link.writes).toHaveLength(before + 1)
    await pass(5)
    expect(listener.packets).toHaveLength(50)
  })

  test('sends what a handler answered before the input callback returns, together', async () => {
    const { near, far, pass } = await linkedPair()
    const nearListener = attach(near)
    const listener = attach(far)
    listener.whenPacket = (bytes) => expect(far.connection.send(bytes, reliable)).toBe('accepted')
    await pass(20)
    const before = far.link.writes.length
    for (let i = 0; i < 10; i++) near.connection.send(Uint8Array.of(i), reliable)
    await pass(1)
    expect(listener.packets).toHaveLength(10)
    expect(far.link.writes).toHaveLength(before + 1)
    await pass(5)
    expect(nearListener.packets.map(([first]) => first)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('writes nothing while the link is full, and goes on when it has room', async () => {
    const { near, far, pass } = await linkedPair()
    attach(near)
    const listener = attach(far)
    await pass(10)
    near.link.room = 1
    far.link.pause()
    let sent = 0
    while (near.connection.send(new Uint8Array(60_000), reliable) === 'accepted') sent++
    const before = near.link.writes.length
    await pass(20)
    expect(near.link.writes).toHaveLength(before + 1)
    far.link.resume()
    await pass(100)
    expect(listener.packets).toHaveLength(sent)
  })

  test('makes timers now and then, not for each packet', async () => {
    const { near, far, pass } = await linkedPair()
    attach(near)
    const listener = attach(far)
    const before = near.clock.made + far.clock.made
    for (let i = 0; i < 1000; i++) {
      near.connection.send(new Uint8Array(100), reliable)
      await pass(1)
    }
    await pass(5)
    expect(listener.packets).toHaveLength(1000)
    // An ACK is due 5 ms after what it is for: that is one timer in five milliseconds, and one for each suspicion
    expect(near.clock.made + far.clock.made - before).toBeLessThan(500)
    expect(near.clock.running + far.clock.running).toBeLessThanOrEqual(2)
  })

  test('stops its link from reading when the session asks for it', async () => {
    const { near, far, pass } = await linkedPair({ controlFramesPerSecond: 100 })
    attach(near)
    attach(far)
    for (let i = 0; i < 1000 && !far.link.paused; i++) {
      near.connection.probe()
      await pass(2)
    }
    expect(far.link.paused).toBe(true)
    await pass(3000)
    expect(far.link.paused).toBe(false)
  })

  test('a probe is answered', async () => {
    const { near, far, pass } = await linkedPair()
    const listener = attach(near)
    attach(far)
    near.connection.probe()
    await pass(10)
    expect(listener.heard).toEqual(['alive'])
  })
})

describe('a connection that ends', () => {
  test('closes in order: packets, onClosed at both ends, links down, promises', async () => {
    const { near, far, pass } = await linkedPair()
    const nearListener = attach(near)
    const farListener = attach(far)
    near.connection.send(Uint8Array.of(1), reliable)
    let resolved = 0
    const closing = [near.connection.close(), near.connection.close()].map((one) => one.then(() => resolved++))
    expect(near.connection.send(Uint8Array.of(2), reliable)).toBe('closed')
    await pass(10)
    await Promise.all(closing)
    expect(resolved).toBe(2)
    expect(nearListener.heard).toEqual(['closed local'])
    expect(farListener.heard).toEqual(['packet', 'closed remote'])
    expect([near.told.at(-1), far.told.at(-1)]).toEqual(['down', 'down'])
    expect(near.clock.running + far.clock.running).toBe(0)
    await near.connection.close()
    await near.connection[Symbol.asyncDispose]()
  })

  test('cuts a link that does not close by itself', async () => {
    const { near, far, pass } = await linkedPair({ closeDrainMs: 100 })
    const listener = attach(near)
    attach(far)
    far.link.paused = true
    far.link.resume = () => undefined
    const closing = near.connection.close()
    await pass(100)
    expect(listener.heard).toEqual(['closed local'])
    expect(near.link.destroyed).toBe(false)
    await pass(LINK_CLOSE_TIMEOUT_MS)
    expect(near.link.destroyed).toBe(true)
    await closing
  })

  test('abort says so before it returns, and nothing comes after it', async () => {
    const { near, far, pass } = await linkedPair()
    const listener = attach(near)
    const farListener = attach(far)
    near.connection.abort(new Error('enough'))
    expect(listener.heard).toEqual(['closed local'])
    expect(near.link.destroyed).toBe(true)
    near.connection.abort(new Error('again'))
    near.connection.probe()
    near.connection.pause()
    near.connection.resume()
    await pass(10)
    expect(listener.heard).toEqual(['closed local'])
    expect(farListener.closed).toMatchObject({ by: 'lost' })
  })

  test('abort from a handler drops the packets that came with the one it was given', async () => {
    const { near, far, pass } = await linkedPair()
    attach(near)
    const listener = attach(far)
    await pass(10)
    listener.whenPacket = () => far.connection.abort(new Error('enough'))
    near.connection.send(Uint8Array.of(1), reliable)
    near.connection.send(Uint8Array.of(2), reliable)
    await pass(10)
    expect(listener.heard).toEqual(['packet', 'closed local'])
  })

  test('a link that breaks is a lost connection', async () => {
    const { near, far, pass } = await linkedPair()
    const listener = attach(near)
    attach(far)
    near.link.close(new Error('reset'))
    expect(listener.closed).toMatchObject({ by: 'lost', code: 'CONNECTION_LOST', retryable: true })
    expect(near.told).toEqual(['established', 'closed lost', 'down'])
    await pass(10)
    expect(near.clock.running).toBe(0)
  })

  test('has no remote before the handshake has ended', async () => {
    const { near } = await linkedPair()
    expect(near.connection.remote.nodeId).toHaveLength(32)
    expect(near.connection.attached).toBe(false)
  })
})
