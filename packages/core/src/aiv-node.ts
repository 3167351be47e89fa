import { Capability, HELLO_VERSION, InboundTable, MessageKind, type Hello, type LinkEnvelope } from '@aiv/routing'
import { secureChannels, verifyPeerRecord } from '@aiv/security'
import {
  ArgumentError,
  equalBytes,
  formatAddress,
  isNodeId,
  parseAddress,
  Priority,
  priorities,
  silentLogger,
  type Clock,
  type Connection,
  type Logger,
  type NodeId,
} from '@aiv/transport-api'
import type { ChannelHost } from './channel-host.js'
import type { ConnectionInfo } from './connection-info.js'
import { ConnectionPool } from './connection-pool.js'
import { Dialler, type PeerDialOptions } from './dialler.js'
import { NodeError } from './errors.js'
import { Inbox } from './inbox.js'
import type { Message } from './message.js'
import { NodeMetrics } from './metrics.js'
import { NodeEvents, type NodeEventDetails, type NodeEventType } from './node-events.js'
import {
  MAX_DELIVERY_TIMEOUT_MS,
  MAX_PAYLOAD_BYTES,
  verifyNodeOptions,
  type NodeOptions,
  type NodeSettings,
  type SendMessageOptions,
} from './options.js'
import { OutgoingMessage, type Receipt } from './outgoing-message.js'
import { OwnRecord } from './own-record.js'
import { isLoopbackHost, PeerBook } from './peer-book.js'
import { PeerChannel } from './peer-channel.js'
import type { PeerLink } from './peer-link.js'
import { ProtocolRegistry, verifyProtocolName, type MessageHandler } from './protocol-registry.js'
import { RequestTable } from './request-table.js'
import { SendQueue } from './send-queue.js'
import { SleepDetector } from './sleep-detector.js'
import type { DialledPeer } from './staggered-dial.js'
import { systemClock } from './system-clock.js'
import { systemRandom } from './system-random.js'
import { TransportManager, type TransportStatus } from './transport-manager.js'

const utf8 = new TextEncoder()

/** Who a message is for: a node id, or an address (which is remembered). */
export type Recipient = NodeId | string

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

