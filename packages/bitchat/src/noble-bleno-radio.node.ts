import { ArgumentError, type Clock, type Logger, type Timer } from '@aiv/transport-api'
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
import { BlenoPeripheral } from './bleno-peripheral.node.js'
import { chooseAdapters } from './choose-adapters.js'
import { NobleCentral } from './noble-central.node.js'
import { type NobleBlenoOptions, verifyNobleBlenoOptions } from './noble-bleno-options.js'
import { RadioAccount } from './radio-account.js'
import { RadioLink, type RadioLinkStack } from './radio-link.js'

/** What the program supplies. */
export interface NobleBlenoComponents {
  readonly clock: Clock
  readonly log: Logger
}

/** Where Linux lists its adapters. */
const LINUX_ADAPTERS = '/sys/class/bluetooth'
/** At 1 Mbit/s; preamble, access address, link layer, L2CAP and ATT headers and CRC of a packet: 21 bytes. */
const MS_PER_BYTE = 0.008
const OVERHEAD_BYTES = 21
/** One advertisement with its scan response on each of three channels. */
const ADVERTISEMENT_MS = 3 * 47 * MS_PER_BYTE

/**
 * Bluetooth LE through noble (scanning, dialling) and bleno (advertising, being dialled), both loaded when it starts.
 *
 * One GATT service with one characteristic: a central writes without response, a peripheral notifies. What the two stacks
 * leave open is kept here: no packet over the MTU, a bound on what they queue, a time limit on all that they promise, scans
 * and advertisements that go on after a connect, one link per pair of devices, and an end that leaves nothing behind.
 */
export class NobleBlenoRadio implements BleRadio {
  readonly #components: NobleBlenoComponents
  readonly #options: ReturnType<typeof verifyNobleBlenoOptions>
  readonly #account: RadioAccount
  readonly #links = new Set<RadioLink>()
  #handler: BleRadioHandler | undefined
  #central: NobleCentral | undefined
  #peripheral: BlenoPeripheral | undefined
  #started = false
  #closing: Promise<void> | undefined
  #allClosed: (() => void) | undefined
  #linkIds = 0
  #scanning: BleScanning | undefined
  #windowTimer: Timer | undefined
  #advertising: BleAdvertising | undefined
  #advertisingSince = 0
  /** The device that is being dialled. */
  #dialling: string | undefined
  #waitingConnects = 0
  #turn: Promise<unknown> = Promise.resolve()

  /** @throws ArgumentError on options that cannot be. */
  constructor(components: NobleBlenoComponents, options: NobleBlenoOptions = {}) {
    this.#components = components
    this.#options = verifyNobleBlenoOptions(options)
    this.#account = new RadioAccount(components.clock)
  }

