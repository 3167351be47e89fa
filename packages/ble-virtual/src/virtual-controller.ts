import type { Timer } from '@aiv/transport-api'
import { HciFault, type HciFaultCode } from './hci-fault.js'
import {
  addressBytes,
  advertisingReport,
  commandComplete,
  commandStatus,
  completedPackets,
  type ConnectionParameters,
  connectionComplete,
  connectionUpdateComplete,
  dataBufferOverflow,
  disconnectionComplete,
  MAX_ADVERTISING_BYTES,
  Opcode,
  PacketType,
  PARAMETER_BYTES,
  readU16,
  SCAN_RESPONSE,
  Status,
} from './hci.js'
import type { VirtualAir } from './virtual-air.js'
import { type LinkEnd, VirtualLink } from './virtual-link.js'

/** Whoever listens to a controller: `packet` is a view, shared with the other listeners. */
export type ControllerListener = (packet: Uint8Array) => void

const FIRST_HANDLE = 0x40
const LAST_HANDLE = 0xeff
/** Type 0: anybody may connect. */
const CONNECTABLE = 0

interface Initiating {
  readonly peer: Uint8Array
  readonly parameters: ConnectionParameters
}

/**
 * A Bluetooth 5.0 controller in software, legacy advertising only: what an HCI host writes goes in, what a real adapter
 * would say comes out. Several hosts may listen to one, as programs on Linux raw sockets do: each sees every event.
 *
 * Left out: encryption, random addresses, extended advertising, a time grid of connection events. Credits: each of the
 * `hosts` that share the controller believes that the announced buffers are its own, so there are `hosts` times as many.
 */
export class VirtualController {
  readonly address: string
  /** {@link address} as it is on the wire. */
  readonly addressBytes: Uint8Array
  readonly #air: VirtualAir
  readonly #onFault: (fault: HciFault) => void
  readonly #listeners = new Set<ControllerListener>()
  readonly #ends = new Map<number, LinkEnd>()
  #nextHandle = FIRST_HANDLE
  #advertising = advertisingOff()
  #advertiseTimer: Timer | undefined
  #scanning = scanningOff()
  #initiating: Initiating | undefined
  #isUp = true

  /** Made by {@link VirtualAir.create}. */
  constructor(air: VirtualAir, address: string, onFault: (fault: HciFault) => void) {
    this.#air = air
    this.address = address
    this.addressBytes = addressBytes(address)
    this.#onFault = onFault
  }

  /** False after {@link close}. */
  get isUp(): boolean {
    return this.#isUp
  }

  /** Links that are up. */
  get linkCount(): number {
    return this.#ends.size
  }

  get isAdvertising(): boolean {
    return this.#advertising.on
  }

  get isScanning(): boolean {
    return this.#scanning.on
  }

