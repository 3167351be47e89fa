import { createRequire } from 'node:module'
import { installVirtualDriver, VIRTUAL_DRIVER, type HciTransport } from '../src/index.js'

/** What the tests use of noble and bleno; their own types cannot be in one program, and do not name everything. */
export interface Stack {
  waitForPoweredOnAsync(timeoutMs: number): Promise<void>
  stop(): void
  startScanning(services: readonly string[], duplicates: boolean): void
  startAdvertising(name: string, services: readonly string[]): void
  readonly _bindings: { readonly _hci: object }
}

interface BlenoHci {
  pollIsDevUp: () => void
  initDev(): void
}

type WithBindings = (type: string, options: object) => Stack

const require = createRequire(import.meta.url)

/** A real stack over a virtual controller, powered on. */
export async function start(name: 'noble' | 'bleno', virtual: HciTransport): Promise<Stack> {
  installVirtualDriver(import.meta.url)
  const loaded: unknown =
    name === 'noble'
      ? require('@stoprocent/noble/lib/resolve-bindings')
      : require('@stoprocent/bleno/lib/resolve-bindings')
  const withBindings = loaded as WithBindings
  const stack = withBindings('hci', { hciDriver: VIRTUAL_DRIVER, bindParams: { virtual }, extended: false })
  if (name === 'bleno') {
    // asks every second whether the device is still up, with a timer that its stop leaves behind
    const hci = stack._bindings._hci as BlenoHci
    hci.pollIsDevUp = () => hci.initDev()
  }
  await stack.waitForPoweredOnAsync(5000)
  return stack
}
