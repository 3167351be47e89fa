import { ArgumentError, type Millis, type Timer } from '@aiv/transport-api'
import { BleError } from './ble-error.js'
import {
  ADVERTISED_BYTES,
  type Airtime,
  type BleAdvertising,
  type BleLink,
  type BleRadio,
  type BleRadioHandler,
  type BleScanning,
} from './ble-radio.js'
import type { InMemoryAir, InMemoryRadioOptions } from './in-memory-air.js'
import { EMPTY_PACKET_MS, type InMemoryLinkEnd } from './in-memory-link.js'
import { RadioAccount } from './radio-account.js'

/**
 * One advertising event: on each of three channels 47 bytes at 8 µs, then 150 µs in which somebody may answer
 * (Bluetooth Core, vol 6 part B, 4.4.2).
 */
const ADVERTISING_EVENT_MS = 3 * (47 * 0.008 + 0.15)
/** BLE adds up to this much to each advertising interval, so that two advertisers do not go on colliding. */
const ADVERTISING_DELAY_MS = 10

interface Connecting {
  readonly device: string
  readonly target: InMemoryRadio
  readonly since: Millis
  readonly done: (result: InMemoryLinkEnd | Error) => void
  /** Nobody waits for it any more. */
  isOver: boolean
}

/** A radio in an {@link InMemoryAir}. */
export class InMemoryRadio implements BleRadio {
  readonly account: RadioAccount
  readonly maxPacketBytes: number
  readonly #air: InMemoryAir
  readonly #maxLinks: number
  readonly #links = new Map<number, InMemoryLinkEnd>()
  readonly #connecting = new Set<Connecting>()
  #handler: BleRadioHandler | undefined
  #state: 'new' | 'on' | 'closed' = 'new'
  #hasPower = true
  #address: string
  #advertising: BleAdvertising | undefined
  #advertisingTimer: Timer | undefined
  #nextLinkId = 1
  /** Links that are down already: their idle meetings. */
  #meetingsMs = 0
  #onSilent: (() => void) | undefined

  /** By {@link InMemoryAir.radio}. */
  constructor(
    air: InMemoryAir,
    readonly name: string,
    options: InMemoryRadioOptions,
  ) {
    const { maxLinks = 7, maxPacketBytes = 244 } = options
    if (!(maxLinks >= 1)) throw new ArgumentError(`maxLinks ${maxLinks}: from 1`)
    if (!(maxPacketBytes >= 20 && maxPacketBytes <= 512)) {
      throw new ArgumentError(`maxPacketBytes ${maxPacketBytes}: 20 to 512`)
    }
    this.#air = air
    this.#maxLinks = maxLinks
    this.maxPacketBytes = maxPacketBytes
    this.account = new RadioAccount(air.components.clock)
    this.#address = air.rename(this, undefined)
  }

  /** As which others see it now. */
  get address(): string {
    return this.#address
  }

  get hasRoom(): boolean {
    return this.#state === 'on' && this.#links.size < this.#maxLinks
  }

  /** Links that are up. */
  get links(): Iterable<BleLink> {
    return this.#links.values()
  }

