import {
  ArgumentError,
  type Connection,
  DialError,
  type DialOptions,
  type Millis,
  type NodeId,
  parseDialAddress,
  type Timer,
  type Transport,
  type TransportComponents,
  TransportError,
  type TransportHost,
  type TransportPolicy,
  type TransportProfile,
} from '@aiv/transport-api'
import { type BitchatOptions, verifyMaxLinks } from './bitchat-options.js'
import { BleError } from './ble-error.js'
import type { BleSighting } from './ble-radio.js'
import { type DutyCyclePlan, dutyCycle } from './duty-cycle.js'
import { MeshConnection, type MeshConnectionOwner } from './mesh-connection.js'
import { MeshCore } from './mesh-core.js'
import { MeshEndpoint, type EndpointEvent } from './mesh-endpoint.js'
import type { MeshCounters, MeshEvent } from './mesh-types.js'
import { BitchatMetrics } from './metrics.js'
import { NeighbourFinder } from './neighbour-finder.js'
import { RadioLinks } from './radio-links.js'
import { type VerifiedSessionOptions, verifySessionOptions } from './session-options.js'
import { TokenBucket } from './token-bucket.js'

/** What a mesh transport shows beside what every transport has: for pages, simulations and metrics. */
export interface BitchatTransport extends Transport {
  /** Links to neighbours that are up. */
  readonly links: number
  readonly counters: Readonly<MeshCounters>
  /** Nodes that have announced themselves, and over how many hops they are reached now. */
  peers(): { readonly node: NodeId; readonly hops: number | undefined }[]
  /** Packets and bytes that are kept for absent nodes. */
  readonly stored: { readonly packets: number; readonly bytes: number }
}

interface Dialling {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: Error) => void
  readonly stopListening: () => void
}

const SCHEME = 'ble'
/** How often battery, traffic and neighbours are looked at. */
const PLAN_INTERVAL_MS = 10_000
/** The mesh holds so many packets for one link before sessions are asked for more: what waits above keeps its priority. */
const MAX_WAITING_PACKETS = 24
/** How long the last packets may take to leave when the transport is closed. */
const FLUSH_MS = 2_000
/** A shorter change of `unixNow() - now()` is an error of measurement. */
const UNIX_STEP_MS = 100

const profile = (maxPacketBytes: number): TransportProfile =>
  Object.freeze({
    reach: 'radio',
    largestPacketBytes: maxPacketBytes,
    datagrams: true,
    streams: false,
    // an nRF52-class radio scanning a twentieth of the time: estimates from data sheets, not measured
    energy: Object.freeze({ idleMilliwatts: 2, microjoulesPerByte: 1.5, millijoulesPerDial: 5 }),
  })

/** BitChat, the mesh over Bluetooth LE, as a transport: docs/wire/bitchat-native.md. Dials `ble://<id>`, over up to seven hops. */
export function bitchat(options: BitchatOptions): (components: TransportComponents) => BitchatTransport {
  const session = verifySessionOptions(options.session)
  const maxLinks = verifyMaxLinks(options.maxLinks)
  return (components) => new MeshTransport(options, session, maxLinks, components)
}

class MeshTransport implements BitchatTransport, MeshConnectionOwner {
  readonly name = 'bitchat'
  readonly schemes: readonly string[] = Object.freeze([SCHEME])
  readonly profile: TransportProfile
  readonly clock: TransportComponents['clock']
  readonly maxPacketBytes: number
  readonly #options: BitchatOptions
  readonly #components: TransportComponents
  readonly #maxLinks: number
  readonly #core: MeshCore
  readonly #endpoint: MeshEndpoint
  readonly #links: RadioLinks
  readonly #finder: NeighbourFinder
  readonly #metrics: BitchatMetrics
  readonly #plan: ReturnType<typeof dutyCycle>
  readonly #dialling = new Map<number, Dialling>()
  readonly #connections = new Set<MeshConnection>()
  readonly #stop = new AbortController()
  #host: TransportHost | undefined
  #state: 'new' | 'starting' | 'running' | 'closing' | 'closed' = 'new'
  #closed: Promise<void> | undefined
  #flushed: (() => void) | undefined
  #policy: TransportPolicy | undefined
  #pace: TokenBucket | undefined
  #planned: DutyCyclePlan | undefined
  #planAt: Millis
  #packetsAtPlan = 0
  #connecting: string | undefined
  #unixOffset: number | undefined
  #timer: Timer | undefined
  #isDriving = false
  #isScheduled = false

