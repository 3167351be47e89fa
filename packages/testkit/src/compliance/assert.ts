import { AivError, toHex } from '@aiv/transport-api'

/** A promise of the interface was not kept. The message says which one, what was expected and what came. */
export class ComplianceError extends AivError<'COMPLIANCE'> {
  constructor(message: string, options?: ErrorOptions) {
    super('COMPLIANCE', message, options)
  }
}

/** @throws ComplianceError always. */
export function fail(message: string, cause?: unknown): never {
  throw new ComplianceError(message, cause === undefined ? undefined : { cause })
}

/** @throws ComplianceError with `message` unless `condition` holds. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) fail(message)
}

/** Compares by content: numbers, strings, bytes, arrays and plain objects of them. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const [got, wanted] = [show(actual), show(expected)]
  if (got !== wanted) fail(`${what}: expected ${cut(wanted)}, got ${cut(got)}`)
}

/** Compares bytes by content without printing more than their beginnings. */
export function sameBytes(actual: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  if (actual === undefined) fail(`${what}: nothing came, expected ${expected.length} bytes`)
  if (actual.length !== expected.length) fail(`${what}: expected ${expected.length} bytes, got ${actual.length}`)
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) fail(`${what}: byte ${i} is ${actual[i]}, expected ${expected[i]}`)
  }
}

/** The code that `run` throws with. @throws ComplianceError when it throws nothing, or something without a code. */
export function thrownCode(run: () => unknown, what: string): string {
  try {
    run()
  } catch (error) {
    return codeOf(error, what)
  }
  return fail(`${what}: nothing was thrown`)
}

/** The code of an error. @throws ComplianceError when it is no AivError. */
export function codeOf(error: unknown, what: string): string {
  if (error instanceof AivError) return String(error.code)
  // a second copy of transport-api in the tree is no reason to fail
  if (error instanceof Error && 'code' in error && 'retryable' in error) return String(error.code)
  return fail(`${what}: ${String(error)} is no AivError`, error)
}

/** A text that is the same for equal values: keys sorted, bytes in hex. */
export function show(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes:${toHex(value)}`
  if (Array.isArray(value)) return `[${(value as unknown[]).map(show).join(', ')}]`
  if (value instanceof AivError) return `${value.name}(${String(value.code)})`
  if (value instanceof Error) return `${value.name}(${value.message})`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value as Record<string, unknown>).filter(
      ([, field]) => field !== undefined && typeof field !== 'function',
    )
    fields.sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${fields.map(([key, field]) => `${key}: ${show(field)}`).join(', ')}}`
  }
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

function cut(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text
}
