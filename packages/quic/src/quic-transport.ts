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
  type PeerIdentity,
  Priority,
  type SendOptions,
  type Timer,
  type Transport,
  type TransportComponents,
  TransportError,
  type TransportHost,
  type TransportPolicy,
  type TransportProfile,
} from '@aiv/transport-api'
import { BufferPool } from './buffer-pool.js'
import { EarlyRegister } from './early-data.js'
import { QuicError } from './errors.js'
import { QuicMetrics } from './metrics.js'
import { DEFAULT_PORT, engineLimits, type VerifiedQuicOptions } from './options.js'
import { SCRATCH_BYTES } from './packet-receiver.js'
import { PendingDial } from './pending-dial.js'
import { quicAddress, QuicConnection, type QuicConnectionOwner, type QuicConnectionShared } from './quic-connection.js'
import type { QuicCredentials, QuicEndpoint, QuicEngine, QuicSession, UdpAddress } from './quic-engine.js'
import { sourcePrefix } from './source-prefix.js'
import { GATHERED_BYTES, MAX_HEAD_BYTES } from './stream-format.js'
import { TicketStore } from './ticket-store.js'

/** RFC 7301; docs/wire/quic.md */
const ALPN = 'aiv/1'
/** Ticket keys are made anew this often. */
const TICKET_KEY_LIFE_MS = 24 * 3_600_000

/** How the packets of a dial's first flight are sent. */
const firstFlightPacket: SendOptions = { priority: Priority.Emergency, delivery: 'reliable', repeatable: true }

/** What of the platform a transport needs beside its components. */
export interface QuicPlatform {
  readonly engine: QuicEngine
  readonly credentials: QuicCredentials
  /** Whose certificate it is; `undefined`: no node's. */
  identify(chain: readonly Uint8Array[]): PeerIdentity | undefined
  /** Hosts that others can dial when a socket is bound to `host`. */
  dialableHosts(host: string): readonly string[]
}

/** Who may come in, how many at once, dialling with everything that can go wrong in it, tickets, and closing. */
export class QuicTransport implements Transport {
  readonly name = 'quic'
  readonly schemes = ['quic']
  readonly profile: TransportProfile
  readonly #components: TransportComponents
  readonly #options: VerifiedQuicOptions
  readonly #platform: QuicPlatform
  readonly #shared: QuicConnectionShared
  readonly #metrics: QuicMetrics
  readonly #tickets: TicketStore
  /** Handshakes included. */
  readonly #all = new Set<QuicConnection>()
  /** What was handed out and is not closed. */
  readonly #open = new Set<QuicConnection>()
  /** Accepted ones of {@link #open} by where they came from. */
  readonly #bySource = new Map<string, number>()
  /** With what opens their sessions. */
  readonly #dials = new Map<PendingDial, Promise<void>>()
  #reservedBytes = 0
  #policy: TransportPolicy | undefined
  #host: TransportHost | undefined
  #endpoint: QuicEndpoint | undefined
  #started = false
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #ticketTimer: Timer | undefined
  #announced: readonly string[] = []

  constructor(components: TransportComponents, options: VerifiedQuicOptions, platform: QuicPlatform) {
    this.#components = components
    this.#options = options
    this.#platform = platform
    this.#metrics = new QuicMetrics(components.metrics)
    this.#tickets = new TicketStore(options.maxTickets)
    this.profile = Object.freeze({
      reach: 'internet',
      largestPacketBytes: options.maxMessageBytes,
      datagrams: true,
      streams: true,
      earlyDials: 'repeatable',
      // Rough figures of a phone on Wi-Fi, for comparison with radios; nothing was measured here
      energy: Object.freeze({ idleMilliwatts: 20, microjoulesPerByte: 0.25, millijoulesPerDial: 8 }),
    })
    this.#shared = {
      transport: this.name,
      clock: components.clock,
      random: components.random,
      maxPacketBytes: options.maxMessageBytes,
      maxQueuedBytes: options.maxQueuedBytes,
      buffers: new BufferPool(GATHERED_BYTES + 4 * MAX_HEAD_BYTES),
      scratch: new Uint8Array(SCRATCH_BYTES),
      register: new EarlyRegister(),
      identify: (chain) => platform.identify(chain),
      reserve: (bytes) => this.#reserve(bytes),
      release: (bytes) => void (this.#reservedBytes -= bytes),
    }
  }

