import { ArgumentError, type Millis } from '@aiv/transport-api'
import type { SeededRandom } from '../seeded-random.js'
import type { World } from '../world.js'

export interface Position {
  readonly xMeters: number
  readonly yMeters: number
}

export interface RadioAirOptions {
  /** Who is further away hears nothing. @defaultValue 30 */
  readonly rangeMeters?: number
  /** @defaultValue 1,000,000, as Bluetooth LE 1M */
  readonly bitsPerSecond?: number
  /** Preamble, addresses and checksums of each frame. @defaultValue 10, as Bluetooth LE 1M */
  readonly overheadBytes?: number
  /** Share of frames that a receiver within range misses, beside collisions; 0 to 1. @defaultValue 0 */
  readonly lossRatio?: number
  /** Of two frames at once the stronger one is heard if it is stronger by so much. @defaultValue 6 */
  readonly captureDb?: number
}

/** What a receiver gets. */
export interface RadioFrame {
  readonly from: string
  /** The sender's own array: not to be changed. */
  readonly bytes: Uint8Array
  /** dBm */
  readonly rssi: number
}

/** What a radio did since it was placed. */
export interface RadioUse {
  readonly transmissions: number
  readonly transmitMs: number
  readonly received: number
  /** Of frames that were heard, whole or not. */
  readonly receiveMs: number
  /** Frames within range that were missed by chance. */
  readonly lost: number
  /** Frames within range that met another one, or the radio's own. */
  readonly collided: number
}

interface Station {
  readonly name: string
  position: Position
  readonly receive: (frame: RadioFrame) => void
  readonly use: { -readonly [Field in keyof RadioUse]: RadioUse[Field] }
  /** Being heard right now, on the common channel. */
  readonly arriving: Set<Arrival>
  transmitsUntil: Millis
  readonly random: SeededRandom
}

interface Arrival {
  readonly rssi: number
  isSpoilt: boolean
}

/** Received at one metre, and the exponent of what follows: indoors, without walls. */
const AT_ONE_METER_DBM = -55
const PATH_LOSS_EXPONENT = 2.5

/**
 * The air between the radios of a {@link World}: range, time on air, frames that collide, frames that are missed, and an
 * account of who transmitted for how long.
 *
 * A broadcast is on the one common channel: everybody in range hears it, unless it meets another one there or they
 * transmit themselves. A frame to one receiver stands for one on a link that has its own time and channel, as BLE
 * connections have: it costs airtime, may be missed, and collides with nothing.
 */
export class RadioAir {
  readonly #world: World
  readonly #options: Required<RadioAirOptions>
  readonly #stations = new Map<string, Station>()

  /** @throws ArgumentError for options out of their range. */
  constructor(world: World, options: RadioAirOptions = {}) {
    const all = {
      rangeMeters: 30,
      bitsPerSecond: 1_000_000,
      overheadBytes: 10,
      lossRatio: 0,
      captureDb: 6,
      ...options,
    }
    for (const [name, value] of Object.entries(all)) {
      const most = name === 'lossRatio' ? 1 : Number.MAX_VALUE
      if (!(value >= 0 && value <= most)) throw new ArgumentError(`${name} ${value}: 0 to ${most}`)
    }
    if (all.bitsPerSecond === 0) throw new ArgumentError('bitsPerSecond: above 0')
    this.#world = world
    this.#options = all
  }

