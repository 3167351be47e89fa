import { ArgumentError, type Bytes, type Millis, type Timer, joinBytes } from '@aiv/transport-api'
import type { BleLink, BleLinkHandler } from './ble-radio.js'
import type { InMemoryAir } from './in-memory-air.js'
import type { InMemoryRadio } from './in-memory-radio.js'

/** Of an LE 1M packet: preamble 1, access address 4, header 2, CRC 3; at 8 µs a byte. */
const LL_OVERHEAD_BYTES = 10
const MS_PER_BYTE = 0.008
/** L2CAP 4 and ATT 3 in front of each packet of ours. */
const ATT_OVERHEAD_BYTES = 7
/** Largest link-layer payload, with data length extension. */
const LL_PAYLOAD_BYTES = 251
/** A packet without payload, as which each is answered and each idle meeting consists of two. */
export const EMPTY_PACKET_MS = LL_OVERHEAD_BYTES * MS_PER_BYTE

export interface LinkEndOptions {
  readonly radio: InMemoryRadio
  readonly role: 'central' | 'peripheral'
  /** The other one. */
  readonly device: string
  readonly maxPacketBytes: number
}

/** Both ends of a link and what is on its way between them. */
export class InMemoryLink {
  readonly central: InMemoryLinkEnd
  readonly peripheral: InMemoryLinkEnd
  readonly upAt: Millis
  readonly #air: InMemoryAir
  #supervision: Timer | undefined

  constructor(air: InMemoryAir, central: LinkEndOptions, peripheral: LinkEndOptions) {
    this.#air = air
    this.upAt = air.components.clock.now()
    this.central = new InMemoryLinkEnd(air, this, central)
    this.peripheral = new InMemoryLinkEnd(air, this, peripheral)
    this.central.other = this.peripheral
    this.peripheral.other = this.central
  }

  /** Looks whether both are still in range; when not, the link has until the supervision timeout. */
  supervise(): void {
    const { clock } = this.#air.components
    const isUp = this.central.reach() !== undefined && this.peripheral.reach() !== undefined
    if (isUp) {
      this.#supervision?.clear()
      this.#supervision = undefined
    } else if (this.#supervision === undefined) {
      this.#supervision = clock.setTimeout(() => {
        this.central.end('SUPERVISION_TIMEOUT')
        this.peripheral.end('SUPERVISION_TIMEOUT')
      }, this.#air.options.supervisionTimeoutMs)
    }
  }

  /** One end is down; the other learns of it when it is in range, else by supervision. */
  ended(end: InMemoryLinkEnd): void {
    const { other } = end
    if (other === undefined || other.isDown) {
      this.#supervision?.clear()
      this.#air.forget(this)
      return
    }
    const reach = end.reach()
    const afterMs = reach === undefined ? this.#air.options.supervisionTimeoutMs : reach.latencyMs
    const code = reach === undefined ? 'SUPERVISION_TIMEOUT' : 'REMOTE_CLOSED'
    this.#air.components.clock.setTimeout(() => other.end(code), afterMs)
  }
}

interface OnItsWay {
  readonly at: Millis
  /** `undefined`: lost. */
  readonly bytes: Uint8Array | undefined
  readonly airMs: number
}

/** A {@link BleLink} of an {@link InMemoryRadio}. */
export class InMemoryLinkEnd implements BleLink {
  readonly id: number
  readonly device: string
  readonly role: 'central' | 'peripheral'
  readonly maxPacketBytes: number
  readonly radio: InMemoryRadio
  readonly link: InMemoryLink
  other: InMemoryLinkEnd | undefined
  /** Why it is down; `undefined`: it is up. */
  #endCode: string | undefined
  readonly #air: InMemoryAir
  #handler: BleLinkHandler | undefined
  /** What we sent, in order; the first one's arrival has the timer. */
  readonly #onItsWay: OnItsWay[] = []
  #timer: Timer | undefined
  #freeAt: Millis
  #refused = false
  #closing = false
  /** Arrived before {@link attach}. */
  readonly #inbox: Uint8Array[] = []

  constructor(air: InMemoryAir, link: InMemoryLink, { radio, role, device, maxPacketBytes }: LinkEndOptions) {
    this.#air = air
    this.link = link
    this.radio = radio
    this.role = role
    this.device = device
    this.maxPacketBytes = maxPacketBytes
    this.id = radio.added(this)
    this.#freeAt = link.upAt
  }

  get rssi(): number | undefined {
    return this.other?.reach()?.rssi
  }

  get isDown(): boolean {
    return this.#endCode !== undefined
  }

