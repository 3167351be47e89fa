import { type Clock, fromHex, type Logger } from '@aiv/transport-api'
import { BleError } from './ble-error.js'
import { ADVERTISED_BYTES, type BleSighting } from './ble-radio.js'
import {
  buffersFor,
  endCode,
  leaveSignalsToTheProgram,
  loadNoble,
  noAdapter,
  type Noble,
  type Peripheral,
  type RemoteCharacteristic,
  silenceStates,
  type StackOptions,
  stopStack,
  watchLinks,
} from './ble-stacks.node.js'
import { bounded } from './bounded.js'
import { awaitPoweredOn } from './powered-on.node.js'
import type { RadioLink, RadioLinkStack } from './radio-link.js'

export interface NobleCentralOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly stack: StackOptions
  /** 32 lowercase hex digits each. */
  readonly service: string
  readonly characteristic: string
  readonly unnamed: boolean
  readonly attMtu: number
  readonly startTimeoutMs: number
  readonly initiateTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly supervisionTimeoutMs: number
  readonly onSighting: (sighting: BleSighting) => void
  /** The stack reset the controller, and with it whatever shares it. */
  readonly onReset: () => void
  readonly onDown: (error: Error) => void
  /** The link is up: whole packets may be written. */
  readonly makeLink: (device: string, maxPacketBytes: number, stack: RadioLinkStack) => RadioLink
}

/** Devices whose addresses are kept; they change theirs every few minutes. The longest unseen one is forgotten. */
const MAX_DEVICES = 256
/** Foreign advertisers that noble remembers, in one table that it never clears. */
const MAX_DISCOVERIES = 1024
/** How long a stop of the scan may take. */
const STOP_TIMEOUT_MS = 1000
/** A cancelled attempt is cancelled again until it is. */
const CANCEL_TRIES = 10
const CANCEL_INTERVAL_MS = 50
/** Connection events every 15 to 30 ms, in units of 1.25 ms. */
const INTERVALS = { minInterval: 12, maxInterval: 24, latency: 0 }
const DEFAULT_ATT_MTU = 23
/** ATT opcode and handle. */
const ATT_HEADER_BYTES = 3

/** The dialling half of a radio: noble, with its ways made regular. */
export class NobleCentral {
  readonly #options: NobleCentralOptions
  /** Devices seen, the longest unseen first. */
  readonly #devices = new Map<string, Peripheral>()
  readonly #links = new Map<number | string, RadioLink>()
  #noble: Noble | undefined
  #wanted = false
  #scan: 'off' | 'starting' | 'on' | 'stopping' = 'off'
  #busy = false
  #closed = false

  constructor(options: NobleCentralOptions) {
    this.#options = options
  }

