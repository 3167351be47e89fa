import type { Socket } from 'node:net'
import { socketAddress } from '@aiv/transport-api'
import type { HtxLink, HtxLinkHandler } from '@aiv/htx-session'

/**
 * How much a socket takes before it asks to wait, in bytes: what stands here can no longer be overtaken by anything
 * more urgent, and less than a few frames costs throughput. docs/decisions/0141-tcp-writes.md
 */
export const SOCKET_HIGH_WATER_MARK = 65_536

/** One TCP socket as a link. */
export class TcpLink implements HtxLink {
  readonly local: string | undefined
  readonly remote: string | undefined
  readonly #socket: Socket
  #error: Error | undefined

  /** @param socket - connected; the link owns it from here on. */
  constructor(socket: Socket) {
    this.#socket = socket
    this.local = socketAddress('htx', socket.localAddress, socket.localPort)
    this.remote = socketAddress('htx', socket.remoteAddress, socket.remotePort)
    socket.on('error', (error) => (this.#error = error))
  }

  attach(handler: HtxLinkHandler): void {
    const socket = this.#socket
    if (socket.destroyed) return queueMicrotask(() => handler.onClosed(this.#error))
    socket.on('data', (bytes: Uint8Array) => handler.onInput(bytes))
    socket.on('drain', () => handler.onWritable())
    // HTX knows no half-open links: who has sent its FIN reads no more, so what is still unsent has no reader
    socket.once('end', () => socket.destroy())
    socket.once('close', () => handler.onClosed(this.#error))
  }

  write(pieces: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (socket.destroyed) return false
    if (pieces.length === 1) return socket.write(pieces[0] as Uint8Array)
    // Corked writes leave as one writev, however many pieces there are, and nothing is joined
    socket.cork()
    for (const piece of pieces) socket.write(piece)
    socket.uncork()
    return !socket.writableNeedDrain
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
