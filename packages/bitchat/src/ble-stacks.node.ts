import type { EventEmitter } from 'node:events'
import type { Logger } from '@aiv/transport-api'
import { BleError } from './ble-error.js'
import type { RadioLink } from './radio-link.js'

/**
 * What is used of noble 2.8.0 and bleno 0.12.4, which are pinned exactly: their own types cannot be in one program (both
 * declare the same global names), and leave out what lies under the public face. Members with an underscore are such
 * internals; each is there to keep a rule that the public face has no way to keep.
 */
export interface Noble extends EventEmitter {
  readonly state: string
  startScanning(services: readonly string[], allowDuplicates: boolean, callback: (error?: Error) => void): void
  stopScanning(callback: () => void): void
  stop(): void
  readonly _bindings: NobleBindings
  _cleanupPeriperals?(id: string): void
}

interface NobleBindings extends EventEmitter {
  _state: string | null
  readonly _sigIntHandler?: () => void
  onStateChange?(state: string): void
  onDisconnComplete?(handle: number | string, reason: number): void
  /** Both ways between a device and the handle of its link. */
  readonly _handles?: Readonly<Record<string, number | string | undefined>>
  readonly _gatts?: Readonly<Record<string, { _security: string } | undefined>>
  /** The device of the one attempt that is under way. */
  readonly _pendingConnectionUuid?: string | null
  readonly _addresses?: Record<string, string>
  readonly _addresseTypes?: Record<string, string>
  readonly _connectable?: Record<string, boolean>
  readonly scannable?: Record<string, boolean>
  /** Both made by `start`. */
  readonly _hci?: NobleHci | null
  readonly _gap?: { _discoveries: Record<string, unknown> } | null
}

interface NobleHci extends Hci {
  cancelConnect(): void
  readonly _aclBuffers?: { readonly length: number }
}

export interface Hci extends EventEmitter {
  readonly _socket: EventEmitter & { write(packet: Uint8Array): void; isDevUp(): boolean }
  disconnect(handle: number): void
}

export interface Peripheral extends EventEmitter {
  readonly id: string
  readonly rssi: number
  readonly mtu: number | null
  readonly state: string
  readonly advertisement: { readonly localName?: string }
  connect(parameters: object, callback: (error?: Error | null) => void): void
  cancelConnect(): void
  disconnect(): void
  discoverSomeServicesAndCharacteristicsAsync(
    services: readonly string[],
    characteristics: readonly string[],
  ): Promise<{ readonly characteristics: readonly RemoteCharacteristic[] }>
}

export interface RemoteCharacteristic extends EventEmitter {
  readonly properties: readonly string[]
  subscribeAsync(): Promise<unknown>
  write(data: Buffer, withoutResponse: boolean): void
}

export interface Bleno extends EventEmitter {
  readonly state: string
  startAdvertising(name: string, services: readonly string[], callback: (error?: Error | null) => void): void
  stopAdvertising(callback?: () => void): void
  setServicesAsync(services: readonly object[]): Promise<void>
  disconnect(handle: number): void
  stop(): void
  readonly Characteristic: new (options: object) => object
  readonly PrimaryService: new (options: object) => object
  readonly _bindings: BlenoBindings
}

interface BlenoBindings extends EventEmitter {
  _state: string | null
  readonly _sigIntHandler?: () => void
  onStateChange?(state: string): void
  readonly _hci?: BlenoHci
}

interface BlenoHci extends Hci {
  _isDevUp: boolean | null
  readonly _aclMtu: number
  pollIsDevUp(): void
  setSocketFilter(): void
  initDev(): void
}

/** How one of the two stacks reaches its adapter. */
export interface StackOptions {
  /** N of `hciN` on Linux. */
  readonly device?: number
  /** Of the HCI sockets: `native`, `usb`, `uart`, or one that was added. @defaultValue the platform's */
  readonly driver?: string
  /** What that driver wants: `{ uart: { port: '/dev/ttyACM0', baudRate: 1000000 } }`. */
  readonly driverParams?: Readonly<Record<string, unknown>>
}

/** @throws BleError NO_ADAPTER when the package is not installed or cannot be loaded here. */
export async function loadNoble(options: StackOptions): Promise<Noble> {
  // not the package's own entry: that makes an instance of its own at once
  const module = import('@stoprocent/noble/lib/resolve-bindings.js')
  return (await loaded(module, '@stoprocent/noble', '2.8.0')).default(...bindingOf(options)) as Noble
}

/** @throws BleError NO_ADAPTER when the package is not installed or cannot be loaded here. */
export async function loadBleno(options: StackOptions): Promise<Bleno> {
  const module = import('@stoprocent/bleno/lib/resolve-bindings.js')
  return (await loaded(module, '@stoprocent/bleno', '0.12.4')).default(...bindingOf(options)) as Bleno
}

function bindingOf({ device, driver, driverParams }: StackOptions): [type: string, options: object] {
  return [
    driver === undefined ? 'default' : 'hci',
    {
      ...(device === undefined ? {} : { deviceId: device }),
      ...(driver === undefined ? {} : { hciDriver: driver }),
      ...(driverParams === undefined ? {} : { bindParams: driverParams }),
      // bleno speaks legacy advertising only, and a controller refuses both kinds of commands in one life
      extended: false,
    },
  ]
}

