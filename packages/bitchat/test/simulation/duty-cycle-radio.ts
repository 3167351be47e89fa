import { World } from '@aiv/testkit'
import {
  type Airtime,
  type BleLink,
  type BleLinkHandler,
  type BleRadio,
  type BleRadioHandler,
  type BleSighting,
  type DutyCycleLevel,
  InMemoryAir,
} from '@aiv/bitchat'

export interface DutyCycleResult {
  readonly level: string
  /** Share of the time for which the radio did anything, and for which it scanned. Three neighbours, nothing to say. */
  readonly onShare: number
  readonly scanShare: number
  /** From the moment that a node comes into range until it has a link: what a message for it waits longer. */
  readonly medianMs: number
  readonly p90Ms: number
  readonly worstMs: number
}

const IDLE_MS = 600_000

/** A station that does as its level says, and dials whoever advertises the larger value. */
class Phone implements BleRadioHandler, BleLinkHandler {
  readonly links: BleLink[] = []
  readonly #dialling = new Set<string>()

  constructor(
    readonly radio: BleRadio,
    readonly value: number,
  ) {}

  begin({ scanWindowMs, scanIntervalMs, advertiseIntervalMs }: DutyCycleLevel): void {
    void this.radio.start(this).then(() => {
      this.radio.advertise({ payload: Uint8Array.of(0, 0, 0, this.value), intervalMs: advertiseIntervalMs })
      this.radio.scan({ windowMs: scanWindowMs, intervalMs: scanIntervalMs })
    })
  }

  onSighting({ device, payload }: BleSighting): void {
    if (this.value > (payload[3] as number) || this.#dialling.has(device)) return
    if (this.links.some((link) => link.device === device)) return
    this.#dialling.add(device)
    this.radio.connect(device).then(
      (link) => this.onLink(link),
      () => this.#dialling.delete(device),
    )
  }

  onLink(link: BleLink): void {
    this.links.push(link)
    link.attach(this)
  }

  onDown(): void {}
  onPacket(): void {}
  onWritable(): void {}
  onClosed(): void {}
}

/** How long the radio is on at a level, and how long a newcomer waits, by the radio's own account. */
export async function measureDutyCycle(level: DutyCycleLevel, trials: number): Promise<DutyCycleResult> {
  const waits: number[] = []
  for (let trial = 0; trial < trials; trial++) waits.push(await wait(level, trial))
  waits.sort((a, b) => a - b)
  const at = (share: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] as number
  const { scanMs, advertiseMs, transmitMs, receiveMs } = await idle(level)
  return {
    level: level.name,
    onShare: Math.min(1, (scanMs + advertiseMs + transmitMs + receiveMs) / IDLE_MS),
    scanShare: scanMs / IDLE_MS,
    medianMs: at(0.5),
    p90Ms: at(0.9),
    worstMs: at(1),
  }
}

/** A newcomer, at any moment of the other's windows and of its own, where one advertisement in ten is not heard. */
async function wait(level: DutyCycleLevel, trial: number): Promise<number> {
  const world = new World({ seed: `newcomer ${level.name} ${trial}` })
  const random = world.random('newcomer')
  const air = new InMemoryAir(
    { clock: world.clock('air'), random: world.random('air') },
    { advertisementLossRatio: 0.1 },
  )
  const [a, b] = random.chance(0.5) ? [1, 2] : [2, 1]
  const [resident, newcomer] = [new Phone(air.radio('resident'), a), new Phone(air.radio('newcomer'), b)]
  air.cut('resident', 'newcomer')
  resident.begin(level)
  await world.advance(random.uniform() * level.scanIntervalMs)
  newcomer.begin(level)
  await world.advance(random.uniform() * level.scanIntervalMs)
  const cameAt = world.now()
  air.restore('resident', 'newcomer')
  await world.until(() => resident.links.length > 0)
  return world.now() - cameAt
}

/** Four neighbours who all have links, and nothing to say. */
async function idle(level: DutyCycleLevel): Promise<Airtime> {
  const world = new World({ seed: `idle ${level.name}` })
  const air = new InMemoryAir({ clock: world.clock('air'), random: world.random('air') })
  const phones = [1, 2, 3, 4].map((value) => new Phone(air.radio(`phone ${value}`), value))
  for (const phone of phones) phone.begin(level)
  await world.until(() => phones.every(({ links }) => links.length === 3))
  const [phone] = phones as [Phone]
  const before = phone.radio.airtime()
  await world.advance(IDLE_MS)
  const after = phone.radio.airtime()
  return {
    scanMs: after.scanMs - before.scanMs,
    advertiseMs: after.advertiseMs - before.advertiseMs,
    transmitMs: after.transmitMs - before.transmitMs,
    receiveMs: after.receiveMs - before.receiveMs,
  }
}
