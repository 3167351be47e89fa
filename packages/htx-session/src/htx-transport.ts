import {
  type Address,
  type AivError,
  ArgumentError,
  type CloseReason,
  type Connection,
  DialError,
  type DialOptions,
  dialTarget,
  type NodeId,
  parseAddress,
  type Path,
  Priority,
  type SendOptions,
  sourcePrefixes,
  type Transport,
  type TransportComponents,
  TransportError,
  type TransportHost,
  type TransportPolicy,
  type TransportProfile,
} from '@aiv/transport-api'
import { HtxConnection, type HtxConnectionOwner } from './htx-connection.js'
import { HtxSessionError } from './errors.js'
import type { HtxLink } from './htx-link.js'
import { HalfOpenTable } from './half-open-table.js'
import { KnownHosts } from './known-hosts.js'
import type { Arrival, Listening, LinkListener, LinkProvider } from './link-provider.js'
import { TransportMetrics } from './transport-metrics.js'
import {
  type HtxTransportOptions,
  type VerifiedHtxTransportOptions,
  verifyHtxTransportOptions,
} from './transport-options.js'
import { type ReassemblyBudget, budgetOf } from './reassembly-budget.js'
import { HtxSession } from './session-core.js'

/** An unfinished handshake, from the first packet of it on. */
interface HalfOpen extends Arrival {
  readonly prefix: string
  close(): void
}

/** One for all: a stack trace for each would be a tenth of what a flood of handshakes costs. */
const evicted = new HtxSessionError('ABORTED', 'too many unfinished handshakes', { retryable: true })

const firstFlightPacket: SendOptions = { priority: Priority.Emergency, delivery: 'reliable' }

/** Header, tag, CRC, and the head of one chunk. */
const FRAME_OVERHEAD = 24 + 16 + 16

/**
 * A {@link Transport} of HTX sessions over any links: who may come in, how many at once, dialling with everything that
 * can go wrong in it, and closing. TCP and WebSocket differ only in the {@link LinkProvider}.
 */
export class HtxTransport implements Transport {
  readonly name: string
  readonly schemes: readonly string[]
  readonly profile: TransportProfile
  readonly #components: TransportComponents
  readonly #provider: LinkProvider
  readonly #options: VerifiedHtxTransportOptions
  readonly #budget: ReassemblyBudget
  readonly #metrics: TransportMetrics
  readonly #halfOpen: HalfOpenTable<HalfOpen>
  readonly #known: KnownHosts
  /** Everything that holds a link, handshakes included. */
  readonly #all = new Set<HtxConnection>()
  /** What was handed out and is not closed. */
  readonly #established = new Set<HtxConnection>()
  readonly #dials = new Map<AbortController, Promise<Connection>>()
  #policy: TransportPolicy | undefined
  #host: TransportHost | undefined
  #started = false
  #starting: Promise<void> | undefined
  #listening: Listening | undefined
  #announced: readonly string[] = []
  #closing: Promise<void> | undefined

  /** @throws ArgumentError for options that cannot be. */
  constructor(components: TransportComponents, provider: LinkProvider, options: HtxTransportOptions = {}) {
    this.name = provider.name
    this.schemes = provider.schemes
    this.profile = Object.freeze({ ...provider.profile, earlyDials: 'once' })
    this.#components = components
    this.#provider = provider
    this.#options = verifyHtxTransportOptions(options)
    this.#budget = options.reassemblyBudget ?? budgetOf(components.identity)
    this.#metrics = new TransportMetrics(components.metrics, provider.name)
    this.#halfOpen = new HalfOpenTable(this.#options.halfOpen)
    this.#known = new KnownHosts(this.#options.knownHosts)
  }

  start(host: TransportHost, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#starting !== undefined) return Promise.reject(new ArgumentError(`${this.name} was started already`))
    this.#starting = this.#start(host, options.signal)
    return this.#starting
  }