  #reserve(bytes: number): boolean {
    if (this.#reservedBytes + bytes > this.#options.maxReassemblyBytes) return false
    this.#reservedBytes += bytes
    return true
  }

  start(host: TransportHost, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#starting !== undefined) return Promise.reject(new ArgumentError(`${this.name} was started already`))
    this.#starting = this.#start(host, options.signal)
    return this.#starting
  }

  async #start(host: TransportHost, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closing !== undefined) throw this.#closedError()
    signal?.throwIfAborted()
    this.#host = host
    const { clock, random, log } = this.#components
    const { engine, credentials } = this.#platform
    const { listen } = this.#options
    const settings = { clock, random, log, credentials, limits: engineLimits(this.#options), alpn: ALPN, listen }
    const endpoint = await engine.open(settings, {
      admit: (remote) => this.#admitStranger(remote),
      onSession: (session) => this.#accept(session),
      onDown: (error) => void this.#goDown(error),
    })
    this.#endpoint = endpoint
    if (this.#closing !== undefined || signal?.aborted) {
      await endpoint.close()
      signal?.throwIfAborted()
      throw this.#closedError()
    }
    this.#started = true
    this.#renewTicketKeyLater()
    this.#announce()
  }

  #renewTicketKeyLater(): void {
    if (this.#options.listen === undefined) return
    this.#ticketTimer = this.#components.clock.setTimeout(() => {
      this.#endpoint?.renewTicketKey()
      this.#renewTicketKeyLater()
    }, TICKET_KEY_LIFE_MS)
  }

  async dial(text: string, options: DialOptions): Promise<Connection> {
    options.signal?.throwIfAborted()
    const host = this.#host
    const endpoint = this.#endpoint
    if (host === undefined || endpoint === undefined || !this.#started || this.#closing !== undefined) {
      throw new DialError('TRANSPORT_CLOSED', `${this.name} is not running`)
    }
    const own = this.#components.identity.nodeId
    const { address, expected } = dialTarget(this, text, { own, expected: options.expected })
    if (!host.admit({ address: text, node: expected })) {
      throw new DialError('DIAL_DENIED', 'own admission rules say no')
    }
    if (this.#open.size >= this.#maxConnections) {
      throw new DialError('DIAL_DENIED', `${this.#maxConnections} connections are the limit`, { retryable: true })
    }
    const dial = new PendingDial(options.signal)
    this.#dials.set(dial, this.#connect(dial, host, endpoint, address, expected, options))
    // The first flight is on its way where it can be
    dial.limit(this.#components.clock, this.#options.dialTimeoutMs)
    try {
      const connection = await dial.connection
      this.#metrics.count('dials', { code: 'OK' })
      return connection
    } catch (error) {
      this.#metrics.count('dials', { code: error instanceof DialError ? error.code : 'DIAL_ABORTED' })
      throw error
    } finally {
      this.#dials.delete(dial)
    }
  }

  /** Never rejects: what goes wrong is the dial's. */
  async #connect(
    dial: PendingDial,
    host: TransportHost,
    endpoint: QuicEndpoint,
    address: Address,
    expected: NodeId | undefined,
    { early = false, firstFlight = [] }: DialOptions,
  ): Promise<void> {
    const to: UdpAddress = { host: address.host, port: address.port ?? DEFAULT_PORT }
    const where = quicAddress(to)
    const unixNow = this.#components.clock.unixNow()
    const resumes = expected !== undefined && (early || firstFlight.length > 0)
    const ticket = resumes ? this.#tickets.take(unixNow, expected, where) : undefined
    const packets = ticket === undefined ? [] : firstFlight
    let session: QuicSession
    try {
      session = await endpoint.connect(to, ticket)
    } catch (error) {
      const failure = { cause: error, retryable: true }
      return dial.fail(
        error instanceof DialError
          ? error
          : new DialError('DIAL_REFUSED', `${address.host} cannot be reached`, failure),
      )
    } finally {
      ticket?.fill(0)
    }
    if (dial.isOver) return session.close(0, '')
    const owner = this.#dialler(dial, host, where, expected)
    const connection = this.#make(session, owner, early, () => endpoint.connect(to, undefined))
    dial.begun((error) => connection.abort(error))
    try {
      connection.start()
      for (const packet of packets) connection.send(packet, firstFlightPacket)
    } catch (error) {
      // Not the network's: own admission rules, or what was to be sent. The handshake must not go on without the dial
      dial.stop(error)
    }
  }

  #dialler(dial: PendingDial, host: TransportHost, where: string, expected: NodeId | undefined): QuicConnectionOwner {
    let remote: NodeId | undefined
    return {
      onIdentity: ({ nodeId }) => {
        remote = nodeId
        if (nodeId === this.#components.identity.nodeId) {
          return new DialError('IDENTITY_OWN', 'the node itself answered')
        }
        if (expected !== undefined && nodeId !== expected) {
          this.#tickets.drop(expected, where)
          return new DialError('IDENTITY_MISMATCH', `${nodeId} answered, expected was ${expected}`)
        }
        return host.admit({ address: where, node: nodeId })
          ? undefined
          : new DialError('DIAL_DENIED', 'own admission rules say no')
      },
      onReady: (connection) => {
        this.#handOut(connection)
        dial.succeed(connection)
      },
      onEstablished: (wasEarly) => this.#countEarly(wasEarly),
      onTicket: (ticket) => {
        if (remote !== undefined) this.#tickets.put(this.#components.clock.unixNow(), remote, where, ticket)
      },
      onEarlyRefused: () => this.#metrics.count('early', { outcome: 'refused' }),
      onPath: (cause) => this.#metrics.count('paths', { cause }),
      onClosed: (connection, reason, error) => {
        this.#forget(connection, reason)
        // Making an error costs a stack trace: only while somebody waits for it
        if (!dial.isOver) dial.fail(handshakeError(reason, error))
      },
    }
  }

  #countEarly(wasEarly: boolean): void {
    if (wasEarly) this.#metrics.count('early', { outcome: 'accepted' })
  }

  /** Asked before a stranger costs any cryptography. */
  #admitStranger(remote: UdpAddress): boolean {
    if (this.#host === undefined || this.#closing !== undefined) return false
    if (!this.#host.admit({ address: quicAddress(remote), node: undefined })) return this.#refuse('admission')
    if (this.#open.size >= this.#maxConnections) return this.#refuse('connections')
    if ((this.#bySource.get(sourcePrefix(remote.host)) ?? 0) >= this.#options.maxConnectionsPerAddress) {
      return this.#refuse('address')
    }
    return true
  }

  #refuse(reason: string): false {
    this.#metrics.count('refused', { reason })
    return false
  }

  #accept(session: QuicSession): void {
    const host = this.#host
    if (host === undefined || this.#closing !== undefined) return session.close(0, '')
    const source = sourcePrefix(session.remote.host)
    const connection: QuicConnection = this.#make(
      session,
      {
        onIdentity: (remote) => this.#checkAccepted(host, remote, session, connection),
        onReady: (ready) => {
          this.#handOut(ready)
          this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1)
          host.onConnection(ready)
          if (!ready.attached) ready.abort(new ArgumentError('nobody attached to the connection'))
        },
        onEstablished: (wasEarly) => this.#countEarly(wasEarly),
        onTicket: () => undefined,
        onEarlyRefused: () => undefined,
        onPath: (cause) => this.#metrics.count('paths', { cause }),
        onClosed: (closed, reason) => {
          if (this.#forget(closed, reason)) {
            const left = (this.#bySource.get(source) ?? 1) - 1
            if (left > 0) this.#bySource.set(source, left)
            else this.#bySource.delete(source)
          }
          this.#components.log.debug('accepted connection closed', { transport: this.name, ...reason })
        },
      },
      true,
      undefined,
    )
    connection.start()
  }

  #checkAccepted(
    host: TransportHost,
    remote: PeerIdentity,
    session: QuicSession,
    connection: QuicConnection,
  ): AivError | undefined {
    const refused = (reason: string): AivError => {
      this.#refuse(reason)
      return new QuicError('NOT_ADMITTED', `refused: ${reason}`)
    }
    if (remote.nodeId === this.#components.identity.nodeId)
      return new DialError('IDENTITY_OWN', 'it is the node itself')
    if (!host.admit({ address: quicAddress(session.remote), node: remote.nodeId })) return refused('admission')
    // one that sent early data has its place already when it is asked again
    const hasPlace = this.#open.has(connection) || this.#open.size < this.#maxConnections
    return hasPlace ? undefined : refused('connections')
  }

  #make(
    session: QuicSession,
    owner: QuicConnectionOwner,
    handOutEarly: boolean,
    reconnect: (() => Promise<QuicSession>) | undefined,
  ): QuicConnection {
    const { keepAliveMs, idleTimeoutMs, maxConnectionAgeMs } = this.#options
    const heartbeatMs = this.#policy?.heartbeatIntervalMs ?? keepAliveMs
    const connection = new QuicConnection({
      shared: this.#shared,
      session,
      // A policy that wants silence for longer than the idle timeout would end every quiet connection
      keepAliveMs: Math.max(10, Math.min(heartbeatMs, (idleTimeoutMs * 2) / 3)),
      maxAgeMs: maxConnectionAgeMs,
      owner,
      handOutEarly,
      reconnect,
    })
    this.#all.add(connection)
    return connection
  }

  #handOut(connection: QuicConnection): void {
    this.#open.add(connection)
    this.#metrics.connections(this.#open.size)
  }

  /** True when it had been handed out. */
  #forget(connection: QuicConnection, reason: CloseReason): boolean {
    this.#all.delete(connection)
    this.#metrics.count('closed', { code: reason.code })
    if (!this.#open.delete(connection)) return false
    this.#metrics.connections(this.#open.size)
    return true
  }

  /** `heartbeatIntervalMs` and `maxConnections` hold for what is opened from here on. Rates are kept by whoever sends. */
  apply(policy: TransportPolicy): void {
    this.#policy = policy
  }

  /** Moves every dialled connection to a fresh socket, asks the others for a sign of life, tells the addresses again. */
  networkChanged(): void {
    for (const connection of this.#open) {
      connection.probe()
      if (connection.direction === 'dialled') {
        connection.migrate().catch((error: unknown) => {
          this.#components.log.debug('connection not moved', { transport: this.name, error })
        })
      }
    }
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
    this.#ticketTimer?.clear()
    const dials = [...this.#dials]
    for (const [dial] of dials) dial.stop(new DialError('TRANSPORT_CLOSED', `${this.name} was closed`))
    for (const connection of this.#all) {
      if (!this.#open.has(connection)) connection.abort(new Error('the transport was closed'))
    }
    await Promise.allSettled([...this.#open].map((connection) => connection.close()))
    await Promise.allSettled([...dials.map(([, connecting]) => connecting), this.#endpoint?.close()])
    this.#tickets.clear()
  }

  async #goDown(error: Error): Promise<void> {
    if (this.#closing !== undefined) return
    this.#components.log.error('transport went down', { transport: this.name, error })
    await this.close()
    this.#host?.onDown(error)
  }

  #announce(): void {
    const addresses = this.#addresses()
    const same = addresses.length === this.#announced.length && addresses.every((one, i) => one === this.#announced[i])
    if (same) return
    this.#announced = addresses
    this.#host?.onListening(addresses)
  }

  #addresses(): readonly string[] {
    const local = this.#endpoint?.local
    if (local === undefined) return []
    if (this.#options.advertise !== undefined) return this.#options.advertise
    return this.#platform.dialableHosts(local.host).map((host) => quicAddress({ host, port: local.port }))
  }

  get #maxConnections(): number {
    return Math.min(this.#options.maxConnections, this.#policy?.maxConnections ?? Infinity)
  }

  #closedError(): TransportError {
    return new TransportError('TRANSPORT_CLOSED', `${this.name} was closed`)
  }
}

/** What a dial rejects with when its connection ended before it was handed out. */
function handshakeError(reason: CloseReason, error: AivError | undefined): DialError {
  if (error instanceof DialError) return error
  const cause = error === undefined ? {} : { cause: error }
  if (reason.by === 'timeout')
    return new DialError('DIAL_TIMEOUT', 'no handshake in time', { ...cause, retryable: true })
  if (reason.by === 'lost') return new DialError('DIAL_REFUSED', 'nobody listens there', { ...cause, retryable: true })
  return new DialError('HANDSHAKE_FAILED', `the handshake ended with ${error?.code ?? reason.code}`, {
    ...cause,
    retryable: reason.retryable,
  })
}
