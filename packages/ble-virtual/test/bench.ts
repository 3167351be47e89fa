import { World } from '@aiv/testkit'
import { fromHex, toHex } from '@aiv/transport-api'
import { VirtualAir, type VirtualAirOptions, type VirtualController } from '../src/index.js'

/** An air in virtual time, and hosts that write hexadecimal and read it. */
export function bench(options: Partial<VirtualAirOptions> = {}) {
  const world = new World({ seed: 1 })
  const air = new VirtualAir({ clock: world.clock('air'), random: world.random('air'), hosts: 1, ...options })
  return {
    air,
    host: () => new Host(air.create()),
    /** Lets so many milliseconds pass. */
    pass: (ms: number) => world.advance(ms),
  }
}

export class Host {
  readonly controller: VirtualController
  readonly heard: string[] = []

  constructor(controller: VirtualController) {
    this.controller = controller
    controller.listen((packet) => this.heard.push(toHex(packet)))
  }

  write(...packets: readonly string[]): void {
    for (const packet of packets) this.controller.handlePacket(fromHex(packet.replaceAll(' ', '')))
  }

  /** What was heard since the last call. */
  take(): string[] {
    return this.heard.splice(0)
  }

  advertise(): void {
    this.write('01 0620 0f a000a0000000000000000000000700', '01 0a20 01 01')
  }

  /** LE Create Connection as noble sends it, with a supervision timeout of 420 ms. */
  connect(to: Host): void {
    const peer = toHex(to.controller.addressBytes)
    this.write(`01 0d20 19 6000 3000 00 00 ${peer} 00 0600 1200 0000 2a00 0400 0600`)
  }
}

/** Handles are counted from here. */
export const FIRST = '4000'

/** Two hosts with a link between them; the first one is the central. */
export async function linked(options: Partial<VirtualAirOptions> = {}) {
  const { air, host, pass } = bench(options)
  const central = host()
  const peripheral = host()
  peripheral.advertise()
  central.connect(peripheral)
  await pass(200)
  central.take()
  peripheral.take()
  return { air, host, pass, central, peripheral }
}

/** An ACL packet of one L2CAP frame on the attribute channel. */
export function att(handle: string, pdu: string): string {
  const bytes = pdu.replaceAll(' ', '').length / 2
  return `02${handle}${le(bytes + 4)}${le(bytes)}0400${pdu}`
}

export function le(value: number): string {
  return toHex(Uint8Array.of(value & 0xff, value >> 8))
}
