import {
  type Bytes,
  type CloseReason,
  type Clock,
  type Connection,
  type ConnectionHandler,
  type NodeId,
  type PacketInfo,
  type Priority,
  type SendOptions,
  type Transport,
  type TransportHost,
} from '@aiv/transport-api'
import { check, fail } from './assert.js'

/** Wakes whoever waits for something to have happened; see {@link Waiter.until}. */
export class Signal {
  #waiting: (() => void)[] = []

  notify(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** Time as the suite sees it: virtual when `advance` is given, else real. */
export interface Pace {
  readonly clock: Clock
  readonly advance: ((ms: number) => Promise<void>) | undefined
  readonly patienceMs: number
}

/** Between two looks virtual time is moved by this much, and real time waited for, in ms. */
const STEP_MS = 5

/** Waits for callbacks and promises, and where there is neither for the time of a look. */
export class Waiter {
  readonly signal = new Signal()
  #failure: { readonly error: unknown } | undefined

  constructor(private readonly pace: Pace) {}

  /** Runs what a test does inside a handler: what it throws ends the test and not the transport that called. */
  guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#failure ??= { error }
    }
  }

  /** @throws ComplianceError naming `what` when it has not come within the patience of the setup. */
  async until(condition: () => boolean, what: string): Promise<void> {
    const { clock, advance, patienceMs } = this.pace
    const begun = clock.now()
    const outOfPatience = (): boolean => clock.now() - begun > patienceMs
    const timer = advance === undefined ? clock.setTimeout(() => this.signal.notify(), patienceMs + 1) : undefined
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error
        if (condition()) return
        if (outOfPatience()) fail(`waited ${patienceMs} ms in vain for ${what}`)
        await (advance === undefined ? this.signal.next() : advance(STEP_MS))
      }
    } finally {
      timer?.clear()
    }
  }

  /** Like {@link until}, for what comes about without a call that would tell of it: looked at again and again. */
  async polled(condition: () => boolean, what: string): Promise<void> {
    const { clock, advance, patienceMs } = this.pace
    if (advance !== undefined) return this.until(condition, what)
    const begun = clock.now()
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error
      if (condition()) return
      if (clock.now() - begun > patienceMs) fail(`waited ${patienceMs} ms in vain for ${what}`)
      await new Promise<void>((resolve) => clock.setTimeout(resolve, STEP_MS))
    }
  }

  /** What `promise` resolves with; a rejection is passed on. */
  async settled<T>(promise: Promise<T>, what: string): Promise<T> {
    let done = false
    const mark = (): void => {
      done = true
      this.signal.notify()
    }
    promise.then(mark, mark)
    await this.until(() => done, what)
    return promise
  }

  /** What `promise` rejects with. @throws ComplianceError when it resolves. */
  async rejection(promise: Promise<unknown>, what: string): Promise<unknown> {
    const outcome = promise.then(
      () => ({ rejected: false as const }),
      (error: unknown) => ({ rejected: true as const, error }),
    )
    const settled = await this.settled(outcome, what)
    return settled.rejected ? settled.error : fail(`${what}: it resolved`)
  }

  /** Lets everything that is due run `count` times: turns of the event loop, or milliseconds of virtual time. */
  async turns(count: number): Promise<void> {
    const { clock, advance } = this.pace
    for (let i = 0; i < count; i++) {
      await (advance === undefined ? new Promise<void>((resolve) => clock.setTimeout(resolve, 0)) : advance(1))
    }
  }
}

/** A packet as it came, with what was said beside it. */
export interface Received extends PacketInfo {
  readonly bytes: Uint8Array
}

/** A connection's handler that keeps all it is told and checks the rules that hold for every connection. */
export class Recorder implements ConnectionHandler {
  readonly packets: Received[] = []
  readonly sent: number[] = []
  readonly dropped: { readonly tag: number; readonly code: string }[] = []
  readonly liveness: ('alive' | 'suspect')[] = []
  readonly drained: Priority[] = []
  /** How often it was told that the handshake is confirmed. */
  established = 0
  closed: CloseReason | undefined
  receivedBytes = 0
  /** Set by a test that reacts to packets. */
  whenPacket: ((bytes: Uint8Array) => void) | undefined
  /** Set by a test that goes on sending. */
  whenDrained: (() => void) | undefined
  /** False: packets are counted and not kept. */
  keep = true
  count = 0
  readonly faults: string[] = []

  constructor(
    readonly connection: Connection,
    private readonly waiter: Waiter,
  ) {}

  onPacket(bytes: Uint8Array, info: PacketInfo): void {
    this.#still('onPacket')
    this.count++
    this.receivedBytes += bytes.length
    if (this.keep) this.packets.push({ bytes, ...info })
    this.waiter.guard(() => this.whenPacket?.(bytes))
    this.waiter.signal.notify()
  }

  onDrain(lowest: Priority): void {
    this.#still('onDrain')
    this.drained.push(lowest)
    this.waiter.guard(() => this.whenDrained?.())
    this.waiter.signal.notify()
  }

  onSent(tag: number): void {
    this.#still('onSent')
    this.sent.push(tag)
    this.waiter.signal.notify()
  }

  onDropped(tag: number, code: string): void {
    this.#still('onDropped')
    this.dropped.push({ tag, code })
    this.waiter.signal.notify()
  }

  onEstablished(): void {
    this.#still('onEstablished')
    this.established++
    this.waiter.signal.notify()
  }

  onLiveness(state: 'alive' | 'suspect'): void {
    this.#still('onLiveness')
    this.liveness.push(state)
    this.waiter.signal.notify()
  }

  onClosed(reason: CloseReason): void {
    this.#still('onClosed')
    this.closed = reason
    this.waiter.signal.notify()
  }

  send(bytes: Bytes, options: Partial<SendOptions> = {}): string {
    return this.connection.send(bytes, { priority: 2, delivery: 'reliable', ...options })
  }

  isClosed(): boolean {
    return this.closed !== undefined
  }

  #still(callback: string): void {
    if (this.closed !== undefined) this.faults.push(`${callback} after onClosed`)
  }
}

/** A host that takes what a test allows and keeps what it is told. */
export class RecordingHost implements TransportHost {
  readonly accepted: Recorder[] = []
  readonly admissions: { readonly address: string | undefined; readonly node: NodeId | undefined }[] = []
  readonly downs: Error[] = []
  addresses: readonly string[] = []
  admits: (node: NodeId | undefined) => boolean = () => true
  attaches = true
  /** Called with each accepted connection, within `onConnection`. */
  whenAccepted: ((recorder: Recorder) => void) | undefined

  constructor(private readonly waiter: Waiter) {}

  admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean {
    this.admissions.push(from)
    return this.admits(from.node)
  }

  onConnection(connection: Connection): void {
    const recorder = new Recorder(connection, this.waiter)
    if (this.attaches) connection.attach(recorder)
    this.accepted.push(recorder)
    this.waiter.guard(() => this.whenAccepted?.(recorder))
    this.waiter.signal.notify()
  }

  onListening(addresses: readonly string[]): void {
    this.addresses = addresses
    this.waiter.signal.notify()
  }

  onDown(error: Error): void {
    this.downs.push(error)
    this.waiter.signal.notify()
  }
}

/** A node of the bench with its host, started or not. */
export interface Station {
  readonly transport: Transport
  readonly nodeId: NodeId
  readonly host: RecordingHost
}

/** An address to dial `station` at. @throws ComplianceError when it has named none. */
export function addressOf(station: Station): string {
  const [address] = station.host.addresses
  check(address !== undefined, 'the listener named no address through onListening')
  return address
}
