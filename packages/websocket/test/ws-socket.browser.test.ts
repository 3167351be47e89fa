import { describe, expect, test } from '@jest/globals'
import { TestClock } from '@aiv/testkit'
import { BrowserWsSocket, MAX_HELD_BYTES, type PlatformWebSocket } from '../src/ws-socket.browser.js'
import { MAX_MESSAGE_BYTES, SUBPROTOCOL } from '../src/ws-socket.js'
import { webSocket } from '../src/index.browser.js'

/** A platform WebSocket in a test's hands. */
class HandSocket implements PlatformWebSocket {
  binaryType = 'blob'
  readyState = 0
  bufferedAmount = 0
  protocol = SUBPROTOCOL
  readonly sent: Uint8Array[] = []
  readonly closes: (number | undefined)[] = []
  readonly #listeners = new Map<string, ((event: { type: string; data: unknown }) => void)[]>()

  addEventListener(type: string, listener: (event: { type: string; data: unknown }) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }

  tell(type: string, data?: unknown): void {
    if (type === 'open') this.readyState = 1
    if (type === 'close') this.readyState = 3
    for (const listener of this.#listeners.get(type) ?? []) listener({ type, data })
  }

  send(data: Uint8Array): void {
    this.sent.push(data)
  }

  close(code?: number): void {
    if (code !== undefined && code !== 1000 && (code < 3000 || code > 4999)) throw new Error('InvalidAccessError')
    this.closes.push(code)
    this.readyState = 2
  }
}

function opened(): { hand: HandSocket; socket: BrowserWsSocket; clock: TestClock; heard: string[] } {
  const hand = new HandSocket()
  const clock = new TestClock()
  const socket = new BrowserWsSocket(hand, 'ws://example.org', clock)
  const heard: string[] = []
  hand.tell('open')
  socket.attach({
    onBinary: (bytes) => heard.push(`binary ${bytes.length}`),
    onText: () => heard.push('text'),
    onWritable: () => heard.push('writable'),
    onClosed: (error) => heard.push(error === undefined ? 'closed' : 'failed'),
  })
  return { hand, socket, clock, heard }
}

describe('the WebSocket of a browser', () => {
  test('asks for array buffers, and gives views of them', () => {
    const { hand, heard } = opened()
    expect(hand.binaryType).toBe('arraybuffer')
    hand.tell('message', new ArrayBuffer(3))
    hand.tell('message', 'text')
    expect(heard).toEqual(['binary 3', 'text'])
  })

  test('is full at the mark, and asked again and again until it is not', () => {
    const { hand, socket, clock, heard } = opened()
    expect(socket.send(new Uint8Array(1))).toBe(true)
    hand.bufferedAmount = 131_072
    expect(socket.send(new Uint8Array(1))).toBe(false)
    expect(clock.timers).toBe(1)
    clock.skip(20)
    expect(heard).toEqual([])
    hand.bufferedAmount = 1000
    clock.skip(5)
    expect(heard).toEqual(['writable'])
    expect(clock.timers).toBe(0)
  })

  test('keeps what comes while reading is paused, up to the limit', () => {
    const { hand, socket, heard } = opened()
    socket.pause()
    hand.tell('message', new ArrayBuffer(5))
    hand.tell('message', new ArrayBuffer(6))
    expect(heard).toEqual([])
    socket.resume()
    expect(heard).toEqual(['binary 5', 'binary 6'])
    socket.pause()
    for (let held = 0; held <= MAX_HELD_BYTES; held += MAX_MESSAGE_BYTES) {
      expect(hand.closes).toEqual([])
      hand.tell('message', new ArrayBuffer(MAX_MESSAGE_BYTES))
    }
    expect(hand.closes).toEqual([4009])
  })

  test('closes with codes that a script may use', () => {
    const { hand, socket } = opened()
    socket.close(1003)
    expect(hand.closes).toEqual([4003])
    const other = opened()
    other.hand.tell('message', new ArrayBuffer(MAX_MESSAGE_BYTES + 1))
    expect(other.hand.closes).toEqual([4009])
    const third = opened()
    third.socket.close(1000)
    expect(third.hand.closes).toEqual([1000])
  })

  test('says once that it is over, and nothing after it', () => {
    const { hand, socket, clock, heard } = opened()
    hand.bufferedAmount = 131_072
    socket.send(new Uint8Array(1))
    socket.terminate()
    expect(heard).toEqual(['closed'])
    hand.tell('message', new ArrayBuffer(5))
    hand.tell('close')
    expect(heard).toEqual(['closed'])
    expect(clock.timers).toBe(0)
    const failed = opened()
    failed.hand.tell('error')
    failed.hand.tell('close')
    expect(failed.heard).toEqual(['failed'])
  })

  test('refuses a server that chose no or another subprotocol', async () => {
    const hand = new HandSocket()
    hand.protocol = ''
    const socket = new BrowserWsSocket(hand, 'ws://example.org', new TestClock())
    const outcome = socket.opened(new AbortController().signal)
    hand.tell('open')
    await expect(outcome).rejects.toThrow(SUBPROTOCOL)
  })

  test('there has to be one', () => {
    const had = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket')
    Object.defineProperty(globalThis, 'WebSocket', { value: undefined, configurable: true })
    try {
      expect(() => webSocket()).toThrow('no WebSocket')
    } finally {
      if (had === undefined) Reflect.deleteProperty(globalThis, 'WebSocket')
      else Object.defineProperty(globalThis, 'WebSocket', had)
    }
  })
})
