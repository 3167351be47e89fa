import {
  ArgumentError,
  type Clock,
  type Connection,
  DialError,
  type DialOptions,
  type Millis,
  type NodeId,
  parseDialAddress,
  type PeerIdentity,
  type Timer,
  type Transport,
  type TransportComponents,
  TransportError,
  type TransportHost,
  type TransportPolicy,
  type TransportProfile,
} from '@aiv/transport-api'
import { type ConnectionOwner, MemoryConnection } from './connection.js'
import { CONTROL_BYTES, type Frame } from './frames.js'
import type { MemoryNetwork } from './network.js'
import type { CompleteMemoryOptions } from './options.js'

/** A handshake message is repeated when nothing came for this long; twice as long each time. */
const REPEAT_AFTER_MS = 250

/** A dial that waits for its answer. */
interface Dialling {
  readonly target: NodeId
  readonly expected: NodeId | undefined
  readonly startedAt: Millis
  readonly timers: Set<Timer>
  /** Undefined: it worked. */
  settle(outcome: Connection | Error): void
}

/** A dial of another node that was answered and not confirmed yet. */
interface HalfOpen {
  readonly from: PeerIdentity
  readonly startedAt: Millis
  readonly timers: Set<Timer>
}

/** One node's memory transport: made by {@link MemoryNetwork.memory}. */
export class MemoryTransport implements Transport, ConnectionOwner {
  readonly name: string
  readonly schemes: readonly string[]
  readonly profile: TransportProfile
  readonly options: CompleteMemoryOptions
  readonly identity: PeerIdentity
  readonly clock: Clock

  readonly #network: MemoryNetwork
  readonly #connections = new Map<number, MemoryConnection>()
  readonly #dialling = new Map<number, Dialling>()
  readonly #halfOpen = new Map<number, HalfOpen>()
  #host: TransportHost | undefined
  #isClosed = false
  #policy: TransportPolicy | undefined
  #rateFreeAt: Millis = Number.NEGATIVE_INFINITY

  constructor(network: MemoryNetwork, options: CompleteMemoryOptions, components: TransportComponents) {
    this.#network = network
    this.options = options
    this.name = options.name
    this.schemes = Object.freeze([network.scheme])
    this.identity = components.identity
    this.clock = components.clock
    this.profile = Object.freeze({
      reach: options.reach,
      largestPacketBytes: options.maxPacketBytes,
      datagrams: options.maxDatagramBytes > 0,
      streams: false,
      energy: Object.freeze({ idleMilliwatts: 0, microjoulesPerByte: 0, millijoulesPerDial: 0 }),
    })
  }

  get nodeId(): NodeId {
    return this.identity.nodeId
  }

  /** Connections, half-open ones and dials under way. */
  get openCount(): number {
    return this.#connections.size + this.#halfOpen.size + this.#dialling.size
  }

  /** Where it listens: by node id or by host. */
  get ownAddress(): string {
    return `${this.#network.scheme}://${this.options.host ?? this.nodeId}`
  }

