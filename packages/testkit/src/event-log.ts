import { type Millis, toHex } from '@aiv/transport-api'

/** Longer bytes are told apart by length and FNV-1a with 32 bits, so that a log of bulk costs little. */
const SHOWN_BYTES = 64

/** Something that was told to the world. */
export interface WorldEvent {
  /** World time. */
  readonly at: Millis
  /** Who tells it: the name of a clock, of a node, of a link. */
  readonly node: string
  readonly type: string
  readonly detail: unknown
}

/**
 * Everything that was recorded, as one running hash: FNV-1a with 64 bits (draft-eastlake-fnv) over a line of text per
 * event. Two runs that are alike give the same hash on any machine; it finds differences and proves nothing against an
 * adversary. The last events themselves are kept for messages, `capacity` of them; older ones are dropped.
 */
export class EventLog {
  readonly #capacity: number
  readonly #kept: WorldEvent[] = []
  #oldest = 0
  // the hash in two halves, as plain numbers; the offset basis cbf29ce484222325
  #high = 0xcbf29ce4
  #low = 0x84222325

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Events recorded so far, dropped ones included. */
  count = 0

  add(event: WorldEvent): void {
    this.count++
    this.#text(`${event.at} ${event.node} ${event.type} ${canonical(event.detail)}\n`)
    if (this.#capacity === 0) return
    if (this.#kept.length < this.#capacity) {
      this.#kept.push(event)
    } else {
      this.#kept[this.#oldest] = event
      this.#oldest = (this.#oldest + 1) % this.#capacity
    }
  }

  /** The events that are kept, oldest first. */
  last(): readonly WorldEvent[] {
    return [...this.#kept.slice(this.#oldest), ...this.#kept.slice(0, this.#oldest)]
  }

  /** 16 hex digits. */
  get hash(): string {
    return this.#high.toString(16).padStart(8, '0') + this.#low.toString(16).padStart(8, '0')
  }

  /** Each UTF-16 unit is taken as two bytes, low one first. */
  #text(text: string): void {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      this.#byte(code & 0xff)
      this.#byte(code >>> 8)
    }
  }

  #byte(byte: number): void {
    const low = (this.#low ^ byte) >>> 0
    // times the prime 2^40 + 0x1b3: both products stay below 2^53
    const product = low * 0x1b3
    const carry = Math.floor(product / 0x100000000)
    this.#high = (this.#high * 0x1b3 + carry + ((low << 8) >>> 0)) % 0x100000000
    this.#low = product % 0x100000000
  }
}

function canonicalBytes(bytes: Uint8Array): string {
  if (bytes.length <= SHOWN_BYTES) return `x${toHex(bytes)}`
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return `x${bytes.length}#${(hash >>> 0).toString(16)}`
}

/**
 * A text that equal values have in common: keys sorted, bytes in hex, sets and maps in their order. Cycles are a
 * caller's mistake and run out of stack.
 */
export function canonical(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'bigint':
      return `${value}n`
    case 'object':
      break
    case 'function':
    case 'symbol':
      return typeof value
    default:
      return String(value)
  }
  if (value === null) return 'null'
  if (value instanceof Uint8Array) return canonicalBytes(value)
  if (Array.isArray(value) || value instanceof Set)
    return `[${[...(value as Iterable<unknown>)].map(canonical).join()}]`
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${canonical(key)}:${canonical(item)}`).join()}}`
  if (value instanceof Error) {
    const { code } = value as { code?: unknown }
    return `${value.name}(${typeof code === 'string' ? code : value.message})`
  }
  const fields = Object.entries(value as Record<string, unknown>).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, field]) => `${key}:${canonical(field)}`).join()}}`
}
