import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { ArgumentError } from '@aiv/transport-api'
import type { ControllerListener } from './virtual-controller.js'

/** A controller, wherever it is: {@link VirtualController} here, or behind a socket. */
export interface HciTransport {
  /** One packet from the host, type byte included; the buffer is kept. */
  handlePacket(packet: Uint8Array): void
  /** The answer stops it. */
  listen(listener: ControllerListener): () => void
  /** False once it is gone: pulled out, or its process ended. */
  readonly isUp: boolean
}

/** The driver's name: `hciDriver` of noble's and bleno's options, with {@link VirtualBindParams} as `bindParams`. */
export const VIRTUAL_DRIVER = 'virtual'

export interface VirtualBindParams {
  readonly virtual: HciTransport
}

interface HciSocketModule {
  loadDriver: (name: string) => unknown
}

const STACKS = ['@stoprocent/noble', '@stoprocent/bleno'] as const
const SOCKET_PACKAGE = '@stoprocent/bluetooth-hci-socket'
const installed = new WeakSet<HciSocketModule>()

/**
 * Teaches the HCI sockets of noble and bleno a driver that reaches virtual controllers. Before the first binding of either
 * is made: they take hold of the sockets' loader once. Everything above the socket is then the real stack.
 *
 * @param from - URL of a module (`import.meta.url`) that can import noble and bleno; both have their own dependency on the
 * sockets, so both are looked at.
 * @throws ArgumentError when neither stack is installed.
 */
export function installVirtualDriver(from: string): void {
  let found = false
  for (const stack of STACKS) {
    const module = socketsOf(stack, from)
    if (module === undefined) continue
    found = true
    if (installed.has(module)) continue
    installed.add(module)
    const { loadDriver } = module
    module.loadDriver = (name) => (name === VIRTUAL_DRIVER ? VirtualHciSocket : loadDriver(name))
  }
  if (!found) throw new ArgumentError(`neither ${STACKS.join(' nor ')} is installed`)
}

function socketsOf(stack: string, from: string): HciSocketModule | undefined {
  try {
    const require = createRequire(createRequire(from).resolve(`${stack}/package.json`))
    return require(SOCKET_PACKAGE) as HciSocketModule
  } catch (error) {
    if ((error as { code?: unknown }).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** What a raw HCI socket of Linux does: several may be bound to one controller, and each hears all of its events. */
class VirtualHciSocket extends EventEmitter {
  #transport: HciTransport | undefined
  #stop: (() => void) | undefined

  bindRaw(_device: number | undefined, parameters: VirtualBindParams): number {
    this.#transport = parameters.virtual
    return 0
  }

  bindUser(device: number | undefined, parameters: VirtualBindParams): number {
    return this.bindRaw(device, parameters)
  }

  /** The kernel's management channel, for pairing keys; there is none here. */
  bindControl(): number {
    return 0
  }

  getDeviceList(): readonly never[] {
    return []
  }

  setFilter(_filter: Uint8Array): void {}

  isDevUp(): boolean {
    return this.#transport?.isUp === true
  }

  start(): void {
    // a copy for each socket: the stacks cut their packets out of it and keep the pieces
    this.#stop ??= this.#transport?.listen((packet) => this.emit('data', Buffer.from(packet)))
  }

  stop(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  write(packet: Uint8Array): void {
    const transport = this.#transport
    const copy = Uint8Array.from(packet)
    // later, as a write to a device returns before it is answered: the stacks are not made to be called back within it
    queueMicrotask(() => transport?.handlePacket(copy))
  }
}
