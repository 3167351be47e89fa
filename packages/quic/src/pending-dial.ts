import { type Clock, DialError, type Timer } from '@aiv/transport-api'
import type { QuicConnection } from './quic-connection.js'

/**
 * A dial under way. It ends once: with a connection, or with the first of a failure, its time limit, the caller's
 * signal and the end of the transport.
 */
export class PendingDial {
  readonly connection: Promise<QuicConnection>
  readonly #signal: AbortSignal | undefined
  #timer: Timer | undefined
  #resolve: (connection: QuicConnection) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  #isOver = false
  /** What has begun and is to be undone when it is stopped. */
  #undo: ((error: Error) => void) | undefined

  constructor(signal: AbortSignal | undefined) {
    this.connection = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** From now on. */
  limit(clock: Clock, timeoutMs: number): void {
    if (this.#isOver) return
    this.#timer = clock.setTimeout(
      () => this.stop(new DialError('DIAL_TIMEOUT', `no connection in ${timeoutMs} ms`, { retryable: true })),
      timeoutMs,
    )
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** @param undo - called when the dial is stopped, not when it fails. */
  begun(undo: (error: Error) => void): void {
    this.#undo = undo
  }

  succeed(connection: QuicConnection): void {
    if (this.#end()) this.#resolve(connection)
  }

  fail(error: unknown): void {
    if (this.#end()) this.#reject(error)
  }

  /** Rejects with `reason`, whatever it is. */
  stop(reason: unknown): void {
    if (!this.#end()) return
    this.#reject(reason)
    this.#undo?.(reason instanceof Error ? reason : new Error('aborted'))
  }

  readonly #onAbort = (): void => this.stop(this.#signal?.reason)

  /** False when it had ended before. */
  #end(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#timer?.clear()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    return true
  }
}
