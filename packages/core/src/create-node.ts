import { Capability, HELLO_VERSION, InboundTable, MessageKind, type Hello, type LinkEnvelope } from '@aiv/routing'
import { PriorityQueues } from '@aiv/policy'
import { secureChannels, signPeerRecord, verifyPeerRecord } from '@aiv/security'
import {
  ArgumentError,
  DialError,
  formatAddress,
  isNodeId,
  parseAddress,
  Priority,
  priorities,
  silentLogger,
  type AivError,
  type Clock,
  type Connection,
  type Millis,
  type NodeId,
  type PeerRecord,
  type Random,
} from '@aiv/transport-api'
import type { ChannelHost, Inbound } from './channel-host.js'
import type { ConnectionInfo } from './connection-info.js'
import { NodeError } from './errors.js'
import { Message } from './message.js'
import { NodeMetrics } from './metrics.js'
import { NodeEvents, type NodeEventDetails, type NodeEventType } from './node-events.js'
import {
  MAX_DELIVERY_TIMEOUT_MS,
  verifyNodeOptions,
  type NodeOptions,
  type NodeSettings,
  type SendMessageOptions,
} from './options.js'
import { OutgoingMessage, type Receipt } from './outgoing-message.js'
import { isLoopbackHost, PeerBook } from './peer-book.js'
import { PeerChannel } from './peer-channel.js'
import type { PeerLink } from './peer-link.js'
import { ProtocolRegistry, verifyProtocolName, type MessageHandler } from './protocol-registry.js'
import { RequestTable } from './request-table.js'
import { SleepDetector } from './sleep-detector.js'
import { staggeredDial, type DialCandidate } from './staggered-dial.js'
import { systemClock } from './system-clock.js'
import { systemRandom } from './system-random.js'
import { TransportManager, type TransportStatus } from './transport-manager.js'
import { LazyTimer } from './lazy-timer.js'

/** Our own record is signed anew when this much of its life is gone. */
const RECORD_RENEW_MS = 3 * 86_400_000
const RECORD_LIFE_MS = 7 * 86_400_000
/** Addresses in our own record: all of them have to fit into 960 bytes. */
const MAX_RECORD_ADDRESSES = 8
/** 16 MiB with the link envelope's header. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024 - 64
/** How often idle connections are looked for at most. */
const SWEEP_MS = 1_000

const utf8 = new TextEncoder()

/** Who a message is for: a node id, or an address (which is remembered). */
export type Recipient = NodeId | string

/**
 * Starts the transports and returns the running node. A transport that cannot start is in {@link AivNode.transports}
 * with its error, and the node runs with the others.
 *
 * @throws ArgumentError for options that make no sense; NodeError NO_TRANSPORT when none of the transports could
 * start (its `failures` say why), the signal's reason when aborted. Nothing is left open then.
 */
export async function createNode(options: NodeOptions): Promise<AivNode> {
  const node = new AivNode(options)
  await node.start(options.signal)
  return node
}

/** How much waits in a node, and where. */
export interface Backlog {
  /** In the queue, by no connection taken yet. */
  readonly queued: number
  readonly queuedBytes: number
  /** Calls of `send` that wait for a place in the queue. */
  readonly waitingSends: number
  readonly unacknowledged: number
  readonly unacknowledgedBytes: number
  /** Received, and waiting for one before it. */
  readonly heldOutOfOrderBytes: number
  /** Received, and nobody has asked for it yet. */
  readonly unclaimedMessages: number
  /** Requests without an answer. */
  readonly requests: number
  readonly connections: number
  readonly peers: number
}

