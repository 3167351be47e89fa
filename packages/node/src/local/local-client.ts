import { connect, type Socket } from 'node:net'
import { AivError } from '@aiv/transport-api'
import { CommandError } from '../errors.js'
import { LineDecoder } from './line-decoder.js'
import { MAX_LINE_BYTES, parseLocalResponse, type LocalRequest } from './local-protocol.js'

/** What a running node could not do, as it said it. */
export class RemoteError extends AivError {
  constructor(
    code: string,
    message: string,
    readonly hint: string | undefined,
    retryable: boolean,
  ) {
    super(code, message, { retryable })
  }
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never

interface Waiting {
  readonly onEvent: (event: unknown) => void
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Asks a running node. */
export class LocalClient implements AsyncDisposable {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  readonly #down: Promise<void>
  #ids = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    const lines = new LineDecoder(MAX_LINE_BYTES)
    socket.on('data', (bytes) => {
      for (const line of lines.decode(bytes) ?? []) this.#hear(line)
    })
    socket.on('error', () => undefined) // 'close' follows
    this.#down = new Promise((resolve) => {
      socket.once('close', () => {
        for (const { reject } of this.#waiting.values()) {
          reject(new CommandError('LOCAL_SOCKET', 'the running node went away', { hint: 'start it again: aiv up' }))
        }
        this.#waiting.clear()
        resolve()
      })
    })
  }

  /** `undefined` when no node runs there: no socket, or one that nobody listens on. */
  static async open(path: string): Promise<LocalClient | undefined> {
    const socket = connect(path)
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      })
      return new LocalClient(socket)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') return undefined
      throw new CommandError('LOCAL_SOCKET', `${path}: ${(error as Error).message}`, { cause: error })
    }
  }

  /** @throws RemoteError what the node answers; CommandError LOCAL_SOCKET when it goes away; the signal's reason */
  async ask(
    request: WithoutId<LocalRequest>,
    options: { readonly onEvent?: (event: unknown) => void; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<unknown> {
    const { signal, onEvent = () => undefined } = options
    signal?.throwIfAborted()
    const id = ++this.#ids
    const onAbort = (): void => this.#waiting.get(id)?.reject(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await new Promise((resolve, reject) => {
        if (!this.#socket.writable) throw new CommandError('LOCAL_SOCKET', 'the running node went away')
        this.#waiting.set(id, { onEvent, resolve, reject })
        this.#socket.write(`${JSON.stringify({ ...request, id })}\n`)
      })
    } finally {
      this.#waiting.delete(id)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Closing makes the node give up what is still asked of it. */
  close(): Promise<void> {
    this.#socket.destroy()
    return this.#down
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #hear(line: string): void {
    const response = parseLocalResponse(line)
    if (response === undefined) return
    const waiting = this.#waiting.get(response.id)
    if (waiting === undefined) return
    if ('event' in response) waiting.onEvent(response.event)
    else if (response.ok) waiting.resolve(response.result)
    else {
      const { code, message, hint, retryable } = response.error
      waiting.reject(new RemoteError(code, message, hint, retryable))
    }
  }
}
