import { BleError } from './ble-error.js'
import type { StackOptions } from './ble-stacks.node.js'

/** Which adapter does what; `shared`: noble and bleno are on one. */
export interface ChosenAdapters {
  readonly central: StackOptions
  readonly peripheral: StackOptions | undefined
  readonly shared: boolean
}

/**
 * Gives each role its adapter.
 *
 * @param platform - as Node names it.
 * @param present - numbers of the adapters on Linux; `undefined` elsewhere.
 * @throws BleError NO_ADAPTER with a hint.
 */
export function chooseAdapters(
  wanted: { readonly central: StackOptions; readonly peripheral: StackOptions | false | undefined },
  platform: string,
  present: readonly number[] | undefined,
): ChosenAdapters {
  const { central } = wanted
  const peripheral = wanted.peripheral === undefined && platform === 'win32' ? false : wanted.peripheral
  // a driver of somebody's choice knows its own devices
  if (present === undefined || central.driver !== undefined) {
    if (peripheral === false) return { central, peripheral: undefined, shared: false }
    const other = peripheral ?? central
    return { central, peripheral: other, shared: sameAdapter(central, other) }
  }
  if (present.length === 0) {
    throw new BleError('NO_ADAPTER', 'there is no Bluetooth adapter: plug one in, or go without')
  }
  const taken = [central, peripheral].flatMap((stack) => (stack && stack.device !== undefined ? [stack.device] : []))
  const absent = taken.find((device) => !present.includes(device))
  if (absent !== undefined) {
    throw new BleError('NO_ADAPTER', `there is no hci${absent}, only ${present.map((n) => `hci${n}`).join(' and ')}`)
  }
  const free = present.filter((device) => !taken.includes(device))
  const first = central.device ?? free.shift()
  const dialler = { ...central, ...(first === undefined ? {} : { device: first }) }
  if (peripheral === false) return { central: dialler, peripheral: undefined, shared: false }
  const second = peripheral?.device ?? free.shift()
  if (second === undefined) {
    throw new BleError(
      'NO_ADAPTER',
      `hci${first} is the only Bluetooth adapter and two are needed: plug in another, or name this one for both roles, which is experimental`,
    )
  }
  return { central: dialler, peripheral: { ...peripheral, device: second }, shared: first === second }
}

function sameAdapter(a: StackOptions, b: StackOptions): boolean {
  return a.driver === b.driver && a.device === b.device && sameParams(a.driverParams, b.driverParams)
}

function sameParams(a: StackOptions['driverParams'] = {}, b: StackOptions['driverParams'] = {}): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}