  async #start(host: TransportHost, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closing !== undefined) throw this.#closedError()
    this.#host = host
    signal?.throwIfAborted()
    const listener: LinkListener = {
      onArrival: (remote, close) => this.#arrive(remote, close),
      onLink: (link, arrival) => this.#accept(link, arrival),
      onAddresses: () => {
        if (this.#started && this.#closing === undefined) this.#announce()
      },
      onDown: (error) => void this.#goDown(error),
    }
    const listening = await this.#provider.listen(listener)
    this.#listening = listening
    if (this.#closing !== undefined || signal?.aborted) {
      await listening?.close()
      await this.#closeConnections()
      signal?.throwIfAborted()
      throw this.#closedError()
    }
    this.#started = true
    this.#announce()
  }

  async dial(text: string, options: DialOptions): Promise<Connection> {
    options.signal?.throwIfAborted()
    const host = this.#host
    if (host === undefined || !this.#started || this.#closing !== undefined) {
      throw new DialError('TRANSPORT_CLOSED', `${this.name} is not running`)
    }
    const own = this.#components.identity.nodeId
    const { address, expected } = dialTarget(this, text, { own, expected: options.expected })
    if (!host.admit({ address: text, node: expected })) {
      throw new DialError('DIAL_DENIED', 'own admission rules say no')
    }
    if (this.#established.size >= this.#maxConnections) {
      throw new DialError('DIAL_DENIED', `${this.#maxConnections} connections are the limit`, { retryable: true })
    }
    const stop = new AbortController()
    const dial = this.#dialUntil(stop, host, address, expected, options)
    this.#dials.set(stop, dial)
    try {
      const connection = await dial
      this.#metrics.dialled('OK')
      return connection
    } catch (error) {
      this.#metrics.dialled(error instanceof DialError ? error.code : 'DIAL_ABORTED')
      throw error
    } finally {
      this.#dials.delete(stop)
    }
  }

