import {
  ArgumentError,
  type Bytes,
  type Clock,
  type Connection,
  type ConnectionHandler,
  type ConnectionStats,
  type PacketInfo,
  type Path,
  type PeerIdentity,
  type SendOptions,
  type SendResult,
} from '@aiv/transport-api'
import { MAX_DATAGRAM_BYTES, type MeshSession, type MeshSessionEvent, UNSEGMENTED_BYTES } from './mesh-session.js'

/** Whoever made the connection. */
export interface MeshConnectionOwner {
  readonly name: string
  readonly clock: Clock
  readonly maxPacketBytes: number
  /** Something has to be sent or told: now, or at the end of the turn. */
  drive(): void
  schedule(): void
}

const reliable: PacketInfo = Object.freeze({ delivery: 'reliable', early: false })
const datagram: PacketInfo = Object.freeze({ delivery: 'datagram', early: false })

/** What an application holds of a {@link MeshSession}: it passes on, and decides nothing. */
export class MeshConnection implements Connection {
  readonly transport: string
  readonly session: MeshSession
  readonly #owner: MeshConnectionOwner
  #path: Path
  #handler: ConnectionHandler | undefined
  #isAborted = false
  #isPaused = false
  #isDown = false
  #onceDown: (() => void)[] = []

  constructor(
    owner: MeshConnectionOwner,
    session: MeshSession,
    readonly direction: 'dialled' | 'accepted',
  ) {
    this.transport = owner.name
    this.session = session
    this.#owner = owner
    this.#path = pathOf(owner.maxPacketBytes, session.hops)
    session.pause() // until somebody reads
  }

  get remote(): PeerIdentity {
    return this.session.remote
  }

  get path(): Path {
    return this.#path
  }

  get isAttached(): boolean {
    return this.#handler !== undefined
  }

  /** The last event has been told, or there is nobody to tell. */
  get isDown(): boolean {
    return this.#isDown
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new ArgumentError('a connection takes one handler')
    this.#handler = handler
    if (!this.#isPaused) this.session.resume()
    // one that is down is not driven any more
    if (this.#isDown) queueMicrotask(() => this.giveOut())
    else this.#owner.schedule()
  }

  send(packet: Bytes, options: SendOptions): SendResult {
    const result = this.session.send(this.#owner.clock.now(), packet, options)
    this.#owner.schedule()
    return result
  }

  pause(): void {
    this.#isPaused = true
    this.session.pause()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#handler !== undefined) this.session.resume()
    this.#owner.schedule()
  }

  probe(): void {
    this.session.probe(this.#owner.clock.now())
    this.#owner.schedule()
  }

  stats(): ConnectionStats {
    return this.session.stats()
  }

  close(options?: { readonly code: number; readonly reason: string }): Promise<void> {
    if (this.#isDown) return Promise.resolve()
    this.session.close(this.#owner.clock.now(), options?.code, options?.reason)
    const down = new Promise<void>((resolve) => this.#onceDown.push(resolve))
    this.#owner.drive()
    return down
  }

  abort(_error: Error): void {
    if (this.#isDown || this.session.isClosed) return
    this.#isAborted = true
    this.session.abort(this.#owner.clock.now())
    this.#owner.drive()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Tells what happened. True when there was something. Without a handler only the end is noticed. */
  giveOut(): boolean {
    if (this.#handler === undefined) {
      // its events wait for a handler; who closes it does not
      if (this.session.isClosed) this.#settleDown()
      return false
    }
    let told = false
    for (let event; (event = this.session.pollEvent()) !== undefined;) {
      told = true
      this.#deliver(this.#handler, event)
    }
    return told
  }

  #deliver(handler: ConnectionHandler, event: MeshSessionEvent): void {
    switch (event.type) {
      case 'packet':
        // what came together with the packet that made its receiver give up
        if (this.#isAborted) return
        return handler.onPacket(event.bytes, event.delivery === 'reliable' ? reliable : datagram)
      case 'drain':
        return handler.onDrain(event.lowest)
      case 'sent':
        return handler.onSent?.(event.tag)
      case 'dropped':
        return handler.onDropped?.(event.tag, event.code)
      case 'liveness':
        return handler.onLiveness?.(event.state)
      case 'hops':
        this.#path = pathOf(this.#owner.maxPacketBytes, event.hops)
        return handler.onPath?.(this.#path, 'hops')
      case 'closed':
        handler.onClosed(event.reason)
        return this.#settleDown()
    }
  }

  #settleDown(): void {
    this.#isDown = true
    const waiting = this.#onceDown
    this.#onceDown = []
    for (const resolve of waiting) resolve()
  }
}

function pathOf(maxPacketBytes: number, hops: number): Path {
  return Object.freeze({
    hops,
    maxPacketBytes,
    unsegmentedBytes: UNSEGMENTED_BYTES,
    maxDatagramBytes: MAX_DATAGRAM_BYTES,
    metered: false,
    local: undefined,
    remote: undefined,
  })
}