/** A node; `createNode` makes one. */
export class AivNode extends NodeEvents implements AsyncDisposable {
  readonly id: NodeId
  readonly #options: NodeOptions
  readonly #settings: NodeSettings
  readonly #clock: Clock
  readonly #log: Logger
  readonly #transports: TransportManager
  readonly #book: PeerBook
  readonly #dialler: Dialler
  readonly #pool: ConnectionPool
  readonly #channels = new Map<NodeId, PeerChannel>()
  readonly #registry: ProtocolRegistry
  readonly #requests: RequestTable
  readonly #inbox: Inbox
  readonly #inbound = new InboundTable<LinkEnvelope>()
  readonly #queue: SendQueue
  readonly #record: OwnRecord
  readonly #host: ChannelHost
  readonly #allow: ReadonlySet<NodeId> | undefined
  readonly #deny: ReadonlySet<NodeId>
  readonly #capabilities: number
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(options: NodeOptions) {
    super()
    const { identity, log = silentLogger, clock = systemClock, random = systemRandom, compressor, metrics } = options
    const settings = verifyNodeOptions(options)
    this.id = identity.nodeId
    this.#options = options
    this.#settings = settings
    this.#clock = clock
    this.#log = log
    this.#allow = options.allow === undefined ? undefined : new Set(options.allow)
    this.#deny = new Set(options.deny)
    this.#capabilities = compressor?.name === 'lz4' ? Capability.Lz4 : 0
    this.#book = new PeerBook((id) => this.#channels.has(id), options.peerBook)
    this.#transports = new TransportManager(
      {
        id: this.id,
        log,
        admit: (from) => this.#admit(from),
        onConnection: (connection) => this.#onConnection(connection),
        onAddresses: () => {
          this.#record.changed()
          this.emit('addresses', { addresses: this.addresses })
        },
        onDown: (transport, error) => this.emit('transport-down', { transport, error }),
      },
      options.transports,
      { identity, secure: secureChannels({ identity, clock }), clock, random, log, metrics },
    )
    this.#dialler = new Dialler({ book: this.#book, transports: this.#transports, clock, settings })
    this.#pool = new ConnectionPool({ clock, settings, channels: () => this.#channels.values() })
    this.#registry = new ProtocolRegistry(() => this.#inbox.onTaken(), options.protocols)
    this.#requests = new RequestTable(clock)
    this.#inbox = new Inbox({
      registry: this.#registry,
      requests: this.#requests,
      answer: (to, { kind, requestId, payload, ...answer }) => {
        this.#send(to, payload, answer, kind, requestId).catch(() => undefined) // the asker's request times out
      },
      onHandlerError: (protocol, error) => this.emit('handler-error', { protocol, error }),
      onPaused: (paused) => {
        for (const channel of this.#channels.values()) {
          if (paused) channel.pause()
          else channel.resume()
        }
      },
    })
    this.#queue = new SendQueue({
      queues: options.queues,
      maxWaiting: settings.maxWaitingSends,
      onQueued: (message) => this.#channels.get(message.to)?.queued(message),
    })
    this.#record = new OwnRecord({
      identity,
      clock,
      deviceType: settings.deviceType,
      capabilities: this.#capabilities,
      addresses: () => this.addresses,
    })
    const sleep = new SleepDetector(clock.now(), clock.unixNow())
    let links = 0
    this.#host = {
      id: this.id,
      clock,
      random,
      compressor,
      metrics: metrics === undefined ? undefined : new NodeMetrics(metrics),
      settings,
      deliveryOptions: options.delivery,
      queue: this.#queue,
      nextLinkNumber: () => links++,
      transportRank: (transport) => this.#transports.rank(transport),
      hello: (link, own) => this.#hello(link, own),
      onHello: (link, hello) => this.#onHello(link, hello),
      openInbound: (peer, hello) => {
        const inbound = this.#inbound.open(clock.now(), peer, hello.epoch)
        return inbound === 'busy' ? undefined : inbound
      },
      hasRoom: (envelope) => this.#inbox.hasRoom(envelope),
      deliver: (peer, transport, envelope, payload) => this.#inbox.deliver(peer, transport, envelope, payload),
      dial: (peer, options) => this.#dial(peer, options),
      worked: (peer, address) => this.#book.worked(this.#clock.now(), peer, address),
      adoptDialled: (connection) => this.#adoptDialled(connection),
      onLinkClosed: (link) => {
        if (link.inbound !== undefined) this.#inbound.close(clock.now(), link.inbound)
        this.#pool.closed(link)
      },
      onChannelIdle: (channel) => {
        if (!channel.forgettable || this.#channels.get(channel.id) !== channel) return
        this.#channels.delete(channel.id)
        channel.forgotten()
      },
      sleeps: () => sleep.observe(clock.now(), clock.unixNow()),
      emit: <Type extends NodeEventType>(type: Type, detail: NodeEventDetails[Type]) => this.emit(type, detail),
    }
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
      queued: this.#queue.size,
      queuedBytes: this.#queue.bytes,
      waitingSends: this.#queue.waiting,
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
    const open = channel.links.find(
      ({ suspectSince, connection }) => suspectSince === undefined && connection.early !== true,
    )
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
    this.#pool.close()
    const error = new NodeError('NODE_CLOSED', 'the node closed')
    await this.#transports.close()
    for (const channel of this.#channels.values()) channel.close(error)
    this.#channels.clear()
    this.#queue.close(error)
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
    const sent = channel.trySend(message)
    if (message.ended) await message.delivered // no connection can ever take it: rejects with the reason
    if (sent) return message
    const queued = this.#queue.enqueue(message, options.whenFull ?? 'wait')
    return abortable(queued, signal, () => this.#queue.withdraw(message))
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

  /** The id of a recipient; an address that names nobody is dialled to find out. */
  async #resolve(to: Recipient, signal: AbortSignal | undefined): Promise<NodeId> {
    if (isNodeId(to)) return to
    const named = this.addAddress(to)
    if (named !== undefined) return named
    const connection = await this.#dialler.dialAddress(to, { signal })
    const peer = connection.remote.nodeId
    this.#book.addAddress(this.#clock.now(), peer, formatAddress({ ...parseAddress(to), nodeId: peer }))
    this.#adoptDialled(connection)
    return peer
  }

  // --- connections -------------------------------------------------------------------------------------------------

  #channel(peer: NodeId): PeerChannel {
    let channel = this.#channels.get(peer)
    if (channel === undefined) {
      if (peer === this.id) throw new NodeError('PEER_DENIED', 'a node does not send to itself')
      channel = new PeerChannel(peer, this.#host)
      this.#channels.set(peer, channel)
      if (this.#inbox.paused) channel.pause()
    }
    return channel
  }

  #admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean {
    if (this.#closing !== undefined) return false
    if (from.node === undefined ? !this.#pool.takesMore : !this.#allowed(from.node)) return false
    return this.#options.admit?.(from) ?? true
  }

  #allowed(peer: NodeId): boolean {
    return !this.#deny.has(peer) && (this.#allow === undefined || this.#allow.has(peer))
  }

  #onConnection(connection: Connection): void {
    if (!this.#pool.takesMore || this.#closing !== undefined) {
      return connection.abort(new NodeError('POOL_FULL', 'too many connections'))
    }
    try {
      this.#adopt(connection)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      this.#log.warn('connection refused', { code: error.code })
    }
  }

  #adopt(connection: Connection): PeerLink {
    const { nodeId } = connection.remote
    if (!this.#book.pin(this.#clock.now(), connection.remote)) {
      const error = new NodeError('ID_COLLISION', `another key is known for ${nodeId}`)
      connection.abort(error)
      throw error
    }
    this.#pool.opened(connection.direction)
    return this.#channel(nodeId).adopt(connection)
  }

  #adoptDialled(connection: Connection): PeerLink {
    if (this.#closing !== undefined) {
      const error = new NodeError('NODE_CLOSED', 'the node is closed')
      connection.abort(error)
      throw error
    }
    return this.#adopt(connection)
  }

  async #dial(peer: NodeId, options: PeerDialOptions): Promise<DialledPeer> {
    if (this.#closing !== undefined) throw new NodeError('NODE_CLOSED', 'the node is closed')
    if (!this.#allowed(peer)) throw new NodeError('PEER_DENIED', `${peer} is not allowed here`)
    this.#pool.makeRoom()
    return this.#dialler.dialPeer(peer, options)
  }

  #hello(link: PeerLink, own: Pick<Hello, 'epoch' | 'firstCounters' | 'heard'>): Hello {
    return {
      ...own,
      version: HELLO_VERSION,
      capabilities: this.#capabilities,
      deviceType: this.#settings.deviceType,
      record: this.#record.get().bytes,
      observedAddress: link.connection.path.remote,
    }
  }

  /** Learns what the peer says of itself. What cannot be verified is ignored: the connection has proven who it is. */
  #onHello(link: PeerLink, hello: Hello): boolean {
    if (hello.record === undefined) return true
    const { nodeId } = link.connection.remote
    const known = this.#book.get(nodeId)?.record
    if (known !== undefined && equalBytes(known.bytes, hello.record)) return true
    // a copy: the packet is a view into a larger buffer, and the record is kept
    const bytes = new Uint8Array(hello.record)
    const record = verifyPeerRecord(this.#options.identity.crypto, bytes, this.#clock.unixNow(), nodeId)
    if (record instanceof Error) this.#log.debug('peer record refused', { code: record.code })
    else this.#book.addRecord(this.#clock.now(), nodeId, record, cameOverLoopback(link))
    return true
  }
}

function cameOverLoopback(link: PeerLink): boolean {
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
  if (signal.aborted) promise.catch(() => undefined) // what becomes of it is nobody's concern any more
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
