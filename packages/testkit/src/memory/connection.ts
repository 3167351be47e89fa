import {
  AivError,
  ArgumentError,
  type Bytes,
  type Clock,
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type ConnectionStats,
  type Millis,
  type Path,
  type PeerIdentity,
  Priority,
  type SendOptions,
  type SendResult,
  type Timer,
  byteLength,
  priorities,
} from '@aiv/transport-api'
import { CONTROL_BYTES, type Frame, PACKET_OVERHEAD_BYTES, type Wire } from './frames.js'
import type { CompleteMemoryOptions } from './options.js'

/** An emergency packet goes although the window is full, up to this much over it. */
const EMERGENCY_CREDIT_BYTES = 64 * 1024
/** Shortest and longest time without an answer after which a connection is suspect; between them 3 round trips. */
const SUSPECT_MIN_MS = 200
const SUSPECT_MAX_MS = 2_000
/** A probe is sent this often before it says `suspect`, since one of them may be lost by chance. */
const PINGS_PER_PROBE = 3
/** Gains of RFC 6298. */
const RTT_GAIN = 1 / 8
const VARIANCE_GAIN = 1 / 4

/** What a connection needs of the transport that it belongs to. */
export interface ConnectionOwner {
  readonly options: CompleteMemoryOptions
  readonly clock: Clock
  /** The policy's, or the option's. */
  keepAliveIntervalMs(): number
  /** How long the transport's rate makes `bytes` more wait, in ms; when that is 0 they are counted as sent. */
  pacedForMs(bytes: number): number
  forget(connection: MemoryConnection): void
}

interface Queued {
  readonly bytes: Uint8Array
  readonly options: SendOptions
}

/** One end of a connection between two memory transports. */
export class MemoryConnection implements Connection {
  readonly remote: PeerIdentity
  readonly transport: string
  readonly direction: 'dialled' | 'accepted'
  readonly path: Path
  readonly id: number

  readonly #owner: ConnectionOwner
  readonly #wire: Wire
  readonly #queues: readonly [Queued[], Queued[], Queued[], Queued[]] = [[], [], [], []]
  readonly #queuedBytes: [number, number, number, number] = [0, 0, 0, 0]
  /** Priorities that were told `full` and not drained since. */
  readonly #full = [false, false, false, false]
  /** Came and could not be given out yet: paused, or not attached. Bounded by the other side's credit. */
  readonly #inbox: (Frame & { type: 'packet' })[] = []
  /** Calls of the handler that wait for their turn. */
  #calls: (() => void)[] = []
  #calling = false
  #handler: ConnectionHandler | undefined
  #paused = false
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closeSent = false
  #reason: CloseReason | undefined
  #isClosedTold = false
  readonly #down: Promise<void>
  #setDown: () => void = () => undefined
  #closeTimer: Timer | undefined
  #pumpTimer: Timer | undefined
  #expiryTimer: Timer | undefined
  #liveTimer: Timer | undefined
  #unconfirmed = 0
  #sentBytes = 0
  #receivedBytes = 0
  #lastHeardAt: Millis
  #suspect = false
  /** Since when an answer is owed; `undefined`: nothing is asked. */
  #probedAt: Millis | undefined
  #pingedAt: Millis = Number.NEGATIVE_INFINITY
  #pings = 0
  /** Packets went out since the last ping: whether they arrive is asked soon, but not for each of them. */
  #unasked = false
  /** An answer is to be told even when nothing changed. */
  #answerWanted = false
  #rtt: number | undefined
  #rttVariance = 0

