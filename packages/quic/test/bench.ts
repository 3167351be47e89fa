import { randomBytes } from 'node:crypto'
import {
  type ByteStream,
  type Clock,
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type LocalIdentity,
  type NodeId,
  type PacketInfo,
  type Path,
  Priority,
  type SendOptions,
  type SendResult,
  silentLogger,
  type Timer,
  type Transport,
  type TransportComponents,
  type TransportHost,
} from '@aiv/transport-api'
import { createIdentity, secureChannels } from '@aiv/security'
import { quic, type QuicOptions } from '../src/index.js'

/** Real time, which knows how many of its timers run, and whose timers a test may let run early. */
export class TestClock implements Clock {
  readonly #timers = new Set<{ run: () => void; at: number; handle: NodeJS.Timeout }>()
  #skipped = 0
  /** Makes Unix time wrong by so much. */
  unixErrorMs = 0

  get timers(): number {
    return this.#timers.size
  }

  now(): number {
    return performance.now() + this.#skipped
  }

  unixNow(): number {
    return Date.now() + this.#skipped + this.unixErrorMs
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
}

export async function testNode(clock = new TestClock()): Promise<TestNode> {
  const identity = await createIdentity()
  return {
    clock,
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
  readonly packets: string[] = []
  readonly early: boolean[] = []
  readonly sent: number[] = []
  readonly paths: string[] = []
  readonly streams: ByteStream[] = []
  readonly liveness: string[] = []
  count = 0
  bytes = 0
  closed: CloseReason | undefined
  established = false
  drains = 0
  onEach: ((bytes: Uint8Array) => void) | undefined
  onStreamOpen: ((stream: ByteStream) => void) | undefined
  /** False: packets are counted and not kept. */
  keep = true
  #waiting: { ready: () => boolean; resolve: () => void }[] = []

  constructor(readonly connection: Connection) {
    connection.attach(this)
  }

  onPacket(bytes: Uint8Array, { early }: PacketInfo): void {
    this.count++
    this.bytes += bytes.length
    if (this.keep) {
      this.packets.push(new TextDecoder().decode(bytes))
      this.early.push(early)
    }
    this.onEach?.(bytes)
    this.#look()
  }

  onDrain(): void {
    this.drains++
    this.#look()
  }

  onSent(tag: number): void {
    this.sent.push(tag)
    this.#look()
  }

  onEstablished(): void {
    this.established = true
    this.#look()
  }

  onPath(_: Path, cause: string): void {
    this.paths.push(cause)
    this.#look()
  }

  onLiveness(state: string): void {
    this.liveness.push(state)
    this.#look()
  }

  onStream(stream: ByteStream): void {
    this.streams.push(stream)
    this.onStreamOpen?.(stream)
    this.#look()
  }

  onClosed(reason: CloseReason): void {
    this.closed = reason
    this.#look()
  }

  say(text: string, options: Partial<SendOptions> = {}): SendResult {
    const bytes = new TextEncoder().encode(text)
    return this.connection.send(bytes, { priority: Priority.Normal, delivery: 'reliable', ...options })
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
  admits: (from: { readonly address: string | undefined; readonly node: NodeId | undefined }) => boolean = () => true
  whenAccepted: ((keeper: Keeper) => void) | undefined
  #waiting: ((keeper: Keeper) => void)[] = []

  admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean {
    return this.admits(from)
  }

  onConnection(connection: Connection): void {
    const keeper = new Keeper(connection)
    this.accepted.push(keeper)
    this.whenAccepted?.(keeper)
    this.#waiting.shift()?.(keeper)
  }

  onListening(addresses: readonly string[]): void {
    this.addresses = addresses
  }

  onDown(error: Error): void {
    this.downs.push(error)
  }

  /** The next connection that is accepted. */
  next(): Promise<Keeper> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** A started transport. */
export interface Station {
  readonly node: TestNode
  readonly host: TestHost
  readonly transport: Transport
  readonly nodeId: NodeId
  /** Of the listener; 0 for one that only dials. */
  readonly port: number
}

const transports: Transport[] = []
const others: { close(): unknown }[] = []

/** Closes everything that tests of this file have started; what stands between transports after them. */
export async function closeAll(): Promise<void> {
  await Promise.all(transports.splice(0).map((one) => one.close()))
  for (const one of others.splice(0)) one.close()
}

/** Has `one` closed after the test. */
export function closing<T extends { close(): unknown }>(one: T): T {
  others.push(one)
  return one
}

export async function listener(options: QuicOptions = {}, node?: TestNode): Promise<Station> {
  return station({ listen: { host: '127.0.0.1', port: 0 }, ...options }, node ?? (await testNode()))
}

export async function dialler(options: QuicOptions = {}, node?: TestNode): Promise<Station> {
  return station({ listen: false, ...options }, node ?? (await testNode()))
}

async function station(options: QuicOptions, node: TestNode): Promise<Station> {
  const transport = quic(options)(node.components)
  transports.push(transport)
  const host = new TestHost()
  await transport.start(host)
  const port = Number(/:(\d+)$/.exec(host.addresses[0] ?? '')?.[1] ?? 0)
  return { node, host, transport, nodeId: node.components.identity.nodeId, port }
}

/** Dials `to` at `port`, which is its own unless a proxy stands between. */
export async function dial(from: Station, to: Station, port = to.port, early = false): Promise<Keeper> {
  const connection = await from.transport.dial(`quic://127.0.0.1:${port}`, { expected: to.nodeId, early })
  return new Keeper(connection)
}

/** Both ends of a fresh connection. */
export async function connect(from: Station, to: Station, port = to.port, early = false): Promise<[Keeper, Keeper]> {
  const accepted = to.host.next()
  const near = await dial(from, to, port, early)
  return [near, await accepted]
}
