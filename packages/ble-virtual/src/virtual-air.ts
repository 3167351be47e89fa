import { ArgumentError, type Clock, type Random } from '@aiv/transport-api'
import type { HciFault } from './hci-fault.js'
import { VirtualController } from './virtual-controller.js'
import type { LinkOptions } from './virtual-link.js'

/** What all controllers of an air have in common. */
export interface VirtualAirOptions {
  readonly clock: Clock
  readonly random: Random
  /**
   * How strongly `to` hears `from`, in dBm, by their addresses; `undefined`: out of range. When its answers change, call
   * {@link VirtualAir.checkReach}. @defaultValue −50 dBm between any two
   */
  readonly signal?: (from: string, to: string) => number | undefined
  /** From one controller to the other, in milliseconds. @defaultValue 0 */
  readonly latencyMs?: number
  /** Links per controller; real ones have 3 to 20. @defaultValue 10 */
  readonly maxLinks?: number
  /** Length of one ACL buffer, 27 to 251. @defaultValue 251 */
  readonly aclBytes?: number
  /** ACL buffers, 1 to 255. @defaultValue 8 */
  readonly aclCount?: number
  /** Hosts that share a controller, each of which believes that all buffers are its own. @defaultValue 2, as noble and bleno do */
  readonly hosts?: number
  /** Whether a link-layer packet may have 251 bytes instead of 27. @defaultValue true */
  readonly dataLengthExtension?: boolean
  /** Told of each broken rule before it is answered. @defaultValue throws it, into whoever wrote the packet */
  readonly onFault?: (fault: HciFault) => void
}

/** At most this many, so that the numbered addresses never meet. */
const MAX_CONTROLLERS = 10_000

/**
 * The radio that virtual controllers share. Nothing is lost or collides on it: what it has is range, cuts and latency, for
 * the layers above HCI; a model of a crowded radio belongs to a simulator.
 */
export class VirtualAir {
  readonly clock: Clock
  readonly random: Random
  readonly maxLinks: number
  readonly aclBytes: number
  readonly aclCount: number
  readonly hosts: number
  readonly dataLengthExtension: boolean
  /** @internal */
  readonly linkOptions: LinkOptions
  readonly #signal: (from: string, to: string) => number | undefined
  readonly #onFault: (fault: HciFault) => void
  readonly #controllers = new Map<string, VirtualController>()
  readonly #cuts = new Set<string>()
  #created = 0

  /** @throws ArgumentError for numbers that no controller has. */
  constructor(options: VirtualAirOptions) {
    const { clock, latencyMs = 0, maxLinks = 10, aclBytes = 251, aclCount = 8, hosts = 2 } = options
    within('latencyMs', latencyMs, 0, 60_000)
    within('maxLinks', maxLinks, 1, 255)
    within('aclBytes', aclBytes, 27, 251)
    within('aclCount', aclCount, 1, 255)
    within('hosts', hosts, 1, 255)
    this.clock = clock
    this.random = options.random
    this.maxLinks = maxLinks
    this.aclBytes = aclBytes
    this.aclCount = aclCount
    this.hosts = hosts
    this.dataLengthExtension = options.dataLengthExtension ?? true
    this.#signal = options.signal ?? (() => -50)
    this.#onFault =
      options.onFault ??
      ((fault) => {
        throw fault
      })
    this.linkOptions = { clock, latencyMs, inReach: (a, b) => this.signal(a, b) !== undefined }
  }

  /** Oldest first. */
  get controllers(): readonly VirtualController[] {
    return [...this.#controllers.values()]
  }

  /**
   * A new controller, `c0:ff:ee:00:00:01` and upwards unless `address` says otherwise.
   * @throws ArgumentError when the address is none or is taken, or there are 10,000 controllers.
   */
  create(options: { readonly address?: string; readonly onFault?: (fault: HciFault) => void } = {}): VirtualController {
    if (this.#controllers.size >= MAX_CONTROLLERS) throw new ArgumentError(`more than ${MAX_CONTROLLERS} controllers`)
    const { address = this.#nextAddress(), onFault = this.#onFault } = options
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address) || this.#controllers.has(address)) {
      throw new ArgumentError(`"${address}" is no free device address`)
    }
    const controller = new VirtualController(this, address, onFault)
    this.#controllers.set(address, controller)
    return controller
  }

  /** From now on the two do not hear each other; a link between them ends with its supervision timeout. */
  cut(a: VirtualController, b: VirtualController): void {
    this.#cuts.add(`${a.address} ${b.address}`).add(`${b.address} ${a.address}`)
    this.checkReach()
  }

  heal(a: VirtualController, b: VirtualController): void {
    this.#cuts.delete(`${a.address} ${b.address}`)
    this.#cuts.delete(`${b.address} ${a.address}`)
    this.checkReach()
  }

  /** Looks at every link again: the answers of {@link VirtualAirOptions.signal} have changed. */
  checkReach(): void {
    for (const controller of this.controllers) controller.checkReach()
  }

  /** @internal dBm; `undefined`: `to` does not hear `from`. */
  signal(from: VirtualController, to: VirtualController): number | undefined {
    return this.#cuts.has(`${from.address} ${to.address}`) ? undefined : this.#signal(from.address, to.address)
  }

  /** @internal */
  advertise(from: VirtualController): void {
    for (const to of this.controllers) {
      // a connection ends the advertisement
      if (!from.isAdvertising) return
      const rssi = to === from ? undefined : this.signal(from, to)
      if (rssi !== undefined) to.hearAdvertisement(from, rssi)
    }
  }

  /** @internal */
  remove(controller: VirtualController): void {
    this.#controllers.delete(controller.address)
  }

  #nextAddress(): string {
    let address: string
    do {
      this.#created++
      const hex = this.#created.toString(16).padStart(6, '0')
      address = `c0:ff:ee:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`
    } while (this.#controllers.has(address))
    return address
  }
}

function within(name: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most)) throw new ArgumentError(`${name} ${value}: from ${least} to ${most}`)
}