  start(handler: BleRadioHandler, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (options.signal?.aborted === true) return Promise.reject(options.signal.reason as Error)
    if (this.#state !== 'new') return Promise.reject(closed())
    if (!this.#hasPower) return Promise.reject(new BleError('NO_ADAPTER', 'Bluetooth is switched off: switch it on'))
    this.#handler = handler
    this.#state = 'on'
    return Promise.resolve()
  }

  advertise(advertising: BleAdvertising | undefined): void {
    if (advertising !== undefined) {
      const { payload, intervalMs } = advertising
      if (payload.length !== ADVERTISED_BYTES) throw new ArgumentError(`an advertisement of ${payload.length} bytes`)
      if (!(intervalMs >= 20 && intervalMs <= 10_240)) throw new ArgumentError(`intervalMs ${intervalMs}: 20 to 10,240`)
    }
    if (this.#state !== 'on') return
    const old = this.#advertising
    const isRenamed =
      advertising !== undefined && old !== undefined && advertising.payload.join() !== old.payload.join()
    if (isRenamed) this.#address = this.#air.rename(this, this.#address)
    this.#advertising = advertising
    this.#advertisingTimer?.clear()
    this.#advertisingTimer = undefined
    if (advertising !== undefined) this.#advertiseIn(this.#air.components.random.uniform() * ADVERTISING_DELAY_MS)
  }

  scan(scanning: BleScanning | undefined): void {
    if (scanning !== undefined && !(scanning.windowMs > 0 && scanning.windowMs <= scanning.intervalMs)) {
      throw new ArgumentError(`a window of ${scanning.windowMs} ms in ${scanning.intervalMs} ms`)
    }
    if (this.#state === 'on') this.account.scan(scanning)
  }

  async connect(device: string, options: { readonly signal?: AbortSignal } = {}): Promise<BleLink> {
    const { signal } = options
    signal?.throwIfAborted()
    if (this.#state !== 'on') throw closed()
    const target = this.#air.owner(device)
    if (target === undefined || target === this) throw new BleError('UNREACHABLE', 'nobody has that address')
    if (this.linkTo(target) !== undefined) throw new BleError('LINK_EXISTS', 'there is a link to that device')
    if (this.#links.size + this.#connecting.size >= this.#maxLinks) {
      throw new BleError('LINK_LIMIT', `${this.#maxLinks} links are all`, { retryable: true })
    }
    const { clock } = this.#air.components
    let abort: (() => void) | undefined
    let timer: Timer | undefined
    let connecting: Connecting | undefined
    try {
      const result = await new Promise<InMemoryLinkEnd | Error>((done) => {
        connecting = { device, target, since: clock.now(), done, isOver: false }
        this.#connecting.add(connecting)
        abort = () => done(signal?.reason as Error)
        signal?.addEventListener('abort', abort)
        const late = (): void => done(new BleError('TIMEOUT', 'no advertisement to answer', { retryable: true }))
        timer = clock.setTimeout(late, this.#air.options.connectTimeoutMs)
      })
      if (result instanceof Error) throw result
      return result
    } finally {
      if (connecting !== undefined) {
        connecting.isOver = true
        this.#connecting.delete(connecting)
        if (!this.account.isListening(clock.now())) this.account.initiated(clock.now() - connecting.since)
      }
      timer?.clear()
      if (abort !== undefined) signal?.removeEventListener('abort', abort)
    }
  }

  airtime(): Airtime {
    const total = this.account.total()
    let meetingsMs = this.#meetingsMs
    for (const end of this.#links.values()) meetingsMs += this.#meetingsOf(end)
    return { ...total, transmitMs: total.transmitMs + meetingsMs, receiveMs: total.receiveMs + meetingsMs }
  }

  async close(): Promise<void> {
    if (this.#state === 'on') this.#silence(closed())
    this.#state = 'closed'
    for (const link of this.#links.values()) link.close()
    if (this.#links.size > 0) {
      await new Promise<void>((done) => {
        const before = this.#onSilent
        this.#onSilent = () => {
          before?.()
          done()
        }
      })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The adapter is removed or switched off: every link is down and the radio with it, or it does not start. */
  powerOff(): void {
    this.#hasPower = false
    if (this.#state !== 'on') return
    const error = new BleError('NO_ADAPTER', 'Bluetooth was switched off')
    this.#silence(error)
    this.#state = 'closed'
    for (const end of [...this.#links.values()]) end.end('ADAPTER_DOWN')
    this.#handler?.onDown(error)
  }

  /** The link to that radio, if there is one. */
  linkTo(other: InMemoryRadio): InMemoryLinkEnd | undefined {
    for (const end of this.#links.values()) if (end.other?.radio === other) return end
    return undefined
  }

  /** A link has this radio as one end; gives the id it has here. */
  added(end: InMemoryLinkEnd): number {
    const id = this.#nextLinkId++
    this.#links.set(id, end)
    return id
  }

  removed(end: InMemoryLinkEnd): void {
    if (!this.#links.delete(end.id)) return
    this.#meetingsMs += this.#meetingsOf(end)
    if (this.#links.size > 0) return
    this.#onSilent?.()
    this.#onSilent = undefined
  }

  /** An advertisement of `from` is in the air. */
  hear(from: InMemoryRadio, payload: Uint8Array): void {
    if (this.#state !== 'on') return
    const { clock, random } = this.#air.components
    const isWanted = [...this.#connecting].filter(({ device }) => device === from.address)
    if (isWanted.length === 0 && !this.account.isListening(clock.now())) return
    const reach = this.#air.reach(from.name, this.name)
    if (reach === undefined || random.uniform() < this.#air.options.advertisementLossRatio) return
    for (const connecting of isWanted) this.#answer(connecting)
    if (this.account.isListening(clock.now())) {
      this.#handler?.onSighting({ device: from.address, payload: payload.slice(), rssi: reach.rssi })
    }
  }

  /** The radio that was advertising is connected to, if it is still there once the link is set up. */
  #answer(connecting: Connecting): void {
    this.#connecting.delete(connecting)
    const { target, done } = connecting
    this.#air.components.clock.setTimeout(() => {
      if (connecting.isOver) return
      if (this.#air.reach(target.name, this.name) === undefined) {
        done(new BleError('TIMEOUT', 'out of range while the link was set up', { retryable: true }))
        return
      }
      const link = this.#air.join(this, target)
      if (link instanceof BleError) {
        done(link)
        return
      }
      target.#accept(link.peripheral)
      done(link.central)
    }, this.#air.options.setUpMs)
  }

  #accept(end: InMemoryLinkEnd): void {
    this.#handler?.onLink(end)
    if (!end.isAttached) end.close()
  }

  #advertiseIn(delayMs: number): void {
    const { clock, random } = this.#air.components
    this.#advertisingTimer = clock.setTimeout(() => {
      const advertising = this.#advertising
      if (advertising === undefined) return
      // first, as what comes of it may change the advertising
      this.#advertiseIn(advertising.intervalMs + random.uniform() * ADVERTISING_DELAY_MS)
      this.account.advertised(ADVERTISING_EVENT_MS)
      for (const radio of this.#air.radios) if (radio !== this) radio.hear(this, advertising.payload)
    }, delayMs)
  }

  #meetingsOf(end: InMemoryLinkEnd): number {
    const upMs = this.#air.components.clock.now() - end.link.upAt
    return (upMs / this.#air.options.connectionIntervalMs) * EMPTY_PACKET_MS
  }

  #silence(error: Error): void {
    this.advertise(undefined)
    this.scan(undefined)
    for (const { done } of [...this.#connecting]) done(error)
  }
}

function closed(): BleError {
  return new BleError('TRANSPORT_CLOSED', 'the radio is closed, or was not started')
}
