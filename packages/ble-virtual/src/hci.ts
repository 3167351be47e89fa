/**
 * The part of the Host Controller Interface that LE hosts such as noble and bleno use, in H4 framing: one byte of packet
 * type, then the packet. Source: Bluetooth Core Specification 5.4, Vol 4, Part A (H4) and Part E (commands, events, error
 * codes). Everything on this interface is little-endian.
 */
export const PacketType = { command: 0x01, acl: 0x02, event: 0x04 } as const

/** Part E, section 7; the upper six bits are the group. */
export const Opcode = {
  disconnect: 0x0406,
  setEventMask: 0x0c01,
  reset: 0x0c03,
  readLeHostSupport: 0x0c6c,
  writeLeHostSupport: 0x0c6d,
  readLocalVersion: 0x1001,
  readBufferSize: 0x1005,
  readAddress: 0x1009,
  readRssi: 0x1405,
  leSetEventMask: 0x2001,
  leReadBufferSize: 0x2002,
  leReadFeatures: 0x2003,
  leSetAdvertisingParameters: 0x2006,
  leSetAdvertisingData: 0x2008,
  leSetScanResponse: 0x2009,
  leSetAdvertisingEnable: 0x200a,
  leSetScanParameters: 0x200b,
  leSetScanEnable: 0x200c,
  leCreateConnection: 0x200d,
  leCancelConnection: 0x200e,
  leUpdateConnection: 0x2013,
  leSetDataLength: 0x2022,
  leReadMaxDataLength: 0x202f,
} as const

/** Length of each command's parameters: a controller takes no other. */
export const PARAMETER_BYTES: ReadonlyMap<number, number> = new Map([
  [Opcode.disconnect, 3],
  [Opcode.setEventMask, 8],
  [Opcode.reset, 0],
  [Opcode.readLeHostSupport, 0],
  [Opcode.writeLeHostSupport, 2],
  [Opcode.readLocalVersion, 0],
  [Opcode.readBufferSize, 0],
  [Opcode.readAddress, 0],
  [Opcode.readRssi, 2],
  [Opcode.leSetEventMask, 8],
  [Opcode.leReadBufferSize, 0],
  [Opcode.leReadFeatures, 0],
  [Opcode.leSetAdvertisingParameters, 15],
  [Opcode.leSetAdvertisingData, 32],
  [Opcode.leSetScanResponse, 32],
  [Opcode.leSetAdvertisingEnable, 1],
  [Opcode.leSetScanParameters, 7],
  [Opcode.leSetScanEnable, 2],
  [Opcode.leCreateConnection, 25],
  [Opcode.leCancelConnection, 0],
  [Opcode.leUpdateConnection, 14],
  [Opcode.leSetDataLength, 6],
  [Opcode.leReadMaxDataLength, 0],
])

/** Part E, section 7.7. */
const EventCode = {
  disconnectionComplete: 0x05,
  commandComplete: 0x0e,
  commandStatus: 0x0f,
  numberOfCompletedPackets: 0x13,
  dataBufferOverflow: 0x1a,
  leMeta: 0x3e,
} as const

const LeEvent = { connectionComplete: 0x01, advertisingReport: 0x02, connectionUpdateComplete: 0x03 } as const

/** Vol 1, Part F: what went wrong, or why a link ended. */
export const Status = {
  success: 0x00,
  unknownCommand: 0x01,
  unknownConnection: 0x02,
  connectionTimeout: 0x08,
  connectionLimit: 0x09,
  connectionExists: 0x0b,
  disallowed: 0x0c,
  invalidParameters: 0x12,
  remoteUserEnded: 0x13,
  localHostEnded: 0x16,
} as const

/** Longest advertisement and longest scan response. */
export const MAX_ADVERTISING_BYTES = 31

/** Report type 4: the answer to an active scan. */
export const SCAN_RESPONSE = 4

const u16 = (value: number): readonly [number, number] => [value & 0xff, (value >> 8) & 0xff]

function event(code: number, parameters: readonly number[]): Uint8Array {
  return Uint8Array.of(PacketType.event, code, parameters.length, ...parameters)
}

/** `returned` begins with the status. One command may be outstanding, as a real controller says too. */
export function commandComplete(opcode: number, returned: Iterable<number>): Uint8Array {
  return event(EventCode.commandComplete, [1, ...u16(opcode), ...returned])
}

export function commandStatus(opcode: number, status: number): Uint8Array {
  return event(EventCode.commandStatus, [status, 1, ...u16(opcode)])
}

export function disconnectionComplete(handle: number, reason: number): Uint8Array {
  return event(EventCode.disconnectionComplete, [Status.success, ...u16(handle), reason])
}

/** Gives the host its buffers back. */
export function completedPackets(handle: number, count: number): Uint8Array {
  return event(EventCode.numberOfCompletedPackets, [1, ...u16(handle), ...u16(count)])
}

/** The host sent more ACL data than there are buffers; 1 = ACL. */
export function dataBufferOverflow(): Uint8Array {
  return event(EventCode.dataBufferOverflow, [1])
}

/** Connection parameters as they are on the wire: units of 1.25 ms, events, units of 10 ms. */
export interface ConnectionParameters {
  readonly interval: number
  readonly latency: number
  readonly supervisionTimeout: number
}

/** `role`: 0 central, 1 peripheral. `peer`: 6 bytes, as on the wire. */
export function connectionComplete(
  status: number,
  handle: number,
  role: 0 | 1,
  peer: Uint8Array,
  parameters: ConnectionParameters,
): Uint8Array {
  const { interval, latency, supervisionTimeout } = parameters
  return event(EventCode.leMeta, [
    LeEvent.connectionComplete,
    status,
    ...u16(handle),
    role,
    0, // public address
    ...peer,
    ...u16(interval),
    ...u16(latency),
    ...u16(supervisionTimeout),
    0, // the central's clock: 500 ppm
  ])
}

export function connectionUpdateComplete(handle: number, parameters: ConnectionParameters): Uint8Array {
  const { interval, latency, supervisionTimeout } = parameters
  return event(EventCode.leMeta, [
    LeEvent.connectionUpdateComplete,
    Status.success,
    ...u16(handle),
    ...u16(interval),
    ...u16(latency),
    ...u16(supervisionTimeout),
  ])
}

export function advertisingReport(type: number, from: Uint8Array, data: Uint8Array, rssi: number): Uint8Array {
  return event(EventCode.leMeta, [LeEvent.advertisingReport, 1, type, 0, ...from, data.length, ...data, rssi & 0xff])
}

/** A device address as it is on the wire, 6 bytes, from `c0:ff:ee:00:00:01`. */
export function addressBytes(address: string): Uint8Array {
  const bytes = new Uint8Array(6)
  for (let i = 0; i < 6; i++) bytes[5 - i] = parseInt(address.slice(3 * i, 3 * i + 2), 16)
  return bytes
}

export function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8)
}
