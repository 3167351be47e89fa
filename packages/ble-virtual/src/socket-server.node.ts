import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { H4Framer } from './h4-framer.js'
import { HciFault } from './hci-fault.js'
import type { VirtualAir } from './virtual-air.js'

/** Bytes that a client may leave unread before it is dropped. */
const MAX_UNREAD_BYTES = 1_048_576

export interface VirtualAirServerOptions {
  /** Where clients connect: a path of at most about 100 characters, or a pipe's name on Windows. */
  readonly path: string
  /** Clients at a time; further ones are closed at once. @defaultValue 64 */
  readonly maxClients?: number
  /** A client broke the rules, and was disconnected. */
  readonly onFault?: (fault: HciFault) => void
}

/**
 * Gives processes of one machine controllers on a common air: each client of the socket has one of its own, from its
 * connection to its end, and speaks H4 with it. The shape of BlueZ's `btvirt -s`.
 */
export class VirtualAirServer {
  readonly path: string
  readonly #server: Server
  readonly #clients = new Set<Socket>()

  private constructor(air: VirtualAir, options: VirtualAirServerOptions) {
    const { path, maxClients = 64, onFault } = options
    this.path = path
    this.#server = createServer((socket) => {
      if (this.#clients.size >= maxClients) return void socket.destroy()
      this.#clients.add(socket)
      const drop = (fault: HciFault): void => {
        onFault?.(fault)
        socket.destroy()
      }
      const controller = air.create({ onFault: drop })
      const framer = new H4Framer()
      controller.listen((packet) => {
        socket.write(packet)
        if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy()
      })
      socket.on('data', (bytes) => {
        try {
          for (const packet of framer.push(bytes)) if (!socket.destroyed) controller.handlePacket(packet)
        } catch (error) {
          if (!(error instanceof HciFault)) throw error
          drop(error)
        }
      })
      // the end follows, and closes
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#clients.delete(socket)
        controller.close()
      })
    })
  }

  /** Rejects with what the platform says: no such folder, a path in use. */
  static async listen(air: VirtualAir, options: VirtualAirServerOptions): Promise<VirtualAirServer> {
    const server = new VirtualAirServer(air, options)
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject)
      server.#server.listen(options.path, () => {
        server.#server.off('error', reject)
        resolve()
      })
    })
    return server
  }

  /** Takes all controllers away. May be called again. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
    if (process.platform !== 'win32') await rm(this.path, { force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
