import type { Clock, Millis, Timer } from '@aiv/transport-api'
import { type ConnectionParameters, Status } from './hci.js'
import { type AttMtu, defaultAttMtu, L2capWatch } from './l2cap-watch.js'
import type { VirtualController } from './virtual-controller.js'

/** A packet on its way, or waiting for the other side to be in reach again. */
interface OnAir {
  readonly dueAt: Millis
  readonly first: boolean
  readonly data: Uint8Array
}

/** One end of a link, as its controller sees it. */
export interface LinkEnd {
  readonly link: VirtualLink
  readonly controller: VirtualController
  readonly handle: number
  readonly role: 0 | 1
  /** False: its host was told that the link is over, or its controller is gone. */
  alive: boolean
  readonly sending: L2capWatch
  /** Oldest first; the host gets a buffer back for each that arrives. */
  readonly onAir: OnAir[]
}

/** What both controllers of a link share. */
export interface LinkOptions {
  readonly clock: Clock
  readonly latencyMs: number
  readonly inReach: (a: VirtualController, b: VirtualController) => boolean
}

/**
 * An LE connection between two controllers: packets arrive whole and in order, however long that takes. Out of reach they
 * wait, as a real link layer repeats them, until the supervision timeout ends the link on both sides.
 */
export class VirtualLink {
  readonly central: LinkEnd
  readonly peripheral: LinkEnd
  readonly #options: LinkOptions
  parameters: ConnectionParameters
  #delivery: Timer | undefined
  #supervision: Timer | undefined

  constructor(
    central: VirtualController,
    peripheral: VirtualController,
    handles: { readonly central: number; readonly peripheral: number },
    parameters: ConnectionParameters,
    options: LinkOptions,
  ) {
    const mtu: AttMtu = defaultAttMtu()
    const end = (controller: VirtualController, handle: number, role: 0 | 1): LinkEnd => ({
      link: this,
      controller,
      handle,
      role,
      alive: true,
      sending: new L2capWatch(mtu),
      onAir: [],
    })
    this.central = end(central, handles.central, 0)
    this.peripheral = end(peripheral, handles.peripheral, 1)
    this.parameters = parameters
    this.#options = options
  }

  peerOf(end: LinkEnd): LinkEnd {
    return end === this.central ? this.peripheral : this.central
  }

  /** `data` is kept. */
  send(from: LinkEnd, first: boolean, data: Uint8Array): void {
    const { clock, latencyMs } = this.#options
    from.onAir.push({ dueAt: clock.now() + latencyMs, first, data })
    this.#deliver()
  }

  /** Looks again whether the two hear each other. */
  checkReach(): void {
    if (this.#connected()) {
      this.#supervision?.clear()
      this.#supervision = undefined
      this.#deliver()
    } else {
      this.#supervision ??= this.#options.clock.setTimeout(
        () => this.#over(),
        Math.max(10, this.parameters.supervisionTimeout * 10),
      )
    }
  }

  /** A host ends the link: the other side hears of it at once, or when its supervision timeout is over. */
  disconnect(end: LinkEnd, reason: number): void {
    const connected = this.#connected()
    this.vanish(end)
    end.controller.linkEnded(end, Status.localHostEnded)
    const peer = this.peerOf(end)
    if (!connected || !peer.alive) return
    this.vanish(peer)
    peer.controller.linkEnded(peer, reason)
  }

  /** One end is no more and says nothing: a controller that was reset or switched off. */
  vanish(end: LinkEnd): void {
    end.alive = false
    end.onAir.length = 0
    if (this.peerOf(end).alive) this.checkReach()
    else {
      this.#delivery?.clear()
      this.#supervision?.clear()
    }
  }

  #connected(): boolean {
    const { central, peripheral } = this
    return central.alive && peripheral.alive && this.#options.inReach(central.controller, peripheral.controller)
  }

  #over(): void {
    for (const end of [this.central, this.peripheral]) {
      if (!end.alive) continue
      end.alive = false
      end.onAir.length = 0
      end.controller.linkEnded(end, Status.connectionTimeout)
    }
    this.#delivery?.clear()
  }

  /** One timer for both directions, as long as something is on the air. */
  #deliver(): void {
    const next = Math.min(this.central.onAir[0]?.dueAt ?? Infinity, this.peripheral.onAir[0]?.dueAt ?? Infinity)
    if (this.#delivery !== undefined || next === Infinity) return
    const { clock } = this.#options
    this.#delivery = clock.setTimeout(() => {
      this.#delivery = undefined
      if (!this.#connected()) return this.checkReach()
      const now = clock.now()
      for (const end of [this.central, this.peripheral]) {
        const due = end.onAir.filter((packet) => packet.dueAt <= now).length
        for (const { first, data } of end.onAir.splice(0, due)) {
          // either host may end the link while it is told
          if (end.alive) end.controller.packetSent(end)
          const peer = this.peerOf(end)
          if (peer.alive) peer.controller.packetReceived(peer, first, data)
        }
      }
      this.#deliver()
    }, next - clock.now())
  }
}
