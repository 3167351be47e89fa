import {
  type Priority,
  joinBytes,
  priorities,
  readVarint,
  varintLength,
  varintLengthFrom,
  writeVarint,
} from '@aiv/transport-api'

/** Messages of one priority that a sender may be ahead of the first that is not confirmed. */
export const MAX_MESSAGES_AHEAD = 64
/** Longest header: priority u8, number as a varint. */
export const MAX_MESSAGE_HEADER_BYTES = 9

/** priority u8 ‖ varint number ‖ packet: one message of `fragments`, in a new buffer. */
export function encodeMessage(priority: Priority, number: number, packet: readonly Uint8Array[]): Uint8Array {
  const header = new Uint8Array(1 + varintLength(number))
  header[0] = priority
  writeVarint(header, 1, number)
  return joinBytes([header, ...packet])
}

/** Brings the messages of one session back into the order of each priority. */
export class MessageOrder {
  readonly #next: [number, number, number, number] = [0, 0, 0, 0]
  readonly #early = priorities.map(() => new Map<number, Uint8Array>())

  /** Packets that are due now, in order; `undefined`: no message, or one from further ahead than may be. */
  take(message: Uint8Array): Uint8Array[] | undefined {
    const priority = priorities.find((candidate) => candidate === message[0])
    const number = readVarint(message, 1)
    if (priority === undefined || number < 0) return undefined
    const early = this.#early[priority] as Map<number, Uint8Array>
    const next = this.#next[priority]
    if (number < next || early.has(number)) return []
    if (number >= next + MAX_MESSAGES_AHEAD) return undefined
    early.set(number, message.subarray(1 + varintLengthFrom(message[1] as number)))
    const due: Uint8Array[] = []
    for (let packet; (packet = early.get(this.#next[priority])) !== undefined;) {
      early.delete(this.#next[priority]++)
      due.push(packet)
    }
    return due
  }
}