  async start(handler: BleRadioHandler, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#started) throw new ArgumentError('a radio is started once')
    if (this.#closing !== undefined) throw new BleError('TRANSPORT_CLOSED', 'the radio is closed')
    this.#started = true
    signal?.throwIfAborted()
    const adapters = chooseAdapters(this.#options, process.platform, await presentAdapters())
    const { clock, log } = this.#components
    const shared = { ...this.#options, clock, log, onDown: (error: Error) => this.#down(error) }
    const central = new NobleCentral({
      ...shared,
      stack: adapters.central,
      onSighting: (sighting) => handler.onSighting(sighting),
      onReset: () => {
        // the command that the reset was for goes first
        if (adapters.shared) queueMicrotask(() => this.#peripheral?.renew())
      },
      makeLink: (device, maxPacketBytes, stack) => this.#makeLink('central', device, maxPacketBytes, stack),
    })
    this.#central = central
    try {
      // noble first: it resets the controller when it starts
      await central.start(signal)
      if (adapters.peripheral !== undefined) {
        const peripheral = new BlenoPeripheral({
          ...shared,
          stack: adapters.peripheral,
          admit: (device) => this.#admits(device),
          makeLink: (device, maxPacketBytes, stack) => this.#accepted(device, maxPacketBytes, stack),
        })
        this.#peripheral = peripheral
        await peripheral.start(signal)
      }
    } catch (error) {
      this.#stopStacks()
      throw error
    }
    if (this.#closing !== undefined) {
      this.#stopStacks()
      throw new BleError('TRANSPORT_CLOSED', 'the radio was closed while it started')
    }
    this.#handler = handler
    if (adapters.shared && process.platform === 'linux' && adapters.central.driver === undefined) {
      log.warn('one adapter for both roles is experimental')
    }
  }

  advertise(advertising: BleAdvertising | undefined): void {
    if (advertising !== undefined && advertising.payload.length !== ADVERTISED_BYTES) {
      throw new ArgumentError(`a payload of ${advertising.payload.length} bytes: ${ADVERTISED_BYTES} are advertised`)
    }
    this.#countAdvertising()
    this.#advertising = advertising
    this.#peripheral?.advertise(advertising)
  }

  scan(scanning: BleScanning | undefined): void {
    if (scanning !== undefined && !(scanning.windowMs > 0 && scanning.windowMs <= scanning.intervalMs)) {
      throw new ArgumentError(`a window of ${scanning.windowMs} ms in ${scanning.intervalMs}`)
    }
    this.#scanning = scanning
    this.#windowTimer?.clear()
    if (scanning === undefined) this.#listen(false)
    else this.#openWindow(scanning)
  }

  async connect(device: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<BleLink> {
    signal?.throwIfAborted()
    if (this.#waitingConnects >= this.#options.maxWaitingConnects + 1) {
      throw new BleError('LINK_LIMIT', 'too many connects at once', { retryable: true })
    }
    this.#waitingConnects++
    const attempt = this.#turn.then(() => this.#connect(device, signal))
    this.#turn = attempt.catch(() => undefined)
    try {
      return await attempt
    } finally {
      this.#waitingConnects--
    }
  }

  airtime(): Airtime {
    this.#countAdvertising()
    return this.#account.total()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #connect(device: string, signal: AbortSignal | undefined): Promise<BleLink> {
    signal?.throwIfAborted()
    const central = this.#central
    if (this.#handler === undefined || central === undefined) {
      throw new BleError('TRANSPORT_CLOSED', 'the radio is not started, or closed')
    }
    if (this.#linkTo(device)) throw new BleError('LINK_EXISTS', 'there is a link to that device')
    if (this.#links.size >= this.#options.maxLinks) {
      throw new BleError('LINK_LIMIT', `${this.#options.maxLinks} links are all`, { retryable: true })
    }
    this.#dialling = device
    try {
      return await central.connect(device, signal)
    } finally {
      this.#dialling = undefined
      // what the dial did to the advertising of the same controller is undone
      if (this.#advertising !== undefined) this.#peripheral?.renew()
    }
  }

  #linkTo(device: string): boolean {
    return [...this.#links].some((link) => link.device === device)
  }

  #admits(device: string): boolean {
    if (this.#handler === undefined || this.#linkTo(device)) return false
    return this.#links.size + (this.#dialling === undefined ? 0 : 1) < this.#options.maxLinks
  }

  #accepted(device: string, maxPacketBytes: number, stack: RadioLinkStack): RadioLink | undefined {
    if (!this.#admits(device)) return undefined
    const link = this.#makeLink('peripheral', device, maxPacketBytes, stack)
    this.#handler?.onLink(link)
    if (!link.isAttached) link.close()
    return link
  }

  #makeLink(role: 'central' | 'peripheral', device: string, maxPacketBytes: number, stack: RadioLinkStack): RadioLink {
    const { windowPackets, stallTimeoutMs, closeTimeoutMs, paceMs, central } = this.#options
    const tellsWhatWasSent = process.platform === 'linux' || central.driver !== undefined
    const link = new RadioLink({
      id: ++this.#linkIds,
      role,
      device,
      maxPacketBytes,
      stack,
      clock: this.#components.clock,
      windowPackets,
      stallTimeoutMs,
      closeTimeoutMs,
      paceMs: tellsWhatWasSent ? undefined : paceMs,
      onTransmit: (bytes) => this.#account.transmitted((bytes + OVERHEAD_BYTES) * MS_PER_BYTE),
      onReceived: (bytes) => this.#account.received((bytes + OVERHEAD_BYTES) * MS_PER_BYTE),
      onEnded: (ended) => {
        this.#links.delete(ended)
        if (this.#links.size === 0) this.#allClosed?.()
      },
    })
    this.#links.add(link)
    return link
  }

  /** Host timers instead of the controller's: noble sets its own window each time, and the controller's end at 10 s. */
  #openWindow(scanning: BleScanning): void {
    const { clock } = this.#components
    this.#listen(true)
    if (scanning.windowMs >= scanning.intervalMs) return
    this.#windowTimer = clock.setTimeout(() => {
      this.#listen(false)
      this.#windowTimer = clock.setTimeout(() => this.#openWindow(scanning), scanning.intervalMs - scanning.windowMs)
    }, scanning.windowMs)
  }

  #listen(on: boolean): void {
    this.#account.scan(on && this.#handler !== undefined ? { windowMs: 1, intervalMs: 1 } : undefined)
    this.#central?.scan(on)
  }

  #countAdvertising(): void {
    const now = this.#components.clock.now()
    if (this.#advertising !== undefined && this.#peripheral !== undefined) {
      this.#account.advertised(((now - this.#advertisingSince) / this.#advertising.intervalMs) * ADVERTISEMENT_MS)
    }
    this.#advertisingSince = now
  }

  #down(error: Error): void {
    if (this.#handler === undefined || this.#closing !== undefined) return
    const handler = this.#handler
    this.#closing = Promise.resolve()
    this.#silence()
    for (const link of [...this.#links]) link.ended('ADAPTER_DOWN')
    this.#stopStacks()
    handler.onDown(error)
  }

  async #close(): Promise<void> {
    const { clock } = this.#components
    this.#silence()
    const closed = new Promise<void>((resolve) => (this.#allClosed = resolve))
    if (this.#links.size === 0) this.#allClosed?.()
    // each is over when its stack says so, or when that takes too long
    for (const link of [...this.#links]) link.close()
    await closed
    this.#stopStacks()
    // the stacks hand their last commands over later in their turn
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 0))
  }

  #silence(): void {
    this.scan(undefined)
    this.advertise(undefined)
    this.#handler = undefined
  }

  #stopStacks(): void {
    this.#central?.stop()
    this.#peripheral?.stop()
  }
}

/** Numbers of the adapters on Linux; `undefined` on other systems. */
async function presentAdapters(): Promise<readonly number[] | undefined> {
  if (process.platform !== 'linux') return undefined
  // asked of the process, so that this file can be bundled for platforms that never come here
  const { readdir } = process.getBuiltinModule('node:fs/promises')
  const names = await readdir(LINUX_ADAPTERS).catch(() => [])
  return names
    .flatMap((name) => /^hci(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}
