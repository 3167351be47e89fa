import { ArgumentError, type Bytes, type Clock, joinBytes, type Timer } from '@aiv/transport-api'
import type { BleLink, BleLinkHandler } from './ble-radio.js'

/** What a link asks of the stack that it belongs to. */
export interface RadioLinkStack {
  /** Hands a packet to the stack; resolving is not waited for, as stacks resolve when they have queued it. */
  transmit(packet: Uint8Array): void
  /** How many packets of the controller's buffers a packet of so many bytes takes. */
  buffersFor(bytes: number): number
  /** Asks for the end; {@link RadioLink.ended} follows. */
  disconnect(): void
  /** dBm */
  rssi(): number | undefined
}

export interface RadioLinkOptions {
  readonly id: number
  readonly device: string
  readonly role: 'central' | 'peripheral'
  readonly maxPacketBytes: number
  readonly clock: Clock
  readonly stack: RadioLinkStack
  /** Packets that the stack may have unsent. */
  readonly windowPackets: number
  /** Nothing was sent for so long although something is waiting: the link is closed with `STALLED`. */
  readonly stallTimeoutMs: number
  /** Without the stack's word on what was sent, a packet counts as sent after so long; `undefined`: there is its word. */
  readonly paceMs: number | undefined
  /** How long a stack may take to confirm the end. */
  readonly closeTimeoutMs: number
  readonly onTransmit: (bytes: number) => void
  readonly onReceived: (bytes: number) => void
  /** Before the handler hears of it. */
  readonly onEnded: (link: RadioLink) => void
}

/** Packets that arrive before {@link BleLink.attach}; a further one closes the link. */
const MAX_UNREAD_PACKETS = 32

/**
 * A link over a stack whose own queues have no bound and whose promises may never settle: a window of packets that are
 * not sent yet, an end when nothing moves, and exactly one end whatever the stack does.
 */
export class RadioLink implements BleLink {
  readonly id: number
  readonly device: string
  readonly role: 'central' | 'peripheral'
  readonly maxPacketBytes: number
  readonly #options: RadioLinkOptions
  #handler: BleLinkHandler | undefined
  #unread: Uint8Array[] = []
  /** Controller buffers that each packet still takes, oldest first. */
  readonly #unsent: number[] = []
  #refused = false
  #closing: string | undefined
  #endCode: string | undefined
  #stall: Timer | undefined
  #pace: Timer | undefined
  #closeTimer: Timer | undefined

  constructor(options: RadioLinkOptions) {
    this.id = options.id
    this.device = options.device
    this.role = options.role
    this.maxPacketBytes = options.maxPacketBytes
    this.#options = options
  }

  get rssi(): number | undefined {
    return this.#options.stack.rssi()
  }

  get isAttached(): boolean {
    return this.#handler !== undefined
  }

  attach(handler: BleLinkHandler): void {
    if (this.#handler !== undefined) throw new ArgumentError('the link is attached already')
    this.#handler = handler
    const code = this.#endCode
    queueMicrotask(() => {
      if (code !== undefined) return handler.onClosed(code)
      for (const packet of this.#unread.splice(0)) if (this.#endCode === undefined) handler.onPacket(packet)
    })
  }

  write(packet: Bytes): boolean {
    const bytes = joinBytes(packet)
    if (bytes.length > this.maxPacketBytes || bytes.length === 0) {
      throw new ArgumentError(`${bytes.length} bytes on a link that takes 1 to ${this.maxPacketBytes}`)
    }
    if (this.#endCode !== undefined || this.#closing !== undefined) return false
    const { windowPackets, stack, onTransmit } = this.#options
    if (this.#unsent.length >= windowPackets) {
      this.#refused = true
      return false
    }
    this.#unsent.push(stack.buffersFor(bytes.length))
    if (this.#unsent.length === 1) this.#watch()
    stack.transmit(bytes)
    onTransmit(bytes.length)
    return true
  }

  close(): void {
    this.closeWith('CLOSED')
  }

  /** Closes it for another reason than its owner's wish. */
  closeWith(code: string): void {
    if (this.#endCode !== undefined || this.#closing !== undefined) return
    this.#closing = code
    const { clock, stack, closeTimeoutMs } = this.#options
    this.#closeTimer = clock.setTimeout(() => this.ended(code), closeTimeoutMs)
    stack.disconnect()
  }

  /** The stack received a packet. */
  received(packet: Uint8Array): void {
    if (this.#endCode !== undefined || this.#closing !== undefined) return
    this.#options.onReceived(packet.length)
    // a handler's mistake must not look like the stack's, in whose event this is
    if (this.#handler !== undefined && this.#unread.length === 0) this.#tell((handler) => handler.onPacket(packet))
    else if (this.#unread.length < MAX_UNREAD_PACKETS) this.#unread.push(packet)
    else this.closeWith('STALLED')
  }

  /** The controller gave so many buffers back. */
  sent(buffers: number): void {
    if (this.#unsent.length === 0) return
    for (let left = buffers; left > 0 && this.#unsent.length > 0;) {
      const first = this.#unsent[0] as number
      if (first > left) this.#unsent[0] = first - left
      else this.#unsent.shift()
      left -= first
    }
    this.#watch()
    if (!this.#refused || this.#unsent.length > this.#options.windowPackets / 2 || this.#closing !== undefined) return
    this.#refused = false
    this.#tell((handler) => handler.onWritable())
  }

  /** The link is no more. */
  ended(code: string): void {
    if (this.#endCode !== undefined) return
    this.#endCode = this.#closing ?? code
    this.#stall?.clear()
    this.#pace?.clear()
    this.#closeTimer?.clear()
    this.#unsent.length = 0
    this.#unread = []
    this.#options.onEnded(this)
    this.#tell((handler) => handler.onClosed(this.#endCode as string))
  }

  /** Arms the timers anew: something was sent, or is to be. */
  #watch(): void {
    const { clock, stallTimeoutMs, paceMs } = this.#options
    this.#stall?.clear()
    this.#stall = undefined
    if (this.#unsent.length === 0 || this.#endCode !== undefined) return
    if (paceMs === undefined) this.#stall = clock.setTimeout(() => this.closeWith('STALLED'), stallTimeoutMs)
    else {
      this.#pace ??= clock.setTimeout(() => {
        this.#pace = undefined
        this.sent(this.#unsent[0] ?? 0)
      }, paceMs)
    }
  }

  #tell(what: (handler: BleLinkHandler) => void): void {
    const handler = this.#handler
    if (handler === undefined) return
    try {
      what(handler)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
