import { createServer, type Server, type Socket } from 'node:net'
import { chmod, rm } from 'node:fs/promises'
import { CommandError } from '../errors.js'
import { LineDecoder } from './line-decoder.js'
import {
  MAX_CLIENTS,
  MAX_LINE_BYTES,
  MAX_REQUESTS_PER_CLIENT,
  parseLocalRequest,
  type LocalError,
  type LocalRequest,
  type LocalResponse,
} from './local-protocol.js'
import { ownSocketFolder } from './socket-path.js'

/** Does what a request asks. `tell` sends an event; `signal` aborts when the client goes away or the server closes. */
export type LocalHandler = (
  request: LocalRequest,
  context: { readonly signal: AbortSignal; readonly tell: (event: unknown) => void },
) => Promise<unknown>

export interface LocalServerOptions {
  readonly path: string
  readonly handler: LocalHandler
  /** How an error is shown on the other side. */
  readonly describe: (error: unknown) => LocalError
  /** @defaultValue 24 MiB */
  readonly maxLineBytes?: number
}

/** The socket that other processes of the same user ask a running node through. */
export class LocalServer implements AsyncDisposable {
  readonly #options: LocalServerOptions
  readonly #server: Server
  readonly #clients = new Map<Socket, AbortController>()
  #closing: Promise<void> | undefined

  private constructor(options: LocalServerOptions, server: Server) {
    this.#options = options
    this.#server = server
    server.on('connection', (socket) => this.#accept(socket))
  }

  /**
   * Listens. Whoever calls this holds the lock of the data folder: a socket that is still there was left by a process
   * that is gone.
   * @throws CommandError LOCAL_SOCKET
   */
  static async listen(options: LocalServerOptions): Promise<LocalServer> {
    const { path } = options
    await ownSocketFolder(path)
    const isPipe = path.startsWith('\\\\')
    if (!isPipe) await rm(path, { force: true })
    const server = createServer()
    // the socket is made inside of listen(): it never exists with more rights than its owner's
    const umask = isPipe ? undefined : process.umask(0o177)
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(path, resolve)
        if (umask !== undefined) process.umask(umask)
      })
      if (!isPipe) await chmod(path, 0o600)
    } catch (error) {
      server.close()
      throw new CommandError('LOCAL_SOCKET', `${path}: ${(error as Error).message}`, {
        cause: error,
        hint: 'choose another folder with --data-dir',
      })
    }
    return new LocalServer(options, server)
  }

  /** Drops every client; resolves when the socket is gone. May be called again. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const [socket, abort] of this.#clients) {
        abort.abort(new CommandError('INTERRUPTED', 'the node is shutting down'))
        socket.destroySoon()
      }
    })
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #accept(socket: Socket): void {
    if (this.#clients.size >= MAX_CLIENTS) {
      socket.destroy()
      return
    }
    const abort = new AbortController()
    const lines = new LineDecoder(this.#options.maxLineBytes ?? MAX_LINE_BYTES)
    let working = 0
    this.#clients.set(socket, abort)
    socket.on('error', () => undefined) // 'close' follows
    socket.once('close', () => {
      this.#clients.delete(socket)
      abort.abort(new CommandError('INTERRUPTED', 'whoever asked went away'))
    })
    const say = (response: LocalResponse): void => {
      if (socket.writable) socket.write(`${JSON.stringify(response)}\n`)
    }
    socket.on('data', (bytes) => {
      const complete = lines.decode(bytes)
      for (const line of complete ?? []) {
        const request = parseLocalRequest(line)
        if (request === undefined) {
          say(failed(0, { code: 'LOCAL_REQUEST', message: 'not a request', retryable: false }))
        } else if (working >= MAX_REQUESTS_PER_CLIENT) {
          say(failed(request.id, { code: 'BUSY', message: 'too many requests at once', retryable: true }))
        } else {
          working++
          void this.#work(request, abort.signal, say).then(() => working--)
        }
      }
      if (complete === undefined) {
        say(failed(0, { code: 'LOCAL_REQUEST', message: 'the line is too long', retryable: false }))
        socket.destroySoon()
      }
    })
  }

  async #work(request: LocalRequest, signal: AbortSignal, say: (response: LocalResponse) => void): Promise<void> {
    const { id } = request
    try {
      const tell = (event: unknown): void => say({ id, event })
      say({ id, ok: true, result: (await this.#options.handler(request, { signal, tell })) ?? null })
    } catch (error) {
      say(failed(id, this.#options.describe(error)))
    }
  }
}

const failed = (id: number, error: LocalError): LocalResponse => ({ id, ok: false, error })
