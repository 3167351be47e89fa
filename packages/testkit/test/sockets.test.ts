import { describe, expect, test } from '@jest/globals'
import type { Connection, ConnectionHandler } from '@aiv/transport-api'
import { Keeper, TestClock, TestHost } from '../src/index.js'

describe('the clock for tests with real sockets', () => {
  test('runs what is due by the time that is skipped, in order, and what that starts', () => {
    const clock = new TestClock()
    const ran: string[] = []
    clock.setTimeout(() => ran.push('20 s'), 20_000)
    clock.setTimeout(() => {
      ran.push('10 s')
      clock.setTimeout(() => ran.push('5 s later'), 5_000)
    }, 10_000)
    const late = clock.setTimeout(() => ran.push('never'), 60_000)
    const [before, unix] = [clock.now(), clock.unixNow()]
    clock.skip(30_000)
    expect(ran).toEqual(['10 s', '5 s later', '20 s'])
    expect(clock.now() - before).toBeGreaterThanOrEqual(30_000)
    expect(clock.unixNow() - unix).toBeGreaterThanOrEqual(30_000)
    expect(clock.timers).toBe(1)
    late.clear()
    expect(clock.timers).toBe(0)
  })

  test('can have the wrong date', () => {
    const clock = new TestClock()
    clock.unixErrorMs = -3_600_000
    expect(clock.unixNow()).toBeLessThan(Date.now() - 3_000_000)
  })
})

describe('what keeps for a test', () => {
  function connection() {
    let handler: ConnectionHandler | undefined
    const fake = { attach: (given: ConnectionHandler) => (handler = given) } as unknown as Connection
    return { fake, tell: () => handler as ConnectionHandler }
  }

  test('a keeper resolves a wait when the connection tells what was waited for', async () => {
    const { fake, tell } = connection()
    const keeper = new Keeper(fake)
    const second = keeper.until(() => keeper.count === 2)
    const end = keeper.end()
    for (const [text, early] of [['one', true] as const, ['two', false] as const]) {
      tell().onPacket(new TextEncoder().encode(text), { delivery: 'reliable', early })
    }
    await second
    expect([keeper.packets, keeper.early, keeper.bytes]).toEqual([['one', 'two'], [true, false], 6])
    tell().onClosed({ by: 'remote', code: 'CLOSED', retryable: true })
    expect((await end).code).toBe('CLOSED')
  })

  test('a host attaches a keeper to every connection and hands the next one to who waits', async () => {
    const host = new TestHost()
    const next = host.next()
    const { fake } = connection()
    host.onConnection(fake)
    expect((await next).connection).toBe(fake)
    expect(host.accepted).toHaveLength(1)
  })
})
