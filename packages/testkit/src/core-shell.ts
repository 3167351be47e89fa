import type { Bytes, Millis, ProtocolCore, Timer } from '@aiv/transport-api'
import type { VirtualClock } from './virtual-clock.js'
import type { World } from './world.js'

/** An event of a core, with the time on its own clock. */
export interface CoreEvent<Event> {
  readonly at: Millis
  readonly event: Event
}

export interface CoreShellOptions<Event> {
  /** Called with each event as it is polled; may {@link CoreShell.touch} the core, of this shell or of another. */
  readonly onEvent?: (event: Event, at: Millis) => void
  /**
   * What of an event goes into the world's hash beside its `type`. Leave out what is random. @defaultValue nothing
   */
  readonly detail?: (event: Event) => unknown
  /** Events that are kept in {@link CoreShell.events}; later ones are only told. @defaultValue 100_000 */
  readonly keepEvents?: number
}

/** Where a shell's output goes: a link, a socket that may be full. */
export interface Outgoing {
  canTake(): boolean
  take(bytes: Bytes): void
}

/**
 * The shell of a core in a {@link World}: one timer, one way out, no decisions. After anything that touches the core it
 * empties both polls and arms its timer again, as every shell does.
 */
export class CoreShell<Event, Core extends ProtocolCore<Event, Uint8Array, Bytes>> {
  /** Everything the core said, oldest first. */
  readonly events: CoreEvent<Event>[] = []
  readonly clock: VirtualClock
  readonly #world: World
  readonly #options: CoreShellOptions<Event>
  #outgoing: Outgoing | undefined
  #timer: Timer | undefined
  #armedFor: Millis | undefined
  #driving = false
  #again = false

  constructor(
    world: World,
    readonly name: string,
    readonly core: Core,
    options: CoreShellOptions<Event> = {},
  ) {
    this.#world = world
    this.clock = world.clock(name)
    this.#options = options
    const tellUnixTime = (): void => core.handleUnixTime?.(this.clock.unixNow() - this.clock.now())
    tellUnixTime()
    this.clock.onJump(() => {
      tellUnixTime()
      this.drive()
    })
  }

  /** From now on output goes there. Until then the core is not asked for any. */
  connect(outgoing: Outgoing): void {
    this.#outgoing = outgoing
    this.drive()
  }

  /** Gives a command, then does what a shell does after it: `shell.touch((core, now) => core.send(now, bytes))`. */
  touch<T>(command: (core: Core, now: Millis) => T): T {
    const result = command(this.core, this.clock.now())
    this.drive()
    return result
  }

  /** Bytes arrive. They belong to the core from here on. */
  input(bytes: Uint8Array): void {
    this.core.handleInput(this.clock.now(), bytes)
    this.drive()
  }

  /** The events of one type, in order. */
  of<Type extends string>(type: Type): (Event & { readonly type: Type })[] {
    return this.events.map(({ event }) => event).filter((event) => isOfType(event, type))
  }

  /** Empties the core and arms the timer. Called by itself after everything that touches the core through this shell. */
  drive(): void {
    // an event's handler may touch the core: then once more, and not inside
    this.#again = true
    if (this.#driving) return
    this.#driving = true
    try {
      while (this.#again) {
        this.#again = false
        this.#empty()
      }
    } finally {
      this.#driving = false
    }
    this.#arm()
  }

  #empty(): void {
    for (;;) {
      const now = this.clock.now()
      const output = this.#outgoing?.canTake() === true ? this.core.pollOutput(now) : undefined
      if (output !== undefined) this.#outgoing?.take(output)
      const event = this.core.pollEvent()
      if (event !== undefined) this.#tell(event, now)
      if (output === undefined && event === undefined) return
    }
  }

  #tell(event: Event, at: Millis): void {
    if (this.events.length < (this.#options.keepEvents ?? 100_000)) this.events.push({ at, event })
    const { type } = event as { type?: unknown }
    this.#world.record(this.name, typeof type === 'string' ? type : 'event', this.#options.detail?.(event))
    this.#options.onEvent?.(event, at)
  }

  #arm(): void {
    const at = this.core.nextTimeout()
    if (at === this.#armedFor && this.#timer !== undefined) return
    this.#timer?.clear()
    this.#timer = undefined
    this.#armedFor = at
    if (at === undefined) return
    this.#timer = this.clock.setTimeout(() => {
      this.#timer = undefined
      this.core.handleTimeout(this.clock.now())
      this.drive()
    }, at - this.clock.now())
  }
}

function isOfType<Event, Type extends string>(event: Event, type: Type): event is Event & { readonly type: Type } {
  return (event as { type?: unknown }).type === type
}