  /** Hears every packet that the controller sends up; the answer stops it. */
  listen(listener: ControllerListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * One packet from a host, type byte included; the buffer is kept. What breaks the rules is handed to the air's `onFault`
   * (which throws by default) and then answered as hardware does: an error status, or not at all.
   */
  handlePacket(packet: Uint8Array): void {
    if (packet[0] === PacketType.command && packet.length >= 4) this.#handleCommand(packet)
    else if (packet[0] === PacketType.acl && packet.length >= 5) this.#handleAcl(packet)
    else this.#fault('HCI_PACKET', `type ${packet[0]}, ${packet.length} bytes`)
  }

  /** Switches it off, as pulling it out does: its host hears no more, its peers lose their links by supervision timeout. */
  close(): void {
    this.#isUp = false
    this.#reset()
    this.#listeners.clear()
    this.#air.remove(this)
  }

  /** @internal The other side hears or hears no more. */
  checkReach(): void {
    for (const end of [...this.#ends.values()]) end.link.checkReach()
  }

  /** @internal */
  linkEnded(end: LinkEnd, reason: number): void {
    if (!this.#ends.delete(end.handle)) return
    this.#emit(disconnectionComplete(end.handle, reason))
  }

  /** @internal The oldest packet of `end` has arrived. */
  packetSent(end: LinkEnd): void {
    this.#emit(completedPackets(end.handle, 1))
  }

  /** @internal */
  packetReceived(end: LinkEnd, first: boolean, data: Uint8Array): void {
    const packet = new Uint8Array(5 + data.length)
    const handle = end.handle | ((first ? 2 : 1) << 12)
    packet.set([PacketType.acl, handle & 0xff, handle >> 8, data.length & 0xff, data.length >> 8])
    packet.set(data, 5)
    this.#emit(packet)
  }

  /** @internal An advertisement of `from` reaches us. */
  hearAdvertisement(from: VirtualController, rssi: number): void {
    const { type, data, response } = from.#advertising
    const scan = this.#scanning
    // listens only for a part of the time
    if (scan.on && this.#air.random.uniform() * scan.interval < scan.window) {
      this.#report(type, from, data, rssi)
      if (scan.active) this.#report(SCAN_RESPONSE, from, response, rssi)
    }
    const initiating = this.#initiating
    if (initiating === undefined || type !== CONNECTABLE || !sameAddress(initiating.peer, from.addressBytes)) return
    if (from.#ends.size >= this.#air.maxLinks) return
    this.#initiating = undefined
    this.#connect(from, initiating)
  }

  #connect(peripheral: VirtualController, { peer, parameters }: Initiating): void {
    // legacy connectable advertising ends with a connection
    peripheral.#stopAdvertising()
    const handles = { central: this.#takeHandle(), peripheral: peripheral.#takeHandle() }
    const link = new VirtualLink(this, peripheral, handles, parameters, this.#air.linkOptions)
    this.#ends.set(handles.central, link.central)
    peripheral.#ends.set(handles.peripheral, link.peripheral)
    peripheral.#emit(connectionComplete(Status.success, handles.peripheral, 1, this.addressBytes, parameters))
    if (link.central.alive) this.#emit(connectionComplete(Status.success, handles.central, 0, peer, parameters))
  }

  #takeHandle(): number {
    for (;;) {
      const handle = this.#nextHandle
      this.#nextHandle = handle >= LAST_HANDLE ? FIRST_HANDLE : handle + 1
      if (!this.#ends.has(handle)) return handle
    }
  }

  #handleCommand(packet: Uint8Array): void {
    const opcode = readU16(packet, 1)
    const parameters = packet.subarray(4)
    const expected = PARAMETER_BYTES.get(opcode)
    if (expected === undefined) {
      this.#fault('HCI_UNKNOWN_OPCODE', `opcode 0x${opcode.toString(16).padStart(4, '0')}`)
      return this.#complete(opcode, Status.unknownCommand)
    }
    if (parameters.length !== expected || packet[3] !== expected) {
      this.#fault('HCI_PARAMETERS', `0x${opcode.toString(16)} takes ${expected} bytes, not ${parameters.length}`)
      return this.#complete(opcode, Status.invalidParameters)
    }
    this.#execute(opcode, parameters)
  }

  #execute(opcode: number, parameters: Uint8Array): void {
    const { aclBytes, aclCount, dataLengthExtension } = this.#air
    const [p0 = 0, p1 = 0, p2 = 0] = parameters
    switch (opcode) {
      case Opcode.reset:
        this.#reset()
        return this.#complete(opcode, Status.success)
      case Opcode.setEventMask:
      case Opcode.leSetEventMask:
      case Opcode.writeLeHostSupport:
        return this.#complete(opcode, Status.success)
      case Opcode.readLeHostSupport:
        return this.#complete(opcode, Status.success, 1, 0)
      case Opcode.readLocalVersion:
        // HCI and link layer 5.0, manufacturer 0xffff: none
        return this.#complete(opcode, Status.success, 9, 0, 0, 9, 0xff, 0xff, 0, 0)
      case Opcode.readAddress:
        return this.#complete(opcode, Status.success, ...this.addressBytes)
      case Opcode.leReadFeatures:
        return this.#complete(opcode, Status.success, dataLengthExtension ? 0x20 : 0, 0, 0, 0, 0, 0, 0, 0)
      case Opcode.leReadMaxDataLength:
        return this.#complete(opcode, Status.success, 0xfb, 0, 0x48, 0x08, 0xfb, 0, 0x48, 0x08)
      case Opcode.leReadBufferSize:
        return this.#complete(opcode, Status.success, aclBytes & 0xff, aclBytes >> 8, aclCount)
      case Opcode.readBufferSize:
        return this.#complete(opcode, Status.success, aclBytes & 0xff, aclBytes >> 8, 0, aclCount, 0, 0, 0)
      case Opcode.readRssi: {
        const end = this.#ends.get(readU16(parameters, 0))
        if (end === undefined) return this.#complete(opcode, Status.unknownConnection, p0, p1, 0)
        const rssi = this.#air.signal(end.link.peerOf(end).controller, this) ?? -127
        return this.#complete(opcode, Status.success, p0, p1, rssi & 0xff)
      }
      case Opcode.leSetDataLength:
        return this.#complete(
          opcode,
          this.#ends.has(readU16(parameters, 0)) ? Status.success : Status.unknownConnection,
          p0,
          p1,
        )
      case Opcode.leSetAdvertisingParameters:
        return this.#complete(opcode, this.#setAdvertisingParameters(parameters))
      case Opcode.leSetAdvertisingData:
      case Opcode.leSetScanResponse: {
        if (p0 > MAX_ADVERTISING_BYTES) return this.#refuse(opcode, `${p0} bytes of advertisement`)
        const data = parameters.slice(1, 1 + p0)
        if (opcode === Opcode.leSetAdvertisingData) this.#advertising.data = data
        else this.#advertising.response = data
        return this.#complete(opcode, Status.success)
      }
      case Opcode.leSetAdvertisingEnable:
        return this.#enableAdvertising(p0 === 1)
      case Opcode.leSetScanParameters: {
        const interval = readU16(parameters, 1)
        const window = readU16(parameters, 3)
        if (this.#scanning.on) return this.#complete(opcode, Status.disallowed)
        if (interval < 4 || interval > 0x4000 || window < 4 || window > interval) {
          return this.#refuse(opcode, `scan window ${window} of ${interval}`)
        }
        this.#scanning = { ...this.#scanning, active: p0 === 1, interval, window }
        return this.#complete(opcode, Status.success)
      }
      case Opcode.leSetScanEnable:
        this.#scanning = { ...this.#scanning, on: p0 === 1, filterDuplicates: p1 === 1, seen: new Set() }
        return this.#complete(opcode, Status.success)
      case Opcode.leCreateConnection:
        return this.#emit(commandStatus(opcode, this.#createConnection(parameters)))
      case Opcode.leCancelConnection: {
        const initiating = this.#initiating
        this.#complete(opcode, initiating === undefined ? Status.disallowed : Status.success)
        if (initiating === undefined) return
        this.#initiating = undefined
        const { peer, parameters: wanted } = initiating
        return this.#emit(connectionComplete(Status.unknownConnection, 0, 0, peer, wanted))
      }
      case Opcode.leUpdateConnection: {
        const end = this.#ends.get(readU16(parameters, 0))
        this.#emit(commandStatus(opcode, end === undefined ? Status.unknownConnection : Status.success))
        if (end === undefined) return
        end.link.parameters = {
          interval: readU16(parameters, 4),
          latency: readU16(parameters, 6),
          supervisionTimeout: readU16(parameters, 8),
        }
        for (const each of [end, end.link.peerOf(end)]) {
          if (each.alive) each.controller.#emit(connectionUpdateComplete(each.handle, end.link.parameters))
        }
        return
      }
      case Opcode.disconnect: {
        const end = this.#ends.get(readU16(parameters, 0))
        this.#emit(commandStatus(opcode, end === undefined ? Status.unknownConnection : Status.success))
        return end?.link.disconnect(end, p2)
      }
    }
  }

  #createConnection(parameters: Uint8Array): number {
    const peer = parameters.slice(6, 12)
    const wanted = {
      interval: readU16(parameters, 15),
      latency: readU16(parameters, 17),
      supervisionTimeout: readU16(parameters, 19),
    }
    // section 7.8.12: the timeout is longer than two connection events that the peripheral takes part in
    const shortest = ((1 + wanted.latency) * wanted.interval * 1.25 * 2) / 10
    if (
      wanted.interval < 6 ||
      wanted.interval > 0xc80 ||
      readU16(parameters, 13) > wanted.interval ||
      wanted.supervisionTimeout < 0xa ||
      wanted.supervisionTimeout > 0xc80 ||
      wanted.supervisionTimeout <= shortest
    ) {
      this.#fault('HCI_PARAMETERS', `interval ${wanted.interval}, supervision timeout ${wanted.supervisionTimeout}`)
      return Status.invalidParameters
    }
    if (this.#initiating !== undefined) return Status.disallowed
    if (this.#ends.size >= this.#air.maxLinks) return Status.connectionLimit
    // one LE link per pair of devices, whoever made it
    for (const end of this.#ends.values()) {
      if (sameAddress(end.link.peerOf(end).controller.addressBytes, peer)) return Status.connectionExists
    }
    this.#initiating = { peer, parameters: wanted }
    return Status.success
  }

  #setAdvertisingParameters(parameters: Uint8Array): number {
    if (this.#advertising.on) return Status.disallowed
    const interval = readU16(parameters, 0)
    if (interval < 0x20 || interval > 0x4000 || readU16(parameters, 2) < interval) {
      this.#fault('HCI_PARAMETERS', `advertising interval ${interval}`)
      return Status.invalidParameters
    }
    this.#advertising = { ...this.#advertising, interval, type: parameters[4] ?? CONNECTABLE }
    return Status.success
  }

  #enableAdvertising(on: boolean): void {
    if (on && this.#ends.size >= this.#air.maxLinks) {
      return this.#complete(Opcode.leSetAdvertisingEnable, Status.connectionLimit)
    }
    const was = this.#advertising.on
    if (on) this.#advertising.on = true
    else this.#stopAdvertising()
    this.#complete(Opcode.leSetAdvertisingEnable, Status.success)
    if (on && !was) this.#scheduleAdvertisement(0)
  }

  #stopAdvertising(): void {
    this.#advertising.on = false
    this.#advertiseTimer?.clear()
  }

  #scheduleAdvertisement(delayMs: number): void {
    const { clock, random } = this.#air
    this.#advertiseTimer = clock.setTimeout(() => {
      this.#air.advertise(this)
      if (!this.#advertising.on) return
      // Vol 6, Part B, section 4.4.2.2: up to 10 ms of jitter, so that two advertisers do not collide for ever
      this.#scheduleAdvertisement(this.#advertising.interval * 0.625 + random.uniform() * 10)
    }, delayMs)
  }

  #report(type: number, from: VirtualController, data: Uint8Array, rssi: number): void {
    const { filterDuplicates, seen } = this.#scanning
    const key = `${from.address} ${type}`
    if (filterDuplicates && seen.has(key)) return
    seen.add(key)
    this.#emit(advertisingReport(type, from.addressBytes, data, rssi))
  }