  constructor(
    owner: ConnectionOwner,
    wire: Wire,
    details: {
      readonly id: number
      readonly remote: PeerIdentity
      readonly direction: 'dialled' | 'accepted'
      readonly local: string
      readonly remoteAddress: string
      readonly rttMs: number | undefined
    },
  ) {
    this.#owner = owner
    this.#wire = wire
    this.id = details.id
    this.remote = details.remote
    this.direction = details.direction
    this.transport = owner.options.name
    this.path = Object.freeze({
      hops: 1,
      maxPacketBytes: owner.options.maxPacketBytes,
      unsegmentedBytes: owner.options.maxPacketBytes,
      maxDatagramBytes: owner.options.maxDatagramBytes,
      metered: false,
      local: details.local,
      remote: details.remoteAddress,
    })
    this.#lastHeardAt = owner.clock.now()
    if (details.rttMs !== undefined) this.#measured(details.rttMs)
    this.#down = new Promise((resolve) => {
      this.#setDown = resolve
    })
    // the other end exists once our confirmation arrives: pings say it again until something comes back
    this.#unasked = details.direction === 'dialled'
    this.#armLiveness()
  }

  get isAttached(): boolean {
    return this.#handler !== undefined
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new ArgumentError('attach() is called once')
    this.#handler = handler
    queueMicrotask(() => {
      this.#flush()
      this.#tellClosed()
    })
  }

  send(packet: Bytes, options: SendOptions): SendResult {
    const { maxPacketBytes, maxDatagramBytes, maxQueuedBytes } = this.#owner.options
    if (!priorities.includes(options.priority)) throw new ArgumentError(`priority ${String(options.priority)}`)
    if (this.#state !== 'open') return 'closed'
    const size = byteLength(packet)
    const limit = options.delivery === 'datagram' && maxDatagramBytes > 0 ? maxDatagramBytes : maxPacketBytes
    if (size > limit) return 'too-large'
    const { priority } = options
    const queue = this.#queues[priority]
    if (queue.length > 0 && this.#queuedBytes[priority] + size + PACKET_OVERHEAD_BYTES > maxQueuedBytes) {
      this.#full[priority] = true
      return 'full'
    }
    queue.push({ bytes: copy(packet, size), options })
    this.#queuedBytes[priority] += size + PACKET_OVERHEAD_BYTES
    if (options.expiresAt !== undefined) this.#armExpiry()
    this.#pump()
    this.#flush()
    return 'accepted'
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#flush()
  }

  probe(): void {
    if (this.#state === 'closed') return
    this.#answerWanted = true
    if (this.#probedAt === undefined) this.#ask()
  }

  stats(): ConnectionStats {
    const [emergency, high, normal, low] = this.#queuedBytes
    return {
      rttMs: this.#rtt,
      rttVarianceMs: this.#rtt === undefined ? undefined : this.#rttVariance,
      lossRatio: undefined,
      deliveryBytesPerSecond: undefined,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      onAirBytes: this.#sentBytes,
      queuedBytes: [emergency, high, normal, low],
      unconfirmedBytes: this.#unconfirmed,
      lastHeardAt: this.#lastHeardAt,
    }
  }

  close(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing'
      const { closeTimeoutMs } = this.#owner.options
      this.#closeTimer = this.#owner.clock.setTimeout(() => this.#finish(closedHere), closeTimeoutMs)
      this.#pump()
      this.#flush()
    }
    return this.#down
  }

  abort(error: Error): void {
    if (this.#state === 'closed') return
    this.#control({ type: 'reset', id: this.id })
    const code = error instanceof AivError ? String(error.code) : 'ABORTED'
    this.#finish({ by: 'local', code, retryable: false })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The transport's, when the network carried a frame of this connection here. */
  handleFrame(frame: Frame): void {
    if (this.#state === 'closed') return
    this.#heard()
    switch (frame.type) {
      case 'packet':
        this.#inbox.push(frame)
        break
      case 'ping':
        this.#control({ type: 'pong', id: this.id, sentAt: frame.sentAt })
        break
      case 'pong':
        this.#measured(this.#owner.clock.now() - frame.sentAt)
        break
      case 'close':
        // what is here already is given out, whether it is paused or not: nothing comes after this
        this.#paused = false
        this.#flush()
        this.#control({ type: 'closed', id: this.id })
        this.#finish(this.#state === 'closing' ? closedHere : { by: 'remote', code: 'CLOSED', retryable: true })
        break
      case 'closed':
        this.#finish(closedHere)
        break
      case 'reset':
        this.lose('CONNECTION_RESET')
        break
    }
    this.#flush()
  }

  /** The other side, or the way to it, is gone. */
  lose(code: string): void {
    this.#finish({ by: 'lost', code, retryable: true })
  }

  /** Hands packets to the link while credit, the link and the transport's rate allow it. */
  #pump(): void {
    if (this.#state === 'closed' || this.#pumpTimer !== undefined) return
    for (;;) {
      const priority = priorities.find((candidate) => this.#queues[candidate].length > 0)
      const next = priority === undefined ? undefined : this.#queues[priority][0]
      if (priority === undefined || next === undefined) break
      if (isExpired(next, this.#owner.clock.now())) {
        this.#drop(priority, 'EXPIRED')
        continue
      }
      const size = next.bytes.length + PACKET_OVERHEAD_BYTES
      const allowed = this.#owner.options.windowBytes + (priority === Priority.Emergency ? EMERGENCY_CREDIT_BYTES : 0)
      if (this.#unconfirmed > 0 && this.#unconfirmed + size > allowed) return
      let waitMs = this.#wire.busyForMs()
      if (waitMs <= 0) waitMs = this.#owner.pacedForMs(size)
      if (waitMs > 0) return this.#pumpIn(waitMs)
      this.#takeFirst(priority)
      this.#transmit(next, size)
    }
    if (this.#state === 'closing' && !this.#closeSent) {
      this.#closeSent = true
      this.#control({ type: 'close', id: this.id })
    }
  }

  #transmit({ bytes, options }: Queued, size: number): void {
    this.#unconfirmed += size
    this.#sentBytes += size
    let isTaken = false
    const taken = (): void => {
      if (isTaken) return
      isTaken = true
      this.#unconfirmed -= size
      // not at once: this is called at the other node, and ours may be asleep
      const isWaiting = this.#state !== 'closed' && this.#queues.some((queue) => queue.length > 0)
      if (isWaiting && this.#pumpTimer === undefined) this.#pumpIn(0)
    }
    // credit of what the network lost comes back too: it is repaired above, and must not stop this connection for good
    this.#wire.send({ type: 'packet', id: this.id, bytes, delivery: options.delivery, taken }, size, taken)
    const { tag } = options
    if (tag !== undefined) this.#call((handler) => handler.onSent?.(tag))
    if (this.#probedAt === undefined && !this.#unasked) {
      this.#unasked = true
      this.#armLiveness()
    }
  }

  #pumpIn(delayMs: number): void {
    this.#pumpTimer = this.#owner.clock.setTimeout(() => {
      this.#pumpTimer = undefined
      this.#pump()
      this.#flush()
    }, delayMs)
  }

  /** Gives the next packet out; false when there is none or it must wait. */
  #giveOut(): boolean {
    const handler = this.#handler
    if (handler === undefined || this.#paused) return false
    const frame = this.#inbox.shift()
    if (frame === undefined) return false
    const { bytes, delivery } = frame
    this.#receivedBytes += bytes.length + PACKET_OVERHEAD_BYTES
    // a copy, since a duplicate may come with the same bytes and each is the receiver's own
    handler.onPacket(bytes.slice(), { delivery, early: false })
    frame.taken()
    return true
  }

  #takeFirst(priority: Priority): void {
    const first = this.#queues[priority].shift()
    if (first !== undefined) this.#left(priority, first)
  }

  #left(priority: Priority, { bytes }: Queued): void {
    this.#queuedBytes[priority] -= bytes.length + PACKET_OVERHEAD_BYTES
    // half empty, so that a sender is not woken for every single packet
    const enough = this.#owner.options.maxQueuedBytes / 2
    const crowded = priorities.find((candidate) => this.#queuedBytes[candidate] > enough) ?? priorities.length
    if (crowded <= this.#full.indexOf(true)) return
    const lowest = (crowded - 1) as Priority
    if (!this.#full.includes(true) || lowest < 0) return
    this.#full.fill(false, 0, crowded)
    this.#call((handler) => handler.onDrain(lowest))
  }

  #drop(priority: Priority, code: string): void {
    const first = this.#queues[priority][0]
    this.#takeFirst(priority)
    const tag = first?.options.tag
    if (tag !== undefined) this.#call((handler) => handler.onDropped?.(tag, code))
  }

  /** Drops what has expired anywhere in the queues, and sets the timer for what will. */
  #armExpiry(): void {
    this.#expiryTimer?.clear()
    this.#expiryTimer = undefined
    const now = this.#owner.clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const priority of priorities) {
      const queue = this.#queues[priority]
      for (let at = 0; at < queue.length;) {
        const queued = queue[at] as Queued
        if (isExpired(queued, now)) {
          queue.splice(at, 1)
          this.#left(priority, queued)
          const { tag } = queued.options
          if (tag !== undefined) this.#call((handler) => handler.onDropped?.(tag, 'EXPIRED'))
        } else {
          next = Math.min(next, queued.options.expiresAt ?? next)
          at++
        }
      }
    }
    if (next === Number.POSITIVE_INFINITY) return
    this.#expiryTimer = this.#owner.clock.setTimeout(() => {
      this.#armExpiry()
      this.#pump()
      this.#flush()
    }, next - now)
  }

  #heard(): void {
    this.#lastHeardAt = this.#owner.clock.now()
    this.#probedAt = undefined
    const isNews = this.#suspect || this.#answerWanted
    this.#suspect = false
    this.#answerWanted = false
    this.#armLiveness()
    if (isNews) this.#call((handler) => handler.onLiveness?.('alive'))
  }

  /** Is the other side there? The first ping goes now, the others while nothing is heard. */
  #ask(): void {
    this.#probedAt = this.#owner.clock.now()
    this.#unasked = false
    this.#pings = 0
    this.#ping()
    this.#armLiveness()
  }

  #ping(): void {
    this.#pings++
    this.#pingedAt = this.#owner.clock.now()
    this.#control({ type: 'ping', id: this.id, sentAt: this.#pingedAt })
  }

  #suspectAfterMs(): number {
    return Math.min(SUSPECT_MAX_MS, Math.max(SUSPECT_MIN_MS, 3 * (this.#rtt ?? 0)))
  }

  /** One timer for everything that silence leads to: keep-alive, repeated ping, suspicion, the end. */
  #armLiveness(): void {
    this.#liveTimer?.clear()
    if (this.#state === 'closed') return
    const { idleTimeoutMs } = this.#owner.options
    const now = this.#owner.clock.now()
    let at = this.#lastHeardAt + idleTimeoutMs
    if (this.#probedAt !== undefined) at = Math.min(at, this.#nextPingAt())
    else if (this.#unasked) at = Math.min(at, this.#pingedAt + this.#suspectAfterMs())
    else at = Math.min(at, this.#lastHeardAt + this.#owner.keepAliveIntervalMs())
    this.#liveTimer = this.#owner.clock.setTimeout(() => this.#onSilence(), Math.max(0, at - now))
  }

  /** While a probe is open: its next ping, or the moment at which there were enough of them. */
  #nextPingAt(): Millis {
    const share = this.#suspect ? 1 : 1 / PINGS_PER_PROBE
    return this.#pingedAt + this.#suspectAfterMs() * share
  }

  #onSilence(): void {
    const now = this.#owner.clock.now()
    if (now >= this.#lastHeardAt + this.#owner.options.idleTimeoutMs) {
      this.lose('IDLE_TIMEOUT')
    } else if (this.#probedAt === undefined) {
      this.#ask()
    } else if (now >= this.#nextPingAt()) {
      if (this.#pings >= PINGS_PER_PROBE && !this.#suspect) {
        this.#suspect = true
        this.#call((handler) => handler.onLiveness?.('suspect'))
      }
      this.#ping()
    }
    this.#armLiveness()
    this.#flush()
  }

  #measured(sampleMs: number): void {
    if (this.#rtt === undefined) {
      this.#rtt = sampleMs
      this.#rttVariance = sampleMs / 2
    } else {
      this.#rttVariance += VARIANCE_GAIN * (Math.abs(this.#rtt - sampleMs) - this.#rttVariance)
      this.#rtt += RTT_GAIN * (sampleMs - this.#rtt)
    }
  }

  #control(frame: Frame): void {
    this.#sentBytes += CONTROL_BYTES
    this.#wire.send(frame, CONTROL_BYTES)
  }

  #finish(reason: CloseReason): void {
    if (this.#state === 'closed') return
    for (const priority of priorities) {
      // nobody is told to go on: the connection is down when the calls are made
      this.#full[priority] = false
      while (this.#queues[priority].length > 0) this.#drop(priority, reason.code)
    }
    this.#state = 'closed'
    this.#reason = reason
    for (const timer of [this.#closeTimer, this.#pumpTimer, this.#expiryTimer, this.#liveTimer]) timer?.clear()
    this.#owner.forget(this)
    this.#flush()
    this.#tellClosed()
    this.#setDown()
  }

  /** Once, when there is somebody to tell, after everything else that is told. */
  #tellClosed(): void {
    const [handler, reason] = [this.#handler, this.#reason]
    if (handler === undefined || reason === undefined || this.#isClosedTold || this.#calling) return
    this.#isClosedTold = true
    handler.onClosed(reason)
  }

  #call(call: (handler: ConnectionHandler) => void): void {
    const handler = this.#handler
    if (handler !== undefined) this.#calls.push(() => call(handler))
  }

  /** Makes the calls that are due, in order; calls that come of them join the end. */
  #flush(): void {
    if (this.#calling) return
    this.#calling = true
    try {
      for (;;) {
        const call = this.#calls.shift()
        if (call !== undefined) call()
        else if (!this.#giveOut()) break
      }
    } finally {
      this.#calling = false
    }
    this.#tellClosed()
  }
}

const closedHere: CloseReason = Object.freeze({ by: 'local', code: 'CLOSED', retryable: false })

function isExpired({ options }: Queued, now: Millis): boolean {
  return options.expiresAt !== undefined && options.expiresAt <= now
}

/** A copy, so that what a caller changes against the rules is not also changed here. */
function copy(packet: Bytes, size: number): Uint8Array {
  const out = new Uint8Array(size)
  let offset = 0
  for (const piece of packet instanceof Uint8Array ? [packet] : packet) {
    out.set(piece, offset)
    offset += piece.length
  }
  return out
}
