import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock, systemRandom } from '@aiv/core'
import type { NobleBlenoOptions, StackOptions } from '@aiv/bitchat'
import type { Clock, Random } from '@aiv/transport-api'
import { CommandError } from '../errors.js'
import type { DemoRadio } from './demo-protocol.js'

/** Controllers in software: an optional package, as a node in the field has no use for it. */
const VIRTUAL = '@aiv/ble-virtual'
/** What both radios, real and virtual, are driven by. */
const STACKS = ['@stoprocent/noble', '@stoprocent/bleno']
const LINUX_ADAPTERS = '/sys/class/bluetooth'

/** As much of that package as is used. */
interface VirtualPackage {
  readonly VirtualAir: new (options: {
    readonly clock: Clock
    readonly random: Random
    readonly signal: (from: string, to: string) => number | undefined
  }) => object
  readonly VirtualAirServer: {
    listen(air: object, options: { readonly path: string }): Promise<{ close(): Promise<void> }>
  }
  readonly SocketController: { open(path: string): Promise<{ close(): void }> }
  readonly VIRTUAL_DRIVER: string
  readonly installVirtualDriver: (from: string) => void
}

/** What the demo's radio nodes are on. */
export interface DemoAir {
  /** For people: over the air, or in software. */
  readonly text: string
  /** One for each node. With three of them the outer two do not hear each other. */
  readonly radios: readonly DemoRadio[]
  close(): Promise<void>
}

/** @returns what is missing, as a text, when there is neither an adapter for each node nor software for them. */
export async function openAir(folder: string): Promise<DemoAir | string> {
  const missing = STACKS.filter((name) => !isInstalled(name))
  if (missing.length > 0) return `${missing.join(' and ')} not installed`
  const adapters = await linuxAdapters()
  if (adapters.length >= 2) {
    const radios = adapters.slice(0, 2).map((adapter) => ({ adapter }))
    const names = radios.map(({ adapter }) => `hci${adapter}`).join(' and ')
    return { text: `over the air, between ${names}`, radios, close: () => Promise.resolve() }
  }
  if (!isInstalled(VIRTUAL)) return `fewer than two Bluetooth adapters, and ${VIRTUAL} not installed`
  const { VirtualAir, VirtualAirServer } = await virtual()
  // as the controllers are counted: the first and the third one are out of each other's range
  const line = (address: string): number => parseInt(address.slice(-2), 16)
  const signal = (from: string, to: string): number | undefined =>
    Math.abs(line(from) - line(to)) <= 1 ? -60 : undefined
  const air = new VirtualAir({ clock: systemClock, random: systemRandom, signal })
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\aiv-demo-air-${process.pid}` : join(folder, 'air')
  const server = await VirtualAirServer.listen(air, { path })
  return {
    text: 'over Bluetooth controllers in software, as this machine does not have two adapters',
    radios: Array.from({ length: 3 }, () => ({ airSocket: path })),
    close: () => server.close(),
  }
}

/** A node's part of the air. */
export interface DemoStacks {
  readonly options: NobleBlenoOptions
  close(): void
}

export async function openRadio(radio: DemoRadio): Promise<DemoStacks> {
  if ('adapter' in radio) {
    const stack = { device: radio.adapter }
    return { options: { central: stack, peripheral: stack }, close: () => undefined }
  }
  const { installVirtualDriver, SocketController, VIRTUAL_DRIVER } = await virtual()
  installVirtualDriver(BITCHAT)
  const controller = await SocketController.open(radio.airSocket)
  const stack: StackOptions = { driver: VIRTUAL_DRIVER, driverParams: { virtual: controller } }
  return { options: { central: stack, peripheral: stack }, close: () => controller.close() }
}

const here = createRequire(import.meta.url)
/** The stacks are peers of that package, and found from there. */
const BITCHAT = pathToFileURL(here.resolve('@aiv/bitchat/package.json')).href

function isInstalled(name: string): boolean {
  for (const from of [here, createRequire(BITCHAT)]) {
    try {
      from.resolve(`${name}/package.json`)
      return true
    } catch {
      // not from there
    }
  }
  return false
}

async function virtual(): Promise<VirtualPackage> {
  try {
    return (await import(VIRTUAL)) as VirtualPackage
  } catch (cause) {
    throw new CommandError('DEMO_FAILED', `${VIRTUAL} cannot be loaded`, { cause })
  }
}

async function linuxAdapters(): Promise<number[]> {
  const names = process.platform === 'linux' ? await readdir(LINUX_ADAPTERS).catch(() => []) : []
  return names.flatMap((name) => /^hci(\d+)$/.exec(name)?.[1] ?? []).map(Number)
}
