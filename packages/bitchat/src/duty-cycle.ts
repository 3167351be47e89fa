import { ArgumentError, type TransportPolicy } from '@aiv/transport-api'
import type { BleScanning } from './ble-radio.js'

/** What a duty cycle is chosen from. */
export interface DutyCycleInput {
  /** 0 to 1; `undefined`: no battery, or none that can be read. */
  readonly batteryLevel: number | undefined
  readonly isCharging: boolean
  /** Packets of the mesh per second over all links, of the last seconds. */
  readonly packetsPerSecond: number
  /** Links to neighbours that are up. */
  readonly links: number
  /** Its `dutyCycle` is a ceiling for the share of time that is scanned. */
  readonly policy: Pick<TransportPolicy, 'dutyCycle'>
}

/** How eagerly a radio looks for others and shows itself. */
export interface DutyCycleLevel {
  /** For people and metrics. */
  readonly name: string
  /** It listens for this long, 2.5 or more… */
  readonly scanWindowMs: number
  /** …in each of these; equal: continuously. */
  readonly scanIntervalMs: number
  /**
   * Between two advertisements; 20 to 10,240. Shorter than every level's window less 10 ms, so that each window hears
   * everybody in range.
   */
  readonly advertiseIntervalMs: number
  /** Between two announcements to the whole mesh, before the jitter of ±25 % that the mesh adds. */
  readonly announceIntervalMs: number
}

export interface DutyCycleOptions {
  /** The most eager one first, each with a smaller share of scanning than the one before. @defaultValue five: from continuous to 1 s in 60 s */
  readonly levels?: readonly DutyCycleLevel[]
  /** Level by battery, from 0 to 1: at or above `batteryLevels[i]` level i + 1 is the base, below all the last one. @defaultValue [0.6, 0.3, 0.15] */
  readonly batteryLevels?: readonly number[]
  /** A battery must rise by this much above a border before a more eager level is chosen; 0 to 0.2. @defaultValue 0.03 */
  readonly batteryHysteresis?: number
  /** With so many links there are ways enough: one level lazier. From 1. @defaultValue 4 */
  readonly enoughLinks?: number
  /** With so many, two levels lazier; from enoughLinks. @defaultValue 8 */
  readonly denseLinks?: number
  /** From so much traffic on, and not enough links: one level more eager. @defaultValue 1 */
  readonly busyPacketsPerSecond?: number
}

export interface DutyCyclePlan {
  /** The level that the battery alone asks for: hand the plan in again, so that it does not flutter. */
  readonly byBattery: number
  readonly level: DutyCycleLevel
  /** For `BleRadio.scan`; `undefined`: the policy allows less than the last level, so that nothing is scanned. */
  readonly scanning: BleScanning | undefined
  readonly advertiseIntervalMs: number
  readonly announceIntervalMs: number
}

const level = (
  name: string,
  scanWindowMs: number,
  scanIntervalMs: number,
  advertiseIntervalMs: number,
  announceIntervalMs: number,
): DutyCycleLevel => Object.freeze({ name, scanWindowMs, scanIntervalMs, advertiseIntervalMs, announceIntervalMs })

/** The default levels: 100 %, 50 %, 20 %, 6.7 % and 1.7 % of scanning. */
export const dutyCycleLevels: readonly DutyCycleLevel[] = Object.freeze([
  level('continuous', 10_000, 10_000, 100, 30_000),
  level('eager', 5_000, 10_000, 200, 45_000),
  level('balanced', 2_000, 10_000, 300, 60_000),
  level('saver', 2_000, 30_000, 500, 90_000),
  level('minimal', 1_000, 60_000, 900, 120_000),
])

/**
 * A function that chooses the windows: by battery first (without one, or while it is charged, the most eager level), one
 * level up without any link or with much traffic over few links, and down where neighbours are plenty; never below the
 * last battery border, never above what the policy allows.
 * @throws ArgumentError for options out of their range.
 */
