import { describe, expect, test } from '@jest/globals'
import type { Bytes, Millis } from '@aiv/transport-api'
import { protocolCoreCompliance } from '../src/index.js'
import { failuresOf } from './collecting-runner.js'
import { EchoCore } from './echo-core.js'

const exercise = (core: unknown, now: Millis): void => void (core as EchoCore).send(now, Uint8Array.of(1, 2, 3))
const garbage = (): Uint8Array[] => [new Uint8Array(0), Uint8Array.of(255), new Uint8Array(3), Uint8Array.of(1, 7, 9)]

describe('a core that keeps the rules', () => {
  protocolCoreCompliance({ describe, test }, { create: (now) => new EchoCore(now), exercise, garbage })
})

describe('the suite finds a core that', () => {
  const find = async (create: (now: Millis) => EchoCore): Promise<string[]> => [
    ...(
      await failuresOf((runner) => protocolCoreCompliance(runner, { create, exercise, garbage, maxSteps: 200 }))
    ).keys(),
  ]

  test('does something at an early timeout', async () => {
    class Early extends EchoCore {
      override handleTimeout(now: Millis): void {
        this.outputs.push(Uint8Array.of(0))
        super.handleTimeout(now)
      }
    }
    expect(await find((now) => new Early(now))).toContain('an early timeout does nothing')
  })

  test('never lets its deadline go', async () => {
    class Stuck extends EchoCore {
      override nextTimeout(): Millis {
        return 10
      }
    }
    expect(await find((now) => new Stuck(now))).toContain('a deadline that is served does not stay')
  })

  test('speaks after its last deadline', async () => {
    class Chatty extends EchoCore {
      override handleTimeout(now: Millis): void {
        if (!this.isOpen) this.events.push({ type: 'closed', reason: 'silence' })
        super.handleTimeout(now)
      }
    }
    expect(await find((now) => new Chatty(now))).toEqual(['says nothing more after it has no deadline left'])
  })

  test('has output without end', async () => {
    class Endless extends EchoCore {
      override pollOutput(): Bytes {
        return Uint8Array.of(0)
      }
    }
    expect(await find((now) => new Endless(now))).toContain('polling comes to an end, and polling again gives nothing')
  })

  test('throws at what a peer sends', async () => {
    class Fragile extends EchoCore {
      override handleInput(now: Millis, input: Uint8Array): void {
        if (input[0] === 255) throw new Error('cannot be')
        super.handleInput(now, input)
      }
    }
    expect(await find((now) => new Fragile(now))).toEqual([
      'the same input at the same times gives the same output and events',
      'no input makes it throw, alone or after another',
      'input after its last deadline does not make it throw',
    ])
  })

  test('depends on absolute time', async () => {
    class Calendar extends EchoCore {
      override nextTimeout(): Millis | undefined {
        const at = super.nextTimeout()
        return at === undefined ? undefined : Math.ceil(at / 7_000) * 7_000
      }
    }
    expect(await find((now) => new Calendar(now))).toContain('only differences of time have meaning')
  })

  test('takes its chance from nowhere that is handed in', async () => {
    let count = 0
    class Lucky extends EchoCore {
      override pollOutput(now: Millis): Bytes | undefined {
        const output = super.pollOutput(now)
        return output === undefined ? undefined : Uint8Array.of(0, count++ & 0xff)
      }
    }
    expect(await find((now) => new Lucky(now))).toContain(
      'the same input at the same times gives the same output and events',
    )
  })
})