  #handleAcl(packet: Uint8Array): void {
    const { aclBytes, aclCount, hosts } = this.#air
    const flags = readU16(packet, 1)
    const data = packet.subarray(5)
    const end = this.#ends.get(flags & 0xfff)
    if (data.length !== readU16(packet, 3)) return this.#fault('HCI_PACKET', 'an ACL packet of another length')
    if (data.length > aclBytes) {
      return this.#fault('HCI_ACL_TOO_LONG', `${data.length} bytes, buffers have ${aclBytes}`)
    }
    // the link may have ended while the packet was under way
    if (end === undefined) return
    let buffered = 0
    for (const { onAir } of this.#ends.values()) buffered += onAir.length
    if (buffered >= aclCount * hosts) {
      this.#emit(dataBufferOverflow())
      return this.#fault('HCI_ACL_OVERRUN', `more than ${aclCount} × ${hosts} packets`)
    }
    const first = ((flags >> 12) & 3) !== 1
    try {
      end.sending.fragment(first, data)
    } catch (error) {
      if (!(error instanceof HciFault)) throw error
      return this.#onFault(error)
    }
    end.link.send(end, first, data)
  }

  /** Section 7.3.2: links end without a word to the host. */
  #reset(): void {
    const ends = [...this.#ends.values()]
    this.#ends.clear()
    this.#stopAdvertising()
    this.#advertising = advertisingOff()
    this.#scanning = scanningOff()
    this.#initiating = undefined
    for (const end of ends) end.link.vanish(end)
  }

  #complete(opcode: number, ...returned: readonly number[]): void {
    this.#emit(commandComplete(opcode, returned))
  }

  #refuse(opcode: number, why: string): void {
    this.#fault('HCI_PARAMETERS', why)
    this.#complete(opcode, Status.invalidParameters)
  }

  #fault(code: HciFaultCode, message: string): void {
    this.#onFault(new HciFault(code, `${this.address}: ${message}`))
  }

  #emit(packet: Uint8Array): void {
    for (const listener of [...this.#listeners]) listener(packet)
  }
}

/** What a reset leaves: 1.28 s, section 7.8.5. */
function advertisingOff() {
  return { on: false, type: CONNECTABLE, interval: 0x800, data: new Uint8Array(0), response: new Uint8Array(0) }
}

function scanningOff() {
  return { on: false, active: false, filterDuplicates: false, interval: 0x10, window: 0x10, seen: new Set<string>() }
}

function sameAddress(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i])
}
