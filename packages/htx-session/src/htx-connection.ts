import {
  type AivError,
  ArgumentError,
  type Bytes,
  type Clock,
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type ConnectionStats,
  type Millis,
  type PacketInfo,
  type Path,
  type PeerIdentity,
  type SendOptions,
  type SendResult,
  type Timer,
} from '@aiv/transport-api'
import type { HtxLink } from './htx-link.js'
import type { HtxSession } from './session-core.js'
import type { HtxSessionEvent } from './session-events.js'

/** What an {@link HtxConnection} is made of. */
export interface HtxConnectionParts {
  /** `Transport.name`. */
  readonly transport: string
  readonly direction: 'dialled' | 'accepted'
  readonly session: HtxSession
  /** Dialled: handed out as soon as it starts where the session has {@link HtxSession.earlyRemote}. */
  readonly early: boolean
  readonly link: HtxLink
  readonly clock: Clock
  readonly path: Path
  readonly owner: HtxConnectionOwner
}

/** Whoever made the connection; told what happens before anybody is attached, and when all is over. */
export interface HtxConnectionOwner {
  /**
   * Both sides are proven, or a dial is early: the connection may be handed out. Not called when the handshake failed
   * before.
   */
  onEstablished(connection: HtxConnection): void
  /** An early one is no longer. */
  onConfirmed?(connection: HtxConnection): void
  /** It closed, before or after it was established. `error` says more where there is more to say. */
  onClosed(connection: HtxConnection, reason: CloseReason, error: AivError | undefined): void
  /** The link is gone as well; the last call. */
  onDown(connection: HtxConnection): void
}

/** How long a link may take to send its last bytes and to close, in ms; then it is cut. docs/wire/htx-session.md, CLOSE. */
export const LINK_CLOSE_TIMEOUT_MS = 2000

/** What follows it runs at the end of the turn. Node's queueMicrotask() makes an AsyncResource for each call. */
const turnEnd = Promise.resolve()

const reliable: PacketInfo = Object.freeze({ delivery: 'reliable', early: false })

/**
 * The shell around one {@link HtxSession}: moves bytes between it and one {@link HtxLink}, keeps its one timer, and
 * tells its events. It decides nothing.
 *
 * After anything that touched the session, {@link HtxConnection.#drive} gives out all events, then writes until the
 * link is full, until neither has anything left. Calls from within a callback find that loop running and leave the rest
 * to it; calls from outside schedule one such run at the end of the current turn, which is what gathers small messages
 * into one frame. No promise, closure or timer is made per packet.
 */
export class HtxConnection implements Connection {
  readonly transport: string
  readonly direction: 'dialled' | 'accepted'
  readonly path: Path
  readonly #session: HtxSession
  readonly #link: HtxLink
  readonly #clock: Clock
  readonly #owner: HtxConnectionOwner
  #remote: PeerIdentity | undefined
  #early: boolean
  #handler: ConnectionHandler | undefined
  /** Events that nobody is attached for; bounded, since the link is paused meanwhile. */
  #held: HtxSessionEvent[] = []
  #driving = false
  #scheduled = false
  #writable = true
  /** Whoever waited for room was told. It may be a promise that waits: nothing is written before the turn's end. */
  #drained = false
  #reading = true
  /** The session has nothing more to say but its last bytes. */
  #closed = false
  #ended = false
  #down = false
  #aborted = false
  /** When the present run of {@link #drive}, or the turn that scheduled one, began. */
  #turnAt: Millis = NaN
  #timer: Timer | undefined
  #timerAt: Millis = NaN
  #linkTimer: Timer | undefined
  #onceDown: (() => void)[] = []

  constructor(parts: HtxConnectionParts) {
    this.transport = parts.transport
    this.direction = parts.direction
    this.path = parts.path
    this.#session = parts.session
    this.#early = parts.early
    this.#link = parts.link
    this.#clock = parts.clock
    this.#owner = parts.owner
  }

