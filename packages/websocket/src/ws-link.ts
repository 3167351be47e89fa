import { joinBytes } from '@aiv/transport-api'
import type { HtxLink, HtxLinkHandler } from '@aiv/htx-session'
import { CloseCode, type WsSocket } from './ws-socket.js'

/**
 * One WebSocket as a link: what a session gives at once, whole frames, becomes one binary message.
 *
 * The pieces are joined for that. A message of fragments would spare the sender this copy and cost the receiver the same
 * one, beside a header and a write for each: docs/decisions/0143-websocket-messages.md
 */
export class WsLink implements HtxLink {
  readonly #socket: WsSocket

  constructor(socket: WsSocket) {
    this.#socket = socket
  }

  get local(): string | undefined {
    return this.#socket.local
  }

  get remote(): string | undefined {
    return this.#socket.remote
  }

  attach(handler: HtxLinkHandler): void {
    this.#socket.attach({
      onBinary: (message) => handler.onInput(message),
      onText: () => this.#socket.close(CloseCode.Unsupported),
      onWritable: () => handler.onWritable(),
      onClosed: (error) => handler.onClosed(error),
    })
  }

  write(pieces: readonly Uint8Array[]): boolean {
    return this.#socket.send(joinBytes(pieces))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.close(CloseCode.Normal)
  }

  destroy(): void {
    this.#socket.terminate()
  }
}