  get isAttached(): boolean {
    return this.#handler !== undefined
  }

  /** How the other end hears this one. */
  reach(): ReturnType<InMemoryAir['reach']> {
    return this.other === undefined ? undefined : this.#air.reach(this.radio.name, this.other.radio.name)
  }

  attach(handler: BleLinkHandler): void {
    if (this.#handler !== undefined) throw new ArgumentError('the link is attached already')
    this.#handler = handler
    const code = this.#endCode
    if (code !== undefined) {
      this.#later(() => handler.onClosed(code))
      return
    }
    if (this.#inbox.length > 0) this.#later(() => this.#empty())
  }

  write(packet: Bytes): boolean {
    const bytes = joinBytes(packet).slice()
    if (bytes.length > this.maxPacketBytes) {
      throw new ArgumentError(`${bytes.length} bytes on a link that takes ${this.maxPacketBytes}`)
    }
    if (this.isDown || this.#closing) return false
    if (this.#waiting >= this.#air.options.windowPackets) {
      this.#refused = true
      return false
    }
    const { clock, random } = this.#air.components
    const now = clock.now()
    const reach = this.reach()
    const airMs = packetAirMs(bytes.length)
    const { latencyMs, bytesPerSecond } = reach ?? this.#air.options
    const start = this.#freeAt > now ? this.#freeAt : this.#nextMeeting(now)
    this.#freeAt = start + Math.max(airMs, (bytes.length * 1000) / bytesPerSecond)
    const isLost = reach === undefined || (reach.lossRatio > 0 && random.uniform() < reach.lossRatio)
    this.#onItsWay.push({ at: this.#freeAt + latencyMs, bytes: isLost ? undefined : bytes, airMs })
    this.radio.account.transmitted(airMs)
    this.#arm()
    return true
  }

  close(): void {
    if (this.isDown || this.#closing) return
    this.#closing = true
    this.#later(() => this.end('CLOSED'))
  }

  /** Packets that the other end has not read. */
  get #waiting(): number {
    return this.#onItsWay.length + (this.other === undefined ? 0 : this.other.#inbox.length)
  }

  /** Down at this end, now. */
  end(code: string): void {
    if (this.isDown) return
    this.#endCode = code
    this.#timer?.clear()
    this.#onItsWay.length = 0
    this.#inbox.length = 0
    this.radio.removed(this)
    this.link.ended(this)
    this.#handler?.onClosed(code)
  }

  /** Ends of a link meet on a grid; what is written between two meetings leaves at the next. */
  #nextMeeting(now: Millis): Millis {
    const { connectionIntervalMs } = this.#air.options
    const { upAt } = this.link
    return upAt + Math.ceil((now - upAt) / connectionIntervalMs) * connectionIntervalMs
  }

  #arm(): void {
    const [first] = this.#onItsWay
    if (first === undefined || this.#timer !== undefined) return
    const { clock } = this.#air.components
    this.#timer = clock.setTimeout(() => this.#arrive(), Math.max(0, first.at - clock.now()))
  }

  #arrive(): void {
    this.#timer = undefined
    const first = this.#onItsWay.shift()
    this.#arm()
    const { other } = this
    if (first === undefined || other === undefined) return
    // out of range meanwhile: gone
    if (first.bytes !== undefined && !other.isDown && this.reach() !== undefined) {
      this.radio.account.received(EMPTY_PACKET_MS)
      other.radio.account.received(first.airMs)
      other.radio.account.transmitted(EMPTY_PACKET_MS)
      other.#inbox.push(first.bytes)
      other.#empty()
    }
    if (!this.isDown) this.#tellWritable()
  }

  #empty(): void {
    const handler = this.#handler
    while (handler !== undefined && !this.isDown) {
      const bytes = this.#inbox.shift()
      if (bytes === undefined) break
      handler.onPacket(bytes)
    }
    if (handler !== undefined && this.other !== undefined) this.other.#tellWritable()
  }

  #tellWritable(): void {
    if (!this.#refused || this.isDown || this.#waiting > this.#air.options.windowPackets / 2) return
    this.#refused = false
    this.#handler?.onWritable()
  }

  #later(run: () => void): void {
    this.#air.components.clock.setTimeout(run, 0)
  }
}

/** Time on air of a packet of `length` bytes, as LE 1M with data length extension. */
function packetAirMs(length: number): number {
  const payload = length + ATT_OVERHEAD_BYTES
  return (payload + Math.ceil(payload / LL_PAYLOAD_BYTES) * LL_OVERHEAD_BYTES) * MS_PER_BYTE
}
