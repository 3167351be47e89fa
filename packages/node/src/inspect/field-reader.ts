import { readVarint, toHex, varintLengthFrom } from '@aiv/transport-api'
import type { InspectedField } from './inspection.js'

/** Longest value that is shown, in bytes. */
const SHOWN_BYTES = 64

/** Notes down one field after another; where the bytes end, what is left is noted as cut off, and then nothing more. */
export class FieldReader {
  readonly fields: InspectedField[] = []
  readonly #bytes: Uint8Array
  readonly #base: number
  #at = 0

  /** @param base - where `bytes` begins in the whole byte string */
  constructor(bytes: Uint8Array, base: number) {
    this.#bytes = bytes
    this.#base = base
  }

  /** Where the next field begins. */
  get at(): number {
    return this.#at
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** One byte; `describe` says what it means. `undefined` where the bytes end. */
  u8(name: string, describe: (value: number) => string = () => ''): number | undefined {
    const bytes = this.#take(name, 1)
    if (bytes === undefined) return undefined
    const value = bytes[0] as number
    this.#note(name, 1, toHex(bytes), describe(value))
    return value
  }

  /** A big-endian number of `width` bytes, up to 8. */
  uint(name: string, width: number, describe: (value: bigint) => string = () => ''): bigint | undefined {
    const bytes = this.#take(name, width)
    if (bytes === undefined) return undefined
    const value = BigInt(`0x${toHex(bytes)}`)
    this.#note(name, width, String(value), describe(value))
    return value
  }

  varint(name: string, describe: (value: number) => string = () => ''): number | undefined {
    const first = this.#bytes[this.#at]
    const width = first === undefined ? 1 : varintLengthFrom(first)
    if (this.#take(name, width) === undefined) return undefined
    const value = readVarint(this.#bytes, this.#at)
    this.#note(name, width, value < 0 ? 'too large' : String(value), value < 0 ? 'above 2^53 − 1' : describe(value))
    return value < 0 ? undefined : value
  }

  /** `length` bytes, shown by `show`, in hexadecimal unless told otherwise. */
  bytes(
    name: string,
    length: number,
    options: { readonly show?: (bytes: Uint8Array) => string; readonly note?: string } = {},
  ): Uint8Array | undefined {
    const bytes = this.#take(name, length)
    if (bytes === undefined) return undefined
    this.#note(name, length, (options.show ?? shownHex)(bytes), options.note ?? '')
    return bytes
  }

  #take(name: string, length: number): Uint8Array | undefined {
    if (this.left >= length) return this.#bytes.subarray(this.#at, this.#at + length)
    if (this.left > 0) this.#note(name, this.left, shownHex(this.#bytes.subarray(this.#at)), 'cut off')
    return undefined
  }

  #note(name: string, length: number, value: string, note: string): void {
    this.fields.push({ offset: this.#base + this.#at, length, name, value, note })
    this.#at += length
  }
}

/** Hexadecimal, cut after 64 bytes. */
export function shownHex(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'empty'
  const cut = bytes.length > SHOWN_BYTES ? ` … ${bytes.length} bytes` : ''
  return toHex(bytes.subarray(0, SHOWN_BYTES)) + cut
}

/** Text in quotes where it is printable UTF-8, else hexadecimal. */
export function shownText(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'empty'
  const text = new TextDecoder().decode(bytes.subarray(0, 256))
  if (!/^[^\p{C}\ufffd]+$/u.test(text)) return shownHex(bytes)
  return JSON.stringify(text) + (bytes.length > 256 ? ` … ${bytes.length} bytes` : '')
}

/** Unix milliseconds as a date; empty where there is no such date. */
export function shownTime(ms: bigint): string {
  const date = new Date(Number(ms))
  return Number.isNaN(date.getTime()) ? '' : date.toISOString()
}
