import { silentLogger, type Clock, type Logger, type Millis, type Timer } from '@aiv/transport-api'
import { ADVERTISED_BYTES, type BleLink, type BleRadio, type BleSighting } from '../../ble-radio.js'
import type { CompatibleEvent, CompatibleMesh } from './compatible-mesh.js'

/** What a {@link RadioMesh} is given. It owns radio and mesh from then on. */
export interface RadioMeshComponents {
  readonly radio: BleRadio
  readonly mesh: CompatibleMesh
  readonly clock: Clock
  readonly log?: Logger
  /** Called for everything that happens on the mesh, in order. */
  readonly onEvent: (event: CompatibleEvent) => void
  /** The radio went down by itself; nothing follows. */
  readonly onDown?: (error: Error) => void
}

export interface RadioMeshOptions {
  /** Links that we open at most; others may open more to us. @defaultValue 6 */
  readonly maxDialledLinks?: number
  /** Weaker devices are not connected to, in dBm. @defaultValue -90 */
  readonly minRssi?: number
  /** The same while there is no link at all. @defaultValue -95 */
  readonly minRssiIsolated?: number
  /** Between two attempts to connect, in ms. @defaultValue 500 */
  readonly dialIntervalMs?: number
  /** An attempt is given up after this long, in ms. @defaultValue 8000 */
  readonly dialTimeoutMs?: number
  /** A device that could not be connected to, or went away, is left alone for this long, in ms. @defaultValue 30_000 */
  readonly retryMs?: number
  /** How long {@link RadioMesh.close} lets links send the goodbye, in ms. @defaultValue 250 */
  readonly goodbyeMs?: number
  /** Devices that are remembered as left alone; the oldest go. @defaultValue 256 */
  readonly maxRememberedDevices?: number
}

const defaults: Required<RadioMeshOptions> = Object.freeze({
  maxDialledLinks: 6,
  minRssi: -90,
  minRssiIsolated: -95,
  dialIntervalMs: 500,
  dialTimeoutMs: 8_000,
  retryMs: 30_000,
  goodbyeMs: 250,
  maxRememberedDevices: 256,
})

/** A radio for the deployed UUIDs advertises the service and leaves these out; others want some. They say nothing. */
const ADVERTISED = new Uint8Array(ADVERTISED_BYTES)
const ADVERTISE_INTERVAL_MS = 250

interface Attached {
  readonly link: BleLink
  /** Taken out of the mesh, and not by the link yet. */
  waiting: Uint8Array | undefined
}

/**
 * A {@link CompatibleMesh} on a radio that advertises and looks for the UUIDs of the deployed apps
 * (`bitchatUuids`): connects to what is heard, carries bytes, keeps the one timer.
 */
export class RadioMesh implements AsyncDisposable {
  readonly #radio: BleRadio
  readonly #mesh: CompatibleMesh
  readonly #clock: Clock
  readonly #log: Logger
  readonly #components: RadioMeshComponents
  readonly #options: Required<RadioMeshOptions>
  readonly #links = new Map<number, Attached>()
  /** Devices that are linked to or being dialled, or left alone until then. */
  readonly #devices = new Map<string, Millis>()
  #dialled = 0
  #dialAt: Millis
  #timer: Timer | undefined
  #closing: Promise<void> | undefined

  private constructor(components: RadioMeshComponents, options: RadioMeshOptions) {
    this.#radio = components.radio
    this.#mesh = components.mesh
    this.#clock = components.clock
    this.#log = components.log ?? silentLogger
    this.#components = components
    this.#options = { ...defaults, ...options }
    this.#dialAt = components.clock.now()
  }

