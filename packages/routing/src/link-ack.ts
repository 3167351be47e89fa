import {
  ArgumentError,
  priorities,
  readVarint,
  varintLength,
  varintLengthFrom,
  writeVarint,
  type PerPriority,
} from '@aiv/transport-api'
import type { CounterRange } from './counter-ranges.js'
import { EPOCH_BYTES, epochFromBytes, epochToBytes, type Epoch } from './epoch.js'
import { PacketKind } from './packet.js'

/** Most ranges in one link acknowledgement, all priorities together. */
export const MAX_LINK_ACK_RANGES = 256

/** What became of link envelopes. Ranges ascend, never touch, and may cover counters that were never sent: clip them. */
export interface LinkAck {
  /** The epoch of the node that sent the envelopes: counters of another one mean nothing to it. */
  readonly epoch: Epoch
  /** Delivered to the application. */
  readonly acknowledged: PerPriority<readonly CounterRange[]>
  /** Came when its place in the order had been given up, and was not delivered: repeating it is no use. */
  readonly refused: PerPriority<readonly CounterRange[]>
}

const REFUSED = 0x04
const HEAD_BYTES = 1 + EPOCH_BYTES

/**
 * Packet 03, in a new buffer:
 *
 * ```
 * 03 ‖ epoch u64 ‖ sections: head u8 (bits 0–1 priority, bit 2 refused) ‖ varint ranges ‖ for each:
 *     varint (first − (last of the one before + 2), or first) ‖ varint (last − first)
 * ```
 *
 * @throws ArgumentError when there are no ranges or more than {@link MAX_LINK_ACK_RANGES}, or they are not ascending
 * and apart. docs/wire/packets.md
 */
export function encodeLinkAck(ack: LinkAck): Uint8Array {
  let length = HEAD_BYTES
  let total = 0
  for (const section of sections) {
    const ranges = rangesOf(ack, section)
    if (ranges.length === 0) continue
    total += ranges.length
    length += 1 + varintLength(ranges.length)
    let floor = 0
    for (const { first, last } of ranges) {
      if (first < floor || last < first) throw new ArgumentError(`range ${first} to ${last} after ${floor - 2}`)
      length += varintLength(first - floor) + varintLength(last - first)
      floor = last + 2
    }
  }
  if (total === 0 || total > MAX_LINK_ACK_RANGES) throw new ArgumentError(`${total} ranges in one acknowledgement`)
  const out = new Uint8Array(length)
  out[0] = PacketKind.LinkAck
  out.set(epochToBytes(ack.epoch), 1)
  let at = HEAD_BYTES
  for (const section of sections) {
    const ranges = rangesOf(ack, section)
    if (ranges.length === 0) continue
    out[at] = section
    at = writeVarint(out, at + 1, ranges.length)
    let floor = 0
    for (const { first, last } of ranges) {
      at = writeVarint(out, at, first - floor)
      at = writeVarint(out, at, last - first)
      floor = last + 2
    }
  }
  return out
}

/**
 * Reads packet 03. `undefined` when the bytes are no link acknowledgement: another kind, cut off, sections not
 * ascending, an empty section or none, over {@link MAX_LINK_ACK_RANGES} ranges, a counter over 2^53 − 1.
 */
export function decodeLinkAck(bytes: Uint8Array): LinkAck | undefined {
  if (bytes.length <= HEAD_BYTES || bytes[0] !== PacketKind.LinkAck) return undefined
  const acknowledged: [CounterRange[], CounterRange[], CounterRange[], CounterRange[]] = [[], [], [], []]
  const refused: [CounterRange[], CounterRange[], CounterRange[], CounterRange[]] = [[], [], [], []]
  let total = 0
  let before = -1
  for (let at = HEAD_BYTES; at < bytes.length;) {
    const section = bytes[at] as number
    if (section <= before || section > (REFUSED | 3)) return undefined
    before = section
    const count = readVarint(bytes, ++at)
    total += count
    if (count < 1 || total > MAX_LINK_ACK_RANGES) return undefined
    at += varintLengthFrom(bytes[at] as number)
    const ranges = (section & REFUSED ? refused : acknowledged)[section & 3] as CounterRange[]
    let floor = 0
    for (let i = 0; i < count; i++) {
      const skip = readVarint(bytes, at)
      if (skip < 0) return undefined
      at += varintLengthFrom(bytes[at] as number)
      const more = readVarint(bytes, at)
      if (more < 0) return undefined
      at += varintLengthFrom(bytes[at] as number)
      const first = floor + skip
      const last = first + more
      if (last > Number.MAX_SAFE_INTEGER) return undefined
      ranges.push({ first, last })
      floor = last + 2
    }
  }
  return { epoch: epochFromBytes(bytes.subarray(1, HEAD_BYTES)), acknowledged, refused }
}

const sections: readonly number[] = [...priorities, ...priorities.map((priority) => priority | REFUSED)]

function rangesOf(ack: LinkAck, section: number): readonly CounterRange[] {
  return (section & REFUSED ? ack.refused : ack.acknowledged)[section & 3] as readonly CounterRange[]
}
