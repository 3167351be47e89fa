import { connect, type Socket } from 'node:net'
import { H4Framer } from './h4-framer.js'
import type { ControllerListener } from './virtual-controller.js'
import type { HciTransport } from './virtual-driver.node.js'

/** A controller behind a unix socket: of a {@link VirtualAirServer}, or of BlueZ's `btvirt -s`. */
export class SocketController implements HciTransport {
  readonly #socket: Socket
  readonly #listeners = new Set<ControllerListener>()
  readonly #onClosed: (() => void) | undefined

  private constructor(socket: Socket, onClosed: (() => void) | undefined) {
    this.#socket = socket
    this.#onClosed = onClosed
    const framer = new H4Framer()
    socket.on('data', (bytes) => {
      let packets: Uint8Array[]
      try {
        packets = framer.push(bytes)
      } catch {
        // not H4: whatever listens there is no controller
        return void socket.destroy()
      }
      for (const packet of packets) for (const listener of [...this.#listeners]) listener(packet)
    })
    socket.on('close', () => {
      this.#listeners.clear()
      this.#onClosed?.()
    })
    socket.on('error', () => undefined)
  }

  /** Rejects with what the platform says: nobody listens there. `onClosed`: the controller is gone. */
  static async open(path: string, onClosed?: () => void): Promise<SocketController> {
    const socket = connect(path)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve()
      })
    })
    return new SocketController(socket, onClosed)
  }

  get isUp(): boolean {
    return !this.#socket.destroyed
  }

  handlePacket(packet: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(packet)
  }

  listen(listener: ControllerListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The links of the controller end by supervision timeout. May be called again. */
  close(): void {
    this.#socket.destroy()
  }
}