async function loaded<T>(module: Promise<T>, name: string, version: string): Promise<T> {
  try {
    return await module
  } catch (cause) {
    const missing = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(String((cause as { code?: unknown }).code))
    throw new BleError(
      'NO_ADAPTER',
      missing
        ? `Bluetooth needs ${name}: npm install ${name}@${version}`
        : `${name} cannot be loaded: ${String(cause)}`,
      { cause },
    )
  }
}

/** Attribute, notification and L2CAP headers in the controller's buffers. */
const HEADER_BYTES = 7
/** What every LE controller has. */
const LEAST_BUFFER_BYTES = 27

/** How many of the controller's buffers a packet takes; `undefined`: it is not known how large they are. */
export function buffersFor(packetBytes: number, bufferBytes: number | undefined): number {
  return Math.ceil((packetBytes + HEADER_BYTES) / (bufferBytes ?? LEAST_BUFFER_BYTES))
}

/** What {@link watchLinks} asks of whoever has the links. */
export interface LinkWatcher {
  readonly stack: string
  readonly log: Logger
  /** Whether it is one of this stack's, in use or not yet. */
  has(handle: number): boolean
  link(handle: number): RadioLink | undefined
}

/**
 * Ends the link of a peer that sends what the stack cannot read, and tells links which of their packets have gone. Right
 * after the stack has opened its socket.
 */
export function watchLinks(hci: Hci, watcher: LinkWatcher): void {
  guardAgainstPeers(hci, (handle, error) => {
    watcher.log.warn(`peer sent what ${watcher.stack} cannot read`, { error: String(error) })
    if (watcher.has(handle)) hci.disconnect(handle)
  })
  hci._socket.on('data', (packet: Buffer) => {
    for (const [handle, count] of completedPackets(packet)) watcher.link(handle)?.sent(count)
  })
}

/** With all its links; nothing is heard of it any more. */
export function stopStack(stack: Noble | Bleno, log: Logger): void {
  try {
    stack.stop()
  } catch (error) {
    // it was never quite started
    log.debug('Bluetooth stack not stopped', { error: String(error) })
  }
  stack.removeAllListeners()
}

/** Number Of Completed Packets: handle and count of each link in it. */
function completedPackets(packet: Uint8Array): readonly (readonly [handle: number, count: number])[] {
  if (packet[0] !== 0x04 || packet[1] !== 0x13) return []
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
  const links: (readonly [number, number])[] = []
  for (let at = 4; at + 4 <= packet.length; at += 4)
    links.push([view.getUint16(at, true), view.getUint16(at + 2, true)])
  return links
}

/**
 * A stack reads what the peer sends with calls that throw when it is cut off, in an event of a socket: without this, one
 * short packet from a stranger ends the process. Right after the stack has opened its socket.
 */
function guardAgainstPeers({ _socket: socket }: Hci, onBroken: (handle: number, error: unknown) => void): void {
  for (const listener of socket.listeners('data') as ((packet: Buffer) => void)[]) {
    socket.removeListener('data', listener)
    socket.on('data', (packet: Buffer) => {
      try {
        listener(packet)
      } catch (error) {
        // events come from our own controller
        if (packet[0] !== 0x02 || packet.length < 3) throw error
        onBroken(packet.readUInt16LE(1) & 0xfff, error)
      }
    })
  }
}

/** States that the stacks write to the console about; here they are errors with a hint. Before the stack is started. */
export function silenceStates(bindings: NobleBindings | BlenoBindings): void {
  const change = bindings.onStateChange?.bind(bindings)
  if (change === undefined) return
  bindings.onStateChange = (state) => {
    if (state !== 'unauthorized' && state !== 'unsupported') return change(state)
    if (bindings._state === state) return
    bindings._state = state
    bindings.emit('stateChange', state)
  }
}

/** The stacks end the process at Ctrl-C when they were the last to listen for it. Right after they have begun to. */
export function leaveSignalsToTheProgram({ _sigIntHandler: handler }: NobleBindings | BlenoBindings): void {
  if (handler !== undefined) process.removeListener('SIGINT', handler)
}

/** Why an HCI link ended, as the code of its `onClosed`. */
export function endCode(reason: unknown): string {
  // Hardware Failure is what noble says of its links when the adapter is gone
  if (reason === 0x03 || reason === 'cleanup') return 'ADAPTER_DOWN'
  return reason === 0x08 ? 'SUPERVISION_TIMEOUT' : 'REMOTE_CLOSED'
}

/** One error for every reason not to start. */
export function noAdapter(state: string): BleError {
  const hints: Record<string, string> = {
    unsupported: 'there is no Bluetooth LE adapter: plug one in, or go without',
    unauthorized: 'no permission for Bluetooth: docs/guides/bluetooth.md says how to give it',
    poweredOff: 'Bluetooth is switched off: switch it on',
  }
  return new BleError('NO_ADAPTER', hints[state] ?? `Bluetooth does not get ready (${state})`)
}
