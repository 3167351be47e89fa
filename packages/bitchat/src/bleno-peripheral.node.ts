import { type Clock, type Logger, type Timer, toHex } from '@aiv/transport-api'
import { BleError } from './ble-error.js'
import type { BleAdvertising } from './ble-radio.js'
import {
  type Bleno,
  buffersFor,
  endCode,
  leaveSignalsToTheProgram,
  loadBleno,
  noAdapter,
  silenceStates,
  type StackOptions,
  stopStack,
  watchLinks,
} from './ble-stacks.node.js'
import { awaitPoweredOn } from './powered-on.node.js'
import type { RadioLink, RadioLinkStack } from './radio-link.js'

export interface BlenoPeripheralOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly stack: StackOptions
  /** 32 lowercase hex digits each. */
  readonly service: string
  readonly characteristic: string
  /** The service is advertised without the four bytes. */
  readonly unnamed: boolean
  readonly startTimeoutMs: number
  /** From the connection to the subscription. */
  readonly setupTimeoutMs: number
  /** A central connected; false: it is sent away. */
  readonly admit: (device: string) => boolean
  readonly onDown: (error: Error) => void
  /** A central subscribed; `undefined`: it is sent away. */
  readonly makeLink: (device: string, maxPacketBytes: number, stack: RadioLinkStack) => RadioLink | undefined
}

interface Client {
  readonly device: string
  readonly timer: Timer
  link: RadioLink | undefined
}

/** Between two looks whether the adapter is still there. */
const POLL_MS = 2000
/** LE Set Advertising Parameters; section 7.8.5. */
const SET_ADVERTISING_PARAMETERS = [0x01, 0x06, 0x20, 15]
const SUCCESS = 0

/** The advertising half of a radio: bleno, with its ways made regular. */
export class BlenoPeripheral {
  readonly #options: BlenoPeripheralOptions
  readonly #clients = new Map<number, Client>()
  /** Why the controller says that a link ended; bleno does not pass it on. */
  readonly #reasons = new Map<number, number>()
  #bleno: Bleno | undefined
  #advertising: BleAdvertising | undefined
  #pollTimer: Timer | undefined
  #closed = false

  constructor(options: BlenoPeripheralOptions) {
    this.#options = options
  }

