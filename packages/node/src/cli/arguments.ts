import { InvalidArgumentError } from 'commander'
import type { NobleBlenoOptions } from '@aiv/bitchat'
import { isNodeId, parseAddress, parseNodeId, type DeviceType, type NodeId, type Priority } from '@aiv/transport-api'
import { readHex } from '../inspect/inspect.js'
import { priorityNamed, priorityNames } from '../priority-name.js'

/** Turns what somebody typed into a value, or says why not. */

export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535')
  return port
}

/** `0,1`: hci0 scans and dials, hci1 advertises; `0`: both, on one. */
export function parseBleAdapters(text: string): NobleBlenoOptions {
  const match = /^(\d{1,3})(?:,(\d{1,3}))?$/.exec(text)
  if (match === null) throw new InvalidArgumentError('adapters are numbers: 0,1 for hci0 and hci1, or 0 for one')
  const [, central, peripheral = central] = match
  return { central: { device: Number(central) }, peripheral: { device: Number(peripheral) } }
}

export function parsePriority(text: string): Priority {
  const priority = priorityNamed(text)
  if (priority === undefined) throw new InvalidArgumentError(`a priority is one of ${priorityNames.join(', ')}`)
  return priority
}

export function parseNoiseKey(text: string): Uint8Array {
  const key = readHex(text)
  if (key?.length !== 32) throw new InvalidArgumentError('an X25519 key has 32 bytes, 64 hexadecimal digits')
  return key
}

/** A node id, or an address as it is. */
export function parseRecipient(text: string): string {
  if (isNodeId(text)) return text
  try {
    parseAddress(text)
  } catch (error) {
    throw new InvalidArgumentError(text.includes('://') ? (error as Error).message : 'neither a node id nor an address')
  }
  return text
}

/** For an option that may be given several times. */
export function collectNodeIds(text: string, before: readonly NodeId[] = []): readonly NodeId[] {
  try {
    return [...before, parseNodeId(text)]
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

const deviceTypes: readonly DeviceType[] = ['mobile', 'desktop', 'server', 'fog']

export function parseDeviceType(text: string): DeviceType {
  const type = deviceTypes.find((name) => name === text)
  if (type === undefined) throw new InvalidArgumentError(`a device is one of ${deviceTypes.join(', ')}`)
  return type
}

/** Seconds, as milliseconds. */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (!(seconds > 0 && seconds <= 300)) throw new InvalidArgumentError('a time is more than 0 and at most 300 seconds')
  return seconds * 1000
}

/** 1 MiB and up, as bytes. */
export function parseMebibytes(text: string): number {
  const size = Number(text)
  if (!Number.isSafeInteger(size) || size < 1 || size > 1_048_576) {
    throw new InvalidArgumentError('a size is a whole number of MiB, at least 1')
  }
  return size * 1_048_576
}
