import type { Bytes, Millis } from '@aiv/transport-api'
import type { BleLink } from './ble-radio.js'
import { segmented } from './link-segments.js'
import type { MeshCore } from './mesh-core.js'

interface Held {
  readonly link: BleLink
  /** A packet that the radio did not take yet. */
  packet: Bytes | undefined
}

/** The links of a radio as the mesh core knows them: by number, whole packets, and a pause while one is full. */
export class RadioLinks {
  readonly #core: MeshCore
  readonly #now: () => Millis
  readonly #drive: () => void
  readonly #links = new Map<number, Held>()

  /** @param drive - called after anything that the core was told. */
  constructor(core: MeshCore, now: () => Millis, drive: () => void) {
    this.#core = core
    this.#now = now
    this.#drive = drive
  }

  get size(): number {
    return this.#links.size
  }

  get devices(): string[] {
    return [...this.#links.values()].map(({ link }) => link.device)
  }

  /** True while a packet waits for its link. */
  get isBusy(): boolean {
    return [...this.#links.values()].some(({ packet }) => packet !== undefined)
  }

  device(number: number): string | undefined {
    return this.#links.get(number)?.link.device
  }

  /** A link is up; one that is too small for the mesh, or one too many, is closed at once. */
  add(raw: BleLink, maxLinks: number): boolean {
    const link = this.#links.size < maxLinks ? segmented(raw) : undefined
    if (link === undefined) {
      raw.attach({ onPacket: () => undefined, onWritable: () => undefined, onClosed: () => undefined })
      raw.close()
      return false
    }
    const number = link.id
    const held: Held = { link, packet: undefined }
    this.#links.set(number, held)
    link.attach({
      onPacket: (bytes) => {
        this.#core.handleInput(this.#now(), { link: number, bytes })
        this.#drive()
      },
      onWritable: () => {
        if (held.packet !== undefined && link.write(held.packet)) held.packet = undefined
        if (held.packet !== undefined) return
        if (link.rssi !== undefined) this.#core.setRssi(number, link.rssi)
        this.#core.resumeLink(number)
        this.#drive()
      },
      onClosed: () => {
        this.#links.delete(number)
        this.#core.linkDown(this.#now(), number)
        this.#drive()
      },
    })
    this.#core.linkUp(this.#now(), number, { rssi: link.rssi })
    this.#drive()
    return true
  }

  write(number: number, packet: Uint8Array): void {
    const held = this.#links.get(number)
    if (held === undefined || held.link.write(packet)) return
    held.packet = packet
    this.#core.pauseLink(number)
  }

  close(number: number): void {
    this.#links.get(number)?.link.close()
  }
}
