import { setMaxListeners } from 'node:events'
import { type Clock, type Random, silentLogger } from '@aiv/transport-api'
import {
  type HciTransport,
  installVirtualDriver,
  VIRTUAL_DRIVER,
  VirtualAir,
  type VirtualAirOptions,
} from '@aiv/ble-virtual'
import type { BleLink, BleRadio, BleRadioHandler, BleSighting } from '../src/ble-radio.js'
import type { NobleBlenoOptions } from '../src/noble-bleno-options.js'
import { NobleBlenoRadio } from '../src/noble-bleno-radio.node.js'

// each instance of each stack listens for the end of the process
setMaxListeners(0, process)

export const realClock: Clock = {
  now: () => performance.now(),
  unixNow: () => Date.now(),
  setTimeout: (run, ms) => {
    const timer = setTimeout(run, Math.max(0, ms))
    return { clear: () => clearTimeout(timer) }
  },
}

/** Enough for jitter. */
export const plainRandom: Random = {
  bytes: (length) => Uint8Array.from({ length }, () => Math.floor(Math.random() * 256)),
  uniform: () => Math.random(),
}

const airs: VirtualAir[] = []

/** In real time, as the stacks have timers of their own. */
export function virtualAir(options: Partial<VirtualAirOptions> = {}): VirtualAir {
  const air = new VirtualAir({ clock: realClock, random: plainRandom, ...options })
  airs.push(air)
  return air
}

/** Silences what was not closed by whoever used it. */
export function closeAirs(): void {
  for (const air of airs.splice(0)) for (const controller of air.controllers) controller.close()
}

/** The real stacks over a virtual controller, both on the same one. */
export function radioOn(virtual: HciTransport, options: NobleBlenoOptions = {}): NobleBlenoRadio {
  installVirtualDriver(import.meta.url)
  const stack = { driver: VIRTUAL_DRIVER, driverParams: { virtual } }
  return new NobleBlenoRadio(
    { clock: realClock, log: silentLogger },
    { central: stack, peripheral: stack, supervisionTimeoutMs: 300, ...options },
  )
}

/** Waits until `condition` holds; a test's own time limit is the only one. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** What came of one link. */
export class Line {
  readonly packets: Uint8Array[] = []
  writable = 0
  closed: string | undefined

  constructor(readonly link: BleLink) {
    link.attach({
      onPacket: (bytes) => this.packets.push(bytes),
      onWritable: () => this.writable++,
      onClosed: (code) => (this.closed = code),
    })
  }
}

/** A started radio and all that it told. */
export class Station implements BleRadioHandler {
  readonly sightings = new Map<string, BleSighting>()
  readonly lines: Line[] = []
  down: Error | undefined

  private constructor(readonly radio: BleRadio) {}

  static async start(radio: BleRadio): Promise<Station> {
    const station = new Station(radio)
    await radio.start(station)
    return station
  }

  onSighting(sighting: BleSighting): void {
    this.sightings.set(sighting.device, sighting)
  }

  onLink(link: BleLink): void {
    this.lines.push(new Line(link))
  }

  onDown(error: Error): void {
    this.down = error
  }

  advertise(byte: number): void {
    this.radio.advertise({ payload: new Uint8Array(4).fill(byte), intervalMs: 20 })
  }

  scan(): void {
    this.radio.scan({ windowMs: 1000, intervalMs: 1000 })
  }

  /** The device that advertises four times `byte`. */
  async sees(byte: number): Promise<string> {
    const found = () => [...this.sightings.values()].find(({ payload }) => payload[0] === byte)
    await until(() => found() !== undefined)
    return found()?.device ?? ''
  }

  async connect(device: string): Promise<Line> {
    const line = new Line(await this.radio.connect(device))
    this.lines.push(line)
    return line
  }
}
