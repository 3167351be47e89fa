import { describe, expect, test } from '@jest/globals'
import { DialError, type Connection } from '@aiv/transport-api'
import { DialFailures, staggeredDial, type DialCandidate } from '../src/staggered-dial.js'
import { ManualClock, settle } from './manual-clock.js'

interface Attempt {
  readonly startedAt: number
  readonly signal: AbortSignal
  succeed(): void
  fail(error?: Error): void
}

function setup(count: number, options: { staggerMs?: number; maxParallel?: number; signal?: AbortSignal } = {}) {
  const clock = new ManualClock()
  const attempts = new Map<string, Attempt>()
  const aborted: string[] = []
  const candidates: DialCandidate[] = Array.from({ length: count }, (_, i) => ({
    address: `mem://${i}`,
    dial: (signal) =>
      new Promise<Connection>((resolve, reject) => {
        const connection = { abort: () => aborted.push(`connection ${i}`) } as unknown as Connection
        signal.addEventListener('abort', () => aborted.push(`dial ${i}`))
        attempts.set(String(i), {
          startedAt: clock.now(),
          signal,
          succeed: () => resolve(connection),
          fail: (error = new DialError('DIAL_REFUSED', `refused ${i}`)) => reject(error),
        })
      }),
  }))
  const result = staggeredDial(candidates, {
    clock,
    staggerMs: options.staggerMs ?? 250,
    maxParallel: options.maxParallel ?? 4,
    signal: options.signal ?? new AbortController().signal,
  })
  result.catch(() => undefined)
  const attempt = (i: number): Attempt => {
    const found = attempts.get(String(i))
    if (found === undefined) throw new Error(`${i} was not dialled`)
    return found
  }
  return { clock, attempts, attempt, aborted, result }
}

describe('staggered dial', () => {
  test('gives each address a head start, takes the first connection and aborts the others', async () => {
    const { clock, attempts, attempt, aborted, result } = setup(3)
    expect(attempts.size).toBe(1)
    await clock.advance(250)
    expect(attempts.size).toBe(2)
    expect(attempt(1).startedAt).toBe(250)
    attempt(1).succeed()
    expect((await result).address).toBe('mem://1')
    expect(aborted).toContain('dial 0')
    await clock.advance(1_000)
    expect(attempts.size).toBe(2)
    expect(clock.running).toBe(0)
  })

  test('goes on at once when an address fails', async () => {
    const { attempts, attempt, result } = setup(2)
    attempt(0).fail()
    await settle()
    expect(attempts.size).toBe(2)
    attempt(1).succeed()
    expect((await result).address).toBe('mem://1')
  })

  test('reports every failure, in the order of the addresses', async () => {
    const { clock, attempt, result } = setup(2)
    await clock.advance(250)
    attempt(1).fail(new DialError('IDENTITY_MISMATCH', 'somebody else'))
    attempt(0).fail()
    const error = await result.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(DialFailures)
    expect((error as DialFailures).failures.map((failure) => (failure as DialError).code)).toEqual([
      'DIAL_REFUSED',
      'IDENTITY_MISMATCH',
    ])
    expect((error as DialFailures).retryable).toBe(true)
    expect(clock.running).toBe(0)
  })

  test('never has more dials running than allowed', async () => {
    const { clock, attempts, attempt, result } = setup(4, { maxParallel: 2 })
    await clock.advance(10_000)
    expect(attempts.size).toBe(2)
    attempt(0).fail()
    await clock.advance(1)
    expect(attempts.size).toBe(3)
    attempt(2).succeed()
    await result
  })

  test('closes a connection that came up in the same moment as another one', async () => {
    const { clock, attempt, aborted, result } = setup(2)
    await clock.advance(250)
    attempt(0).succeed()
    attempt(1).succeed()
    await result
    await settle()
    expect(aborted).toContain('connection 1')
  })

  test('rejects with the reason of its signal and aborts what runs', async () => {
    const controller = new AbortController()
    const { attempt, result, clock } = setup(2, { signal: controller.signal })
    const reason = new Error('not needed any more')
    controller.abort(reason)
    await expect(result).rejects.toBe(reason)
    expect(attempt(0).signal.aborted).toBe(true)
    expect(clock.running).toBe(0)
  })
})