  /** Begins the handshake. Once, by whoever made the connection. */
  start(): void {
    this.#link.attach({
      onInput: (bytes) => {
        if (this.#closed) return
        const now = this.#clock.now()
        try {
          if (!this.#session.handleInput(now, bytes)) return
        } catch (error) {
          // A mistake of ours, which bytes of somebody else's have found: it costs this connection and not the process
          return this.abort(error instanceof Error ? error : new Error(String(error)))
        }
        this.#drive(now)
      },
      onWritable: () => {
        this.#writable = true
        this.#drive()
      },
      onClosed: () => this.#onLinkClosed(),
    })
    if (this.#early) this.#remote = this.#session.earlyRemote
    this.#early = this.#remote !== undefined
    if (this.#early) this.#owner.onEstablished(this)
    this.#drive()
  }

  get early(): boolean {
    return this.#early
  }

  /** Who is there. @throws ArgumentError before the handshake has ended; a connection is not handed out before it. */
  get remote(): PeerIdentity {
    if (this.#remote === undefined) throw new ArgumentError('the handshake has not ended: nobody is proven yet')
    return this.#remote
  }

  /** True once somebody called {@link attach}. */
  get attached(): boolean {
    return this.#handler !== undefined
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new ArgumentError('a connection takes one handler')
    this.#handler = handler
    this.#schedule()
  }

  send(packet: Bytes, options: SendOptions): SendResult {
    // One look at the clock a turn: for small messages it would be a tenth of what they cost
    this.#schedule()
    return this.#session.send(this.#turnAt, packet, options)
  }

  pause(): void {
    this.#session.pause()
  }

  resume(): void {
    this.#session.resume(this.#clock.now())
    this.#schedule()
  }

  probe(): void {
    this.#session.probe(this.#clock.now())
    this.#schedule()
  }

  stats(): ConnectionStats {
    return this.#session.stats(this.#clock.now())
  }

  close(options?: { readonly code: number; readonly reason: string }): Promise<void> {
    if (this.#down) return Promise.resolve()
    this.#session.close(this.#clock.now(), options?.code, options?.reason)
    const down = new Promise<void>((resolve) => this.#onceDown.push(resolve))
    this.#drive()
    return down
  }

  abort(error: Error): void {
    if (this.#down) return
    this.#aborted = true
    this.#session.abort(this.#clock.now(), error)
    // Whoever is told of the end finds the link gone already, also when this is called from a handler
    this.#ended = true
    this.#link.destroy()
    this.#drive()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #schedule(): void {
    if (this.#driving || this.#scheduled) return
    this.#scheduled = true
    this.#turnAt = this.#clock.now()
    void turnEnd.then(this.#flush)
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    this.#drained = false
    try {
      this.#drive()
    } catch (error) {
      // what a handler throws is an uncaught exception wherever it is called, not here a rejection
      queueMicrotask(() => {
        throw error
      })
    }
  }

  /** Empties the session into the handler and the link, then re-arms the timer. */
  #drive(now = this.#clock.now()): void {
    if (this.#driving) return
    this.#driving = true
    this.#turnAt = now
    try {
      do this.#giveOutEvents()
      while (!this.#drained && this.#writeOutput(now))
    } finally {
      this.#driving = false
      // events are left where a handler has thrown
      if (this.#drained || this.#session.hasEvents) this.#schedule()
      this.#settleLink()
      this.#arm()
    }
  }

  /** Events first: what their handlers send then goes out together. */
  #giveOutEvents(): void {
    if (this.#handler !== undefined && this.#held.length > 0) {
      const held = this.#held
      this.#held = []
      for (const event of held) this.#deliver(this.#handler, event)
    }
    while (this.#session.hasEvents) {
      if (this.#handler !== undefined) this.#session.takePackets(this.#handler, reliable)
      const event = this.#session.pollEvent()
      if (event === undefined) return
      if (event.type === 'established' && !this.#early) {
        this.#remote = event.remote
        this.#early = event.early
        this.#owner.onEstablished(this)
        continue
      }
      if (event.type === 'established' || event.type === 'confirmed') {
        this.#early = false
        this.#owner.onConfirmed?.(this)
      }
      if (event.type === 'closed') {
        this.#closed = true
        this.#owner.onClosed(this, event.reason, event.error)
      }
      if (this.#handler === undefined) this.#held.push(event)
      else this.#deliver(this.#handler, event)
    }
  }

  #deliver(handler: ConnectionHandler, event: HtxSessionEvent): void {
    switch (event.type) {
      case 'packet':
        // What came together with the packet that made its receiver give up
        if (this.#aborted) return
        return handler.onPacket(event.bytes, reliable)
      case 'drain':
        this.#drained = true
        return handler.onDrain(event.lowest)
      case 'sent':
        return handler.onSent?.(event.tag)
      case 'dropped':
        return handler.onDropped?.(event.tag, event.code)
      case 'liveness':
        return handler.onLiveness?.(event.state)
      case 'closed':
        return handler.onClosed(event.reason)
      // of an early connection only
      case 'established':
      case 'confirmed':
        return handler.onEstablished?.()
    }
  }

  /** True when there are more events: polling may make some, with bytes or without. */
  #writeOutput(now: Millis): boolean {
    while (this.#writable && !this.#ended) {
      const pieces = this.#session.pollOutput(now)
      if (pieces !== undefined) this.#writable = this.#link.write(pieces)
      if (pieces === undefined || this.#session.hasEvents) break
    }
    return this.#session.hasEvents
  }

  /** Lets the link read when somebody takes what comes, and closes it behind the last byte. */
  #settleLink(): void {
    if (this.#down) return
    if (this.#closed && this.#writable && !this.#ended) {
      this.#ended = true
      this.#link.end()
    }
    if (this.#closed && this.#linkTimer === undefined && !this.#down) {
      this.#linkTimer = this.#clock.setTimeout(() => this.#link.destroy(), LINK_CLOSE_TIMEOUT_MS)
    }
    // A closed session still lets the link read, or the other side's end would not be seen
    const wanted = this.#closed || (this.#session.wantsInput && (this.#remote === undefined || this.attached))
    if (wanted === this.#reading) return
    this.#reading = wanted
    if (wanted) this.#link.resume()
    else this.#link.pause()
  }

  /** A timer that is due too early is left alone: it looks again when it runs. Deadlines move later with every packet. */
  #arm(): void {
    const at = this.#session.nextTimeout()
    if (at === undefined || this.#down) {
      this.#timer?.clear()
      this.#timer = undefined
      return
    }
    if (this.#timer !== undefined) {
      if (this.#timerAt <= at) return
      this.#timer.clear()
    }
    this.#timerAt = at
    // whole milliseconds: Node keeps a list of timers for each duration that occurs
    this.#timer = this.#clock.setTimeout(this.#onTimer, Math.max(0, Math.ceil(at - this.#clock.now())))
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    const now = this.#clock.now()
    const at = this.#session.nextTimeout()
    if (at !== undefined && at <= now) this.#session.handleTimeout(now)
    this.#drive(now)
  }

  #onLinkClosed(): void {
    if (this.#down) return
    this.#ended = true
    if (!this.#closed) this.#session.handleEnd(this.#clock.now())
    this.#drive()
    this.#down = true
    this.#linkTimer?.clear()
    this.#timer?.clear()
    this.#timer = undefined
    this.#owner.onDown(this)
    const waiting = this.#onceDown
    this.#onceDown = []
    for (const resolve of waiting) resolve()
  }
}
