import type { Clock } from '@aiv/transport-api'

export interface BoundedOptions {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** What it rejects with when the time is over. */
  readonly late: () => Error
}

/**
 * Waits for a promise that may never settle, as those of Bluetooth stacks do after a link is lost. Rejects when the time
 * is over, or with the signal's reason; what comes of the promise afterwards is ignored.
 */
export function bounded<T>(promise: Promise<T>, { clock, timeoutMs, signal, late }: BoundedOptions): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = (run: () => void): void => {
      timer.clear()
      signal?.removeEventListener('abort', aborted)
      run()
    }
    const aborted = (): void => done(() => reject(signal?.reason as Error))
    const timer = clock.setTimeout(() => done(() => reject(late())), timeoutMs)
    promise.then(
      (value) => done(() => resolve(value)),
      (error: Error) => done(() => reject(error)),
    )
    if (signal?.aborted === true) aborted()
    else signal?.addEventListener('abort', aborted, { once: true })
  })
}
