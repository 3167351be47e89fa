import type { Clock, NodeId } from '@aiv/transport-api'
import { NodeError, type NodeErrorCode } from './errors.js'

/** Requests that wait for an answer at the same time. */
const MAX_PENDING = 65_536

interface Pending {
  readonly peer: NodeId
  readonly resolve: (answer: Uint8Array) => void
  readonly fail: (error: Error) => void
}

const utf8 = new TextDecoder()
const remoteCodes: readonly NodeErrorCode[] = ['PROTOCOL_UNKNOWN', 'REQUEST_FAILED']

/** Requests on their way: each ends with its answer, a failure, its time, or the caller's signal. */
export class RequestTable {
  readonly #clock: Clock
  readonly #pending = new Map<number, Pending>()
  #next = 1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#pending.size
  }

  /** @throws NodeError QUEUE_FULL when too many wait already. */
  open(
    peer: NodeId,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): { readonly id: number; readonly answer: Promise<Uint8Array>; fail(error: Error): void } {
    if (this.#pending.size >= MAX_PENDING) throw new NodeError('QUEUE_FULL', 'too many requests wait for an answer')
    const id = this.#next++
    let fail: (error: Error) => void = () => undefined
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      const end = (): void => {
        this.#pending.delete(id)
        timer.clear()
        signal?.removeEventListener('abort', onAbort)
      }
      fail = (error) => {
        end()
        reject(error)
      }
      const onAbort = (): void => fail(signal?.reason as Error)
      const timer = this.#clock.setTimeout(() => {
        fail(new NodeError('REQUEST_TIMEOUT', `no answer in ${timeoutMs} ms`, { retryable: true }))
      }, timeoutMs)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.set(id, {
        peer,
        resolve: (bytes) => {
          end()
          resolve(bytes)
        },
        fail,
      })
    })
    return { id, answer, fail }
  }

  /** An answer came in; one that nobody waits for, or from somebody else than was asked, is ignored. */
  settle(peer: NodeId, id: number | undefined, answered: boolean, payload: Uint8Array): void {
    const pending = id === undefined ? undefined : this.#pending.get(id)
    if (pending === undefined || pending.peer !== peer) return
    if (answered) return pending.resolve(payload)
    const text = utf8.decode(payload.subarray(0, 64))
    const code = remoteCodes.find((known) => known === text) ?? 'REQUEST_FAILED'
    pending.fail(
      new NodeError(
        code,
        code === 'PROTOCOL_UNKNOWN' ? 'nobody handles this protocol there' : 'the handler failed there',
      ),
    )
  }

  close(error: NodeError): void {
    for (const pending of [...this.#pending.values()]) pending.fail(error)
  }
}