  constructor(
    options: BitchatOptions,
    session: VerifiedSessionOptions,
    maxLinks: number,
    components: TransportComponents,
  ) {
    const { identity, secure, clock, random, metrics } = components
    const { crypto, staticKey, isTrusted } = options
    const now = clock.now()
    this.clock = clock
    this.maxPacketBytes = session.maxPacketBytes
    this.profile = profile(session.maxPacketBytes)
    this.#options = options
    this.#components = components
    this.#maxLinks = maxLinks
    const meshComponents = { identity, crypto, random, staticKey, ...(isTrusted === undefined ? {} : { isTrusted }) }
    this.#core = new MeshCore(now, meshComponents, options.mesh)
    const admit = (node: NodeId | undefined): boolean =>
      this.#state === 'running' && this.#host?.admit({ address: undefined, node }) === true
    this.#endpoint = new MeshEndpoint({ nodeId: identity.nodeId, secure, crypto, random, admit }, session)
    this.#links = new RadioLinks(
      this.#core,
      () => clock.now(),
      () => this.drive(),
    )
    this.#finder = new NeighbourFinder(now, random, maxLinks)
    this.#metrics = new BitchatMetrics(metrics)
    this.#plan = dutyCycle(options.dutyCycle)
    this.#planAt = now
  }

  get links(): number {
    return this.#links.size
  }

  get counters(): Readonly<MeshCounters> {
    return this.#core.counters
  }

  get stored(): { readonly packets: number; readonly bytes: number } {
    return this.#core.stored
  }

  peers(): { readonly node: NodeId; readonly hops: number | undefined }[] {
    const now = this.clock.now()
    return [...this.#core.peers].map(({ announcement: { node } }) => ({
      node,
      hops: this.#core.route(now, node)?.hops,
    }))
  }

  async start(host: TransportHost, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#state === 'closing' || this.#state === 'closed') throw new TransportError('TRANSPORT_CLOSED', 'closed')
    if (this.#state !== 'new') throw new ArgumentError('a transport is started once')
    options.signal?.throwIfAborted()
    this.#state = 'starting'
    this.#host = host
    try {
      await this.#options.radio.start(
        {
          onSighting: (sighting) => this.#onSighting(sighting),
          onLink: (link) => {
            if (this.#state === 'running') this.#links.add(link, this.#maxLinks)
          },
          onDown: (error) => this.#onDown(error),
        },
        options,
      )
    } catch (cause) {
      this.#state = 'closed'
      if (!(cause instanceof BleError)) throw cause
      const code = cause.code === 'NO_ADAPTER' ? 'TRANSPORT_UNAVAILABLE' : 'TRANSPORT_CLOSED'
      throw new TransportError(code, cause.message, { cause, retryable: cause.retryable })
    }
    // closed meanwhile
    if ((this.#state as string) !== 'starting') throw new TransportError('TRANSPORT_CLOSED', 'closed while it started')
    this.#state = 'running'
    host.onListening([`${SCHEME}://${this.#core.nodeId}`])
    this.drive()
  }

  async dial(address: string, options: DialOptions): Promise<Connection> {
    const { signal, expected } = options
    if (this.#state !== 'running') throw new DialError('TRANSPORT_CLOSED', 'bitchat is not running')
    const node = parseNode(this, address)
    signal?.throwIfAborted()
    if (node === this.#core.nodeId) throw new DialError('IDENTITY_OWN', `${address} is ourselves`)
    if (expected !== undefined && expected !== node) {
      throw new DialError('IDENTITY_MISMATCH', `${address} is not ${expected}`)
    }
    const dial = this.#endpoint.dial(this.clock.now(), node)
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#endpoint.cancelDial(this.clock.now(), dial)
        this.#dialling.delete(dial)
        this.drive()
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const stopListening = (): void => signal?.removeEventListener('abort', onAbort)
      this.#dialling.set(dial, { resolve, reject, stopListening })
      this.drive()
    })
  }

  apply(policy: TransportPolicy): void {
    this.#policy = policy
    this.#endpoint.apply(policy)
    const perSecond = policy.maxBytesPerSecond
    this.#pace = Number.isFinite(perSecond)
      ? new TokenBucket(this.clock.now(), { perSecond, burst: Math.max(512, perSecond) })
      : undefined
    this.#planAt = this.clock.now()
    this.drive()
  }

  networkChanged(): void {
    for (const { session } of this.#connections) session.probe(this.clock.now())
    this.drive()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** {@link MeshConnectionOwner} */
  schedule(): void {
    if (this.#isDriving || this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.drive()
    })
  }

  /** Empties both cores into each other, the radio and the handlers, then arms the timer. */
  drive(): void {
    if (this.#isDriving || this.#state === 'closed') return
    this.#isDriving = true
    try {
      const now = this.clock.now()
      this.#tellTime(now)
      this.#serveDeadlines(now)
      while (this.#turn(now));
    } finally {
      this.#isDriving = false
    }
    this.#arm()
  }

  #turn(now: Millis): boolean {
    let isBusy = false
    for (let event; (event = this.#core.pollEvent()) !== undefined;) {
      isBusy = true
      this.#onMesh(now, event)
    }
    for (let event; (event = this.#endpoint.pollEvent()) !== undefined;) {
      isBusy = true
      this.#onEndpoint(event)
    }
    for (const connection of this.#connections) {
      if (connection.giveOut()) isBusy = true
      if (connection.isDown) this.#connections.delete(connection)
    }
    while (this.#core.queuedPackets < MAX_WAITING_PACKETS && this.#mayPace(now)) {
      const packet = this.#endpoint.pollPacket(now)
      if (packet === undefined) break
      isBusy = true
      this.#pace?.charge(now, packet.payload.length + 45)
      this.#core.send(now, packet)
    }
    for (let out; (out = this.#core.pollOutput(now)) !== undefined;) {
      isBusy = true
      this.#links.write(out.link, out.bytes)
    }
    return isBusy
  }

  #mayPace(now: Millis): boolean {
    return this.#pace === undefined || this.#pace.readyAt <= now
  }

  #onMesh(now: Millis, event: MeshEvent): void {
    switch (event.type) {
      case 'packet':
        return this.#endpoint.handlePacket(now, event.packet, event)
      case 'peer':
        return this.#endpoint.peerSeen(now, event.announcement.node)
      case 'link-abuse': {
        const device = this.#links.device(event.link)
        this.#components.log.warn('neighbour sends too much or forges', { device })
        if (device !== undefined) this.#finder.shun(now, device)
        return this.#links.close(event.link)
      }
      case 'broadcast':
      case 'peer-lost':
    }
  }

  #onEndpoint(event: EndpointEvent): void {
    if (event.type === 'accepted') {
      const connection = this.#connection(event.session, 'accepted')
      this.#host?.onConnection(connection)
      if (!connection.isAttached) connection.session.abort(this.clock.now())
      return
    }
    const dialling = this.#dialling.get(event.dial)
    this.#dialling.delete(event.dial)
    dialling?.stopListening()
    this.#metrics.dialled(event.type === 'dialled' ? 'OK' : event.error.code)
    if (event.type === 'dialled') dialling?.resolve(this.#connection(event.session, 'dialled'))
    else dialling?.reject(event.error)
  }

  #connection(session: MeshConnection['session'], direction: 'dialled' | 'accepted'): MeshConnection {
    const connection = new MeshConnection(this, session, direction)
    this.#connections.add(connection)
    return connection
  }

  #onSighting(sighting: BleSighting): void {
    const now = this.clock.now()
    if (this.#state !== 'running' || this.#connecting !== undefined) return
    if (!this.#finder.wants(now, sighting, this.#links.devices)) return
    const { device } = sighting
    this.#connecting = device
    this.#options.radio.connect(device, { signal: this.#stop.signal }).then(
      (link) => {
        this.#connecting = undefined
        if (this.#state !== 'running') return link.close()
        if (this.#links.add(link, this.#maxLinks)) this.#finder.connected(device)
        else this.#finder.failed(this.clock.now(), device)
      },
      (error: unknown) => {
        this.#connecting = undefined
        this.#finder.failed(this.clock.now(), device)
        this.#components.log.debug('no link to a device', { device, error })
      },
    )
  }

  #onDown(error: Error): void {
    if (this.#state !== 'running') return
    this.#components.log.error('bluetooth is down', { error })
    const now = this.clock.now()
    for (const session of this.#endpoint.sessions) session.abort(now)
    this.drive()
    void this.close()
    this.#host?.onDown(error)
  }

  #tellTime(now: Millis): void {
    const offset = this.clock.unixNow() - now
    if (this.#unixOffset !== undefined && Math.abs(offset - this.#unixOffset) < UNIX_STEP_MS) return
    this.#unixOffset = offset
    this.#core.handleUnixTime(offset)
  }

  #serveDeadlines(now: Millis): void {
    if (this.#state === 'running' && (this.#planAt <= now || this.#finder.renewAt <= now)) this.#replan(now)
    const coreAt = this.#core.nextTimeout()
    if (coreAt !== undefined && coreAt <= now) this.#core.handleTimeout(now)
    const endpointAt = this.#endpoint.nextTimeout()
    if (endpointAt !== undefined && endpointAt <= now) this.#endpoint.handleTimeout(now)
  }

  /** Windows and intervals for what there is to do and what there is to do it with. */
  #replan(now: Millis): void {
    const { radio, battery } = this.#options
    const { transmitted } = this.#core.counters
    const input = {
      batteryLevel: undefined,
      isCharging: false,
      ...battery?.(),
      packetsPerSecond: ((transmitted - this.#packetsAtPlan) * 1000) / PLAN_INTERVAL_MS,
      links: this.#links.size,
      policy: this.#policy ?? { dutyCycle: 1 },
    }
    const before = this.#planned
    const plan = this.#plan(input, before)
    this.#planned = plan
    this.#packetsAtPlan = transmitted
    this.#planAt = now + PLAN_INTERVAL_MS
    if (
      plan.scanning?.windowMs !== before?.scanning?.windowMs ||
      plan.scanning?.intervalMs !== before?.scanning?.intervalMs
    ) {
      radio.scan(plan.scanning)
    }
    if (this.#finder.renew(now) || plan.advertiseIntervalMs !== before?.advertiseIntervalMs) {
      radio.advertise({ payload: this.#finder.payload, intervalMs: plan.advertiseIntervalMs })
    }
    if (
      plan.announceIntervalMs !== before?.announceIntervalMs &&
      this.#options.mesh?.announceIntervalMs === undefined
    ) {
      this.#core.setAnnounceInterval(now, plan.announceIntervalMs)
    }
    this.#metrics.gauge('links', this.#links.size)
    this.#metrics.gauge('connections', this.#connections.size)
    this.#metrics.gauge('peers', [...this.#core.peers].length)
    this.#metrics.gauge('stored', this.#core.stored.packets)
    this.#metrics.counters(this.#core.counters)
  }

  #arm(): void {
    this.#timer?.clear()
    this.#timer = undefined
    if (this.#state === 'closed' || this.#state === 'new') return
    if (this.#state === 'closing' && this.#core.isFlushed && !this.#links.isBusy) this.#flushed?.()
    const now = this.clock.now()
    let at = Math.min(this.#planAt, this.#finder.renewAt)
    if (this.#state === 'closing') at = now + FLUSH_MS
    at = Math.min(at, this.#core.nextTimeout() ?? at)
    // packets that have to wait for the links go out when those have room
    const endpointAt = this.#endpoint.nextTimeout() ?? at
    if (endpointAt > now || this.#core.queuedPackets < MAX_WAITING_PACKETS) at = Math.min(at, endpointAt)
    if (!this.#mayPace(now)) at = Math.min(at, this.#pace?.readyAt ?? at)
    this.#timer = this.clock.setTimeout(() => this.drive(), Math.max(0, at - now))
  }

  async #close(): Promise<void> {
    const wasRunning = this.#state === 'running'
    this.#state = 'closing'
    this.#stop.abort(new DialError('TRANSPORT_CLOSED', 'bitchat was closed'))
    for (const [dial, { reject, stopListening }] of this.#dialling) {
      this.#endpoint.cancelDial(this.clock.now(), dial)
      stopListening()
      reject(new DialError('TRANSPORT_CLOSED', 'bitchat was closed'))
    }
    this.#dialling.clear()
    if (wasRunning) {
      await Promise.all([...this.#connections].map((connection) => connection.close()))
      await this.#flush()
    }
    this.#state = 'closed'
    this.#timer?.clear()
    this.#timer = undefined
    await this.#options.radio.close()
  }

  /** Until the last goodbye has left, or the time for it is over. */
  #flush(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.setTimeout(() => this.#flushed?.(), FLUSH_MS)
      this.#flushed = () => {
        this.#flushed = undefined
        timer.clear()
        resolve()
      }
      this.drive()
    })
  }
}

/** @throws DialError for another scheme, and for an address without a node id. */
function parseNode(transport: BitchatTransport, address: string): NodeId {
  const { nodeId, host } = parseDialAddress(transport, address)
  if (nodeId !== undefined && host === '') return nodeId
  throw new DialError('ADDRESS_INVALID', `"${address.slice(0, 80)}": ${SCHEME}://<node id>`)
}
