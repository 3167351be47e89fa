import type { Bytes, Millis, ProtocolCore } from '@aiv/transport-api'
import { check, equal, fail, show } from './assert.js'
import type { ComplianceRunner } from './runner.js'

/** What {@link protocolCoreCompliance} needs to know of a core. */
export interface ProtocolCoreSetup<Event, In = Uint8Array, Out = Bytes> {
  /**
   * A fresh core that begins at `now`. Calling it twice with the same time gives two cores that behave alike: hand in
   * randomness seeded anew each time.
   */
  create(now: Millis): ProtocolCore<Event, In, Out>
  /**
   * Gives the core work, so that there is output and a deadline: sends a message, starts a look-up. Called once per
   * core, after {@link create}. Default: nothing.
   */
  exercise?(core: ProtocolCore<Event, In, Out>, now: Millis): void
  /** Inputs that a hostile or broken peer may send; fresh ones each time, as an input belongs to the core. */
  garbage?(): Iterable<In>
  /** False for a core that has a deadline for ever, such as one that advertises every minute. @defaultValue true */
  readonly ends?: boolean
  /** Deadlines, outputs and events in a row after which the suite calls the core endless. @defaultValue 10_000 */
  readonly maxSteps?: number
}

/** Deadlines at one instant after which a core is said to spin: several may fall together, a loop has no end. */
const MAX_SAME_INSTANT = 16

/**
 * What every `ProtocolCore` owes its shell. The whole use, with jest or node:test:
 *
 * ```ts
 * import { describe, test } from '@jest/globals' // or from 'node:test'
 * import { protocolCoreCompliance } from '@aiv/testkit'
 *
 * protocolCoreCompliance({ describe, test }, {
 *   create: (now) => new LinkCore(now, { random: seededRandom('link') }),
 *   exercise: (core, now) => (core as LinkCore).send(now, Uint8Array.of(1)),
 *   garbage: () => [new Uint8Array(0), Uint8Array.of(0xff), new Uint8Array(100_000)],
 * })
 * ```
 */
