import { randomBytes } from 'node:crypto'
import {
  type Clock,
  type Connection,
  type ConnectionHandler,
  type CloseReason,
  type LocalIdentity,
  type NodeId,
  silentLogger,
  type Timer,
  type TransportComponents,
  type TransportHost,
} from '@aiv/transport-api'
import { createIdentity, secureChannels } from '@aiv/security'

/** Real time, which knows how many of its timers run, and whose timers a test may let run early. */
export class TestClock implements Clock {
  readonly #timers = new Set<{ run: () => void; at: number; handle: NodeJS.Timeout }>()
  #skipped = 0

  get timers(): number {
    return this.#timers.size
  }

  now(): number {
    return performance.now() + this.#skipped
  }

  unixNow(): number {
    return Date.now() + this.#skipped
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const timer = {
      run: (): void => {
        clearTimeout(timer.handle)
        if (this.#timers.delete(timer)) run()
      },
      at: this.now() + delayMs,
      handle: setTimeout(() => timer.run(), delayMs),
    }
    this.#timers.add(timer)
    return {
      clear: () => {
        clearTimeout(timer.handle)
        this.#timers.delete(timer)
      },
    }
  }

  /** As if `ms` had passed: everything that is due by then runs now, in order. */
  skip(ms: number): void {
    const until = this.now() + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#skipped += Math.max(0, next.at - this.now())
      next.run()
    }
    this.#skipped += Math.max(0, until - this.now())
  }
}

export interface TestNode {
  readonly components: TransportComponents & { readonly identity: LocalIdentity }
  readonly clock: TestClock
  /** X25519, as a peer record would name it. */
  readonly noiseKey: Uint8Array
}

export async function testNode(clock = new TestClock()): Promise<TestNode> {
  const identity = await createIdentity()
  return {
    clock,
    noiseKey: identity.noiseStatic.publicKey,
    components: {
      identity,
      secure: secureChannels({ identity, clock }),
      clock,
      random: { bytes: (length) => randomBytes(length), uniform: () => Math.random() },
      log: silentLogger,
      metrics: undefined,
    },
  }
}

/** A handler that keeps what it is told, and promises of what is to come. */
export class Keeper implements ConnectionHandler {
  readonly packets: Uint8Array[] = []
  closed: CloseReason | undefined
  #waiting: { ready: () => boolean; resolve: () => void }[] = []
  onEach: ((bytes: Uint8Array) => void) | undefined
  drains = 0

  constructor(readonly connection: Connection) {
    connection.attach(this)
  }

  onPacket(bytes: Uint8Array): void {
    this.packets.push(bytes)
    this.onEach?.(bytes)
    this.#look()
  }

  onDrain(): void {
    this.drains++
    this.#look()
  }

  onClosed(reason: CloseReason): void {
    this.closed = reason
    this.#look()
  }

  until(ready: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ ready, resolve })
      this.#look()
    })
  }

  async end(): Promise<CloseReason> {
    await this.until(() => this.closed !== undefined)
    return this.closed as CloseReason
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ ready, resolve }) => {
      if (!ready()) return true
      resolve()
      return false
    })
  }
}

/** A host that attaches to whatever comes. */
export class TestHost implements TransportHost {
  addresses: readonly string[] = []
  readonly accepted: Keeper[] = []
  readonly downs: Error[] = []
  announcements = 0
  admits: (from: { readonly address: string | undefined; readonly node: NodeId | undefined }) => boolean = () => true
  #waiting: ((keeper: Keeper) => void)[] = []

  admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean {
    return this.admits(from)
  }

  onConnection(connection: Connection): void {
    const keeper = new Keeper(connection)
    this.accepted.push(keeper)
    this.#waiting.shift()?.(keeper)
  }

  onListening(addresses: readonly string[]): void {
    this.addresses = addresses
    this.announcements++
  }

  onDown(error: Error): void {
    this.downs.push(error)
  }

  /** The next connection that is accepted. */
  next(): Promise<Keeper> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
