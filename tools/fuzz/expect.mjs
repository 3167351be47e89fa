import { deepStrictEqual } from 'node:assert'
import { toHex } from '@aiv/transport-api'

export function ensure(condition, message) {
  if (!condition) throw new Error(message)
}

/**
 * What `decode` gives, or the code of the error it throws: only errors of `allowed` classes with a code may be thrown.
 */
export function verdict(allowed, decode) {
  try {
    return { value: decode() }
  } catch (error) {
    if (!allowed.some((type) => error instanceof type)) throw error
    ensure(typeof error.code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(error.code), `an error without a code: ${error}`)
    return { code: error.code }
  }
}

/**
 * A target for a decoder that gives `undefined` for what it refuses and never throws. What it accepts must survive
 * being written and read again, where there is a way to write it.
 */
export function codec({ seeds, decode, encode, rewritable = () => true, kind = () => 'accepted' }) {
  return () => ({
    seeds,
    run(bytes) {
      const before = toHex(bytes)
      const value = decode(bytes)
      ensure(toHex(bytes) === before, 'the decoder changed its input')
      if (value === undefined) return 'refused'
      if (encode !== undefined && rewritable(value)) deepStrictEqual(plain(decode(encode(value))), plain(value))
      return kind(value)
    },
  })
}

/** Bytes as text, so that views and copies compare alike. */
export function plain(value) {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))
}