/** A node: made by {@link createNode}. */
export class AivNode extends NodeEvents implements AsyncDisposable {
  readonly id: NodeId
  readonly #options: NodeOptions
  readonly #settings: NodeSettings
  readonly #clock: Clock
  readonly #random: Random
  readonly #transports: TransportManager
  readonly #book: PeerBook
  readonly #channels = new Map<NodeId, PeerChannel>()
  readonly #registry: ProtocolRegistry
  readonly #queues: PriorityQueues<OutgoingMessage>
  readonly #inbound = new InboundTable<LinkEnvelope>()
  readonly #requests: RequestTable
  readonly #sleep: SleepDetector
  readonly #sweep: LazyTimer
  readonly #host: ChannelHost
  readonly #allow: ReadonlySet<NodeId> | undefined
  readonly #deny: ReadonlySet<NodeId>
  /** Calls of `send` that wait for a place in the queue, the oldest first. */
  readonly #waiting = new Set<OutgoingMessage>()
  #linkNumber = 0
  #dialled = 0
  #accepted = 0
  #record: PeerRecord | undefined
  #recordSignedAt = -Infinity
  #recordSequence = -1
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(options: NodeOptions) {
    super()
    this.#options = options
    this.#settings = verifyNodeOptions(options)
    const { identity, log = silentLogger, clock = systemClock, random = systemRandom } = options
    this.id = identity.nodeId
    this.#clock = clock
    this.#random = random
    this.#allow = options.allow === undefined ? undefined : new Set(options.allow)
    this.#deny = new Set(options.deny)
    this.#book = new PeerBook((id) => this.#channels.has(id), options.peerBook)
    this.#registry = new ProtocolRegistry(() => this.#onTaken(), options.protocols)
    this.#queues = new PriorityQueues(options.queues)
    this.#requests = new RequestTable(clock)
    this.#sleep = new SleepDetector(clock.now(), clock.unixNow())
    this.#sweep = new LazyTimer(clock, () => this.#closeIdle())
    this.#transports = new TransportManager(
      {
        id: this.id,
        log,
        admit: (from) => this.#admit(from),
        onConnection: (connection) => this.#onConnection(connection),
        onAddresses: () => {
          this.#record = undefined
          this.emit('addresses', { addresses: this.addresses })
        },
        onDown: (transport, error) => this.emit('transport-down', { transport, error }),
      },
      options.transports,
      { identity, secure: secureChannels({ identity, clock }), clock, random, log, metrics: options.metrics },
    )
    this.#host = this.#makeHost()
  }

  /** @internal */
  async start(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    await this.#transports.start(signal)
    const { statuses } = this.#transports
    if (signal?.aborted !== true && (statuses.length === 0 || statuses.some(({ state }) => state === 'up'))) return
    await this.close()
    signal?.throwIfAborted()
    const failures = statuses.flatMap(({ error }) => (error === undefined ? [] : [error]))
    throw new NodeError('NO_TRANSPORT', failures.map(({ message }) => message).join('; '), { failures })
  }

  // --- what one may look at --------------------------------------------------------------------------------------

  /** Where this node can be dialled, with its id in each: `htx://<id>@192.0.2.7:8888`. */
  get addresses(): readonly string[] {
    return this.#transports.addresses
  }

  /** In the order of preference. */
  get transports(): readonly TransportStatus[] {
    return this.#transports.statuses
  }

  /** Open connections. */
  connections(): readonly ConnectionInfo[] {
    return [...this.#channels.values()].flatMap(({ links }) => links.map((link) => link.info))
  }

  /** Nodes that we know, and where. */
  peers(): readonly { readonly id: NodeId; readonly connected: boolean; readonly addresses: readonly string[] }[] {
    return [...this.#book].map(({ nodeId, addresses }) => ({
      id: nodeId,
      connected: (this.#channels.get(nodeId)?.links.length ?? 0) > 0,
      addresses: [...addresses.keys()],
    }))
  }

  /** What waits and what is on its way: all of it is bounded, and this is how one sees how full it is. */
  backlog(): Backlog {
    let unacknowledged = 0
    let unacknowledgedBytes = 0
    let connections = 0
    for (const { outbound, links } of this.#channels.values()) {
      unacknowledged += outbound.size
      unacknowledgedBytes += outbound.bytes
      connections += links.length
    }
    return {
      queued: this.#queues.size,
      queuedBytes: this.#queues.bytes,
      waitingSends: this.#waiting.size,
      unacknowledged,
      unacknowledgedBytes,
      heldOutOfOrderBytes: this.#inbound.heldBytes,
      unclaimedMessages: this.#registry.waitingMessages,
      requests: this.#requests.size,
      connections,
      peers: this.#channels.size,
    }
  }

  // --- sending -----------------------------------------------------------------------------------------------------

  /**
   * Remembers where a node can be dialled.
   * @returns the node's id when the address names it.
   * @throws ArgumentError when it is no address.
   */
  addAddress(address: string): NodeId | undefined {
    const parsed = parseAddress(address)
    if (parsed.nodeId !== undefined) this.#book.addAddress(this.#clock.now(), parsed.nodeId, formatAddress(parsed))
    return parsed.nodeId
  }

  /**
   * Sends a message. Resolves when it has been handed to a first hop; `receipt.delivered` resolves when the recipient
   * has acknowledged it. Until then it is repeated over whatever works, so that it arrives once, and in the order of
   * sending among those of its priority.
   *
   * @throws ArgumentError at once for a recipient, priority, protocol or time that cannot be.
   * @returns rejects with NodeError PEER_UNKNOWN, PEER_UNREACHABLE, PEER_DENIED, QUEUE_FULL, QUEUE_DROPPED,
   * MESSAGE_TOO_LARGE, DELIVERY_TIMEOUT or NODE_CLOSED, or with the signal's reason.
   */
  send(to: Recipient, payload: Uint8Array | string, options: SendMessageOptions = {}): Promise<Receipt> {
    return this.#send(to, payload, options, MessageKind.Message, undefined)
  }

  /**
   * `send` without a promise, for those who send a great many: the message is handed to a connection now or not at
   * all. `undefined`: there is no connection, no room, or something waits before it; use `send`, which waits.
   */
  trySend(to: NodeId, payload: Uint8Array | string, options: SendMessageOptions = {}): Receipt | undefined {
    const channel = this.#channels.get(to)
    if (channel === undefined || this.#closing !== undefined) return undefined
    const message = this.#message(to, payload, options, MessageKind.Message, undefined)
    return channel.trySend(message) ? message : undefined
  }

  /**
   * Sends a request and resolves to the answer of the handler on the other side.
   * @returns rejects like `send`, and with REQUEST_TIMEOUT, REQUEST_FAILED (the handler threw) or PROTOCOL_UNKNOWN
   * (nobody handles it there).
   */
  async request(
    to: Recipient,
    protocol: string,
    payload: Uint8Array | string,
    options: Omit<SendMessageOptions, 'protocol'> = {},
  ): Promise<Uint8Array> {
    verifyProtocolName(protocol)
    const peer = await this.#resolve(to, options.signal)
    const timeoutMs = options.timeoutMs ?? this.#settings.deliveryTimeoutMs
    const pending = this.#requests.open(peer, timeoutMs, options.signal)
    try {
      await this.#send(peer, payload, { ...options, protocol }, MessageKind.Request, pending.id)
    } catch (error) {
      pending.fail(error as Error)
    }
    return pending.answer
  }

  /**
   * Handles messages and requests of one application protocol; what the handler returns answers a request.
   * @returns a function that takes the handler away again.
   * @throws NodeError PROTOCOL_TAKEN
   */
  handle(protocol: string, handler: MessageHandler): () => void {
    return this.#registry.handle(protocol, handler)
  }

  /** Messages that no handler claims. Ends when the node closes. */
  messages(): AsyncIterableIterator<Message, undefined, undefined> {
    return this.#registry.messages()
  }

  /** Connects, or says which connection there is. Rejects like `send`. */
  async connect(to: Recipient, options: { readonly signal?: AbortSignal } = {}): Promise<ConnectionInfo> {
    const peer = await this.#resolve(to, options.signal)
    const channel = this.#channel(peer)
    const open = channel.links.find(({ suspectSince }) => suspectSince === undefined)
    if (open !== undefined) return open.info
    return (await abortable(channel.connect(), options.signal)).info
  }

  /** Closes a transport with its listener and its connections; messages go over the others. False: there is none. */
  closeTransport(name: string): Promise<boolean> {
    return this.#transports.closeTransport(name)
  }

  /** Tells the transports that the network is another one (Wi-Fi to Ethernet, wake from sleep). */
  networkChanged(): void {
    this.#transports.networkChanged()
  }

  /** Closes transports and connections; what waits fails with NODE_CLOSED. May be called again. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await Promise.resolve() // what was sent in this turn is flushed with the rest
    this.#sweep.clear()
    const error = new NodeError('NODE_CLOSED', 'the node closed')
    await this.#transports.close()
    for (const channel of this.#channels.values()) channel.close(error)
    this.#channels.clear()
    for (const message of this.#waiting) message.failed(error)
    this.#waiting.clear()
    this.#requests.close(error)
    this.#registry.close()
  }

  async #send(
    to: Recipient,
    payload: Uint8Array | string,
    options: SendMessageOptions,
    kind: MessageKind,
    requestId: number | undefined,
  ): Promise<Receipt> {
    const { signal } = options
    signal?.throwIfAborted()
    const peer = isNodeId(to) ? to : await this.#resolve(to, signal)
    if (this.#closing !== undefined) throw new NodeError('NODE_CLOSED', 'the node is closed')
    const message = this.#message(peer, payload, options, kind, requestId)
    const channel = this.#channel(peer)
    if (channel.trySend(message)) return message
    if (message.ended) await message.delivered // too large, most likely: rejects with the reason
    return abortable(this.#enqueue(channel, message, options.whenFull ?? 'wait'), signal, () => {
      this.#forget(message)
    })
  }

  #message(
    to: NodeId,
    payload: Uint8Array | string,
    options: SendMessageOptions,
    kind: MessageKind,
    requestId: number | undefined,
  ): OutgoingMessage {
    const { priority = Priority.Normal, protocol = '', timeoutMs = this.#settings.deliveryTimeoutMs } = options
    if (priorities[priority] === undefined) throw new ArgumentError(`priority ${String(priority)}`)
    if (!(timeoutMs > 0 && timeoutMs <= MAX_DELIVERY_TIMEOUT_MS)) throw new ArgumentError(`timeoutMs of ${timeoutMs}`)
    const bytes = typeof payload === 'string' ? utf8.encode(payload) : payload
    if (bytes.length > MAX_PAYLOAD_BYTES) {
      throw new NodeError('MESSAGE_TOO_LARGE', `${bytes.length} bytes; a message has at most ${MAX_PAYLOAD_BYTES}`)
    }
    const queuedAt = this.#clock.now()
    return new OutgoingMessage({
      to,
      protocol,
      payload: bytes,
      priority,
      ordered: options.ordered ?? true,
      kind,
      requestId,
      queuedAt,
      deadlineAt: queuedAt + timeoutMs,
    })
  }

  /** Into the queue, or into the line before it. */
  #enqueue(channel: PeerChannel, message: OutgoingMessage, whenFull: 'wait' | 'fail'): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      message.handed = (error) => (error === undefined ? resolve(message) : reject(error))
      if (this.#waiting.size === 0 && this.#push(message)) return channel.queued(message)
      if (message.priority === Priority.Emergency && this.#push(message)) return channel.queued(message)
      if (whenFull === 'fail' || this.#waiting.size >= this.#settings.maxWaitingSends) {
        message.failed(new NodeError('QUEUE_FULL', 'no place in the queue', { retryable: true }))
        return
      }
      this.#waiting.add(message)
      channel.waiting(message)
    })
  }

  #push(message: OutgoingMessage): boolean {
    const { to: peer, priority, bytes } = message
    const pushed = this.#queues.push({ peer, priority, bytes, item: message }, { evict: true })
    if (pushed.result === 'full') return false
    for (const dropped of pushed.evicted ?? []) {
      dropped.failed(new NodeError('QUEUE_DROPPED', 'an emergency message took its place', { retryable: true }))
    }
    return true
  }

  /** A place became free: whoever waits longest and fits gets it. */
  #admitWaiting(): void {
    for (const message of this.#waiting) {
      if (message.ended) this.#waiting.delete(message)
      else if (this.#push(message)) {
        this.#waiting.delete(message)
        this.#channels.get(message.to)?.queued(message)
      }
    }
  }

  /** Fails what waits for the peer beyond its deadline; returns the next deadline. */
  #expireQueued(peer: NodeId, now: Millis): Millis {
    let next = Infinity
    const keep = (message: OutgoingMessage): boolean => {
      if (now < message.deadlineAt) {
        next = Math.min(next, message.deadlineAt)
        return true
      }
      message.failed(
        new NodeError('DELIVERY_TIMEOUT', 'never sent: no connection had room in time', { retryable: true }),
      )
      return false
    }
    for (const message of this.#queues.itemsFor(peer)) if (!keep(message)) this.#queues.remove(message)
    for (const message of this.#waiting) if (message.to === peer && !keep(message)) this.#waiting.delete(message)
    this.#admitWaiting()
    return next
  }

  #forget(message: OutgoingMessage): void {
    message.failed(new NodeError('SEND_ABORTED', 'the sender did not wait for it'))
    if (this.#waiting.delete(message) || this.#queues.remove(message)) this.#admitWaiting()
  }

  /** The id of a recipient; an address that names nobody is dialled to find out. */
  async #resolve(to: Recipient, signal: AbortSignal | undefined): Promise<NodeId> {
    if (isNodeId(to)) return to
    const named = this.addAddress(to)
    if (named !== undefined) return named
    const connection = await this.#dialAddress(to, undefined, undefined, signal)
    const peer = connection.remote.nodeId
    this.#book.addAddress(this.#clock.now(), peer, formatAddress({ ...parseAddress(to), nodeId: peer }))
    this.#adoptDialled(connection)
    return peer
  }

  // --- receiving ---------------------------------------------------------------------------------------------------

  #canDeliver(envelope: LinkEnvelope): boolean {
    if (envelope.kind !== MessageKind.Message) return true
    return this.#registry.handler(envelope.protocol) !== undefined || this.#registry.hasRoom(envelope.payload.length)
  }

  #deliver(peer: NodeId, transport: string, envelope: LinkEnvelope, payload: Uint8Array): Promise<void> | undefined {
    const { kind, protocol, priority, requestId } = envelope
    if (kind === MessageKind.Response || kind === MessageKind.Failure) {
      this.#requests.settle(peer, requestId, kind === MessageKind.Response, payload)
      return undefined
    }
    const message = new Message(peer, protocol, payload, priority, transport, kind === MessageKind.Request)
    const handler = this.#registry.handler(protocol)
    if (handler === undefined) {
      if (kind === MessageKind.Request) this.#answer(message, requestId, MessageKind.Failure, 'PROTOCOL_UNKNOWN')
      else {
        this.#registry.put(message)
        if (!this.#registryPaused && this.#registry.waitingBytes > PAUSE_WAITING_BYTES) this.#pauseAll(true)
      }
      return undefined
    }
    try {
      const answer = handler(message)
      if (answer instanceof Promise) {
        return answer.then(
          (value) => this.#answered(message, requestId, value),
          (error: unknown) => this.#handlerFailed(message, requestId, error),
        )
      }
      this.#answered(message, requestId, answer)
    } catch (error) {
      this.#handlerFailed(message, requestId, error)
    }
    return undefined
  }

  #registryPaused = false

  /** Nobody takes from `messages()` as fast as it comes: the senders are to slow down. */
  #pauseAll(pause: boolean): void {
    this.#registryPaused = pause
    for (const channel of this.#channels.values()) {
      if (pause) channel.pause()
      else channel.resume()
    }
  }

  #onTaken(): void {
    if (this.#registryPaused && this.#registry.waitingBytes < RESUME_WAITING_BYTES) this.#pauseAll(false)
  }

  #answered(message: Message, requestId: number | undefined, answer: void | Uint8Array | string): void {
    if (!message.expectsAnswer) return
    this.#answer(message, requestId, MessageKind.Response, answer ?? new Uint8Array(0))
  }

  #handlerFailed(message: Message, requestId: number | undefined, error: unknown): void {
    this.emit('handler-error', { protocol: message.protocol, error })
    // what went wrong inside is not the other side's business: it learns that it did
    if (message.expectsAnswer) this.#answer(message, requestId, MessageKind.Failure, 'REQUEST_FAILED')
  }

  #answer(message: Message, requestId: number | undefined, kind: MessageKind, payload: Uint8Array | string): void {
    this.#send(
      message.from,
      payload,
      { protocol: message.protocol, priority: message.priority },
      kind,
      requestId,
    ).catch(
      () => undefined, // the asker's request times out
    )
  }

  // --- connections -------------------------------------------------------------------------------------------------

  #channel(peer: NodeId): PeerChannel {
    let channel = this.#channels.get(peer)
    if (channel === undefined) {
      if (peer === this.id) throw new NodeError('PEER_DENIED', 'a node does not send to itself')
      channel = new PeerChannel(peer, this.#host)
      this.#channels.set(peer, channel)
      if (this.#registryPaused) channel.pause()
    }
    return channel
  }

  #admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean {
    if (this.#closing !== undefined) return false
    if (from.node === undefined) {
      if (this.#accepted >= this.#settings.maxAccepted) return false
    } else if (!this.#allowed(from.node)) return false
    return this.#options.admit?.(from) ?? true
  }

  #allowed(peer: NodeId): boolean {
    return !this.#deny.has(peer) && (this.#allow === undefined || this.#allow.has(peer))
  }

  #onConnection(connection: Connection): void {
    if (this.#accepted >= this.#settings.maxAccepted || this.#closing !== undefined) {
      return connection.abort(new NodeError('POOL_FULL', 'too many connections'))
    }
    try {
      this.#adopt(connection)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      this.#options.log?.warn('connection refused', { code: error.code })
    }
  }

  #adopt(connection: Connection): PeerLink {
    const { nodeId } = connection.remote
    if (!this.#book.pin(this.#clock.now(), connection.remote)) {
      const error = new NodeError('ID_COLLISION', `another key is known for ${nodeId}`)
      connection.abort(error)
      throw error
    }
    if (connection.direction === 'dialled') this.#dialled++
    else this.#accepted++
    const link = this.#channel(nodeId).adopt(connection)
    this.#sweep.arm(this.#clock.now() + SWEEP_MS)
    return link
  }

  #adoptDialled(connection: Connection): PeerLink {
    if (this.#closing !== undefined) {
      const error = new NodeError('NODE_CLOSED', 'the node is closed')
      connection.abort(error)
      throw error
    }
    return this.#adopt(connection)
  }

  async #dial(peer: NodeId, failing: readonly PeerLink[], signal: AbortSignal): Promise<Connection> {
    if (this.#closing !== undefined) throw new NodeError('NODE_CLOSED', 'the node is closed')
    if (!this.#allowed(peer)) throw new NodeError('PEER_DENIED', `${peer} is not allowed here`)
    const entry = this.#book.get(peer)
    const addresses = [...(entry?.addresses ?? [])]
      .filter(([address]) => this.#transports.forScheme(parseAddress(address).scheme) !== undefined)
      .map(([address, known]) => {
        const transport = this.#transports.forScheme(parseAddress(address).scheme)?.name ?? ''
        // one more connection of a transport whose connection just failed is the last thing to try
        const last = failing.some(({ connection }) => connection.transport === transport) ? 1 : 0
        return { address, last, rank: this.#transports.rank(transport), workedAt: known.lastWorkedAt ?? -Infinity }
      })
      .sort((a, b) => a.last - b.last || a.rank - b.rank || b.workedAt - a.workedAt)
    if (addresses.length === 0) {
      const known = (entry?.addresses.size ?? 0) > 0
      const why = known ? 'no transport for its addresses' : 'no connection to it and no address of it'
      throw new NodeError('PEER_UNKNOWN', `${peer}: ${why}`, { retryable: entry?.publicKey !== undefined })
    }
    this.#makeDialRoom()
    const candidates: DialCandidate[] = addresses.map(({ address }) => ({
      address,
      dial: (race) => this.#dialAddress(address, peer, entry?.record, race),
    }))
    const { connection, address } = await staggeredDial(candidates, {
      clock: this.#clock,
      staggerMs: this.#settings.staggerMs,
      maxParallel: this.#settings.maxParallelDials,
      signal,
    })
    this.#book.worked(this.#clock.now(), peer, address)
    return connection
  }

  /** One address, within the time that one attempt has. */
  async #dialAddress(
    address: string,
    expected: NodeId | undefined,
    record: PeerRecord | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const limit = new AbortController()
    const timeout = this.#clock.setTimeout(() => {
      limit.abort(new DialError('DIAL_TIMEOUT', `${address}: no answer in ${this.#settings.dialTimeoutMs} ms`))
    }, this.#settings.dialTimeoutMs)
    const onAbort = (): void => limit.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    try {
      return await this.#transports.dial(address, {
        expected,
        signal: limit.signal,
        ...(record === undefined ? {} : { record }),
      })
    } finally {
      timeout.clear()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** @throws NodeError POOL_FULL when all dialled connections are in use. */
  #makeDialRoom(): void {
    if (this.#dialled < this.#settings.maxDialled) return
    let oldest: PeerLink | undefined
    for (const channel of this.#channels.values()) {
      if (!channel.isQuiet()) continue
      for (const link of channel.links) {
        if (link.connection.direction !== 'dialled') continue
        if (oldest === undefined || link.lastUsedAt < oldest.lastUsedAt) oldest = link
      }
    }
    if (oldest === undefined) {
      throw new NodeError('POOL_FULL', `${this.#dialled} dialled connections, all in use`, { retryable: true })
    }
    void oldest.connection.close()
    this.#dialled-- // its place is taken now, though it is down a little later
    this.#evicted.add(oldest)
  }

  readonly #evicted = new WeakSet<PeerLink>()

  /** Closes connections that nobody used for long, and the less wanted of two crossing ones. */
  #closeIdle(): void {
    const now = this.#clock.now()
    let next = Infinity
    for (const channel of this.#channels.values()) {
      const quiet = channel.isQuiet()
      for (const link of channel.links) {
        const spare = channel.isSpare(link)
        if (link.connection.direction !== 'dialled' && !spare) continue
        const idleAt = link.lastUsedAt + (spare ? this.#settings.spareTimeoutMs : this.#settings.idleTimeoutMs)
        const oldAt = link.openedAt + this.#settings.maxAgeMs
        if (now >= idleAt && (spare ? channel.isUnused(link) : quiet)) void link.connection.close()
        else if (now >= oldAt && !link.retired) channel.renew(link)
        next = Math.min(next, Math.max(link.retired ? idleAt : Math.min(idleAt, oldAt), now + SWEEP_MS))
      }
    }
    if (this.#closing === undefined) this.#sweep.arm(next)
  }

  // --- what channels see -------------------------------------------------------------------------------------------

  #makeHost(): ChannelHost {
    const { compressor, delivery, metrics } = this.#options
    return {
      id: this.id,
      clock: this.#clock,
      random: this.#random,
      compressor,
      metrics: metrics === undefined ? undefined : new NodeMetrics(metrics),
      settings: this.#settings,
      deliveryOptions: delivery,
      hasQueued: (peer, priority) => this.#queues.size > 0 && this.#queues.countFor(peer, priority) > 0,
      takeQueued: (peer, priority) => {
        const message = this.#queues.shiftFor(peer, priority)
        if (message !== undefined && this.#waiting.size > 0) this.#admitWaiting()
        return message
      },
      expireQueued: (peer, now) => this.#expireQueued(peer, now),
      nextLinkNumber: () => this.#linkNumber++,
      transportRank: (transport) => this.#transports.rank(transport),
      hello: (link, own) => this.#hello(link, own),
      onHello: (link, hello) => this.#onHello(link, hello),
      openInbound: (peer, hello): Inbound | undefined => {
        const inbound = this.#inbound.open(this.#clock.now(), peer, hello.epoch)
        return inbound === 'busy' ? undefined : inbound
      },
      canDeliver: (envelope) => this.#canDeliver(envelope),
      deliver: (peer, transport, envelope, payload) => this.#deliver(peer, transport, envelope, payload),
      dial: (peer, failing, signal) => this.#dial(peer, failing, signal),
      adoptDialled: (connection) => this.#adoptDialled(connection),
      onLinkClosed: (link) => {
        if (link.inbound !== undefined) this.#inbound.close(this.#clock.now(), link.inbound)
        if (link.connection.direction === 'accepted') this.#accepted--
        else if (!this.#evicted.delete(link)) this.#dialled--
      },
      onChannelIdle: (channel) => {
        if (!channel.forgettable || this.#channels.get(channel.id) !== channel) return
        this.#channels.delete(channel.id)
        channel.forgotten()
      },
      sleeps: () => this.#sleep.observe(this.#clock.now(), this.#clock.unixNow()),
      emit: <Type extends NodeEventType>(type: Type, detail: NodeEventDetails[Type]) => this.emit(type, detail),
    }
  }

  #hello(link: PeerLink, own: Pick<Hello, 'epoch' | 'firstCounters' | 'heard'>): Hello {
    return {
      ...own,
      version: HELLO_VERSION,
      capabilities: this.#capabilities(),
      deviceType: this.#settings.deviceType,
      record: this.#ownRecord(this.#clock.now()).bytes,
      observedAddress: link.connection.path.remote,
    }
  }

  #capabilities(): number {
    return this.#options.compressor?.name === 'lz4' ? Capability.Lz4 : 0
  }

  #ownRecord(now: Millis): PeerRecord {
    if (this.#record === undefined || now - this.#recordSignedAt > RECORD_RENEW_MS) {
      const addresses = [...this.addresses]
        .sort((a, b) => Number(isLoopbackHost(parseAddress(a).host)) - Number(isLoopbackHost(parseAddress(b).host)))
        .slice(0, MAX_RECORD_ADDRESSES)
        .map((address) => formatAddress({ ...parseAddress(address), nodeId: undefined }))
      this.#record = signPeerRecord(
        this.#options.identity,
        {
          deviceType: this.#settings.deviceType,
          addresses,
          relays: [],
          mailboxRelays: [],
          signedPrekey: undefined,
          onionKey: undefined,
          capabilities: Uint8Array.of(this.#capabilities()),
          nextKeyHash: undefined,
        },
        { now: this.#clock.unixNow(), lifeMs: RECORD_LIFE_MS, previousSequence: this.#recordSequence },
      )
      this.#recordSequence = this.#record.sequence
      this.#recordSignedAt = now
    }
    return this.#record
  }

  /** Learns what the peer says of itself. What cannot be verified is ignored: the connection has proven who it is. */
  #onHello(link: PeerLink, hello: Hello): boolean {
    if (hello.record === undefined) return true
    const { nodeId } = link.connection.remote
    const known = this.#book.get(nodeId)?.record
    if (known !== undefined && sameBytes(known.bytes, hello.record)) return true
    const record = verifyPeerRecord(this.#options.identity.crypto, hello.record, this.#clock.unixNow(), nodeId)
    if (record instanceof Error) {
      this.#options.log?.debug('peer record refused', { code: (record as AivError).code })
      return true
    }
    this.#book.addRecord(this.#clock.now(), nodeId, { ...record, bytes: record.bytes.slice() }, fromLoopback(link))
    return true
  }
}

/** Bytes waiting for `messages()` at which senders are slowed down, and at which they go on. */
const PAUSE_WAITING_BYTES = 4 * 1024 * 1024
const RESUME_WAITING_BYTES = 1024 * 1024

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function fromLoopback(link: PeerLink): boolean {
  const { remote } = link.connection.path
  if (remote === undefined) return false
  try {
    return isLoopbackHost(parseAddress(remote).host)
  } catch {
    return false
  }
}

/** Rejects with the signal's reason as soon as it comes. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined, onAbort?: () => void): Promise<T> {
  if (signal === undefined) return promise
  signal.throwIfAborted()
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => {
      onAbort?.()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
