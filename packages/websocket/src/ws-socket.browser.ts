import type { Clock, Timer } from '@aiv/transport-api'
import {
  CloseCode,
  MAX_MESSAGE_BYTES,
  SOCKET_HIGH_WATER_MARK,
  SUBPROTOCOL,
  type WsSocket,
  type WsSocketHandler,
} from './ws-socket.js'

/** The part of a browser's `WebSocket` that is used here; that of Node 22 and the one of the package `ws` have it too. */
export interface PlatformWebSocket {
  binaryType: string
  readonly readyState: number
  readonly bufferedAmount: number
  readonly protocol: string
  send(data: Uint8Array): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'open' | 'error' | 'close', listener: (event: { readonly type: string }) => void): void
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
}

/** Makes one: the global `WebSocket`. */
export type PlatformWebSocketConstructor = new (url: string, protocols: string[]) => PlatformWebSocket

const OPEN = 1
const CLOSED = 3

/** A browser does not say when there is room again: it is asked this often, and only while there is none. */
const BUFFER_POLL_MS = 5

/**
 * What is kept of messages that come while reading is paused, in bytes. A browser cannot be told to stop reading; HTX
 * credit keeps an honest peer below this, and for another one the link is closed.
 */
export const MAX_HELD_BYTES = 20 * 1_048_576

/** Scripts may close with 1000 and 3000 to 4999 only: 1003 goes out as 4003, 1009 as 4009. */
const scriptCode = (code: CloseCode): number => (code === CloseCode.Normal ? code : code + 3000)

/** The platform's own WebSocket, as a browser has it. */
export class BrowserWsSocket implements WsSocket {
  readonly local = undefined
  readonly remote: string
  readonly #socket: PlatformWebSocket
  readonly #clock: Clock
  #handler: WsSocketHandler | undefined
  #paused = false
  #held: unknown[] = []
  #heldBytes = 0
  #poll: Timer | undefined
  #closed = false
  #error: Error | undefined

  /** @param socket - just made; see {@link opened}. */
  constructor(socket: PlatformWebSocket, url: string, clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    this.remote = url
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('message', ({ data }) => this.#onMessage(data))
    // The event says nothing: scripts are not told why a connection failed
    socket.addEventListener('error', () => (this.#error = new Error('the WebSocket failed')))
    socket.addEventListener('close', () => this.#finish())
  }

  /** Resolves when it is open; rejects when it cannot be opened, or closes with the signal's reason. */
  opened(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.terminate()
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const settle = (run: () => void): void => {
        signal.removeEventListener('abort', onAbort)
        run()
      }
      this.#socket.addEventListener('open', () =>
        settle(() => {
          if (this.#socket.protocol === SUBPROTOCOL) return resolve()
          this.terminate()
          reject(new Error(`the other side does not speak ${SUBPROTOCOL}`))
        }),
      )
      const onRefused = (): void => settle(() => reject(this.#error ?? new Error('the WebSocket was refused')))
      this.#socket.addEventListener('close', onRefused)
      // the WebSocket of Node 22 tells of a connection that could not be opened by this event alone
      this.#socket.addEventListener('error', onRefused)
    })
  }

  attach(handler: WsSocketHandler): void {
    this.#handler = handler
    if (this.#closed) return queueMicrotask(() => handler.onClosed(this.#error))
    this.#giveOut()
  }

  send(message: Uint8Array): boolean {
    if (this.#socket.readyState !== OPEN) return false
    this.#socket.send(message)
    if (this.#socket.bufferedAmount < SOCKET_HIGH_WATER_MARK) return true
    this.#awaitRoom()
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#giveOut()
  }

  close(code: CloseCode): void {
    this.#paused = false
    if (this.#socket.readyState < CLOSED) this.#socket.close(scriptCode(code))
  }

  /** A browser cannot cut a connection: it is closed and forgotten at once. */
  terminate(): void {
    if (this.#socket.readyState < CLOSED) this.#socket.close()
    this.#finish()
  }

  #awaitRoom(): void {
    this.#poll ??= this.#clock.setTimeout(() => {
      this.#poll = undefined
      if (this.#closed) return
      if (this.#socket.bufferedAmount < SOCKET_HIGH_WATER_MARK) this.#handler?.onWritable()
      else this.#awaitRoom()
    }, BUFFER_POLL_MS)
  }

  #onMessage(data: unknown): void {
    if (this.#closed) return
    const size = data instanceof ArrayBuffer ? data.byteLength : 0
    if (size > MAX_MESSAGE_BYTES || this.#heldBytes + size > MAX_HELD_BYTES) return this.close(CloseCode.TooLarge)
    this.#held.push(data)
    this.#heldBytes += size
    this.#giveOut()
  }

  #giveOut(): void {
    while (!this.#paused && !this.#closed && this.#handler !== undefined && this.#held.length > 0) {
      const data = this.#held.shift()
      if (!(data instanceof ArrayBuffer)) {
        this.#handler.onText()
        continue
      }
      this.#heldBytes -= data.byteLength
      this.#handler.onBinary(new Uint8Array(data))
    }
  }

  #finish(): void {
    if (this.#closed) return
    this.#closed = true
    this.#held = []
    this.#poll?.clear()
    this.#handler?.onClosed(this.#error)
  }
}
