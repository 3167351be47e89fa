import { ArgumentError, type Clock, type Random } from '@aiv/transport-api'
import { BleError } from './ble-error.js'
import { InMemoryLink, type LinkEndOptions } from './in-memory-link.js'
import { InMemoryRadio } from './in-memory-radio.js'

/** What the program supplies. */
export interface InMemoryAirComponents {
  readonly clock: Clock
  /** Decides over loss, advertising delays and phases. */
  readonly random: Random
}

/** How one radio hears another. Everything absent: as the air's options say. */
export interface Reach {
  /** dBm. @defaultValue -60 */
  readonly rssi?: number
  /** Share of packets on links that vanish, although links repeat: what the mesh has to bear. 0 to 1. */
  readonly lossRatio?: number
  /** One way, beside the wait for the next connection event. */
  readonly latencyMs?: number
  readonly bytesPerSecond?: number
}

export interface InMemoryAirOptions {
  /**
   * Who hears whom and how well, asked again and again; `undefined`: out of range. After a change call
   * {@link InMemoryAir.changed}. @defaultValue everybody hears everybody
   */
  readonly reach?: (from: string, to: string) => Reach | undefined
  /** @defaultValue 0 */
  readonly lossRatio?: number
  /** Share of advertisements that are not heard within range; 0 to 1. @defaultValue 0 */
  readonly advertisementLossRatio?: number
  /** @defaultValue 2 */
  readonly latencyMs?: number
  /** Of one link and direction; phones reach 20,000 to 100,000. @defaultValue 50,000 */
  readonly bytesPerSecond?: number
  /** Both ends of a link meet this often; BLE allows 7.5 to 4,000. Short: fast, and costs airtime. @defaultValue 30 */
  readonly connectionIntervalMs?: number
  /** From the advertisement that was answered until packets can be sent: MTU exchange and discovery. @defaultValue 100 */
  readonly setUpMs?: number
  /** A connect that met no advertisement in this time ends. @defaultValue 8,000 */
  readonly connectTimeoutMs?: number
  /** A link out of range is down after so long. @defaultValue 4,000 */
  readonly supervisionTimeoutMs?: number
  /** Packets that wait on a link before `write` takes no more. @defaultValue 16 */
  readonly windowPackets?: number
}

export interface InMemoryRadioOptions {
  /** Links at once; further ones are refused. @defaultValue 7 */
  readonly maxLinks?: number
  /** ATT MTU minus 3: a link takes the smaller one of its two ends. @defaultValue 244 */
  readonly maxPacketBytes?: number
}

const defaults: Required<InMemoryAirOptions> = Object.freeze({
  reach: () => ({}),
  lossRatio: 0,
  advertisementLossRatio: 0,
  latencyMs: 2,
  bytesPerSecond: 50_000,
  connectionIntervalMs: 30,
  setUpMs: 100,
  connectTimeoutMs: 8_000,
  supervisionTimeoutMs: 4_000,
  windowPackets: 16,
})

/**
 * A piece of air with any number of radios in it, each a {@link BleRadio}: advertisements that are heard when a window is
 * open, links with loss, latency and a rate, range that changes, and an account of what each radio did for how long. For
 * tests and simulations, on a virtual clock or a real one.
 */
export class InMemoryAir {
  readonly options: Required<InMemoryAirOptions>
  readonly #radios = new Map<string, InMemoryRadio>()
  /** By the address of the moment, which other radios see as the device. */
  readonly #devices = new Map<string, InMemoryRadio>()
  readonly #links = new Set<InMemoryLink>()
  readonly #cuts = new Set<string>()
  #nextDevice = 0

  /** @throws ArgumentError for options out of their range. */
  constructor(
    readonly components: InMemoryAirComponents,
    options: InMemoryAirOptions = {},
  ) {
    const { reach, ...numbers } = { ...defaults, ...options }
    for (const name of ['lossRatio', 'advertisementLossRatio'] as const) {
      if (!(numbers[name] >= 0 && numbers[name] <= 1)) throw new ArgumentError(`${name} ${numbers[name]}: 0 to 1`)
    }
    for (const [name, value] of Object.entries(numbers)) {
      const least = name === 'bytesPerSecond' || name === 'windowPackets' || name === 'connectionIntervalMs' ? 1 : 0
      if (!(value >= least && Number.isFinite(value))) throw new ArgumentError(`${name} ${value}: from ${least}`)
    }
    this.options = Object.freeze({ ...numbers, reach })
  }

  /** The radio of that name: made at the first call, the same one afterwards. Options count at the first call only. */
  radio(name: string, options: InMemoryRadioOptions = {}): InMemoryRadio {
    let radio = this.#radios.get(name)
    if (radio === undefined) {
      radio = new InMemoryRadio(this, name, options)
      this.#radios.set(name, radio)
    }
    return radio
  }

  /** Out of range of each other from now on, in both directions. */
  cut(a: string, b: string): void {
    this.#cuts.add(pairKey(a, b))
    this.changed()
  }

  restore(a: string, b: string): void {
    this.#cuts.delete(pairKey(a, b))
    this.changed()
  }

  /** What {@link InMemoryAirOptions.reach} answers has changed: links learn of it. */
  changed(): void {
    for (const link of this.#links) link.supervise()
  }

  /** How `to` hears `from` right now; `undefined`: not at all. */
  reach(from: string, to: string): Required<Reach> | undefined {
    if (from === to || this.#cuts.has(pairKey(from, to))) return undefined
    const reach = this.options.reach(from, to)
    if (reach === undefined) return undefined
    const { lossRatio, latencyMs, bytesPerSecond } = this.options
    return { rssi: -60, lossRatio, latencyMs, bytesPerSecond, ...reach }
  }

  /** All radios that are on. */
  get radios(): Iterable<InMemoryRadio> {
    return this.#radios.values()
  }

  /** A new address for a radio; its old one is forgotten. */
  rename(radio: InMemoryRadio, old: string | undefined): string {
    if (old !== undefined) this.#devices.delete(old)
    const device = `device-${this.#nextDevice++}`
    this.#devices.set(device, radio)
    return device
  }

  /** Whose address that is now; `undefined`: nobody's any more. */
  owner(device: string): InMemoryRadio | undefined {
    return this.#devices.get(device)
  }

  /** Puts a link between two radios, or says why not. */
  join(central: InMemoryRadio, peripheral: InMemoryRadio): InMemoryLink | BleError {
    if (central.linkTo(peripheral) !== undefined) return new BleError('LINK_EXISTS', 'there is a link to that device')
    if (!peripheral.hasRoom) return new BleError('LINK_LIMIT', 'the device takes no more links', { retryable: true })
    const maxPacketBytes = Math.min(central.maxPacketBytes, peripheral.maxPacketBytes)
    const end = (radio: InMemoryRadio, other: InMemoryRadio, role: LinkEndOptions['role']): LinkEndOptions => ({
      radio,
      role,
      device: other.address,
      maxPacketBytes,
    })
    const link = new InMemoryLink(this, end(central, peripheral, 'central'), end(peripheral, central, 'peripheral'))
    this.#links.add(link)
    return link
  }

  /** The link is down at both ends. */
  forget(link: InMemoryLink): void {
    this.#links.delete(link)
  }
}

function pairKey(a: string, b: string): string {
  return JSON.stringify(a < b ? [a, b] : [b, a])
}
