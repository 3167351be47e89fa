import { AivError } from '@aiv/transport-api'
import { CommandError } from '../errors.js'
import { inspectBytes, inspectText, readHex, type InspectionKind } from '../inspect/inspect.js'
import { inspectionError, type InspectedPart, type Inspection } from '../inspect/inspection.js'
import type { Context } from './context.js'
import { formatBytes } from './output.js'

/** More than this is not read from the standard input. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024

export interface InspectCommandOptions {
  readonly as?: InspectionKind
  readonly noiseKey?: Uint8Array
}

/** `aiv inspect`: what a byte string is. Ends with the code of the failure when it is not valid. */
export async function inspect(
  { output, io }: Context,
  text: string | undefined,
  options: InspectCommandOptions,
): Promise<void> {
  const settings = { ...options, unixNow: Date.now() }
  let inspection: Inspection
  if (text !== undefined) inspection = inspectText(text, settings)
  else {
    if (io.stdin === undefined) {
      throw new CommandError('USAGE', 'nothing to inspect', { hint: 'give hexadecimal digits, or pipe bytes in' })
    }
    const bytes = await readAll(io.stdin)
    const typed = asTyped(bytes)
    inspection = typed === undefined ? inspectBytes(bytes, settings) : inspectText(typed, settings)
  }
  const error = inspectionError(inspection)
  output.result(inspection.parts.flatMap(partLines), {
    type: 'inspection',
    valid: error === undefined,
    ...(error === undefined ? {} : { code: error.code }),
    parts: inspection.parts,
  })
  if (error !== undefined) throw new InspectionError(error.code, error.message)
}

/** The bytes are not valid; the code is theirs. */
class InspectionError extends AivError {}

function partLines({ title, offset, length, fields, error }: InspectedPart): string[] {
  const verdict = error === undefined ? 'valid' : `not valid: ${error.code}`
  const at = offset === 0 ? '' : ` at byte ${offset}`
  const widths = { offset: 0, name: 0, value: 0 }
  for (const field of fields) {
    widths.offset = Math.max(widths.offset, String(field.offset).length)
    widths.name = Math.max(widths.name, field.name.length)
    widths.value = Math.min(40, Math.max(widths.value, field.value.length))
  }
  return [
    `${title}${at}, ${formatBytes(length)}, ${verdict}`,
    ...fields.map((field) =>
      [
        ' ',
        String(field.offset).padStart(widths.offset),
        field.name.padEnd(widths.name),
        field.note === '' ? field.value : field.value.padEnd(widths.value),
        field.note,
      ]
        .join('  ')
        .trimEnd(),
    ),
  ]
}

/** Piped text that is hexadecimal, an id or an address; `undefined` for raw bytes. */
function asTyped(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim()
    return readHex(text) !== undefined || /^[a-z]+:\/\/\S+$/.test(text) ? text : undefined
  } catch {
    return undefined
  }
}

async function readAll(stdin: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of stdin) {
    length += piece.length
    if (length > MAX_INPUT_BYTES) {
      throw new CommandError('INPUT_TOO_LARGE', `at most ${formatBytes(MAX_INPUT_BYTES)} are inspected`)
    }
    pieces.push(piece)
  }
  return new Uint8Array(Buffer.concat(pieces))
}
