import { AivError, DialError, type Clock, type Connection } from '@aiv/transport-api'

/** One way to reach a peer. */
export interface DialCandidate {
  readonly address: string
  dial(signal: AbortSignal): Promise<Connection>
}

/** Who won. */
export interface DialledPeer {
  readonly connection: Connection
  readonly address: string
}

export interface StaggeredDialOptions {
  readonly clock: Clock
  /** Head start of each candidate before the next one joins in. RFC 8305 section 5 recommends 250 ms. */
  readonly staggerMs: number
  /** Dials at the same time. */
  readonly maxParallel: number
  readonly signal: AbortSignal
}

/**
 * Tries the candidates in order, each one `staggerMs` after the one before or as soon as it fails, and takes the first
 * connection: Happy Eyeballs (RFC 8305), over addresses of any transport. The others are aborted; one that came up in
 * the same moment is closed.
 *
 * @returns rejects with {@link DialFailures}, in the order of the candidates, or with the signal's reason.
 */
export async function staggeredDial(
  candidates: readonly DialCandidate[],
  options: StaggeredDialOptions,
): Promise<DialledPeer> {
  const { clock, staggerMs, maxParallel, signal } = options
  signal.throwIfAborted()
  const race = new AbortController()
  const failures: (Error | undefined)[] = candidates.map(() => undefined)
  let next = 0
  let running = 0
  let won = false
  return new Promise((resolve, reject) => {
    let stagger: { clear(): void } | undefined
    const settle = (finish: () => void): void => {
      won = true
      stagger?.clear()
      signal.removeEventListener('abort', onAbort)
      finish()
      race.abort(new DialError('DIAL_ABORTED', 'another address was faster'))
    }
    const onAbort = (): void => settle(() => reject(signal.reason as Error))
    signal.addEventListener('abort', onAbort, { once: true })

    const startNext = (): void => {
      stagger?.clear()
      stagger = undefined
      const index = next
      const candidate = candidates[index]
      if (won || candidate === undefined || running >= maxParallel) return
      next++
      running++
      candidate.dial(race.signal).then(
        (connection) => {
          running--
          if (won) return connection.abort(new DialError('DIAL_ABORTED', 'another address was faster'))
          settle(() => resolve({ connection, address: candidate.address }))
        },
        (error: unknown) => {
          running--
          failures[index] = error instanceof Error ? error : new AivError('DIAL_FAILED', String(error))
          if (won) return
          if (running === 0 && next >= candidates.length) {
            settle(() => reject(new DialFailures(failures.filter((failure) => failure !== undefined))))
          } else startNext()
        },
      )
      if (next < candidates.length) stagger = clock.setTimeout(startNext, staggerMs)
    }
    if (candidates.length === 0) settle(() => reject(new DialFailures([])))
    else startNext()
  })
}

/** Every address was tried. */
export class DialFailures extends AivError<'DIAL_FAILED'> {
  constructor(readonly failures: readonly Error[]) {
    super('DIAL_FAILED', failures.map((failure) => failure.message).join('; ') || 'no address to dial', {
      retryable: failures.some(mayPass),
    })
  }
}

/** Failures that may pass without anybody doing something about them. */
function mayPass(failure: Error): boolean {
  if (!(failure instanceof AivError)) return true
  const code: string = failure.code as string
  return failure.retryable || code === 'DIAL_REFUSED' || code === 'DIAL_TIMEOUT'
}
