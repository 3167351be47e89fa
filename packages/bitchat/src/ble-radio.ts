import type { Bytes } from '@aiv/transport-api'

/**
 * What the mesh asks of Bluetooth LE: advertise four bytes, hear others do so, and keep short links that carry packets.
 * Over it stand the mesh and its duty cycle; under it an in-memory air, the noble and bleno stacks, or whatever an
 * embedded system has.
 */
export interface BleRadio extends AsyncDisposable {
  /**
   * Once. Rejects with a `BleError`: `NO_ADAPTER` (no Bluetooth, switched off, no permission; the message has the
   * hint), `TRANSPORT_CLOSED`. Nothing is left open then.
   */
  start(handler: BleRadioHandler, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Advertises, connectable, until told otherwise; `undefined` stops. A change takes effect at once. */
  advertise(advertising: BleAdvertising | undefined): void
  /** Scans until told otherwise; `undefined` stops. Windows that were cut short by a connect are resumed by the radio. */
  scan(scanning: BleScanning | undefined): void
  /**
   * Opens a link to a device that was seen. Rejects with a `BleError`: `TIMEOUT`, `UNREACHABLE`, `LINK_LIMIT` (the
   * controller has no more), `LINK_EXISTS`, `TRANSPORT_CLOSED`; or with the signal's reason.
   */
  connect(device: string, options?: { readonly signal?: AbortSignal }): Promise<BleLink>
  /** The radio's own account, since its start. */
  airtime(): Airtime
  /** Closes every link; resolves when the radio is silent. May be called again. */
  close(): Promise<void>
}

export interface BleAdvertising {
  /** {@link ADVERTISED_BYTES} random bytes: never an id, or a part of one (docs/wire/bitchat-native.md). */
  readonly payload: Uint8Array
  /** Milliseconds between two advertisements; BLE allows 20 to 10,240. */
  readonly intervalMs: number
}

export interface BleScanning {
  /** Listens for the first `windowMs` of every `intervalMs`; equal: continuously. */
  readonly windowMs: number
  readonly intervalMs: number
}

/** Length of what is advertised. */
export const ADVERTISED_BYTES = 4

/** Called synchronously; may call any method of the radio. */
export interface BleRadioHandler {
  /** May repeat itself for as long as the device is heard. */
  onSighting(sighting: BleSighting): void
  /** Somebody connected to us; attach within the call, or the link is closed. */
  onLink(link: BleLink): void
  /** Down by itself (adapter removed, switched off), and every link with it. */
  onDown(error: Error): void
}

export interface BleSighting {
  /** The radio's name for the device, for {@link BleRadio.connect}; changes with the device's address. */
  readonly device: string
  readonly payload: Uint8Array
  /** dBm */
  readonly rssi: number
}

/** One link between two radios: whole packets each way, in order, until it breaks. Nobody is authenticated by it. */
export interface BleLink {
  /** Unique in this radio. */
  readonly id: number
  /** The radio's name for the device. */
  readonly device: string
  readonly role: 'central' | 'peripheral'
  /** ATT MTU minus 3: what {@link write} takes at most. May grow once after the link is up, never shrinks. */
  readonly maxPacketBytes: number
  /** dBm, as last heard. */
  readonly rssi: number | undefined
  /** Once; nothing is read before it. */
  attach(handler: BleLinkHandler): void
  /**
   * False: not taken, as the link's window is full or it is closed; `onWritable` follows in the first case. Longer than
   * {@link maxPacketBytes}: throws an `ArgumentError`. The buffer belongs to the link afterwards.
   */
  write(packet: Bytes): boolean
  /** `onClosed` follows, with `CLOSED`. */
  close(): void
}

export interface BleLinkHandler {
  onPacket(bytes: Uint8Array): void
  /** Only after a `write` that was not taken. */
  onWritable(): void
  /** Exactly once, and last. `CLOSED`, `SUPERVISION_TIMEOUT`, `REMOTE_CLOSED`, `STALLED`, `ADAPTER_DOWN`. */
  onClosed(code: string): void
}

/** Milliseconds for which the radio did each thing. */
export interface Airtime {
  readonly scanMs: number
  readonly advertiseMs: number
  readonly transmitMs: number
  readonly receiveMs: number
}