  /** Starts the radio. Rejects as {@link BleRadio.start} does; nothing is left open then. */
  static async start(
    components: RadioMeshComponents,
    options: RadioMeshOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<RadioMesh> {
    const { signal, ...rest } = options
    const self = new RadioMesh(components, rest)
    await components.radio.start(
      {
        onSighting: (sighting) => self.#onSighting(sighting),
        onLink: (link) => self.#attach(link),
        onDown: (error) => {
          self.#timer?.clear()
          self.#closing ??= Promise.resolve()
          components.onDown?.(error)
        },
      },
      signal === undefined ? {} : { signal },
    )
    components.mesh.handleUnixTime(components.clock.unixNow() - components.clock.now())
    components.radio.advertise({ payload: ADVERTISED, intervalMs: ADVERTISE_INTERVAL_MS })
    components.radio.scan({ windowMs: 1_000, intervalMs: 1_000 })
    return self
  }

  /** Links that are up. */
  get links(): number {
    return this.#links.size
  }

  /**
   * Runs a command of the mesh and sends what comes of it:
   * `radioMesh.run((mesh, now) => mesh.sendPublic(now, 'hello'))`.
   */
  run<T>(command: (mesh: CompatibleMesh, now: Millis) => T): T {
    const result = command(this.#mesh, this.#clock.now())
    this.#drive()
    return result
  }

  /** Says goodbye and closes the radio; resolves when it is silent. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#mesh.leave(this.#clock.now())
    this.#drive()
    this.#timer?.clear()
    const { goodbyeMs } = this.#options
    // a link says when it has taken a packet, not when that is sent
    if (this.#links.size > 0) await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, goodbyeMs))
    await this.#radio.close()
  }

  #onSighting({ device, rssi }: BleSighting): void {
    const { maxDialledLinks, minRssi, minRssiIsolated, dialIntervalMs, retryMs } = this.#options
    const now = this.#clock.now()
    if (this.#closing !== undefined || this.#dialled >= maxDialledLinks || now < this.#dialAt) return
    if (rssi < (this.#links.size === 0 ? minRssiIsolated : minRssi)) return
    if ((this.#devices.get(device) ?? now) > now) return
    if ([...this.#links.values()].some(({ link }) => link.device === device)) return
    this.#dialAt = now + dialIntervalMs
    this.#dialled++
    this.#leaveAlone(device, now + retryMs)
    void this.#dial(device)
  }

  async #dial(device: string): Promise<void> {
    const abort = new AbortController()
    const timer = this.#clock.setTimeout(() => abort.abort(new Error('no link in time')), this.#options.dialTimeoutMs)
    try {
      const link = await this.#radio.connect(device, { signal: abort.signal })
      this.#attach(link, () => this.#dialled--)
    } catch (error) {
      this.#dialled--
      this.#log.debug('no bluetooth link', { device, error })
    } finally {
      timer.clear()
    }
  }

  #attach(link: BleLink, onGone?: () => void): void {
    if (this.#closing !== undefined) {
      onGone?.()
      return link.close()
    }
    const attached: Attached = { link, waiting: undefined }
    this.#links.set(link.id, attached)
    link.attach({
      onPacket: (bytes) => {
        this.#mesh.handleInput(this.#clock.now(), { link: link.id, bytes })
        this.#drive()
      },
      onWritable: () => {
        this.#mesh.setWritable(link.id, true)
        const { waiting } = attached
        attached.waiting = undefined
        if (waiting !== undefined) this.#write(attached, waiting)
        this.#drive()
      },
      onClosed: (code) => {
        this.#log.debug('bluetooth link closed', { link: link.id, code })
        this.#links.delete(link.id)
        this.#leaveAlone(link.device, this.#clock.now() + this.#options.dialIntervalMs)
        this.#mesh.linkDown(this.#clock.now(), link.id)
        onGone?.()
        this.#drive()
      },
    })
    this.#mesh.linkUp(this.#clock.now(), { id: link.id, maxPacketBytes: link.maxPacketBytes })
    this.#drive()
  }

  #leaveAlone(device: string, until: Millis): void {
    this.#devices.delete(device)
    this.#devices.set(device, until)
    for (const oldest of this.#devices.keys()) {
      if (this.#devices.size <= this.#options.maxRememberedDevices) break
      this.#devices.delete(oldest)
    }
  }

  #write(attached: Attached, bytes: Uint8Array): void {
    if (attached.link.write(bytes)) return
    attached.waiting = bytes
    this.#mesh.setWritable(attached.link.id, false)
  }

  /** Empties the mesh, then arms the timer. Called after everything that touches the mesh. */
  #drive(): void {
    const now = this.#clock.now()
    for (const [id, { link }] of this.#links) this.#mesh.setMaxPacketBytes(id, link.maxPacketBytes)
    for (let out; (out = this.#mesh.pollOutput(now)) !== undefined;) {
      const attached = this.#links.get(out.link)
      if (attached !== undefined) this.#write(attached, out.bytes)
    }
    for (let event; (event = this.#mesh.pollEvent()) !== undefined;) this.#components.onEvent(event)
    this.#timer?.clear()
    const at = this.#mesh.nextTimeout()
    if (at === undefined || this.#closing !== undefined) return
    this.#timer = this.#clock.setTimeout(
      () => {
        const later = this.#clock.now()
        // the two clocks of a machine drift, and one of them jumps
        this.#mesh.handleUnixTime(this.#clock.unixNow() - later)
        this.#mesh.handleTimeout(later)
        this.#drive()
      },
      Math.max(0, at - now),
    )
  }
}
