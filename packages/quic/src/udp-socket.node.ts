import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { TransportError } from '@aiv/transport-api'
import { SLOTS, type SendSlots } from './send-slots.js'
import type { UdpAddress } from './quic-engine.js'

/** Asked for; the system may give less. A burst has to fit, since nothing here paces it. */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

/** Told by a socket. `bytes` belong to the receiver. */
export interface UdpSocketHandler {
  onDatagram(bytes: Uint8Array, from: RemoteInfo): void
  onError(error: NodeJS.ErrnoException): void
}

/**
 * One UDP socket. Datagrams are written into slots and sent from there: the kernel has copied them when
 * `send` returns, unless its buffer is full, which shows in the length of Node's queue. No buffer, callback or look-up
 * per datagram. Between {@link slot} and {@link rewind} the slots are this socket's alone.
 */
export class UdpSocket {
  readonly local: UdpAddress
  readonly #socket: Socket
  readonly #connected: boolean
  readonly #slots: SendSlots
  #open = true

  private constructor(socket: Socket, connected: boolean, slots: SendSlots, handler: UdpSocketHandler) {
    this.#socket = socket
    this.#connected = connected
    this.#slots = slots
    const { address, port } = socket.address()
    this.local = Object.freeze({ host: address, port })
    socket.on('message', (bytes, from) => handler.onDatagram(bytes, from))
    socket.on('error', (error) => handler.onError(error))
  }

  /** @throws TransportError as any listener does. */
  static async bind(
    at: { readonly host: string | undefined; readonly port: number },
    slots: SendSlots,
    handler: UdpSocketHandler,
  ): Promise<UdpSocket> {
    const { host = '::', port } = at
    try {
      return new UdpSocket(await bound(host, port), false, slots, handler)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // A machine without IPv6: every address is every IPv4 address there
      if (at.host === undefined && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) {
        return UdpSocket.bind({ host: '0.0.0.0', port }, slots, handler)
      }
      throw bindError(error as Error & { readonly code?: string }, at.host, port)
    }
  }

  /**
   * A socket that receives from `to` alone, on a fresh port of the address that the route there has now. At once where
   * the system connects at once, which it does as there is nothing to look up.
   */
  static connect(to: UdpAddress, slots: SendSlots, handler: UdpSocketHandler): UdpSocket | Promise<UdpSocket> {
    const socket = newSocket(to.host)
    let failure: Error | undefined
    let settle = (error?: Error): void => void (failure = error)
    // Without a listener an error would be thrown at nobody
    socket.once('error', (error) => settle(error))
    socket.connect(to.port, to.host, (error?: Error) => settle(error))
    if (isConnected(socket)) return new UdpSocket(socket, true, slots, handler)
    return new Promise((resolve, reject) => {
      settle = (error): void => {
        if (error === undefined) return resolve(new UdpSocket(socket, true, slots, handler))
        socket.close()
        reject(error)
      }
      if (failure !== undefined) settle(failure)
    })
  }

  /** Where the next datagram is to be written; `undefined` while the kernel takes no more: come back later in the turn. */
  slot(): Uint8Array | undefined {
    if (this.#slots.isFull) {
      if (!this.#open || this.#socket.getSendQueueCount() > 0) return undefined
      this.#slots.rewind()
    } else if (this.#slots.isFresh && this.#open && this.#socket.getSendQueueCount() >= SLOTS) return undefined
    return this.#slots.current
  }

  /** Sends the first `length` bytes of the slot given out last. What cannot be sent is lost, as any datagram may be. */
  send(length: number, to: UdpAddress): void {
    if (!this.#open) return
    this.#send(this.#slots.take(length), to)
  }

  /** The same from any buffer, within a burst of another socket. */
  sendCopy(from: Uint8Array, length: number, to: UdpAddress): void {
    if (this.#open) this.#send(from.slice(0, length), to)
  }

  #send(bytes: Uint8Array, to: UdpAddress): void {
    if (this.#connected) this.#socket.send(bytes)
    else this.#socket.send(bytes, to.port, to.host)
  }

  /** Called when a burst is over: slots that the kernel has taken are used again, others are left to it. */
  rewind(): void {
    if (this.#open && this.#socket.getSendQueueCount() > 0) this.#slots.abandon()
    else this.#slots.rewind()
  }

  /** Asks for buffers that bursts fit into, once bursts may come. */
  enlarge(): void {
    if (this.#open) enlarge(this.#socket)
  }

  close(): Promise<void> {
    if (!this.#open) return Promise.resolve()
    this.#open = false
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }
}

function newSocket(host: string): Socket {
  // Only addresses come here, no names; without this every datagram would wait for a tick of its own
  const lookup = (address: string, _: unknown, done: (error: null, address: string, family: number) => void): void =>
    done(null, address, 0)
  return createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', lookup })
}

async function bound(host: string, port: number): Promise<Socket> {
  const socket = newSocket(host)
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close()
      reject(error)
    })
    socket.bind({ port, address: host }, () => {
      socket.removeAllListeners('error')
      resolve()
    })
  })
  enlarge(socket)
  return socket
}

/** One that is not has no address of its own, or none at all. */
function isConnected(socket: Socket): boolean {
  try {
    const { address } = socket.address()
    return address !== '0.0.0.0' && address !== '::'
  } catch {
    return false
  }
}

function enlarge(socket: Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES)
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
  } catch {
    // The system's own sizes do, at a lower speed
  }
}

function bindError(error: Error & { readonly code?: string }, host: string | undefined, port: number): TransportError {
  const where = `${host ?? '*'}:${port}/udp`
  const cause = { cause: error }
  if (error.code === 'EADDRINUSE') return new TransportError('TRANSPORT_PORT_TAKEN', `${where} is taken`, cause)
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new TransportError('TRANSPORT_PERMISSION', `no permission to listen on ${where}`, cause)
  }
  return new TransportError('TRANSPORT_UNAVAILABLE', `cannot listen on ${where}: ${error.message}`, cause)
}