  start(host: TransportHost, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return attempt(() => {
      if (this.#isClosed) throw new TransportError('TRANSPORT_CLOSED', `${this.name} was closed`)
      if (this.#host !== undefined) throw new ArgumentError(`${this.name} was started before`)
      options.signal?.throwIfAborted()
      this.#network.join(this)
      this.#host = host
      if (this.options.listen) host.onListening([this.ownAddress])
    })
  }

  async dial(address: string, options: DialOptions): Promise<Connection> {
    if (this.#host === undefined || this.#isClosed) {
      throw new DialError('TRANSPORT_CLOSED', `${this.name} is not running`)
    }
    const { host, nodeId } = parseDialAddress(this, address)
    const { signal } = options
    signal?.throwIfAborted()
    const expected = options.expected ?? (host === '' ? undefined : nodeId)
    const key = host === '' ? nodeId : host
    const target = key === undefined ? undefined : this.#network.find(key)
    if (target === undefined || target === this) await this.#refuseUnreachable(address, target, expected, signal)
    if (this.openCount >= this.#maxConnections()) {
      throw new DialError('DIAL_DENIED', `${this.openCount} connections, the limit`, { retryable: true })
    }
    return this.#handshake((target as MemoryTransport).nodeId, address, expected, signal)
  }

  apply(policy: TransportPolicy): void {
    this.#policy = policy
  }

  /** Asks every connection whether its other side is there. */
  networkChanged(): void {
    for (const connection of this.#connections.values()) connection.probe()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#network.unlisten(this)
    for (const dialling of [...this.#dialling.values()]) {
      dialling.settle(new DialError('TRANSPORT_CLOSED', `${this.name} was closed`))
    }
    for (const [id, halfOpen] of this.#halfOpen) {
      clearAll(halfOpen.timers)
      this.#say(halfOpen.from.nodeId, { type: 'refuse', id })
    }
    this.#halfOpen.clear()
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()))
    this.#network.leave(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** {@link ConnectionOwner} */
  keepAliveIntervalMs(): number {
    return this.#policy?.heartbeatIntervalMs ?? this.options.keepAliveIntervalMs
  }

  /** {@link ConnectionOwner} */
  pacedForMs(bytes: number): number {
    const rate = this.#policy?.maxBytesPerSecond
    if (rate === undefined || !Number.isFinite(rate)) return 0
    const now = this.clock.now()
    if (this.#rateFreeAt > now) return this.#rateFreeAt - now
    this.#rateFreeAt = now + (bytes * 1000) / rate
    return 0
  }

  /** {@link ConnectionOwner} */
  forget(connection: MemoryConnection): void {
    this.#connections.delete(connection.id)
  }

  /** The network's: a frame of `from` arrives. */
  handleFrame(from: NodeId, frame: Frame): void {
    switch (frame.type) {
      case 'dial':
        return this.#onDial(frame)
      case 'hello':
        return this.#onHello(from, frame)
      case 'confirm':
        return this.#established(frame.id)
      case 'refuse':
        // our own dial, or one that was given up by the other side before it was confirmed
        this.#dialling.get(frame.id)?.settle(refused('the other side refused'))
        return this.#dropHalfOpen(frame.id)
    }
    // what comes over a connection confirms it, in case the confirmation was lost
    if (frame.type !== 'reset') this.#established(frame.id)
    else this.#dropHalfOpen(frame.id)
    const connection = this.#connections.get(frame.id)
    if (connection !== undefined) connection.handleFrame(frame)
    else if (frame.type === 'packet' || frame.type === 'ping') this.#say(from, { type: 'reset', id: frame.id })
    if (connection === undefined && frame.type === 'packet') frame.taken()
    if (connection === undefined && frame.type === 'close') this.#say(from, { type: 'closed', id: frame.id })
  }

  /** The network's: every connection to `remote` is reset. Gives their number. */
  sever(remote: NodeId): number {
    const lost = [...this.#connections.values()].filter((connection) => connection.remote.nodeId === remote)
    for (const connection of lost) connection.lose('CONNECTION_RESET')
    return lost.length
  }

  #maxConnections(): number {
    return Math.min(this.options.maxConnections, this.#policy?.maxConnections ?? Number.POSITIVE_INFINITY)
  }

  /** Later, as it would be over a network. */
  #refuseUnreachable(
    address: string,
    target: MemoryTransport | undefined,
    expected: NodeId | undefined,
    signal: AbortSignal | undefined,
  ): Promise<never> {
    return new Promise((_, reject) => {
      const onAbort = (): void => {
        timer.clear()
        reject(signal?.reason as Error)
      }
      const timer = this.clock.setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        if (target === undefined) reject(refused(`nobody listens on ${address}`))
        else if (expected === undefined || expected === this.nodeId) {
          reject(new DialError('IDENTITY_OWN', `${address} is ourselves`))
        } else reject(new DialError('IDENTITY_MISMATCH', `${address} is ourselves, not ${expected}`))
      }, 0)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #handshake(
    target: NodeId,
    address: string,
    expected: NodeId | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const id = this.#network.nextId()
    return new Promise((resolve, reject) => {
      const timers = new Set<Timer>()
      const settle = (outcome: Connection | Error): void => {
        clearAll(timers)
        signal?.removeEventListener('abort', onAbort)
        this.#dialling.delete(id)
        if (!(outcome instanceof Error)) return resolve(outcome)
        this.#say(target, { type: 'refuse', id })
        reject(outcome)
      }
      const onAbort = (): void => settle(signal?.reason as Error)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#dialling.set(id, { target, expected, startedAt: this.clock.now(), timers, settle })
      this.#repeat(timers, () => this.#say(target, { type: 'dial', id, from: this.#card(), to: address }))
      const timeout = (): void =>
        settle(new DialError('DIAL_TIMEOUT', `no answer from ${address}`, { retryable: true }))
      timers.add(this.clock.setTimeout(timeout, this.options.handshakeTimeoutMs))
    })
  }

  #onDial(frame: Frame & { type: 'dial' }): void {
    const { id, from } = frame
    const isKnown = this.#halfOpen.has(id) || this.#connections.has(id)
    if (isKnown) return
    const host = this.#host
    const isWelcome =
      host !== undefined &&
      !this.#isClosed &&
      this.options.listen &&
      this.openCount < this.#maxConnections() &&
      host.admit({ address: this.#network.addressOf(from.nodeId), node: undefined })
    if (!isWelcome) return this.#say(from.nodeId, { type: 'refuse', id })
    const timers = new Set<Timer>()
    this.#halfOpen.set(id, { from, startedAt: this.clock.now(), timers })
    this.#repeat(timers, () => this.#say(from.nodeId, { type: 'hello', id, from: this.#card() }))
    timers.add(this.clock.setTimeout(() => this.#dropHalfOpen(id), this.options.handshakeTimeoutMs))
  }

  #onHello(from: NodeId, frame: Frame & { type: 'hello' }): void {
    const { id } = frame
    const dialling = this.#dialling.get(id)
    if (dialling === undefined) {
      // our confirmation was lost, or we gave up
      this.#say(from, { type: this.#connections.has(id) ? 'confirm' : 'refuse', id })
      return
    }
    const { expected } = dialling
    if (expected !== undefined && frame.from.nodeId !== expected) {
      return dialling.settle(new DialError('IDENTITY_MISMATCH', `${frame.from.nodeId} answered, not ${expected}`))
    }
    this.#say(from, { type: 'confirm', id })
    const rttMs = this.clock.now() - dialling.startedAt
    dialling.settle(this.#connection(id, frame.from, 'dialled', rttMs))
  }

  /** The other side confirmed its dial, in words or by using the connection. */
  #established(id: number): void {
    const halfOpen = this.#halfOpen.get(id)
    const host = this.#host
    if (halfOpen === undefined || host === undefined) return
    this.#dropHalfOpen(id)
    const { from, startedAt } = halfOpen
    if (!host.admit({ address: this.#network.addressOf(from.nodeId), node: from.nodeId })) {
      return this.#say(from.nodeId, { type: 'reset', id })
    }
    const connection = this.#connection(id, from, 'accepted', this.clock.now() - startedAt)
    host.onConnection(connection)
    if (!connection.isAttached) connection.abort(new TransportError('TRANSPORT_CLOSED', 'nobody attached'))
  }

  #connection(id: number, remote: PeerIdentity, direction: 'dialled' | 'accepted', rttMs: number): MemoryConnection {
    const wire = this.#network.wire(this, remote.nodeId)
    const addresses = { local: this.ownAddress, remoteAddress: this.#network.addressOf(remote.nodeId) }
    const connection = new MemoryConnection(this, wire, { id, remote, direction, rttMs, ...addresses })
    this.#connections.set(id, connection)
    return connection
  }

  #dropHalfOpen(id: number): void {
    const halfOpen = this.#halfOpen.get(id)
    if (halfOpen === undefined) return
    clearAll(halfOpen.timers)
    this.#halfOpen.delete(id)
  }

  /** Says it now, and again with growing pauses until the timers are cleared. */
  #repeat(timers: Set<Timer>, say: () => void, afterMs = REPEAT_AFTER_MS): void {
    say()
    const timer = this.clock.setTimeout(() => {
      timers.delete(timer)
      this.#repeat(timers, say, afterMs * 2)
    }, afterMs)
    timers.add(timer)
  }

  #say(to: NodeId, frame: Frame): void {
    this.#network.carry(this, to, frame, CONTROL_BYTES)
  }

  #card(): PeerIdentity {
    return { nodeId: this.nodeId, publicKey: this.identity.publicKey }
  }
}

function refused(message: string): DialError {
  return new DialError('DIAL_REFUSED', message, { retryable: true })
}

function clearAll(timers: Set<Timer>): void {
  for (const timer of timers) timer.clear()
  timers.clear()
}

/** Turns what `run` throws into a rejection. */
async function attempt(run: () => void): Promise<void> {
  await Promise.resolve()
  run()
}