export function protocolCoreCompliance<Event, In = Uint8Array, Out = Bytes>(
  runner: ComplianceRunner,
  setup: ProtocolCoreSetup<Event, In, Out>,
): void {
  type Core = ProtocolCore<Event, In, Out>
  const maxSteps = setup.maxSteps ?? 10_000
  const test = (name: string, body: () => void): void => {
    runner.test(name, () => new Promise((resolve) => resolve(body())))
  }

  const start = (now: Millis): Core => {
    const core = setup.create(now)
    setup.exercise?.(core, now)
    return core
  }

  /** Empties both polls as a shell does, and gives what came as text. */
  const drain = (core: Core, now: Millis, output = true): string[] => {
    const said: string[] = []
    for (;;) {
      const out = output ? core.pollOutput(now) : undefined
      if (out !== undefined) said.push(`output ${show(out)}`)
      const event = core.pollEvent()
      if (event !== undefined) said.push(`event ${show(event)}`)
      if (out === undefined && event === undefined) return said
      if (said.length > maxSteps) fail(`still something to poll after ${maxSteps} outputs and events`)
    }
  }

  const deadline = (core: Core): Millis | undefined => {
    const at = core.nextTimeout()
    if (at !== undefined) check(Number.isFinite(at), `nextTimeout() gave ${at}: a finite time or undefined`)
    return at
  }

  /** Plays the core's deadlines, each on time; gives the last one. */
  const play = (core: Core, from: Millis, steps: number, said?: string[], output = true): Millis => {
    let now = from
    let same = 0
    for (let step = 0; step < steps; step++) {
      const at = deadline(core)
      if (at === undefined) return now
      same = at <= now ? same + 1 : 0
      check(same <= MAX_SAME_INSTANT, `the deadline stays at ${at} although its time has come: a shell would spin`)
      now = Math.max(now, at)
      core.handleTimeout(now)
      const spoken = drain(core, now, output)
      said?.push(`at ${round(now - from)}`, ...spoken)
    }
    return now
  }

  runner.describe('ProtocolCore compliance', () => {
    test('an early timeout does nothing', () => {
      const core = start(1000)
      drain(core, 1000)
      const before = deadline(core)
      if (before === undefined || before <= 1000) return
      core.handleTimeout(1000)
      core.handleTimeout(1000 + (before - 1000) / 2)
      equal(drain(core, 1000 + (before - 1000) / 2), [], 'said after a timeout that came before its deadline')
      equal(deadline(core), before, 'the deadline after a timeout that came before it')
    })

    test('asking for the deadline changes nothing', () => {
      const asked = start(0)
      for (let i = 0; i < 5; i++) asked.nextTimeout()
      const first = asked.nextTimeout()
      equal(asked.nextTimeout(), first, 'the deadline asked for twice in a row')
      equal(drain(asked, 0), drain(start(0), 0), 'what a core says after its deadline was asked for')
    })

    test('polling comes to an end, and polling again gives nothing', () => {
      const core = start(0)
      drain(core, 0)
      equal(drain(core, 0), [], 'said by a core that was drained before')
    })

    test('a deadline that is served does not stay', () => {
      const core = start(0)
      drain(core, 0)
      play(core, 0, 100)
    })

    if (setup.ends ?? true) {
      test('says nothing more after it has no deadline left', () => {
        const core = start(0)
        drain(core, 0)
        const end = play(core, 0, maxSteps)
        equal(deadline(core), undefined, `the deadline of a core that heard nothing, after ${maxSteps} of them`)
        core.handleTimeout(end + 1e9)
        equal(drain(core, end + 1e9), [], 'said after the last deadline')
        equal(deadline(core), undefined, 'the deadline after the last one')
      })
    }

    test('a timeout that comes an hour late is served once and not made up for', () => {
      const core = start(0)
      drain(core, 0)
      const late = (deadline(core) ?? 0) + 3_600_000
      for (let i = 0; i <= MAX_SAME_INSTANT; i++) {
        core.handleTimeout(late)
        drain(core, late)
        const next = deadline(core)
        if (next === undefined || next > late) return
      }
      fail(`the deadline is still not later than ${late} after ${MAX_SAME_INSTANT + 1} timeouts at that time`)
    })

    test('only differences of time have meaning', () => {
      // powers of two, so that adding them rounds nothing away
      const stories = [0, 2 ** 20, 2 ** 30].map((from) => {
        const core = start(from)
        const said = drain(core, from)
        play(core, from, 20, said)
        return said
      })
      equal(stories[1], stories[0], 'the story of a core that begins 2^20 ms later')
      equal(stories[2], stories[0], 'the story of a core that begins 2^30 ms later')
    })

    test('the same input at the same times gives the same output and events', () => {
      const tell = (): string[] => {
        const core = start(5)
        const said = drain(core, 5)
        for (const input of setup.garbage?.() ?? []) {
          core.handleInput(6, input)
          said.push(...drain(core, 6))
        }
        play(core, 6, 50, said)
        return said
      }
      equal(tell(), tell(), 'the story of a second core that was made and treated alike')
    })

    test('keeps its output bounded while its shell cannot send', () => {
      const core = start(0)
      drain(core, 0, false)
      const end = play(core, 0, 1000, undefined, false)
      drain(core, end)
    })

    if (setup.garbage !== undefined) {
      const garbage = setup.garbage.bind(setup)

      test('no input makes it throw, alone or after another', () => {
        const inputs = [...garbage()].length
        check(inputs > 0, 'setup.garbage() gave nothing')
        for (let index = 0; index < inputs; index++) {
          const core = start(0)
          drain(core, 0)
          const input = [...garbage()][index]
          if (input === undefined) return fail('setup.garbage() gives fewer inputs the second time')
          core.handleInput(1, input)
          drain(core, 1)
          // whatever it made of it, it goes on or has ended
          for (const next of garbage()) {
            core.handleInput(2, next)
            drain(core, 2)
          }
          play(core, 2, 100)
        }
      })

      test('input after its last deadline does not make it throw', () => {
        const core = start(0)
        drain(core, 0)
        const end = play(core, 0, setup.ends === false ? 100 : maxSteps)
        for (const input of garbage()) core.handleInput(end + 1, input)
        drain(core, end + 1)
        play(core, end + 1, 100)
      })
    }

    test('a new offset to Unix time is taken at any moment', () => {
      const core = start(0)
      core.handleUnixTime?.(1.7e12)
      drain(core, 0)
      const end = play(core, 0, 5)
      core.handleUnixTime?.(1.7e12 + 3_600_000)
      core.handleUnixTime?.(-5)
      drain(core, end)
      play(core, end, 5)
    })
  })
}

/** Times relative to a start that is not 0 differ in the last bits. */
function round(value: Millis): number {
  return Math.round(value * 1e3) / 1e3
}