  /** Rejects with a BleError NO_ADAPTER, or the signal's reason. */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const { stack, clock, startTimeoutMs } = this.#options
    const bleno = await loadBleno(stack)
    this.#bleno = bleno
    silenceStates(bleno._bindings)
    this.#ownPoll(bleno)
    bleno.on('accept', (address: string, handle: number) => this.#onAccept(deviceOf(address), handle))
    bleno.on('disconnect', (_address: string, handle: number) => this.#onDisconnect(handle))
    try {
      const poweredOn = awaitPoweredOn(bleno, { clock, timeoutMs: startTimeoutMs, signal })
      leaveSignalsToTheProgram(bleno._bindings)
      this.#listenBelow(bleno)
      await poweredOn
      await bleno.setServicesAsync([this.#service(bleno)])
    } catch (error) {
      this.stop()
      throw error instanceof BleError || signal?.aborted === true ? error : noAdapter(String(error))
    }
    bleno.on('stateChange', (state: string) => {
      if (state !== 'poweredOn' && !this.#closed) this.#options.onDown(noAdapter(state))
    })
    this.#poll()
  }

  /** Takes effect at once; `undefined` stops. */
  advertise(advertising: BleAdvertising | undefined): void {
    this.#advertising = advertising
    this.renew()
  }

  /** Advertises anew: whatever shares the controller may have reset it, and nobody tells bleno. */
  renew(): void {
    const bleno = this.#bleno
    const advertising = this.#advertising
    if (bleno === undefined || this.#closed || bleno.state !== 'poweredOn') return
    bleno.stopAdvertising()
    if (advertising === undefined) return
    // a reset has put the interval to 1.28 s, and bleno sets it only when it starts
    bleno._bindings._hci?._socket.write(advertisingParameters(advertising.intervalMs))
    bleno.startAdvertising(
      this.#options.unnamed ? '' : toHex(advertising.payload),
      [this.#options.service],
      (error) => {
        if (error) this.#options.log.debug('advertising not started', { error: error.message })
      },
    )
  }

  /** Ends every link; what was opened is closed. */
  stop(): void {
    if (this.#closed) return
    this.#closed = true
    this.#pollTimer?.clear()
    for (const { timer } of this.#clients.values()) timer.clear()
    if (this.#bleno !== undefined) stopStack(this.#bleno, this.#options.log)
  }

  #service(bleno: Bleno): object {
    const { service, characteristic } = this.#options
    return new bleno.PrimaryService({
      uuid: service,
      characteristics: [
        new bleno.Characteristic({
          uuid: characteristic,
          properties: ['write', 'writeWithoutResponse', 'notify'],
          onWriteRequest: (
            handle: number,
            data: Buffer,
            _offset: number,
            _withoutResponse: boolean,
            answer: (result: number) => void,
          ) => {
            answer(SUCCESS)
            this.#clients.get(handle)?.link?.received(Uint8Array.from(data))
          },
          onSubscribe: (handle: number, maxValueSize: number, notify: (data: Uint8Array) => void) =>
            this.#onSubscribe(handle, maxValueSize, notify),
          onUnsubscribe: (handle: number) => {
            // also said of a link that is over already, before its end is
            if (!this.#reasons.has(handle)) this.#clients.get(handle)?.link?.closeWith('REMOTE_CLOSED')
          },
        }),
      ],
    })
  }

  #onAccept(device: string, handle: number): void {
    const { clock, setupTimeoutMs, admit } = this.#options
    if (!admit(device)) return this.#bleno?.disconnect(handle)
    this.#clients.get(handle)?.timer.clear()
    // whoever connects and says nothing takes a link from others
    const timer = clock.setTimeout(() => this.#bleno?.disconnect(handle), setupTimeoutMs)
    this.#clients.set(handle, { device, timer, link: undefined })
  }

  #onSubscribe(handle: number, maxValueSize: number, notify: (data: Uint8Array) => void): void {
    const client = this.#clients.get(handle)
    if (client === undefined || client.link !== undefined) return
    client.timer.clear()
    const link = this.#options.makeLink(client.device, maxValueSize, {
      transmit: (packet) => {
        if (this.#clients.get(handle) === client) notify(packet)
      },
      buffersFor: (bytes) => buffersFor(bytes, this.#bleno?._bindings._hci?._aclMtu),
      disconnect: () => this.#bleno?.disconnect(handle),
      // bleno asks the controller for it without saying of which link
      rssi: () => undefined,
    })
    if (link === undefined) this.#bleno?.disconnect(handle)
    client.link = link
  }

  #onDisconnect(handle: number): void {
    const client = this.#clients.get(handle)
    const reason = this.#reasons.get(handle)
    this.#reasons.delete(handle)
    if (client === undefined) return
    this.#clients.delete(handle)
    client.timer.clear()
    client.link?.ended(endCode(reason))
  }

  #listenBelow({ _bindings: { _hci: hci } }: Bleno): void {
    if (hci === undefined) return
    watchLinks(hci, {
      stack: 'bleno',
      log: this.#options.log,
      has: (handle) => this.#clients.has(handle),
      link: (handle) => this.#clients.get(handle)?.link,
    })
    hci.prependListener('disconnComplete', (handle: number, reason: number) => {
      if (this.#clients.has(handle)) this.#reasons.set(handle, reason)
    })
  }

  /** bleno's own look at the adapter repeats itself on a timer that its stop leaves running. */
  #ownPoll({ _bindings: { _hci: hci } }: Bleno): void {
    if (hci === undefined) return
    hci.pollIsDevUp = () => {
      const isUp = hci._socket.isDevUp()
      if (isUp === hci._isDevUp) return
      hci._isDevUp = isUp
      if (isUp) {
        hci.setSocketFilter()
        hci.initDev()
      } else hci.emit('stateChange', 'poweredOff')
    }
  }

  #poll(): void {
    if (this.#closed) return
    this.#pollTimer = this.#options.clock.setTimeout(() => {
      this.#bleno?._bindings._hci?.pollIsDevUp()
      this.#poll()
    }, POLL_MS)
  }
}

/** noble's way to write a device's address. */
function deviceOf(address: string): string {
  return address.replaceAll(/[:-]/g, '').toLowerCase()
}

/** Connectable and undirected, on all three channels. */
function advertisingParameters(intervalMs: number): Buffer {
  const interval = Math.min(0x4000, Math.max(0x20, Math.round(intervalMs / 0.625)))
  const packet = Buffer.alloc(19)
  packet.set(SET_ADVERTISING_PARAMETERS)
  packet.writeUInt16LE(interval, 4)
  packet.writeUInt16LE(interval, 6)
  packet[17] = 0x07
  return packet
}
