import {
  ArgumentError,
  deviceTypeFromByte,
  deviceTypeToByte,
  MAX_ADDRESS_LENGTH,
  MAX_PEER_RECORD_BYTES,
  readVarint,
  varintLength,
  varintLengthFrom,
  writeVarint,
  type DeviceType,
  type PerPriority,
} from '@aiv/transport-api'
import { EPOCH_BYTES, epochFromBytes, epochToBytes, type Epoch } from './epoch.js'
import { PacketKind } from './packet.js'

/** The version that this package speaks. */
export const HELLO_VERSION = 1
/** Longest HELLO, in bytes. */
export const MAX_HELLO_BYTES = 2048

/** Bits of {@link Hello.capabilities}. Unknown bits are ignored. */
export const Capability = {
  /** Takes link envelopes with an LZ4-compressed payload. */
  Lz4: 0x01,
} as const

/** The first packet on a connection, each way: nothing else is acted on before it. */
export interface Hello {
  /** Highest version the sender speaks, at least 1. */
  readonly version: number
  /** Sum of {@link Capability} bits, a u32. */
  readonly capabilities: number
  readonly deviceType: DeviceType | undefined
  /** The sender's own signed peer record, unverified; a view into the packet when decoded. */
  readonly record: Uint8Array | undefined
  /** The address that the sender sees the receiver at, as a URL; a hint and nothing more. */
  readonly observedAddress: string | undefined
  /** Which life of the sender the counters of its link envelopes belong to. */
  readonly epoch: Epoch
  /**
   * Per priority the lowest counter that the sender may still send: everything below is acknowledged or given up, so
   * that a receiver which knows nothing of it does not wait for it. `undefined`: all 0.
   */
  readonly firstCounters: PerPriority<number> | undefined
  /** The sender has the receiver's HELLO already. One that says no asks for it, should it have been lost. */
  readonly heard: boolean
}

const Tlv = {
  Capabilities: 1,
  DeviceType: 2,
  Record: 3,
  ObservedAddress: 4,
  Epoch: 5,
  FirstCounters: 6,
  Heard: 7,
} as const

/**
 * Packet 02, in a new buffer: `02 ‖ version u8 ‖ TLVs`, each `type u8 ‖ varint length ‖ value`, types ascending.
 * @throws ArgumentError when a field has the wrong size or range. docs/wire/packets.md
 */
export function encodeHello(hello: Hello): Uint8Array {
  const { version, capabilities, deviceType, record, observedAddress, firstCounters } = hello
  if (!(version >= 1 && version <= 255)) throw new ArgumentError(`HELLO version ${version}`)
  const fields: (readonly [type: number, value: Uint8Array])[] = []
  if (capabilities !== 0) fields.push([Tlv.Capabilities, bitField(capabilities)])
  if (deviceType !== undefined) fields.push([Tlv.DeviceType, Uint8Array.of(deviceTypeToByte(deviceType))])
  if (record !== undefined) {
    if (record.length > MAX_PEER_RECORD_BYTES) throw new ArgumentError(`a peer record of ${record.length} bytes`)
    fields.push([Tlv.Record, record])
  }
  if (observedAddress !== undefined) {
    const text = new TextEncoder().encode(observedAddress)
    if (text.length > MAX_ADDRESS_LENGTH) throw new ArgumentError(`an address of ${text.length} bytes`)
    fields.push([Tlv.ObservedAddress, text])
  }
  fields.push([Tlv.Epoch, epochToBytes(hello.epoch)])
  if (firstCounters !== undefined) fields.push([Tlv.FirstCounters, varints(firstCounters)])
  if (hello.heard) fields.push([Tlv.Heard, new Uint8Array(0)])

  let length = 2
  for (const [, value] of fields) length += 1 + varintLength(value.length) + value.length
  const out = new Uint8Array(length)
  out[0] = PacketKind.Hello
  out[1] = version
  let at = 2
  for (const [type, value] of fields) {
    out[at] = type
    at = writeVarint(out, at + 1, value.length)
    out.set(value, at)
    at += value.length
  }
  return out
}

/**
 * Reads packet 02. Unknown types are ignored; views into `bytes`.
 * `undefined` when the bytes are no HELLO: another kind, over {@link MAX_HELLO_BYTES}, version 0, cut off, types not
 * ascending, no epoch, or a field of the wrong size.
 */
export function decodeHello(bytes: Uint8Array): Hello | undefined {
  const version = bytes[1]
  if (bytes[0] !== PacketKind.Hello || version === undefined || version < 1) return undefined
  if (bytes.length > MAX_HELLO_BYTES) return undefined
  let capabilities = 0
  let deviceType: DeviceType | undefined
  let record: Uint8Array | undefined
  let observedAddress: string | undefined
  let epoch: Epoch | undefined
  let firstCounters: PerPriority<number> | undefined
  let heard = false
  let last = 0
  for (let at = 2; at < bytes.length;) {
    const type = bytes[at] as number
    if (type <= last) return undefined
    last = type
    const length = readVarint(bytes, at + 1)
    if (length < 0) return undefined
    at += 1 + varintLengthFrom(bytes[at + 1] as number)
    if (at + length > bytes.length) return undefined
    const value = bytes.subarray(at, at + length)
    at += length
    if (type === Tlv.Capabilities) {
      capabilities = readBitField(value)
    } else if (type === Tlv.DeviceType) {
      deviceType = length === 1 ? deviceTypeFromByte(value[0] as number) : undefined
      if (deviceType === undefined) return undefined
    } else if (type === Tlv.Record) {
      if (length > MAX_PEER_RECORD_BYTES) return undefined
      record = value
    } else if (type === Tlv.ObservedAddress) {
      observedAddress = length > MAX_ADDRESS_LENGTH ? undefined : text(value)
      if (observedAddress === undefined) return undefined
    } else if (type === Tlv.Epoch) {
      if (length !== EPOCH_BYTES) return undefined
      epoch = epochFromBytes(value)
    } else if (type === Tlv.FirstCounters) {
      firstCounters = readVarints(value)
      if (firstCounters === undefined) return undefined
    } else if (type === Tlv.Heard) {
      if (length !== 0) return undefined
      heard = true
    }
  }
  if (epoch === undefined) return undefined
  return { version, capabilities, deviceType, record, observedAddress, epoch, firstCounters, heard }
}

/** Least significant byte first, trailing zero bytes dropped: the form that peer records have. */
function bitField(bits: number): Uint8Array {
  if (!Number.isInteger(bits) || bits < 0 || bits > 0xffffffff) throw new ArgumentError(`capabilities ${bits}: a u32`)
  const out: number[] = []
  for (let rest = bits; rest > 0; rest >>>= 8) out.push(rest & 0xff)
  return Uint8Array.from(out)
}

function readBitField(value: Uint8Array): number {
  let bits = 0
  for (let i = 0; i < 4 && i < value.length; i++) bits |= (value[i] as number) << (8 * i)
  return bits >>> 0
}

function varints(values: PerPriority<number>): Uint8Array {
  let length = 0
  for (const value of values) length += varintLength(value)
  const out = new Uint8Array(length)
  let at = 0
  for (const value of values) at = writeVarint(out, at, value)
  return out
}

function readVarints(value: Uint8Array): PerPriority<number> | undefined {
  const out: [number, number, number, number] = [0, 0, 0, 0]
  let at = 0
  for (let i = 0; i < out.length; i++) {
    const number = readVarint(value, at)
    if (number < 0) return undefined
    out[i] = number
    at += varintLengthFrom(value[at] as number)
  }
  return at === value.length ? out : undefined
}

function text(value: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
  } catch {
    return undefined
  }
}