  /** Puts a radio there. @throws ArgumentError when one has that name. */
  place(name: string, position: Position, receive: (frame: RadioFrame) => void): void {
    if (this.#stations.has(name)) throw new ArgumentError(`there is a radio ${name} already`)
    const use = { transmissions: 0, transmitMs: 0, received: 0, receiveMs: 0, lost: 0, collided: 0 }
    const random = this.#world.random(`radio ${name}`)
    this.#stations.set(name, { name, position, receive, use, arriving: new Set(), transmitsUntil: 0, random })
  }

  /** From now on it is there. */
  move(name: string, position: Position): void {
    this.#station(name).position = position
  }

  /** dBm; `undefined`: out of range. */
  signal(from: string, to: string): number | undefined {
    return this.#signal(this.#station(from), this.#station(to))
  }

  /** All that are in range of it. */
  neighbours(name: string): string[] {
    const station = this.#station(name)
    return [...this.#stations.values()]
      .filter((other) => other !== station && this.#signal(station, other) !== undefined)
      .map((other) => other.name)
  }

  /** Somebody in range is heard on the common channel, or it transmits itself. */
  isBusy(name: string): boolean {
    const station = this.#station(name)
    return station.transmitsUntil > this.#world.now() || station.arriving.size > 0
  }

  use(name: string): RadioUse {
    return { ...this.#station(name).use }
  }

  /** How long a frame of that many bytes takes. */
  airtimeMs(bytes: number): number {
    return ((bytes + this.#options.overheadBytes) * 8_000) / this.#options.bitsPerSecond
  }

  /**
   * Sends a frame, after those that this radio was given before: to all in range, or to one. Whether anybody got it is
   * not told. Returns when it has left.
   */
  transmit(from: string, bytes: Uint8Array, to?: string): Millis {
    const sender = this.#station(from)
    const airtimeMs = this.airtimeMs(bytes.length)
    const startsAt = Math.max(this.#world.now(), sender.transmitsUntil)
    sender.transmitsUntil = startsAt + airtimeMs
    sender.use.transmissions++
    sender.use.transmitMs += airtimeMs
    const start = (): void => {
      if (to === undefined) this.#broadcast(sender, bytes, airtimeMs)
      else this.#unicast(sender, this.#station(to), bytes, airtimeMs)
    }
    // whoever transmits at once must be heard by those who look a moment later
    if (startsAt === this.#world.now()) start()
    else this.#world.schedule(startsAt, start)
    return sender.transmitsUntil
  }

  #broadcast(sender: Station, bytes: Uint8Array, airtimeMs: number): void {
    for (const arrival of sender.arriving) arrival.isSpoilt = true
    for (const receiver of this.#stations.values()) {
      const rssi = receiver === sender ? undefined : this.#signal(sender, receiver)
      if (rssi === undefined) continue
      const arrival: Arrival = { rssi, isSpoilt: receiver.transmitsUntil > this.#world.now() }
      for (const other of receiver.arriving) {
        if (rssi < other.rssi + this.#options.captureDb) arrival.isSpoilt = true
        if (other.rssi < rssi + this.#options.captureDb) other.isSpoilt = true
      }
      receiver.arriving.add(arrival)
      this.#world.schedule(this.#world.now() + airtimeMs, () => {
        receiver.arriving.delete(arrival)
        if (arrival.isSpoilt) {
          receiver.use.collided++
          receiver.use.receiveMs += airtimeMs
        } else {
          this.#arrive(sender, receiver, bytes, rssi, airtimeMs)
        }
      })
    }
  }

  #unicast(sender: Station, receiver: Station, bytes: Uint8Array, airtimeMs: number): void {
    const rssi = this.#signal(sender, receiver)
    if (rssi === undefined) return
    this.#world.schedule(this.#world.now() + airtimeMs, () => this.#arrive(sender, receiver, bytes, rssi, airtimeMs))
  }

  #arrive({ name: from }: Station, receiver: Station, bytes: Uint8Array, rssi: number, airtimeMs: number): void {
    receiver.use.receiveMs += airtimeMs
    if (receiver.random.chance(this.#options.lossRatio)) {
      receiver.use.lost++
      return
    }
    receiver.use.received++
    receiver.receive({ from, bytes, rssi })
  }

  #signal(from: Station, to: Station): number | undefined {
    const meters = distanceMeters(from.position, to.position)
    if (meters > this.#options.rangeMeters) return undefined
    return AT_ONE_METER_DBM - 10 * PATH_LOSS_EXPONENT * Math.log10(Math.max(1, meters))
  }

  #station(name: string): Station {
    const station = this.#stations.get(name)
    if (station === undefined) throw new ArgumentError(`there is no radio ${name}`)
    return station
  }
}

export function distanceMeters(a: Position, b: Position): number {
  return Math.hypot(a.xMeters - b.xMeters, a.yMeters - b.yMeters)
}
