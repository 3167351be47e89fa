import type { Clock, Millis } from '@aiv/transport-api'
import type { Airtime, BleScanning } from './ble-radio.js'

/** Adds up what an in-memory radio did, without an event for every window. */
export class RadioAccount {
  readonly #clock: Clock
  #scanMs = 0
  #advertiseMs = 0
  #transmitMs = 0
  #receiveMs = 0
  #scanning: BleScanning | undefined
  #scanningSince: Millis = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** From now on it scans like that. */
  scan(scanning: BleScanning | undefined): void {
    this.#scanMs += this.#scannedMs()
    this.#scanning = scanning
    this.#scanningSince = this.#clock.now()
  }

  /** True when a window is open at `now`. */
  isListening(now: Millis): boolean {
    if (this.#scanning === undefined) return false
    return (now - this.#scanningSince) % this.#scanning.intervalMs < this.#scanning.windowMs
  }

  /** Scanned beside the windows, for a connect: `ms` that no window covers. */
  initiated(ms: number): void {
    this.#scanMs += ms
  }

  advertised(ms: number): void {
    this.#advertiseMs += ms
  }

  transmitted(ms: number): void {
    this.#transmitMs += ms
  }

  received(ms: number): void {
    this.#receiveMs += ms
  }

  total(): Airtime {
    return {
      scanMs: this.#scanMs + this.#scannedMs(),
      advertiseMs: this.#advertiseMs,
      transmitMs: this.#transmitMs,
      receiveMs: this.#receiveMs,
    }
  }

  #scannedMs(): number {
    if (this.#scanning === undefined) return 0
    const { windowMs, intervalMs } = this.#scanning
    const elapsed = this.#clock.now() - this.#scanningSince
    return Math.floor(elapsed / intervalMs) * windowMs + Math.min(windowMs, elapsed % intervalMs)
  }
}
