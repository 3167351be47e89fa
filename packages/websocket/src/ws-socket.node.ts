import type { Socket } from 'node:net'
import type { RawData, WebSocket } from 'ws'
import { socketAddress } from '@aiv/transport-api'
import { type CloseCode, SOCKET_HIGH_WATER_MARK, type WsSocket, type WsSocketHandler } from './ws-socket.js'

const message = { binary: true, compress: false, fin: true } as const

/** A WebSocket of the package `ws`. */
export class NodeWsSocket implements WsSocket {
  readonly local: string | undefined
  readonly remote: string | undefined
  readonly #socket: WebSocket
  #handler: WsSocketHandler | undefined
  #error: Error | undefined
  #full = false

  /**
   * @param socket - open; owned from here on. Paused until somebody is attached.
   * @param scheme - for {@link local} and {@link remote}.
   * @param carrier - the TCP or TLS socket below, if known: it has the addresses.
   */
  constructor(socket: WebSocket, scheme: string, carrier: Socket | undefined) {
    this.#socket = socket
    this.local = socketAddress(scheme, carrier?.localAddress, carrier?.localPort)
    this.remote = socketAddress(scheme, carrier?.remoteAddress, carrier?.remotePort)
    socket.on('error', (error) => (this.#error = error))
    // Pings are answered by `ws`; whether the other side is there is asked by the session
  }

  attach(handler: WsSocketHandler): void {
    const socket = this.#socket
    this.#handler = handler
    if (socket.readyState === socket.CLOSED) return queueMicrotask(() => handler.onClosed(this.#error))
    socket.on('message', (data: RawData, isBinary: boolean) => {
      // Buffers by the default `binaryType`, and one message each
      if (isBinary) handler.onBinary(data as Uint8Array)
      else handler.onText()
    })
    socket.once('close', () => handler.onClosed(this.#error))
  }

  send(bytes: Uint8Array): boolean {
    const socket = this.#socket
    if (socket.readyState !== socket.OPEN) return false
    socket.send(bytes, message, this.#onSent)
    this.#full = socket.bufferedAmount >= SOCKET_HIGH_WATER_MARK
    return !this.#full
  }

  /** One function for all messages, since one is sent per turn at most. */
  readonly #onSent = (): void => {
    if (!this.#full || this.#socket.bufferedAmount >= SOCKET_HIGH_WATER_MARK) return
    this.#full = false
    this.#handler?.onWritable()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(code: CloseCode): void {
    // A paused socket would never see the answer
    this.#socket.resume()
    this.#socket.close(code)
  }

  terminate(): void {
    this.#socket.terminate()
  }
}
