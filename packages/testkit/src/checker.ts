import { AivError, type Millis } from '@aiv/transport-api'
import type { WorldEvent } from './event-log.js'

/** Watches a rule from outside: something that must never happen, or must have happened by the end. */
export interface Checker {
  readonly name: string
  /** Called with every recorded event. What it returns, or throws, is a violation. */
  onEvent?(event: WorldEvent): string | undefined
  /** Called by {@link World.end}. What it returns, or throws, is a violation. */
  onEnd?(): string | undefined
}

/** A rule that was broken. */
export interface Violation {
  readonly at: Millis
  readonly checker: string
  readonly message: string
  /** What a checker threw. */
  readonly error: unknown
}

export type WorldErrorCode = 'WORLD_VIOLATION' | 'WORLD_EVENT' | 'WORLD_ENDLESS' | 'WORLD_STUCK'

/**
 * A run that did not go as it must. The message has the seed: handing it to a new world plays the same run again.
 *
 * - `WORLD_VIOLATION`: checkers said so; {@link violations} has each of them
 * - `WORLD_EVENT`: something threw in an event, a timer or a fault; `cause` is what
 * - `WORLD_ENDLESS`: more events at one moment than `maxEventsPerInstant`
 * - `WORLD_STUCK`: what was waited for did not come
 */
export class WorldError extends AivError<WorldErrorCode> {
  /** Only the first ones are kept. */
  readonly violations: readonly Violation[]

  constructor(
    code: WorldErrorCode,
    message: string,
    options: ErrorOptions & { readonly violations?: readonly Violation[] } = {},
  ) {
    super(code, message, options)
    this.violations = options.violations ?? []
  }
}