export function dutyCycle(
  options: DutyCycleOptions = {},
): (input: DutyCycleInput, before?: DutyCyclePlan) => DutyCyclePlan {
  const { levels, batteryLevels, batteryHysteresis, enoughLinks, denseLinks, busyPacketsPerSecond } = verify(options)
  const last = levels.length - 1

  const byBattery = ({ batteryLevel, isCharging }: DutyCycleInput, before: DutyCyclePlan | undefined): number => {
    if (isCharging || batteryLevel === undefined) return 0
    const borders = batteryLevels.map((border, i) => {
      // on its way up a battery has to pass a border by more than it flutters
      const isAbove = before !== undefined && before.byBattery <= i + 1
      return isAbove ? border : border + batteryHysteresis
    })
    const found = borders.findIndex((border) => batteryLevel >= border)
    return found < 0 ? last : Math.min(found + 1, last)
  }

  return (input, before) => {
    const base = byBattery(input, before)
    let index = base
    // an almost empty battery is not spent on looking for others, whatever there is to send
    if (index < last) {
      if (input.links === 0) index--
      else if (input.links >= denseLinks) index += 2
      else if (input.links >= enoughLinks) index++
      if (input.links < enoughLinks && input.packetsPerSecond >= busyPacketsPerSecond) index--
    }
    index = Math.max(0, Math.min(last, index))
    while (index < last && share(levels[index] as DutyCycleLevel) > input.policy.dutyCycle) index++
    const chosen = levels[index] as DutyCycleLevel
    const isAllowed = share(chosen) <= input.policy.dutyCycle
    return {
      byBattery: base,
      level: chosen,
      scanning: isAllowed ? { windowMs: chosen.scanWindowMs, intervalMs: chosen.scanIntervalMs } : undefined,
      advertiseIntervalMs: chosen.advertiseIntervalMs,
      announceIntervalMs: chosen.announceIntervalMs,
    }
  }
}

function share({ scanWindowMs, scanIntervalMs }: DutyCycleLevel): number {
  return scanWindowMs / scanIntervalMs
}

function verify(options: DutyCycleOptions): Required<DutyCycleOptions> {
  const all = {
    levels: dutyCycleLevels,
    batteryLevels: [0.6, 0.3, 0.15],
    batteryHysteresis: 0.03,
    enoughLinks: 4,
    denseLinks: 8,
    busyPacketsPerSecond: 1,
    ...options,
  }
  if (all.levels.length === 0) throw new ArgumentError('a duty cycle needs a level')
  let before = Number.POSITIVE_INFINITY
  for (const each of all.levels) {
    within(`scanWindowMs of ${each.name}`, each.scanWindowMs, 2.5, each.scanIntervalMs)
    within(`scanIntervalMs of ${each.name}`, each.scanIntervalMs, 2.5, 600_000)
    within(`advertiseIntervalMs of ${each.name}`, each.advertiseIntervalMs, 20, 10_240)
    within(`announceIntervalMs of ${each.name}`, each.announceIntervalMs, 5_000, 600_000)
    if (share(each) >= before) throw new ArgumentError(`${each.name} scans no less than the level before it`)
    before = share(each)
  }
  let higher = 1
  for (const border of all.batteryLevels) {
    within('batteryLevels', border, 0, higher)
    higher = border
  }
  within('batteryHysteresis', all.batteryHysteresis, 0, 0.2)
  within('enoughLinks', all.enoughLinks, 1, Number.MAX_SAFE_INTEGER)
  within('denseLinks', all.denseLinks, all.enoughLinks, Number.MAX_SAFE_INTEGER)
  within('busyPacketsPerSecond', all.busyPacketsPerSecond, 0, Number.MAX_SAFE_INTEGER)
  return all
}

function within(name: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most)) throw new ArgumentError(`${name} ${value}: ${least} to ${most}`)
}
