// HTX over Unix domain sockets: for nodes on one machine, and for containers that share a folder. An address is
// unix://localhost/run/chat.sock, everything after the host being the path of the socket.
/** @import { Socket } from 'node:net' */
/** @import { Address, TransportFactory, TransportProfile } from '@aiv/transport-api' */
/** @import { HtxLink, HtxLinkHandler, HtxTransportOptions, LinkListener, LinkProvider } from '@aiv/htx-session' */
import { connect, createServer } from 'node:net'
import { ArgumentError, DialError, TransportError } from '@aiv/transport-api'
import { HtxTransport, htxSessionOptions } from '@aiv/htx-session'

/** What a socket takes before it asks to wait: what stands here can no longer be overtaken by anything more urgent. */
const highWaterMark = 65_536

/** Linux takes 107 bytes, macOS 103, and some versions of Node cut off what is longer. */
const MAX_PATH_BYTES = 103

/** Whoever connects has no address of its own: limits per source hold for all of them together. */
const ANYBODY = 'unix://localhost'

/** @param {string} path */
const urlOf = (path) => `unix://localhost${path}`

/** @param {string} path - verbatim: an address has no way to say white space or `#` */
function isUsable(path) {
  return /^\/[^#\s]+$/.test(path) && new TextEncoder().encode(path).length <= MAX_PATH_BYTES
}

/**
 * Connections to nodes that listen on Unix domain sockets, under the scheme `unix`.
 *
 * @param {HtxTransportOptions & { readonly path?: string }} [options] - `path`: listen there; without it, only dial
 * @returns {TransportFactory}
 */
export function unixSockets(options = {}) {
  const { path } = options
  if (path !== undefined && !isUsable(path)) {
    throw new ArgumentError(`"${path}": an absolute path of at most ${MAX_PATH_BYTES} bytes, without # and white space`)
  }
  const { maxMessageBytes } = htxSessionOptions(options.session)
  return (components) => new HtxTransport(components, new UnixProvider(path, maxMessageBytes), options)
}

/** @implements {LinkProvider} */
class UnixProvider {
  name = 'unix-sockets'
  schemes = ['unix']
  #path

  /** @param {string | undefined} path @param {number} maxMessageBytes */
  constructor(path, maxMessageBytes) {
    this.#path = path
    /** @type {TransportProfile} */
    this.profile = {
      reach: 'lan',
      largestPacketBytes: maxMessageBytes,
      datagrams: false,
      streams: false,
      energy: { idleMilliwatts: 0, microjoulesPerByte: 0, millijoulesPerDial: 0 },
    }
  }

  /** @param {LinkListener} listener */
  async listen(listener) {
    const path = this.#path
    if (path === undefined) return undefined
    const server = createServer({ highWaterMark }, (socket) => listener.onLink(new UnixLink(socket, ANYBODY)))
    await new Promise((resolve, reject) => {
      server.once('error', (error) => reject(listenError(path, error)))
      server.listen(path, () => resolve(server.removeAllListeners('error')))
    })
    server.on('error', (error) => listener.onDown(error))
    return {
      addresses: [urlOf(path)],
      close: () => new Promise((/** @type {(value?: void) => void} */ resolve) => server.close(() => resolve())),
    }
  }

  /** @param {Address} address @param {AbortSignal} signal @returns {Promise<HtxLink>} */
  dial({ path }, signal) {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (!isUsable(path)) return reject(new DialError('ADDRESS_INVALID', `${urlOf(path)} names no socket`))
      const socket = connect({ path, ...{ highWaterMark } })
      const onAbort = () => {
        socket.destroy()
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      socket.once('error', (cause) => {
        signal.removeEventListener('abort', onAbort)
        reject(new DialError('DIAL_REFUSED', `${path}: ${cause.message}`, { cause, retryable: true }))
      })
      socket.once('connect', () => {
        signal.removeEventListener('abort', onAbort)
        resolve(new UnixLink(socket, urlOf(path)))
      })
    })
  }
}

/** @implements {HtxLink} */
class UnixLink {
  local = undefined
  #socket
  /** @type {Error | undefined} */
  #error

  /** @param {Socket} socket - connected @param {string} remote */
  constructor(socket, remote) {
    this.#socket = socket
    this.remote = remote
    socket.on('error', (error) => (this.#error = error))
  }

  /** @param {HtxLinkHandler} handler */
  attach(handler) {
    const socket = this.#socket
    if (socket.destroyed) return queueMicrotask(() => handler.onClosed(this.#error))
    socket.on('data', (bytes) => handler.onInput(/** @type {Buffer} */ (bytes)))
    socket.on('drain', () => handler.onWritable())
    // HTX knows no half-open links: who sends no more reads no more, so what is still unsent has no reader
    socket.once('end', () => socket.destroy())
    socket.once('close', () => handler.onClosed(this.#error))
  }

  /** @param {readonly Uint8Array[]} pieces */
  write(pieces) {
    const socket = this.#socket
    socket.cork() // all pieces leave in one system call
    for (const piece of pieces) socket.write(piece)
    socket.uncork()
    return !socket.destroyed && !socket.writableNeedDrain
  }

  pause = () => void this.#socket.pause()
  resume = () => void this.#socket.resume()
  end = () => void this.#socket.end()
  destroy = () => void this.#socket.destroy()
}

/** @param {string} path @param {NodeJS.ErrnoException} cause */
function listenError(path, cause) {
  if (cause.code !== 'EADDRINUSE') {
    const code = cause.code === 'EACCES' ? 'TRANSPORT_PERMISSION' : 'TRANSPORT_UNAVAILABLE'
    return new TransportError(code, `cannot listen on ${path}: ${cause.message}`, { cause })
  }
  // Not removed here: of two programs that start at once, one would remove the other's
  const hint = 'stop the program that listens there; if there is none, it was killed, and the file can be removed'
  return new TransportError('TRANSPORT_PORT_TAKEN', `${path} is taken: ${hint}`, { cause })
}