  /** Rejects with a BleError NO_ADAPTER, or the signal's reason. */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const { stack, clock, startTimeoutMs } = this.#options
    const noble = await loadNoble(stack)
    this.#noble = noble
    noble.removeAllListeners('warning')
    noble.on('warning', (text: string) => this.#options.log.debug('noble', { text }))
    silenceStates(noble._bindings)
    this.#ignoreForeignLinks(noble)
    noble.on('discover', (peripheral: Peripheral) => this.#onDiscover(peripheral))
    noble.on('scanStart', () => this.#scanIs('on'))
    noble.on('scanStop', () => this.#scanIs('off'))
    try {
      // reading the state is what opens the socket, and it does so at once
      void noble.state
      leaveSignalsToTheProgram(noble._bindings)
      this.#listenBelow(noble)
      await awaitPoweredOn(noble, { clock, timeoutMs: startTimeoutMs, signal })
    } catch (error) {
      this.stop()
      throw error instanceof BleError || signal?.aborted === true ? error : noAdapter(String(error))
    }
    noble.on('stateChange', (state: string) => {
      if (state !== 'poweredOn' && !this.#closed) this.#options.onDown(noAdapter(state))
    })
  }

  get isScanning(): boolean {
    return this.#scan === 'on'
  }

  /** From now on it scans, or does not, except while it connects. */
  scan(wanted: boolean): void {
    this.#wanted = wanted
    this.#follow()
  }

  /** Rejects as {@link BleRadio.connect} does. One at a time: the owner sees to it. */
  async connect(device: string, signal: AbortSignal | undefined): Promise<RadioLink> {
    const { clock, connectTimeoutMs } = this.#options
    const peripheral = this.#devices.get(device)
    if (this.#noble === undefined || peripheral === undefined) {
      throw new BleError('UNREACHABLE', 'a device that was not seen lately')
    }
    const late = (): Error => new BleError('TIMEOUT', 'the link was not set up in time', { retryable: true })
    const attempt = { isOver: false }
    this.#busy = true
    try {
      await this.#stopScan()
      signal?.throwIfAborted()
      return await bounded(this.#open(peripheral, attempt), { clock, timeoutMs: connectTimeoutMs, signal, late })
    } catch (error) {
      attempt.isOver = true
      await this.#giveUp(peripheral)
      throw error
    } finally {
      this.#busy = false
      this.#follow()
    }
  }

  /** Ends every link; what was opened is closed. */
  stop(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#noble !== undefined) stopStack(this.#noble, this.#options.log)
  }

  async #open(peripheral: Peripheral, attempt: { readonly isOver: boolean }): Promise<RadioLink> {
    const { clock, service, characteristic: uuid, attMtu, makeLink } = this.#options
    const { initiateTimeoutMs, supervisionTimeoutMs } = this.#options
    const timeout = Math.round(supervisionTimeoutMs / 10)
    const lost = new Promise<never>((_, reject) => {
      peripheral.once('disconnect', () => {
        reject(new BleError('UNREACHABLE', 'the link was lost while it was set up', { retryable: true }))
      })
    })
    lost.catch(() => undefined)
    const connected = new Promise<void>((resolve, reject) => {
      peripheral.connect({ ...INTERVALS, timeout, mtu: attMtu }, (error) => {
        if (error === undefined || error === null) resolve()
        else reject(connectError(error))
      })
    })
    const late = (): Error => new BleError('TIMEOUT', 'no advertisement to answer', { retryable: true })
    await bounded(connected, { clock, timeoutMs: initiateTimeoutMs, late })
    // it may be over before this turn comes, and what is asked of it then is never answered
    if (peripheral.state !== 'connected') await lost
    const gatt = this.#noble?._bindings._gatts?.[peripheral.id]
    // else an error of the peer's choice makes noble pair with it
    if (gatt !== undefined) gatt._security = 'medium'
    const { characteristics } = await Promise.race([
      peripheral.discoverSomeServicesAndCharacteristicsAsync([service], [uuid]).catch((error: unknown) => {
        throw new BleError('UNREACHABLE', `no node of this mesh: ${String(error)}`)
      }),
      lost,
    ])
    const [remote] = characteristics
    if (remote === undefined) throw new BleError('UNREACHABLE', 'no node of this mesh: it lacks the characteristic')
    const early: Uint8Array[] = []
    let receive = (packet: Uint8Array): void => void early.push(packet)
    remote.on('data', (data: Buffer) => receive(Uint8Array.from(data)))
    await Promise.race([remote.subscribeAsync(), lost])
    if (attempt.isOver) throw new BleError('TIMEOUT', 'too late')
    // noble takes the peer's word for the MTU, even above what it asked for itself
    const mtu = Math.min(attMtu, peripheral.mtu ?? DEFAULT_ATT_MTU)
    const handle = this.#noble?._bindings._handles?.[peripheral.id]
    const link = makeLink(peripheral.id, mtu - ATT_HEADER_BYTES, this.#stackOf(peripheral, remote))
    if (handle !== undefined) this.#links.set(handle, link)
    peripheral.once('disconnect', (reason: unknown) => {
      if (handle !== undefined) this.#links.delete(handle)
      remote.removeAllListeners('data')
      link.ended(endCode(reason))
    })
    for (const packet of early) link.received(packet)
    receive = (packet) => link.received(packet)
    return link
  }

  #stackOf(peripheral: Peripheral, remote: RemoteCharacteristic): RadioLinkStack {
    return {
      transmit: (packet) => {
        if (peripheral.state === 'connected') remote.write(Buffer.from(packet), true)
      },
      buffersFor: (bytes) => buffersFor(bytes, this.#noble?._bindings._hci?._aclBuffers?.length),
      disconnect: () => peripheral.disconnect(),
      rssi: () => peripheral.rssi,
    }
  }

  /** Whatever state the attempt is in. */
  async #giveUp(peripheral: Peripheral): Promise<void> {
    if (peripheral.state === 'connected') return peripheral.disconnect()
    if (peripheral.state !== 'connecting') return
    peripheral.cancelConnect()
    // a cancel that comes before the command it cancels does nothing, and the attempt would block all later ones
    const bindings = this.#noble?._bindings
    for (let tries = 0; tries < CANCEL_TRIES && bindings?._pendingConnectionUuid === peripheral.id; tries++) {
      await new Promise<void>((resolve) => this.#options.clock.setTimeout(resolve, CANCEL_INTERVAL_MS))
      if (bindings._pendingConnectionUuid === peripheral.id && !this.#closed) bindings._hci?.cancelConnect()
    }
  }

  #onDiscover(peripheral: Peripheral): void {
    const { unnamed, onSighting } = this.#options
    const payload = advertisedPayload(peripheral.advertisement.localName)
    if (payload === undefined && !unnamed) return
    this.#devices.delete(peripheral.id)
    this.#devices.set(peripheral.id, peripheral)
    this.#forget()
    onSighting({ device: peripheral.id, payload: payload ?? new Uint8Array(0), rssi: peripheral.rssi })
  }

  /** Keeps our table, and noble's several, within bounds. */
  #forget(): void {
    const bindings = this.#noble?._bindings
    for (const [id, { state }] of this.#devices) {
      if (this.#devices.size <= MAX_DEVICES) break
      if (state !== 'disconnected' && state !== 'error') continue
      this.#devices.delete(id)
      this.#noble?._cleanupPeriperals?.(id)
      delete bindings?._addresses?.[id]
      delete bindings?._addresseTypes?.[id]
      delete bindings?._connectable?.[id]
      delete bindings?.scannable?.[id]
    }
  }

  /** Brings the scan to where it is wanted; starting and stopping take a moment each, and answer before they are done. */
  #follow(): void {
    const noble = this.#noble
    if (noble === undefined || this.#closed) return
    const wanted = this.#wanted && !this.#busy
    if (wanted && this.#scan === 'off') {
      const gap = noble._bindings._gap
      if (gap && Object.keys(gap._discoveries).length > MAX_DISCOVERIES) gap._discoveries = {}
      this.#scan = 'starting'
      // with duplicates: without them a device that returns, or changes its payload, is not told of
      noble.startScanning([this.#options.service], true, (error) => {
        if (error) this.#options.log.warn('scan not started', { error: error.message })
      })
    } else if (!wanted && this.#scan === 'on') {
      this.#scan = 'stopping'
      noble.stopScanning(() => undefined)
    }
  }

  #scanIs(state: 'on' | 'off'): void {
    this.#scan = state
    this.#follow()
  }

  /** noble connects only while it does not scan, and gets confused by a scan that is just starting. */
  async #stopScan(): Promise<void> {
    const noble = this.#noble as Noble
    this.#follow()
    if (this.#scan === 'off') return
    const stopped = new Promise<void>((resolve) => noble.once('scanStop', resolve))
    const late = (): Error => new BleError('TIMEOUT', 'the scan does not stop', { retryable: true })
    await bounded(stopped, { clock: this.#options.clock, timeoutMs: STOP_TIMEOUT_MS, late })
  }

  #listenBelow(noble: Noble): void {
    const hci = noble._bindings._hci
    if (!hci) return
    watchLinks(hci, {
      stack: 'noble',
      log: this.#options.log,
      has: (handle) => noble._bindings._handles?.[handle] !== undefined,
      link: (handle) => this.#links.get(handle),
    })
    hci.on('reset', () => this.#options.onReset())
  }

  /** Of links that bleno has on the same controller; noble would complain about each on the console. */
  #ignoreForeignLinks({ _bindings: bindings }: Noble): void {
    const complete = bindings.onDisconnComplete?.bind(bindings)
    if (complete === undefined) return
    bindings.onDisconnComplete = (handle, reason) => {
      if (bindings._handles?.[handle] !== undefined) complete(handle, reason)
    }
  }
}

/** Four bytes as eight hexadecimal digits of a name, which is all that every platform can advertise. */
function advertisedPayload(name: string | undefined): Uint8Array | undefined {
  return name !== undefined && name.length === 2 * ADVERTISED_BYTES && /^[0-9a-f]+$/.test(name)
    ? fromHex(name)
    : undefined
}

function connectError(error: Error): BleError {
  // the texts are those of the HCI status codes, section 1 of Vol 1, Part F
  if (/\(0x9\)/.test(error.message)) return new BleError('LINK_LIMIT', error.message, { cause: error, retryable: true })
  if (/\(0xb\)/.test(error.message)) return new BleError('LINK_EXISTS', error.message, { cause: error })
  return new BleError('UNREACHABLE', error.message, { cause: error, retryable: true })
}