  async #dialUntil(
    stop: AbortController,
    host: TransportHost,
    address: Address,
    expected: NodeId | undefined,
    options: DialOptions,
  ): Promise<HtxConnection> {
    const { dialTimeoutMs } = this.#options
    const { signal } = options
    // First of all the link begins to be made: everything else is done while it is
    const connecting = this.#connect(stop.signal, host, address, expected, options)
    const onAbort = (): void => stop.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const timer = this.#components.clock.setTimeout(
      () => stop.abort(new DialError('DIAL_TIMEOUT', `no connection in ${dialTimeoutMs} ms`, { retryable: true })),
      dialTimeoutMs,
    )
    try {
      return await connecting
    } catch (error) {
      stop.signal.throwIfAborted()
      throw error instanceof DialError
        ? error
        : new DialError('DIAL_REFUSED', `${address.host} cannot be reached`, { cause: error, retryable: true })
    } finally {
      timer.clear()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** XK when a static key is known. Should the key be out of date, once more with XX and the same expected node. */
  async #connect(
    signal: AbortSignal,
    host: TransportHost,
    address: Address,
    expected: NodeId | undefined,
    options: DialOptions,
  ): Promise<HtxConnection> {
    const remoteStatic = options.record?.noiseKey
    if (expected !== undefined && remoteStatic !== undefined) {
      try {
        return await this.#attempt(signal, host, address, expected, remoteStatic, options)
      } catch (error) {
        if (signal.aborted || !(error instanceof DialError) || error.code !== 'HANDSHAKE_FAILED') throw error
        this.#components.log.debug('static key refused, trying without', { transport: this.name })
      }
    }
    return this.#attempt(signal, host, address, expected, undefined, options)
  }

  async #attempt(
    signal: AbortSignal,
    host: TransportHost,
    address: Address,
    expected: NodeId | undefined,
    remoteStatic: Uint8Array | undefined,
    { early = false, firstFlight = [] }: DialOptions,
  ): Promise<HtxConnection> {
    const linking = this.#provider.dial(address, signal)
    let session: HtxSession
    try {
      // its keys and its first message are made while the link is: nobody waits for them
      session = this.#session('initiator', expected, remoteStatic, early || firstFlight.length > 0)
      if (session.earlyRemote !== undefined) {
        for (const packet of firstFlight) session.send(this.#components.clock.now(), packet, firstFlightPacket)
      }
    } catch (error) {
      linking.then(
        (link) => link.destroy(),
        () => undefined,
      )
      throw error
    }
    const link = await linking
    if (signal.aborted) {
      link.destroy()
      signal.throwIfAborted()
    }
    let onAbort: (() => void) | undefined
    try {
      return await new Promise<HtxConnection>((resolve, reject) => {
        // Making an error costs a stack trace: only while somebody waits for it
        let waiting = true
        const owner: HtxConnectionOwner = {
          onEstablished: (established) => {
            waiting = false
            const node = established.remote.nodeId
            if (host.admit({ address: link.remote, node })) {
              this.#handOut(established)
              resolve(established)
            } else {
              const denied = new DialError('DIAL_DENIED', 'own admission rules say no')
              reject(denied)
              established.abort(denied)
            }
          },
          onClosed: (_, reason, error) => {
            if (waiting) reject(handshakeError(reason, error))
            waiting = false
          },
          onDown: () => {
            if (waiting) reject(new DialError('HANDSHAKE_FAILED', 'the link closed', { retryable: true }))
          },
        }
        const connection = this.#open(link, 'dialled', session, owner, early)
        onAbort = () => connection.abort(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
        signal.addEventListener('abort', onAbort, { once: true })
        connection.start()
      })
    } finally {
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort)
    }
  }

  /** Everything that is asked before a stranger costs us any cryptography. */
  #arrive(remote: string | undefined, close: () => void): HalfOpen | undefined {
    const refuse = (why: string): undefined => {
      this.#metrics.refused(why)
    }
    if (this.#host === undefined || this.#closing !== undefined) return undefined
    if (!this.#host.admit({ address: remote, node: undefined })) return refuse('admission')
    if (this.#established.size >= this.#maxConnections) return refuse('connections')
    const source = remote === undefined ? undefined : parseAddress(remote).host
    const prefix = sourcePrefixes(source).host
    const entry: HalfOpen = { prefix, close, leave: () => this.#halfOpen.remove(entry) }
    const answer = this.#halfOpen.admit(this.#components.clock.now(), source, this.#known.has(prefix), entry)
    if (answer.verdict === 'refuse') return refuse('rate')
    if (answer.evicted !== undefined) {
      this.#metrics.refused('evicted')
      answer.evicted.close()
    }
    return entry
  }

  #accept(link: HtxLink, arrival?: Arrival): void {
    const host = this.#host
    const entry = (arrival as HalfOpen | undefined) ?? this.#arrive(link.remote, () => undefined)
    if (host === undefined || entry === undefined || this.#closing !== undefined) {
      entry?.leave()
      return link.destroy()
    }
    const connection = this.#open(link, 'accepted', this.#session('responder', undefined, undefined), {
      onEstablished: (established) => {
        entry.leave()
        if (!established.early) this.#known.add(entry.prefix)
        this.#welcome(host, established)
      },
      onConfirmed: () => this.#known.add(entry.prefix),
      onClosed: (_, reason) => {
        entry.leave()
        this.#components.log.debug('accepted connection closed', { transport: this.name, ...reason })
      },
      onDown: () => entry.leave(),
    })
    entry.close = () => connection.abort(evicted)
    connection.start()
  }

  #welcome(host: TransportHost, connection: HtxConnection): void {
    const { nodeId } = connection.remote
    if (!host.admit({ address: connection.path.remote, node: nodeId })) {
      this.#metrics.refused('admission')
      return connection.abort(new Error('not admitted'))
    }
    if (this.#established.size >= this.#maxConnections) {
      this.#metrics.refused('connections')
      return connection.abort(new Error('too many connections'))
    }
    this.#handOut(connection)
    host.onConnection(connection)
    if (!connection.attached) connection.abort(new ArgumentError('nobody attached to the connection'))
  }

  #handOut(connection: HtxConnection): void {
    this.#established.add(connection)
    this.#metrics.connections(this.#established.size)
  }

  #session(
    role: 'initiator' | 'responder',
    expected: NodeId | undefined,
    remoteStatic: Uint8Array | undefined,
    early = false,
  ): HtxSession {
    const { clock, secure } = this.#components
    return new HtxSession(clock.now(), {
      role,
      secure,
      expected,
      remoteStatic,
      early,
      options: this.#options.session(this.#policy?.heartbeatIntervalMs),
      budget: this.#budget,
      compressor: this.#options.compressor,
      crc32: this.#options.crc32,
    })
  }

  #open(
    link: HtxLink,
    direction: 'dialled' | 'accepted',
    session: HtxSession,
    owner: HtxConnectionOwner,
    early = false,
  ): HtxConnection {
    const { clock } = this.#components
    const { options } = session
    const path: Path = Object.freeze({
      hops: 1,
      maxPacketBytes: options.maxMessageBytes,
      unsegmentedBytes: options.maxFrameBytes - FRAME_OVERHEAD,
      maxDatagramBytes: 0,
      metered: false,
      local: link.local,
      remote: link.remote,
    })
    const connection = new HtxConnection({
      transport: this.name,
      direction,
      session,
      early,
      link,
      clock,
      path,
      owner: {
        onEstablished: (established) => owner.onEstablished(established),
        onConfirmed: (confirmed) => owner.onConfirmed?.(confirmed),
        onClosed: (closed, reason, error) => {
          if (this.#established.delete(closed)) this.#metrics.connections(this.#established.size)
          this.#metrics.closed(reason.code)
          owner.onClosed(closed, reason, error)
        },
        onDown: (down) => {
          this.#all.delete(down)
          owner.onDown(down)
        },
      },
    })
    this.#all.add(connection)
    return connection
  }

  /**
   * `heartbeatIntervalMs` and `maxConnections` hold for what is opened from here on. The rest has no counterpart in a
   * byte stream: rates are kept by whoever sends, radios have duty cycles.
   */
  apply(policy: TransportPolicy): void {
    this.#policy = policy
  }

  /** Probes every connection, and tells the addresses again if they are others. */
  networkChanged(): void {
    for (const connection of this.#established) connection.probe()
    if (this.#started && this.#closing === undefined) this.#announce()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    // `#closing` has to be set before anything below asks for it
    await Promise.resolve()
    if (this.#starting !== undefined && !this.#started) await Promise.allSettled([this.#starting])
    const listening = this.#listening?.close()
    const dials = [...this.#dials]
    for (const [stop] of dials) stop.abort(new DialError('TRANSPORT_CLOSED', `${this.name} was closed`))
    await Promise.allSettled([listening, this.#closeConnections(), ...dials.map(([, dial]) => dial)])
  }

  async #closeConnections(): Promise<void> {
    await Promise.allSettled(
      [...this.#all].map((connection) => {
        if (!this.#established.has(connection)) connection.abort(new Error('the transport was closed'))
        return connection.close()
      }),
    )
  }

  async #goDown(error: Error): Promise<void> {
    if (this.#closing !== undefined) return
    this.#components.log.error('transport went down', { transport: this.name, error })
    await this.close()
    this.#host?.onDown(error)
  }

  #announce(): void {
    const addresses = this.#listening?.addresses ?? []
    const same = addresses.length === this.#announced.length && addresses.every((one, i) => one === this.#announced[i])
    if (same) return
    this.#announced = addresses
    this.#host?.onListening(addresses)
  }

  get #maxConnections(): number {
    return Math.min(this.#options.maxConnections, this.#policy?.maxConnections ?? Infinity)
  }

  #closedError(): TransportError {
    return new TransportError('TRANSPORT_CLOSED', `${this.name} was closed`)
  }
}

function handshakeError(reason: CloseReason, error: AivError | undefined): DialError {
  const cause = error === undefined ? {} : { cause: error }
  const code = error?.code ?? reason.code
  if (code === 'IDENTITY_MISMATCH') return new DialError(code, 'another node answered', cause)
  if (code === 'IDENTITY_OWN') return new DialError(code, 'the node itself answered', cause)
  if (reason.by === 'timeout')
    return new DialError('DIAL_TIMEOUT', 'no handshake in time', { ...cause, retryable: true })
  return new DialError('HANDSHAKE_FAILED', `the handshake ended with ${code}`, {
    ...cause,
    retryable: reason.retryable,
  })
}
